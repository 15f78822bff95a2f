#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench: cost of mapping and removing one page, the Rust backend beside KVM's C code. On one CPU of Bochs, where ticks are
# instructions and two runs are equal. And on the build host: SEAMCALLs a second of the simulated module.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../host.sh"

bench_host()
{
	host_cargo bench bench-cargo
	cargo bench --color never
}

MACHINE=bochs
make_all
boot bench --cpus 1 --timeout 600 bench
say ""
size "$KERNEL_OBJ/drivers/virt/coco/tdx-sept/rust/tdx_sept.o" "$KERNEL_OBJ/arch/x86/kvm/kvm-intel.o"
say ""
step "host: SEAMCALLs a second" bench-host bench_host
# From criterion's lines: the name before "time:", the estimate between two bounds in "thrpt:".
awk '/^SEAMCALLs\// { name = substr($0, 11); sub(/ *time:.*/, "", name) }
     /thrpt: .* .?elem/ { unit = $5; sub(/elem/, " calls", unit); printf "  %-48s %8s %s\n", name, $4, unit }' "$LOGS/bench-host.log"
took
