# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the commands that run in the build root share: places, and when the shared cache is free for others.

TOP=$IN_SRC
TOOLS=$TOP/tools
CACHE=$IN_CACHE
BUILD=$TOP/build
LOGS=$BUILD/log
OUT=$BUILD/guest		# bzImage, modules, programs: what a machine boots
BEGIN=$EPOCHREALTIME

. "$TOOLS/versions.sh"
. "$TOOLS/kernel.sh"
. "$TOOLS/bochs.sh"
. "$TOOLS/guest.sh"

# From here on only this checkout's own build directory is used.
build_done()
{
	flock -u 9
}

took()
{
	say "  took $(elapsed "$BEGIN") s"
}

# MACHINE, or the best one here for what needs VMX.
pick_machine()
{
	local nested=/sys/module/kvm_intel/parameters/nested
	case ${MACHINE:-auto} in
	bochs|kvm|qemu) ;;
	auto)
		MACHINE=bochs
		if [ -w /dev/kvm ] && grep -qs '[Y1]' $nested; then
			MACHINE=kvm
		fi ;;
	*) die "MACHINE=$MACHINE: bochs, kvm or qemu" ;;
	esac
}
