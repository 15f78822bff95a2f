/* SPDX-License-Identifier: GPL-2.0 */
/* Fault injection into the simulated TDX module (CONFIG_TDX_SIM_FAULT_INJECTION, docs/simulator.md). */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <linux/types.h>

bool inject_supported(void);

/* One more rule, in the words of tdx_sim/inject; 0 or -1 with errno. */
int inject(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends all rules. */
void inject_nothing(void);

/* How often the rules that there are have struck. */
__u64 inject_struck(void);

/* As if so many vCPUs had entered the guest, in the current epoch and the one before, and not left; 0 or -1 with errno. */
int inject_vcpus_in_guest(__u64 tdr_pfn, int current, int previous);

#endif
