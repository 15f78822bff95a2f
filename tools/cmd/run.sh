#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make run: a TD's life on one screen.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"

BACKEND=${BACKEND:-rust}
case $BACKEND in
rust|c) ;;
*) die "BACKEND=$BACKEND: it is rust or c" ;;
esac

pick_machine
make_all
say "  booting $MACHINE"
boot run --timeout 300 run "$BACKEND"
took
