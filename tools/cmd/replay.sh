#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make replay: SEAMCALLs that were recorded against the model.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../replay.sh"

kernel_tree
build_done
export KERNEL_SRC CARGO_TARGET_DIR=$BUILD/cargo
step "host: replayer" replayer build_replayer
# shellcheck disable=SC2086 # one word for each name
replay $FILES || die "make replay: the model gives other answers, see above"
