# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel in QEMU through virtme-ng: user space is the build root, copy-on-write.

# vng_command [PARAMETER...]: sets VNG, the command, with more for the kernel's command line.
vng_command()
{
	# Emulated everywhere: a /dev/kvm that opens may still be one that QEMU cannot use, and seconds are all it would win.
	# The CPU has XSAVE and RDRAND, which TDX needs.
	VNG=(vng --run "$OUT/bzImage" --user root --memory 1G --cpus 2 --cwd / --append "tdx_sim_platform=32,32 $*"
	     --disable-kvm --qemu-opts="-cpu max")

	# What its init ends with; the build root has no systemd.
	[ -e /sbin/poweroff ] || ln -s /bin/busybox /sbin/poweroff

	# virtme-ng looks for modules where those of a running kernel are.
	mkdir -p /lib/modules
	mountpoint -q /lib/modules || mount --bind "$OUT/modules" /lib/modules
}

vng_shell()
{
	vng_command
	"${VNG[@]}"
}

# vng_run NAME COMMAND [PARAMETER...]: build/NAME/report is what the command prints, build/NAME/console the kernel's log.
vng_run()
{
	local dir=$BUILD/$1 command=$2 mark="=== kernel log" rc=0
	shift 2
	rm -rf "$dir"
	mkdir -p "$dir"
	vng_command "$@"

	# The guest sees no file of ours that it could write to: all comes through its standard output.
	timeout --kill-after=10 300 "${VNG[@]}" --verbose -- "$TOOLS/guest/vng '$command' '$mark'" >"$dir/output" || rc=$?
	sed "/^$mark\$/,\$d" "$dir/output" >"$dir/report"
	sed "1,/^$mark\$/d" "$dir/output" >"$dir/console"

	[ -s "$dir/console" ] || die "QEMU: the guest did not come to its end in 300 s (status $rc)"
	"$TOOLS/splat.py" "$dir/console" || die "QEMU: the kernel complained, see above"
	[ $rc = 0 ] || die "QEMU: $command ended with status $rc"
}
