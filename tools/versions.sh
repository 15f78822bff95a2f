# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0
# What is pinned. To move to another kernel: change KERNEL_VERSION to one that `apt-cache madison` offers and see that
# patches/ still apply.

DEBIAN_SUITE=trixie
KERNEL_SERIES=7.3
KERNEL_PACKAGE=linux-source-$KERNEL_SERIES
KERNEL_VERSION=7.3.4-1~bpo13+1
