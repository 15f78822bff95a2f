#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench: cost of mapping and removing one page, the Rust backend beside KVM's C code. On one CPU of Bochs, where ticks are
# instructions and two runs are equal. In QEMU: calls and kicks to unmap 1 GiB. And on the build host: SEAMCALLs a second of the
# simulated module.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"
. "$(dirname "$0")/../host.sh"

PAGES_PER_GIB=262144

bench_host()
{
	host_cargo bench bench-cargo
	cargo bench --color never
}

bench_ranges()
{
	VNG_MEMORY=3G vng_run ranges "modprobe tdx_sept_ranges" "$SIM_PLATFORM" "$PFN_GIB"
}

# What KVM's code takes, from its numbers for one page; then what the module tdx_sept_ranges has counted.
show_ranges()
{
	local format='  %-32s %12s %9s %12s %9s %11s\n'
	# shellcheck disable=SC2059 # one format for all lines
	printf "$format" "unmapping 1 GiB of" "S-EPT calls" "kicks" "cache calls" "IPIs" "not merged"
	awk -v pages=$PAGES_PER_GIB -v format="$format" '
		/^remove / { remove = 1 }
		remove && /^  SEAMCALLs / { calls = $2 }
		remove && /^  of them on caches / { cache = $5 }
		remove && /^  kicks / { kicks = $5 }
		END { printf format, "4 KiB pages, KVM\047s C code", (calls - cache) * pages, kicks * pages, cache * pages, "", "" }' \
		"$BUILD/bench/report"
	sed -nE 's/.*mapped=(.*) flush=([a-z]*) map_calls=.* sept_calls=(.*) kicks=(.*) cache_calls=(.*) ipis=(.*) not_merged=(.*)$/\1\t\2\t\3\t\4\t\5\t\6\t\7/p' \
		"$BUILD/ranges/console" |
	awk -F '\t' -v format="$format" '{ printf format, $1 ($2 == "caches" ? " *" : ""), $3, $4, $5, $6, $7 }'
	say "  * all caches of all CPUs are written back once a batch, instead of one call for each page"
}

MACHINE=bochs
make_all
boot bench --cpus 1 --timeout 600 bench
say ""
size "$KERNEL_OBJ/drivers/virt/coco/tdx-sept/rust/tdx_sept.o" "$KERNEL_OBJ/arch/x86/kvm/kvm-intel.o"
say ""
step "QEMU: 1 GiB unmapped" ranges bench_ranges
show_ranges
say ""
step "host: SEAMCALLs a second" bench-host bench_host
# From criterion's lines: the name before "time:", the estimate between two bounds in "thrpt:".
awk '/^SEAMCALLs\// { name = substr($0, 11); sub(/ *time:.*/, "", name) }
     /thrpt: .* .?elem/ { unit = $5; sub(/elem/, " calls", unit); printf "  %-48s %8s %s\n", name, $4, unit }' "$LOGS/bench-host.log"
took
