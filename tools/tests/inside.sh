# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# For the tests beside this: the tools' functions in circumstances that are made for the purpose.

stepped()
{
	step "step" step "$@" 2>&1 | grep '^tdx-sept: ' >&2
	exit 1
}

download_to_nowhere()
{
	mkdir -p "$CACHE/tmp.nowhere"
	stepped "$@" "$CACHE/tmp.nowhere"
}

own_tree_checked()
{
	TDX_LINUX=$1 KERNEL_SRC=$1
	mkdir -p "$BUILD"
	check_own_tree
}

unpacked_from()
{
	mkdir -p "$CACHE/source-$KERNEL_VERSION"
	tar -cJf "$CACHE/source-$KERNEL_VERSION/linux.tar.xz" -C "$(dirname "$1")" "$(basename "$1")"
	stepped unpack_patched "$CACHE/tmp.unpacked"
}

# A kernel that takes every option but some.
configured_without()
{
	local lacking
	lacking=$(printf '^CONFIG_%s=|' "$@")
	KERNEL_SRC=$CACHE/lacking KERNEL_OBJ=$CACHE/lacking
	mkdir -p "$CACHE"/lacking/{kernel,arch/x86}/configs
	touch "$CACHE"/lacking/kernel/configs/tiny{,-base}.config "$CACHE/lacking/arch/x86/configs/tiny.config"
	kmake()
	{
		grep -vE "${lacking%|}|=n$" "$KERNEL_OBJ/all.config" >"$KERNEL_OBJ/.config"
	}
	stepped configure_kernel
}

machine_picked()
{
	MACHINE=$1
	KVM_DEVICE=/dev/null
	pick_machine
	die "took $MACHINE"
}

# The update of the kernel tree ends when it has brought one file; $1 is made then.
update_cut_short()
{
	local one=$1
	install()
	{
		[ ! -e "$one" ] && touch "$one" && command install "$@"
	}
	kernel_tree
}
