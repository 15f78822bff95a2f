# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# For scripts in QEMU that are tests: TAP, one check after the other.

nr=0

# check NAME COMMAND...
check()
{
	nr=$((nr + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $nr - $name"
	else
		echo "not ok $nr - $name"
	fi
}

# How many checks there have been.
end_checks()
{
	echo "1..$nr"
}

# Does the kernel's log have a line that matches?
log_has()
{
	dmesg | grep -q -e "$1"
}
