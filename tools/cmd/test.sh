#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make test: every test there is, or those of KVM that TESTS names.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"
. "$(dirname "$0")/../replay.sh"
. "$(dirname "$0")/../suites.sh"

begin_suites
make_all

if [ -n "${TESTS-}" ]; then
	kvm_suite
	end_suites
	exit
fi

# KVM's tests take as long as all others together, and Bochs runs them on one CPU.
# In a process group of their own, so that they can be ended together.
set -m
{ kvm_suite; leaks_suite; } >"$BUILD/kvm.out" 2>&1 &
kvm=$!
set +m
trap 'kill -- -$kvm 2>/dev/null || true' EXIT
tools_suite
host_suite
qemu_suite
protect_suite
soak_suite
wait $kvm || die "the tests of KVM came to no result: see build/kvm.out"
cat "$BUILD/kvm.out"
replay_suite

end_suites
