#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make run: a TD's life on one screen.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"

make_all
say "  booting $MACHINE"
boot run run "${BACKEND:-rust}"
took
