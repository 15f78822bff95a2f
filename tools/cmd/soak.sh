#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make soak: random calls of the simulated TDX module on the build host, until time is up or something is wrong.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../suites.sh"

export SOAK_SECONDS=${SOAK_SECONDS-}
kernel_tree
build_done
cargo_test --test soak -- --nocapture
took
