/* SPDX-License-Identifier: GPL-2.0 */
/* Whether KVM maps private memory of the TDs to come at 2M. */
#ifndef HUGE_PARAMETER_H
#define HUGE_PARAMETER_H

#include "files.h"

#define HUGE_PARAMETER	"/sys/module/kvm_intel/parameters/tdx_huge_pages"

static void huge_pages_off(void)
{
	write_file(HUGE_PARAMETER, "N");
}

#endif
