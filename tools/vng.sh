# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel in QEMU through virtme-ng: user space is the build root, copy-on-write.

# Sets VNG, the command.
vng_command()
{
	# Emulated everywhere: a /dev/kvm that opens may still be one that QEMU cannot use, and seconds are all it would win.
	VNG=(vng --run "$OUT/bzImage" --user root --memory 1G --cpus 2 --cwd / --append "tdx_sim_platform=32,32" --disable-kvm)
	# With XSAVE and RDRAND, which TDX needs
	VNG+=(--qemu-opts="-cpu max")
	# What its init ends with; ours has no systemd.
	[ -e /sbin/poweroff ] || ln -s /bin/busybox /sbin/poweroff

	# virtme-ng looks for modules where those of a running kernel are.
	mkdir -p /lib/modules
	mount --bind "$OUT/modules" /lib/modules
}

vng_shell()
{
	vng_command
	"${VNG[@]}"
}

# build/qemu/report: what the tests print; build/qemu/console: the kernel's log, with KUnit's results.
vng_test()
{
	local dir=$BUILD/qemu mark="=== kernel log" rc=0
	rm -rf "$dir"
	mkdir -p "$dir"
	vng_command

	# The guest sees no file of ours that it could write to: all comes through its standard output.
	timeout --kill-after=10 300 "${VNG[@]}" --verbose -- \
		"$TOOLS/guest/vng $OUT/root/guest/test-qemu '$mark'" >"$dir/output" || rc=$?
	sed "/^$mark\$/,\$d" "$dir/output" >"$dir/report"
	sed "1,/^$mark\$/d" "$dir/output" >"$dir/console"

	[ -s "$dir/console" ] || die "QEMU: the guest did not come to its end (status $rc; at most 300 s)"
	"$TOOLS/splat.py" "$dir/console" || die "QEMU: the kernel complained, see above"
	[ $rc = 0 ] || die "QEMU: $OUT/root/guest/test-qemu ended with status $rc"
}
