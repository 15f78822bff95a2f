# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the commands that run in the build root share: places, and when the shared cache is free for others.

TOP=$IN_SRC
TOOLS=$TOP/tools
CACHE=$IN_CACHE
BUILD=$TOP/build
LOGS=$BUILD/log
VARIANT=${VARIANT-}		# of the kernel: see kernel-*.config
OUT=$BUILD/guest${VARIANT:+.$VARIANT}		# bzImage, modules, programs: what a machine boots
BEGIN=$EPOCHREALTIME
KVM_DEVICE=/dev/kvm

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

# Everything that a machine boots, and the machine.
make_all()
{
	make_kernel
	make_guest
	pick_machine
	[ "$MACHINE" != bochs ] || make_bochs
	build_done
}

# Sets MACHINE to the one asked for, or to the best here.
pick_machine()
{
	case ${MACHINE:-auto} in
	auto)
		MACHINE=kvm
		if ! kvm_works; then
			say "  not in KVM, but in Bochs: $WHY"
			MACHINE=bochs
		fi ;;
	kvm)
		kvm_works || die "MACHINE=kvm does not work here: $WHY. Use MACHINE=bochs" ;;
	esac
}

# Whether the very kernel to be tested finds TDX and VMX in a guest of this host. A host whose CPU has SEAM must turn the
# guest's SEAMCALL into #UD; an older one ends the guest instead. If it does not work, WHY says why. Asked each time: it
# takes seconds, and a host's answer changes with its modules' parameters.
kvm_works()
{
	local log=$LOGS/kvm-probe.log
	mkdir -p "$LOGS"
	if [ ! -e "$KVM_DEVICE" ]; then
		WHY="there is no $KVM_DEVICE"
		return 1
	fi
	# QEMU itself tells: some /dev/kvm can be opened and no more, others have no VMX for guests.
	if ! echo quit | timeout 60 qemu-system-x86_64 -accel kvm -cpu host,vmx=on,enforce=on -m 64 -nodefaults -display none -S \
		-monitor stdio >"$log" 2>&1; then
		WHY="/dev/kvm has no nested VMX (kvm_intel.nested=1)"
		return 1
	fi
	MACHINE=kvm boot kvm-probe --timeout 120 --quiet probe >"$log" 2>&1 && return
	WHY=$(sed -n 's/^tdx-sept: kvm: //p' "$log" | head -n 1)
	return 1
}

# boot NAME ARGUMENT...: boot MACHINE with boot.py's arguments; its files go to build/NAME.
boot()
{
	local name=$1
	shift
	"$TOOLS/boot.py" --machine "$MACHINE" --kernel "$OUT/bzImage" --initramfs "$OUT/initramfs" --bochs "${BOCHS-}" \
		--dir "$BUILD/$name" "$@"
}
