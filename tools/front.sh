#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The front door behind the Makefile: get the rights, make the build root, run tools/cmd/COMMAND.sh in it.

TOP=$(cd "$(dirname "$0")/.." && pwd -P)
TOOLS=$TOP/tools
CACHE=${TDX_SEPT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tdx-sept}
LOGS=$TOP/build/log
. "$TOOLS/lib.sh"
. "$TOOLS/versions.sh"
. "$TOOLS/root.sh"

# The build root needs mounts and several users: root, a user namespace, or sudo.
get_rights()
{
	[ "$(id -u)" = 0 ] && return
	if type mmdebstrap >/dev/null 2>&1 && in_userns true 2>/dev/null; then
		case $1 in
		clean|distclean) ;;
		*)
			lock
			make_root_tar
			unlock ;;
		esac
		trap - INT TERM
		in_userns env TDX_SEPT_CACHE="$CACHE" TDX_SEPT_USERNS=1 "$0" "$@"
		exit
	elif type sudo >/dev/null 2>&1; then
		passed HOME LINUX DEBIAN_MIRROR "${PASSED[@]}"
		trap - INT TERM
		sudo env TDX_SEPT_CACHE="$CACHE" "${ENV[@]}" "$0" "$@"
		exit
	fi
	die "no privilege: run make as root, install sudo, or give $(id -un) subuids (/etc/subuid, /etc/subgid) and install" \
		"the packages uidmap and mmdebstrap"
}

in_userns()
{
	unshare --user --map-auto --map-root-user "$@"
}

check_disk()
{
	local need=12000 have
	[ -e "$CACHE/obj/.built" ] && need=2000
	have=$(df --output=avail -BM "$CACHE" | tail -n 1 | tr -dc 0-9)
	[ "$have" -ge "$need" ] ||
		die "too little disk: $CACHE needs $need MB, has $have MB; free some, or set XDG_CACHE_HOME to a larger disk"
}

check_linux()
{
	local v
	[ -n "${LINUX-}" ] || return 0
	LINUX=$(cd "$LINUX" 2>/dev/null && pwd -P) || die "LINUX: no such directory"
	[ -f "$LINUX/Makefile" ] && [ -d "$LINUX/arch/x86/kvm" ] || die "LINUX=$LINUX is no kernel tree"
	v=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = /./p' "$LINUX/Makefile" | tr -d '\n')
	[ "$v" = "$KERNEL_SERIES" ] || die "LINUX=$LINUX is Linux $v, patches/ are for $KERNEL_SERIES: check out v$KERNEL_SERIES"
}

# What FILES names, as it is called in the build root: that does not see files outside of the checkout, so they are copied.
find_files()
{
	local file path
	local -a found=()
	[ -n "${FILES-}" ] || die "FILES names no traces: make replay FILES=build/run/trace.jsonl"
	for file in $FILES; do
		case $file in
		"$IN_SRC"/*)
			# With the rights that are needed, this script runs once more.
			found+=("$file")
			continue ;;
		esac
		path=$(realpath -e "$file" 2>/dev/null) && [ -f "$path" ] || die "FILES: there is no $file"
		case $path in
		"$TOP"/*) ;;
		*)
			mkdir -p "$TOP/build/replay"
			cp "$path" "$TOP/build/replay/"
			path=$TOP/build/replay/$(basename "$path") ;;
		esac
		found+=("$IN_SRC${path#"$TOP"}")
	done
	FILES=${found[*]}
}

# check_words COMMAND
check_words()
{
	case ${MACHINE:-auto} in
	auto|bochs|kvm) ;;
	qemu) die "QEMU does not emulate VMX, which KVM needs: use MACHINE=bochs or MACHINE=kvm" ;;
	*) die "MACHINE=$MACHINE: it is bochs or kvm" ;;
	esac
	case ${BACKEND:-rust} in
	rust|c) ;;
	*) die "BACKEND=$BACKEND: it is rust or c" ;;
	esac
	for name in SOAK_SECONDS SEED ROUND ROUNDS CALLS; do
		case ${!name-} in
		*[!0-9]*) die "${name#SOAK_}=${!name}: it is a number" ;;
		esac
	done
	[ -z "${VARIANT-}" ] || [ -f "$TOP/kernel-$VARIANT.config" ] || die "VARIANT=$VARIANT: there is no kernel-$VARIANT.config"
	[ "$1" != replay ] || find_files
	case ${TRACE:-1} in
	1) ;;
	*) die "TRACE=$TRACE: it is 1, or not given" ;;
	esac
	for name in ${TESTS-}; do
		[ -f "$TOP/selftests/$name.c" ] || die "TESTS: there is no selftests/$name.c"
	done
}

# One command a checkout at a time; what is shared is locked until it is built (build_done in cmd/).
lock()
{
	exec 8>"$TOP/build/lock" 9>"$CACHE/lock"
	flock --nonblock 8 || die "another make runs in this checkout: wait for it"
	flock --nonblock 9 || { say "  waiting for another checkout that is building"; flock 9; }
	rm -rf "$CACHE"/tmp.*
}

unlock()
{
	flock -u 8
	flock -u 9
}

clean()
{
	rm -rf "$TOP/build"
}

distclean()
{
	clean
	mkdir -p "$CACHE"
	exec 9>"$CACHE/lock"
	flock --nonblock 9 || die "another checkout is building in $CACHE: wait for it"
	rm -rf "$CACHE"
}

main()
{
	local command=$1
	case $command in
	clean|distclean)
		get_rights "$@"
		"$command"
		exit ;;
	esac
	[ -f "$TOOLS/cmd/$command.sh" ] || die "no command '$command': see make help"

	mkdir -p "$TOP/build" "$CACHE"
	check_words "$command"
	check_linux
	check_disk
	get_rights "$@"
	lock
	make_root
	# What runs inside says itself what became of it.
	trap - INT TERM
	unshare --mount --propagation private "$TOOLS/enter.sh" "$TOP" "$CACHE" "$ROOT" "${LINUX-}" "$IN_SRC/tools/cmd/$command.sh"
}

# Read to its end before it runs: an edit must not hit a run.
main "$@"; exit
