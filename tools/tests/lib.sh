# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What tests of the tools share: a copy of the tools in WORK/top, with patches/ and a cache of its own.

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
NR=0

mkdir -p "$WORK/top/patches" "$WORK/cache/tdx-sept"
cp -r "$TOP/tools" "$TOP/selftests" "$TOP"/*.config "$WORK/top/"

# inside FUNCTION...: functions of the tools that run in the build root, in the copy.
inside()
{
	# shellcheck disable=SC2016 # that shell's
	env TDX_TOP="$WORK/top" TDX_LINUX= bash -c '
		. "$0/tools/lib.sh"
		IN_SRC=$0 IN_CACHE=$1
		. "$0/tools/inside.sh"
		. "$0/tools/tests/inside.sh"
		shift
		"$@"' "$WORK/top" "$WORK/cache" "$@"
}

# check NAME COMMAND...: a test; what the command wrote to WORK/log says why it failed.
check()
{
	local name=$1
	shift
	NR=$((NR + 1))
	if "$@"; then
		echo "ok $NR - $name"
	else
		echo "not ok $NR - $name"
		sed 's/^/# /' "$WORK/log"
	fi
}
