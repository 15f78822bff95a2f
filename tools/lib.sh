# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What all tools share: messages, steps with a log, the cache.

set -euo pipefail

# Where things are seen inside of the build root. Fixed, so that checkouts can share one kernel tree.
IN_SRC=/src			# this checkout
IN_CACHE=/cache			# the cache directory
IN_LINUX=/linux			# the tree named by LINUX=
IN_VECTORS=/vectors		# recorded TDX module answers, where they lie beside the checkout

# Variables that people set and that go with a command wherever it runs.
PASSED=(TERM CI MACHINE BACKEND TESTS VARIANT TRACE FILES SOAK_SECONDS SEED ROUND ROUNDS CALLS http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY)

# passed NAME...: those of them that are set, as arguments of env, in ENV.
passed()
{
	local name
	ENV=()
	for name; do
		[ -z "${!name-}" ] || ENV+=("$name=${!name}")
	done
}

say()
{
	printf '%s\n' "$*"
}

# The one clear line of a failure.
die()
{
	printf 'tdx-sept: %s\n' "$*" >&2
	exit 1
}

# What a step made that was cut short is of no use to the next run, and not used.
trap 'die "interrupted: to go on, run the same again"' INT TERM

# Fetch the lists of Debian's packages; an archive that does not answer is an error.
update_packages()
{
	apt-get -o APT::Update::Error-Mode=any update ||
		die "no packages reachable: the Debian archive does not answer. Is the network up? Another archive: make distclean," \
			"then make DEBIAN_MIRROR=URI"
}

# Fetch what the workspace in the current directory needs from other people.
fetch_crates()
{
	cargo fetch --locked --color never ||
		die "no crates reachable: cargo cannot fetch them from crates.io. Is the network up?"
}

hash_of()
{
	sha256sum | cut -c1-12
}

# Names and content of all files in some places, as one hash.
hash_files()
{
	find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | hash_of
}

# step TITLE LOG COMMAND...: one line on the screen with the elapsed time, the rest in a log. Ends the run on failure.
step()
{
	try_step "$@"
	[ "$STEP_STATUS" = 0 ] || exit 1
}

# The same, but only sets STEP_STATUS. Not to be used as a condition: `set -e` must hold in the command.
try_step()
{
	local title=$1 log=$LOGS/$2.log begin=$EPOCHREALTIME
	shift 2

	mkdir -p "$LOGS"
	[ -t 1 ] && printf '  %-56s ' "$title ..."

	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	STEP_STATUS=$?
	set -e

	[ -t 1 ] && printf '\r'
	if [ "$STEP_STATUS" = 0 ]; then
		printf '  %-56s %6.1f s\n' "$title" "$(elapsed "$begin")"
		return
	fi
	printf '  %-56s %6.1f s  FAILED\n' "$title" "$(elapsed "$begin")"

	if tail -n 1 "$log" | grep -q '^tdx-sept: '; then
		tail -n 1 "$log" >&2
	else
		tail -n 25 "$log" | sed 's/^/    | /' >&2
		say "tdx-sept: $title: failed" >&2
	fi
	say "tdx-sept: the whole log is build/log/$(basename "$log")" >&2
}

elapsed()
{
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

# cached NAME TITLE LOG COMMAND...: make the directory $CACHE/NAME once. The command fills the directory that it gets
# as its last argument; that one takes its name only when it is complete.
cached()
{
	local dir=$CACHE/$1 tmp=$CACHE/tmp.$1 title=$2 log=$3
	shift 3

	[ -e "$dir" ] && return
	rm -rf "$tmp"
	mkdir -p "$tmp"
	step "$title" "$log" "$@" "$tmp"
	mv -T "$tmp" "$dir"
}
