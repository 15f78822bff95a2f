# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Bochs from Debian's source, with tools/bochs/*.patch.

# Sets BOCHS, the binary.
make_bochs()
{
	local name
	name=bochs-$(cat "$TOOLS"/bochs/*.patch "$TOOLS/bochs.sh" | hash_of)
	cached "$name" "Bochs: build from Debian's source" bochs build_bochs
	BOCHS=$CACHE/$name/bochs
}

build_bochs()
{
	local dir=$1 patch
	cd "$dir"
	apt-get update
	apt-get -o APT::Sandbox::User=root source --download-only --tar-only bochs ||
		die "the Debian archive does not give the source of Bochs: is the network up? Else: make distclean, then again"
	mkdir src
	tar -xf bochs_*.orig.tar.* -C src --strip-components=1
	cd src
	for patch in "$TOOLS"/bochs/*.patch; do
		patch -p1 --fuzz=0 <"$patch" || die "$(basename "$patch") does not apply to $(cd ..; ls bochs_*.orig.tar.*)"
	done

	# A CPU with VMX and all that Sapphire Rapids has; no screen, no debugger. No IPS: they are logged from a signal handler, which
	# waits for ever when the signal came in the middle of another line of the log.
	./configure --with-nogui --enable-cpu-level=6 --enable-x86-64 --enable-smp --enable-long-phy-address --enable-vmx=2 \
		--enable-avx --enable-evex --enable-amx --enable-cet --enable-uintr --enable-memtype --enable-configurable-msrs \
		--enable-pci --enable-cdrom --enable-all-optimizations --disable-docbook --disable-debugger --disable-show-ips
	make -j"$(nproc)"
	mv bochs ..
	cd ..
	rm -rf src bochs_*.tar.*
}
