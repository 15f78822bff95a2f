#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench: cost of mapping and removing one page, the Rust backend beside KVM's C code. On one CPU of Bochs, where ticks are
# instructions and two runs are equal.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"

MACHINE=bochs
make_all
boot bench --cpus 1 --timeout 600 bench
say ""
size "$KERNEL_OBJ/drivers/virt/coco/tdx-sept/rust/tdx_sept.o" "$KERNEL_OBJ/arch/x86/kvm/kvm-intel.o"
took
