#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make shell: a root shell in the VM, on a copy-on-write view of the build root. Ends with exit.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../inside.sh"
. "$(dirname "$0")/../vng.sh"

make_kernel
make_guest
build_done
say "  modules: modprobe tdx_sept (runs KUnit's tests, which make SEAMCALLs); what to look at: /src/samples/tracing.md"
say "  programs: /src/build/guest/root/guest; end: exit or Ctrl-D"
vng_shell
