# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The cargo workspace in host/: the pure parts on the build host. Needs the kernel tree.

# host_cargo DIRECTORY TARGET: make ready for cargo in a directory of host/, with objects in a place of their own.
host_cargo()
{
	cd "$TOP/host/$1"
	export KERNEL_SRC CARGO_TARGET_DIR=$BUILD/$2
	if [ -d "$IN_VECTORS" ] && [ -n "$(ls "$IN_VECTORS")" ]; then
		export TDX_VECTORS=$IN_VECTORS
	fi
	fetch_crates
}
