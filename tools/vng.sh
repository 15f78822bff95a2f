# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel in QEMU through virtme-ng: user space is the build root, copy-on-write.

SLOW=1				# by how much limits of time are stretched, here and for other machines

SIM_PLATFORM=tdx_sim_platform=32,32
PFN_MEMORY=tdx_pfn_memory=128M@640M
PFN_GIB=tdx_pfn_memory=1G@4G		# with VNG_MEMORY=3G: what QEMU has above 4 GiB

# vng_command [PARAMETER...]: sets VNG, the command, with more for the kernel's command line.
vng_command()
{
	# An interrupt while identify_cpu() has forgotten what the CPU can do is a wild access to KASAN, if that is 5 levels of page tables.
	set -- ${VARIANT:+no5lvl} "$@"

	# Emulated everywhere: a /dev/kvm that opens may still be one that QEMU cannot use, and seconds are all it would win.
	# The CPU has XSAVE and RDRAND, which TDX needs.
	VNG=(vng --run "$OUT/bzImage" --user root --memory "${VNG_MEMORY:-1G}" --cpus 2 --cwd / --append "$*" --disable-kvm --qemu-opts="-cpu max ${VNG_DEBUGCON:+-debugcon file:$VNG_DEBUGCON}")

	# What its init ends with; the build root has no systemd.
	[ -e /sbin/poweroff ] || ln -s /bin/busybox /sbin/poweroff

	# virtme-ng looks for modules where those of a running kernel are.
	mkdir -p /lib/modules
	mountpoint -q /lib/modules || mount --bind "$OUT/modules" /lib/modules
}

vng_shell()
{
	# With KUnit on, loading the module is what makes SEAMCALLs here.
	vng_command "$SIM_PLATFORM" kunit.enable=1 kunit.autorun=1 tdx_sim.trace=1
	"${VNG[@]}"
}

# vng_boot NAME COMMAND [PARAMETER...]: build/NAME/report is what the command prints, build/NAME/console the kernel's log.
# Returns the command's status.
vng_boot()
{
	local dir=$BUILD/$1 command=$2 mark="=== kernel log" rc=0 limit=$((600 * SLOW)) VNG_DEBUGCON=$BUILD/$1/debugcon
	shift 2
	rm -rf "$dir"
	mkdir -p "$dir"
	vng_command tdx_sim.trace=1 "$@"

	# The guest sees no file of ours that it could write to: all comes through its standard output.
	timeout --kill-after=10 $limit "${VNG[@]}" --verbose -- "$TOOLS/guest/vng '$command' '$mark'" >"$dir/output" || rc=$?
	sed "/^$mark\$/,\$d" "$dir/output" >"$dir/report"
	sed "1,/^$mark\$/d" "$dir/output" >"$dir/console"
	"$TOOLS/traces.py" "$dir/debugcon" "$dir"

	[ -s "$dir/console" ] || die "QEMU: the guest did not come to its end in $limit s (status $rc)"
	return $rc
}

# The same, and both the command and the kernel must be content.
vng_run()
{
	local rc=0
	vng_boot "$@" || rc=$?
	"$TOOLS/splat.py" "$BUILD/$1/console" || die "QEMU: the kernel complained, see above"
	[ $rc = 0 ] || die "QEMU: $2 ended with status $rc"
}
