#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make kernel: the kernel with patches/ and this directory in it.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"

make_kernel
say "  build/guest/bzImage and build/guest/modules are up to date"
took
