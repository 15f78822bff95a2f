#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Into the build root, with what the command needs there. The root is this one once more. Seconds, no network. TAP.
# shellcheck disable=SC2016 # what is quoted is for shells in the root

. "$(dirname "$0")/lib.sh"

# enter LINUX COMMAND...: as front.sh does it for a user whose path has no sbin. The mounts of this root are private already.
enter()
{
	unshare --mount --propagation unchanged bash -c 'mkdir -p "$1/root" && mount --rbind / "$1/root" &&
		PATH=/usr/bin:/bin exec "$0/tools/enter.sh" "$0" "$1/cache" "$1/root" "${@:2}"' "$WORK/top" "$WORK" "$@" >"$WORK/log" 2>&1
}

without_stray()
{
	STRAY=1 enter "" bash -c '[ -z "${STRAY-}" ]'
}

echo "# program: enter"

mkdir -p "$WORK/linux/drivers/virt/coco"
ln -s "$WORK/top" "$WORK/linux/drivers/virt/coco/tdx-sept"

check "the checkout, the cache and programs are there" enter "" bash -c '[ -x /src/tools/front.sh ] && [ -d /cache ] && type update-ca-certificates'
check "a tree of one's own reaches the checkout by its link" enter "$WORK/linux" test -x /linux/drivers/virt/coco/tdx-sept/tools/front.sh
check "the rest of the environment stays out" without_stray

echo "1..$NR"
