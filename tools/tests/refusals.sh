#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Wrong use, and a machine that lacks something, end in one clear line. What is lacking is faked: programs of that name are put
# first in the path. Seconds, no network. TAP.
# shellcheck disable=SC2016,SC1010 # the fakes are scripts of their own

. "$(dirname "$0")/lib.sh"

# fake NAME LINE...: the next command finds this shell script instead of that program.
fake()
{
	local name=$1
	shift
	mkdir -p "$WORK/bin"
	printf '%s\n' '#!/bin/sh' "$@" >"$WORK/bin/$name"
	chmod +x "$WORK/bin/$name"
}

# refused NAME WORDS COMMAND...: the command fails, with one line for people, which has these words (a pattern).
refused()
{
	local name=$1 words=$2 output status=0 verdict=ok
	shift 2
	NR=$((NR + 1))
	output=$(PATH="$WORK/bin:$PATH" "$@" 2>&1 >/dev/null </dev/null) || status=$?
	# Where the log is may come after it.
	output=$(grep -v 'the whole log is' <<<"$output")
	[ $status != 0 ] && [ "$(wc -l <<<"$output")" = 1 ] && grep -qE "^tdx-sept: .*$words" <<<"$output" || verdict="not ok"
	echo "$verdict $NR - $name"
	[ "$verdict" = ok ] || printf '# %s\n' "status $status, said:" "$output"
	rm -rf "${WORK:?}/bin"
}

# front VARIABLE=VALUE... COMMAND: the front door of a copy of the tools, with a cache of its own.
front()
{
	env -u MACHINE -u BACKEND -u TESTS -u VARIANT -u TRACE -u FILES -u LINUX -u CI XDG_CACHE_HOME="$WORK/cache" HOME="$WORK" "${@:1:$#-1}" \
		"$WORK/top/tools/front.sh" "${@: -1}"
}

# A kernel tree with one file; patches/ of the copy change it.
own_tree()
{
	mkdir -p "$1/arch/x86/kvm" "$1/drivers/virt/coco"
	printf '%s\n' 'VERSION = 7' "PATCHLEVEL = $2" >"$1/Makefile"
	printf '%s\n' "$3" >"$1/file"
}

cat >"$WORK/top/patches/0001-change.patch" <<'END'
--- a/file
+++ b/file
@@ -1 +1 @@
-before
+after
END

echo "# program: refusals"

refused "unknown machine" "MACHINE=vax: it is bochs or kvm" front MACHINE=vax run
refused "a machine without VMX" "QEMU does not emulate VMX" front MACHINE=qemu run
refused "unknown backend" "BACKEND=go: it is rust or c" front BACKEND=go run
refused "unknown kernel" "there is no kernel-fast.config" front VARIANT=fast kernel
refused "no number" "SECONDS=soon: it is a number" front SOAK_SECONDS=soon soak
refused "unknown test" "there is no selftests/nosuch.c" front TESTS="memory nosuch" test
refused "trace of another kind" "TRACE=yes: it is 1, or not given" front TRACE=yes run
refused "nothing to replay" "FILES names no traces" front FILES= replay
refused "trace that is not there" "FILES: there is no nosuch.jsonl" front FILES=nosuch.jsonl replay
refused "unknown command" "no command 'dance'" front dance

refused "LINUX is no directory" "LINUX: no such directory" front LINUX="$WORK/nowhere" kernel
mkdir "$WORK/empty"
refused "LINUX is no kernel" "is no kernel tree" front LINUX="$WORK/empty" kernel
own_tree "$WORK/old" 2 before
refused "LINUX is another version" "is Linux 7.2, patches/ are for 7.3: check out v7.3" front LINUX="$WORK/old" kernel

fake df 'echo Avail; echo 900M'
refused "too little disk" "too little disk: .* needs 12000 MB, has 900 MB" front kernel

fake id 'echo 1000'
fake unshare 'exit 1'
fake mmdebstrap 'exit 1'
NOSUDO=$WORK/nosudo
mkdir "$NOSUDO"
for program in /usr/bin/* /bin/*; do
	[ "${program##*/}" = sudo ] || ln -sf "$program" "$NOSUDO/"
done
refused "no privilege" "no privilege: run make as root, install sudo, or give .* subuids" front PATH="$WORK/bin:$NOSUDO" kernel

fake mmdebstrap 'echo E: Unable to fetch; exit 1'
refused "no packages: build root" "cannot make a Debian .* is it reachable" front kernel
fake apt-get 'echo Err:1 could not resolve; exit 100'
refused "no packages: kernel source" "no packages reachable" inside download_to_nowhere download_kernel
fake apt-get '[ "$3" = update ] || exit 100'
fake apt-cache 'case $1 in' 'pkgnames) echo linux-source-7.9 ;;' '*) echo "linux-source-7.9 | 7.9.1-1 | archive Packages" ;;' esac
refused "kernel source gone from the archive" "it has: linux-source-7.9 7.9.1-1. Put one of these into tools/versions.sh" \
	inside download_to_nowhere download_kernel
fake cargo 'echo error: failed to download; exit 101'
refused "no crates" "no crates reachable" inside stepped fetch_crates

own_tree "$WORK/tree" 3 other
refused "patches do not apply to LINUX" "patches/ do not apply to .*: use v7.3, or rebase them" inside own_tree_checked "$WORK/tree"
own_tree "$WORK/tree" 3 before
refused "patches not applied to LINUX" "has not got our patches yet: git -C .* am" inside own_tree_checked "$WORK/tree"
own_tree "$WORK/tree" 3 after
refused "no link in LINUX" "no link to this directory yet: ln -sfn" inside own_tree_checked "$WORK/tree"
ln -s "$WORK/top" "$WORK/tree/drivers/virt/coco/tdx-sept"
touch "$WORK/tree/.config"
refused "LINUX built in place" "was built in place: make mrproper" inside own_tree_checked "$WORK/tree"

own_tree "$WORK/linux-7.3" 3 other
refused "a patch does not apply to the archive's source" "0001-change.patch does not apply to linux-source-7.3" \
	inside unpacked_from "$WORK/linux-7.3"
refused "the kernel lacks options" "does not take these options: CONFIG_KVM=m CONFIG_RUST=y" inside configured_without KVM RUST

fake qemu-system-x86_64 'exit 1'
refused "KVM without VMX" "MACHINE=kvm does not work here: /dev/kvm has no nested VMX" inside machine_picked kvm
fake qemu-system-x86_64 'case "$*" in *stdio*) exit ;; esac' 'echo "KVM internal error. Suberror: 4" >&2; exec sleep 60'
refused "KVM that does not stop SEAMCALL" "MACHINE=kvm does not work here: .* does not turn SEAMCALL into #UD" \
	inside machine_picked kvm
fake qemu-system-x86_64 'case "$*" in *stdio*) exit ;; esac' 'echo "KVM internal error. Suberror: 4" >&2; exec sleep 60'
refused "the same, any machine: Bochs is taken" "took bochs" inside machine_picked auto

echo "1..$NR"
