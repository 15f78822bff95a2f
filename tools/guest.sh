# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What runs in the VM: programs and scripts of samples/ and selftests/ under /guest, busybox, the modules, our init.

# Makes OUT/initramfs.
make_guest()
{
	step "guest: programs and initramfs" guest build_guest
}

build_guest()
{
	local dir
	rm -rf "$OUT/root"
	mkdir -p "$OUT/root"/{bin,dev,proc,sys,tmp,guest,lib/modules}
	for dir in samples selftests; do
		make -C "$TOP/$dir" install OUTPUT="$OUT/$dir" DESTDIR="$OUT/root" KERNEL_SRC="$KERNEL_SRC" \
			KERNEL_OBJ="$KERNEL_OBJ" KHDR_INCLUDES="-isystem $KERNEL_OBJ/usr/include"
	done

	cp /bin/busybox "$OUT/root/bin/"
	chroot "$OUT/root" /bin/busybox --install -s /bin
	cp -r "$OUT/modules/." "$OUT/root/lib/modules/"
	cp "$TOOLS/guest/init" "$TOOLS/guest/leaks" "$OUT/root/"
	cp "$TOOLS/guest/probe" "$TOOLS/guest/save-trace" "$OUT/root/guest/"
	(cd "$OUT/root"; find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --quiet) |
		zstd --quiet -3 --long=26 --force -o "$OUT/initramfs"
}
