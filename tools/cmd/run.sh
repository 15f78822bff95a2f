#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make run: a TD's life on one screen; with TRACE=1 its SEAMCALLs in a file, too.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"

make_all
say "  booting $MACHINE"
boot run ${TRACE:+--trace} run "${BACKEND:-rust}"
took
