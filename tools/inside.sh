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

# Everything that a machine boots.
make_all()
{
	make_kernel
	[ "${MACHINE-}" != bochs ] || make_bochs
	make_guest
	build_done
}

# Sets MACHINE to one that has VMX: the one asked for, or the best here.
pick_machine()
{
	case ${MACHINE:-auto} in
	auto)
		MACHINE=bochs
		! kvm_works || MACHINE=kvm ;;
	kvm)
		kvm_works || die "MACHINE=kvm needs /dev/kvm and nested VMX (kvm_intel.nested=1) here: use MACHINE=bochs" ;;
	bochs) ;;
	qemu) die "QEMU does not emulate VMX, which KVM needs: use MACHINE=bochs or MACHINE=kvm" ;;
	*) die "MACHINE=$MACHINE: it is bochs or kvm" ;;
	esac
}

# QEMU itself tells: some /dev/kvm can be opened and no more, others have no VMX for guests.
kvm_works()
{
	[ -e /dev/kvm ] && echo quit | timeout 20 qemu-system-x86_64 -accel kvm -cpu host,vmx=on,enforce=on -m 64 -nodefaults \
		-display none -S -monitor stdio >/dev/null 2>&1
}

# boot NAME ARGUMENT...: boot MACHINE with boot.py's arguments; its files go to build/NAME.
boot()
{
	local name=$1
	shift
	"$TOOLS/boot.py" --machine "$MACHINE" --kernel "$OUT/bzImage" --initramfs "$OUT/initramfs" --bochs "${BOCHS-}" \
		--dir "$BUILD/$name" "$@"
}
