#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# enter.sh TOP CACHE ROOT LINUX COMMAND...: run a command in the build root. Runs in a mount namespace of its own, so
# that nothing stays mounted.

TOP=$1 CACHE=$2 ROOT=$3 LINUX=$4
shift 4
. "$TOP/tools/lib.sh"

# People who are not root often have not got the directories of chroot and update-ca-certificates in theirs.
PATH=$PATH:/usr/sbin:/sbin

bind()
{
	mkdir -p "$ROOT$2"
	mount --rbind "$1" "$ROOT$2"
}

for dir in /proc /sys /dev; do
	bind $dir $dir
done
mount -t tmpfs tmpfs "$ROOT/run"
mount -t tmpfs tmpfs "$ROOT/tmp"
mountpoint -q "$ROOT/dev/shm" || mount -t tmpfs tmpfs "$ROOT/dev/shm" || true
bind "$TOP" "$IN_SRC"
bind "$CACHE" "$IN_CACHE"
if [ -n "$LINUX" ]; then
	bind "$LINUX" "$IN_LINUX"
	# The tree's link to this directory says where it is on the machine.
	bind "$TOP" "$TOP"
fi
[ ! -d "$TOP/../shared/vectors" ] || bind "$TOP/../shared/vectors" "$IN_VECTORS"

# The machine's names, certificates and cargo configuration.
cp -L /etc/resolv.conf /etc/hosts "$ROOT/etc/" 2>/dev/null || true
CERTIFICATES=/usr/local/share/ca-certificates
if [ -d $CERTIFICATES ] && ! diff -rq $CERTIFICATES "$ROOT$CERTIFICATES" >/dev/null 2>&1; then
	rm -rf "$ROOT$CERTIFICATES"
	cp -rL $CERTIFICATES "$ROOT$CERTIFICATES"
	if ! chroot "$ROOT" update-ca-certificates >/dev/null; then
		rm -rf "$ROOT$CERTIFICATES"
		die "the build root does not take the certificates of $CERTIFICATES, see above"
	fi
fi
mkdir -p "$CACHE/cargo"
if [ -f "$HOME/.cargo/config.toml" ]; then
	cp "$HOME/.cargo/config.toml" "$CACHE/cargo/config.toml"
fi

# Only what is meant to pass: a stray CROSS_COMPILE or RUSTFLAGS must not change what is built.
passed "${PASSED[@]}"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 CARGO_HOME="$IN_CACHE/cargo" \
	RUSTC_BOOTSTRAP=1 PYTHONDONTWRITEBYTECODE=1 TDX_TOP="$TOP" TDX_LINUX="$LINUX" "${ENV[@]}" chroot "$ROOT" "$@"
