# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# SEAMCALLs that were recorded, replayed against the model: host/tests/replay.

build_replayer()
{
	cd "$TOP/host"
	fetch_crates
	cargo test --no-run --test replay --color never
}

# replay FILE...: totals, and the first difference of each file.
replay()
{
	(cd "$TOP/host"; cargo test --quiet --test replay -- "$@")
}
