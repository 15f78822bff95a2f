// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: which of its events a rule strikes. Each rule has a
 * struct fault_attr and with it a directory in debugfs
 * (Documentation/fault-injection/fault-injection.rst).
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "../glue.h"

/* Messages come from within a trap: only for those who ask for them by `verbose`. */
static struct fault_attr attrs[TDX_SIM_FAULT_RULES] = {
	[0 ... TDX_SIM_FAULT_RULES - 1] = {
		.interval = 1,
		.times = ATOMIC_INIT(1),
		.require_end = ULONG_MAX,
		.stacktrace_depth = 32,
		.ratelimit_state = RATELIMIT_STATE_INIT_DISABLED,
	},
};

static char *boot_rule;

/* fail_tdx_sim=<interval>,<probability>,<space>,<times>,<rule>: the usual numbers, and what they are about. */
static int __init setup_fail_tdx_sim(char *str)
{
	char *rule = str;
	int i;

	for (i = 0; i < 4 && rule; i++) {
		rule = strchr(rule, ',');
		if (rule)
			rule++;
	}
	boot_rule = rule;
	return rule && setup_fault_attr(&attrs[0], str);
}
__setup("fail_tdx_sim=", setup_fail_tdx_sim);

/* Each event has the size 1, so the first one that fails is number @space. */
bool tdx_sim_should_fail(u32 rule)
{
	return should_fail(&attrs[rule], 1);
}

void tdx_sim_set_fault(u32 rule, const struct tdx_sim_fault_when *when)
{
	struct fault_attr *attr = &attrs[rule];

	attr->interval = when->interval;
	attr->probability = when->probability;
	atomic_set(&attr->space, when->space);
	atomic_set(&attr->times, when->times);
	attr->count = 0;
}

void tdx_sim_get_fault(u32 rule, struct tdx_sim_fault_when *when)
{
	const struct fault_attr *attr = &attrs[rule];

	*when = (struct tdx_sim_fault_when) {
		.interval = attr->interval,
		.probability = attr->probability,
		.space = atomic_read(&attr->space),
		.times = atomic_read(&attr->times),
	};
}

/* Once debugfs has the simulator's directory. The rule of the boot parameter, with its numbers in @when; NULL for none. */
const char *tdx_sim_start_faults(struct tdx_sim_fault_when *when)
{
	struct dentry *dir = debugfs_lookup("tdx_sim", NULL);
	char name[16];
	u32 i;

	for (i = 0; i < TDX_SIM_FAULT_RULES; i++) {
		snprintf(name, sizeof(name), "fail%u", i);
		fault_create_debugfs_attr(name, dir, &attrs[i]);
	}
	dput(dir);
	tdx_sim_get_fault(0, when);
	return boot_rule;
}
