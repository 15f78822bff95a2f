#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The kernel tree in the cache follows patches/, whatever it was made from before, also after an update that was cut short.
# Seconds, no network. TAP.

. "$(dirname "$0")/lib.sh"
. "$TOP/tools/versions.sh"

# series FILE=TEXT...: patches/ give these files these texts. WORK/a is the package's tree, WORK/b becomes the patched one.
series()
{
	local file
	rm -rf "$WORK/b"
	cp -r "$WORK/a" "$WORK/b"
	for file; do
		echo "${file#*=}" >"$WORK/b/${file%%=*}"
	done
	(cd "$WORK"; git diff --no-index --no-prefix a b >top/patches/0001-series.patch || true)
}

# update: what make does with the tree.
update()
{
	inside kernel_tree >"$WORK/log" 2>&1
}

follows()
{
	update && diff -r -x '.*' -x tdx-sept "$WORK/b" "$WORK/cache/linux" >>"$WORK/log"
}

cut_short()
{
	inside update_cut_short "$WORK/one" >"$WORK/log" 2>&1
	[ -e "$WORK/one" ] && ! follows_already
}

follows_already()
{
	diff -r -x '.*' -x tdx-sept "$WORK/b" "$WORK/cache/linux" >/dev/null
}

keeps_time()
{
	local before
	before=$(stat -c %Y.%Z "$WORK/cache/linux/kept")
	follows && [ "$before" = "$(stat -c %Y.%Z "$WORK/cache/linux/kept")" ]
}

mkdir -p "$WORK/a/drivers/virt/coco" "$WORK/cache/source-$KERNEL_VERSION"
for file in kept changed other drivers/virt/coco/Makefile; do
	echo "as packaged" >"$WORK/a/$file"
done
tar -cJf "$WORK/cache/source-$KERNEL_VERSION/linux.tar.xz" -C "$WORK" --transform 's,^a,linux-source,' a

echo "# program: update"
series changed=1 kept=1 new1=1
check "a new tree" follows
check "our directory is linked" test -L "$WORK/cache/linux/drivers/virt/coco/tdx-sept"
series other=2 kept=1 new2=2
check "another series, what both change stays as it is" keeps_time
series changed=3 other=3 new3=3 new4=3
check "an update that is cut short" cut_short
series kept=4
check "yet another series after that" follows
echo "1..$NR"
