#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make coverage: lines and branches of the pure parts that the tests of the build host reach, by file. Fails if they are too few.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../host.sh"

DIR=$BUILD/coverage
LINES_WANTED=95			# per cent of all lines

# Instrumented objects are apart from those of `make test`.
run_tests()
{
	rm -rf "$DIR"
	mkdir -p "$DIR"
	host_cargo . cargo-coverage
	export RUSTFLAGS="-Cinstrument-coverage -Zcoverage-options=branch" LLVM_PROFILE_FILE=$DIR/%m-%p.profraw
	cargo test --workspace --color never --no-run --message-format=json >"$DIR/messages"
	cargo test --workspace --color never --lib --tests
}

# The names of the test programs, as cargo told them.
programs()
{
	sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$DIR/messages"
}

# What a program does not contain of the pure parts, another may: all of them together.
report()
{
	local program
	local -a objects=()
	for program in $(programs); do
		objects+=(--object "$program")
	done
	llvm-profdata merge --sparse --output="$DIR/all.profdata" "$DIR"/*.profraw
	llvm-cov export --format=lcov --instr-profile="$DIR/all.profdata" "${objects[@]}" >"$DIR/trace.lcov"
}

kernel_tree
build_done
step "host: tests, instrumented" coverage run_tests
step "host: what they have reached" coverage-report report
say "  lines that no test reaches are listed in build/coverage/missed"
"$TOOLS/coverage.py" --root "$TOP/rust" --lines $LINES_WANTED --missed "$DIR/missed" "$DIR/trace.lcov"
took
