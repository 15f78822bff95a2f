#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make fuzz: libFuzzer makes sequences of SEAMCALLs on the build host. What it finds worth to be kept
# goes to build/fuzz/corpus, and a sequence that fails to build/fuzz/.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../host.sh"

FUZZ=$BUILD/fuzz
TRIPLE=x86_64-unknown-linux-gnu
# What cargo-fuzz passes, less the sanitizer: a wrong access would be one of the model's own, and these are judged.
FLAGS=(--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
	FLAGS+=("-Cllvm-args=-sanitizer-coverage-$option")
done

build_fuzz()
{
	host_cargo fuzz fuzz/cargo
	RUSTFLAGS=${FLAGS[*]} cargo build --release --target "$TRIPLE" --color never
}

run_fuzz()
{
	mkdir -p "$FUZZ/corpus"
	"$FUZZ/cargo/$TRIPLE/release/sequence" "$FUZZ/corpus" "$TOP/host/fuzz/corpus/sequence" -max_len=4096 -len_control=0 -timeout=20 \
		-max_total_time="${SOAK_SECONDS:-60}" -artifact_prefix="$FUZZ/" -print_final_stats=1
}

kernel_tree
build_done
step "fuzz: build" fuzz-build build_fuzz
try_step "fuzz: sequences of SEAMCALLs" fuzz run_fuzz
sed -n 's/^stat::number_of_executed_units: */  sequences run: /p; s/^stat::new_units_added: */  new ones kept in build\/fuzz\/corpus: /p' "$LOGS/fuzz.log"
if [ "$STEP_STATUS" != 0 ]; then
	grep -E -A3 'panicked at|ERROR: libFuzzer|^LP ' "$LOGS/fuzz.log" | tail -n 40
	die "a sequence failed, it is in build/fuzz/: keep it in host/fuzz/corpus/sequence/, and cargo test runs it"
fi
took
