#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make soak: random calls of the simulated TDX module on the build host, until time is up or something is wrong; then a TD
# whose vCPUs work at random, 20 times with each backend.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"
. "$(dirname "$0")/../suites.sh"

# By the clock of Bochs' machine, for which it takes a minute.
SOAK_WORK_MS=1200

export SOAK_SECONDS=${SOAK_SECONDS-}
kernel_tree
build_done
cargo_test --test soak -- --nocapture
# Who repeats something that went wrong wants to see that alone.
[ -z "${SEED-}" ] || exit 0
make_all
boot soak --timeout $((1200 * SLOW)) --trace soak "${ROUNDS:-20}" $SOAK_WORK_MS
took
