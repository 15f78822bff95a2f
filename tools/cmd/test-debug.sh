#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make test-debug: the tests that run in a VM, in a kernel with lockdep, KASAN, kmemleak and more. First it plants bugs, to see
# that these are found and fail a run.

export VARIANT=debug
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"
. "$(dirname "$0")/../suites.sh"

SLOW=6

begin_suites
make_all

if [ -z "${TESTS-}" ]; then
	planted_suite
	qemu_suite
	leaks_suite
fi
kvm_suite
end_suites
