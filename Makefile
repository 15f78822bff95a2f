# SPDX-License-Identifier: GPL-2.0
# The front door for people. The kernel's build uses Kbuild, not this file.

# What may be given on the command line, for the tools
export LINUX MACHINE BACKEND TESTS VARIANT TRACE FILES DEBIAN_MIRROR SEED ROUND ROUNDS CALLS
# The shells of the tools count in a SECONDS of their own.
export SOAK_SECONDS := $(SECONDS)

.PHONY: help run test test-debug soak fuzz coverage bench replay kernel check shell clean distclean
.NOTPARALLEL:

help:
	@cat tools/help.txt

run test test-debug soak fuzz coverage bench replay kernel check shell clean distclean:
	@tools/front.sh $@
