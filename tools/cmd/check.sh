#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make check: form. All checks run, even if one fails.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../host.sh"

FAILED=0

check()
{
	try_step "$@"
	[ "$STEP_STATUS" = 0 ] || FAILED=1
}

# Files of this checkout by pattern, without what was built.
files()
{
	local -a names=() pattern
	for pattern in "$@"; do
		names+=(-o -name "$pattern")
	done
	find "$TOP" \( -path "$BUILD" -o -path "$TOP/.git" -o -path "$TOP/host/target" \) -prune -o -type f ! -name '*.mod.c' \( "${names[@]:1}" \) -print
}

# Shell scripts by their first line or by their name.
shell_files()
{
	files '*.sh'
	find "$TOP/tools/guest" "$TOP/selftests/guest" "$TOP/samples/guest" "$TOP/.ci" -type f -exec \
		grep -lE '^#!.*\b(ba)?sh$' {} +
}

check_rustfmt()
{
	files '*.rs' | xargs rustfmt --check --edition 2021 --config-path "$KERNEL_SRC/.rustfmt.toml"
}

# Objects of its own, for clippy compiles differently. Its advice on our directory counts, not that on the kernel's.
check_clippy()
{
	local dir=drivers/virt/coco/tdx-sept log=$BUILD/clippy.txt
	KERNEL_OBJ=$KERNEL_OBJ.clippy
	mkdir -p "$KERNEL_OBJ"
	rm -rf "${KERNEL_OBJ:?}/$dir"
	configure_kernel
	kmake CLIPPY=1 W=1 $dir/ 2>&1 | tee "$log"
	! grep -A4 -E '^(warning|error)' "$log" | grep -qE "^ *--> .*$dir|^$dir" || die "clippy has advice on $dir, see above"
}

check_host_clippy()
{
	host_cargo . cargo
	cargo clippy --workspace --all-targets --color never -- -D warnings
}

# That they apply was seen when the tree was made.
check_patches()
{
	"$KERNEL_SRC/scripts/checkpatch.pl" --root="$KERNEL_SRC" --strict --terse --no-summary "$TOP"/patches/*.patch
}

check_shell()
{
	shell_files | LC_ALL=C sort -u | xargs shellcheck
}

check_python()
{
	files '*.py' | xargs flake8 --max-line-length 130
}

check_spdx()
{
	local file bad=
	for file in $(files '*.rs' '*.c' '*.h' '*.S' '*.sh' '*.py' Kbuild Kconfig Makefile; shell_files); do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' || bad+=" ${file#"$TOP"/}"
	done
	[ -z "$bad" ] || die "no SPDX line at the start of:$bad"
}

check_page_free()
{
	! grep -rnE 'struct page\b|bindings::page\b|folio|page_to_pfn|virt_to_page' "$TOP/rust" ||
		die "rust/ speaks of PFNs only, see above"
}

kernel_tree

check "rustfmt" rustfmt check_rustfmt
check "shellcheck" shellcheck check_shell
check "flake8" flake8 check_python
check "SPDX lines" spdx check_spdx
check "rust/ free of struct page" page check_page_free
check "checkpatch --strict" checkpatch check_patches
check "clippy: host" clippy-host check_host_clippy
check "clippy: kernel" clippy check_clippy
took
[ $FAILED = 0 ] || die "make check: not everything is in order, see above"
