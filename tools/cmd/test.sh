#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make test: every test there is, or those of KVM that TESTS names. A suite that fails or does not run does not keep the
# others from running.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"

TOTALS=$BUILD/totals

# count SUITE KIND FILE: count single tests. If the step that ran them failed but none of them, that is a failure, too.
count()
{
	local -a options=(--totals "$TOTALS" --name "$1" --kind "$2")
	[ "$STEP_STATUS" = 0 ] || options+=(--error "the run ended badly, see above")
	"$TOOLS/count.py" "${options[@]}" "$3"
}

cargo_test()
{
	cd "$TOP/host"
	if [ -d "$IN_VECTORS" ] && [ -n "$(ls "$IN_VECTORS")" ]; then
		export TDX_VECTORS=$IN_VECTORS
	fi
	export KERNEL_SRC CARGO_TARGET_DIR=$BUILD/cargo
	cargo test --workspace --no-fail-fast --color never
}

host_suite()
{
	try_step "host: cargo test" cargo cargo_test
	count host cargo "$LOGS/cargo.log"
}

# Two boots: with KUnit on, its tests run whenever the module is loaded, and other tests would see what they do.
qemu_suite()
{
	try_step "QEMU: the module without KVM" qemu vng_run qemu "$OUT/root/guest/test-qemu"
	count qemu tap "$BUILD/qemu/report"
	try_step "QEMU: KUnit, TDs without KVM" kunit vng_run kunit "modprobe tdx_sept" kunit.enable=1 kunit.autorun=1
	count kunit tap "$BUILD/kunit/console"
}

kvm_suite()
{
	# shellcheck disable=SC2086 # one word for each name
	try_step "$MACHINE: KVM's TDs, both backends" kvm boot test --timeout 1800 --quiet test ${TESTS-}
	count kvm tap "$BUILD/test/report"
}

rm -f "$TOTALS"
pick_machine
make_all

if [ -n "${TESTS-}" ]; then
	kvm_suite
	took
	"$TOOLS/count.py" --totals "$TOTALS" --sum
	exit
fi

# KVM's tests take as long as the others together, and Bochs runs them on one CPU.
kvm_suite >"$BUILD/kvm.out" 2>&1 &
kvm=$!
host_suite
qemu_suite
wait $kvm || die "the tests of KVM came to no result: see build/kvm.out"
cat "$BUILD/kvm.out"

took
"$TOOLS/count.py" --totals "$TOTALS" --sum
