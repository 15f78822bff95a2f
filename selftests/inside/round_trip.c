// SPDX-License-Identifier: GPL-2.0
/* In the TD of round_trip.c: questions to the host and to the TDX module, with a look at the clock. */
#include "program.h"
#include "round_trip.h"

/* A sub-function that KVM does not have: it says so at once. */
#define NO_FUNCTION	0x20000

static void ask_host(void)
{
	CHECK_EQ(TDVMCALL_UNSUPPORTED, tdvmcall4(NO_FUNCTION, 0, 0, 0, 0));
}

static void ask_module(void)
{
	CHECK_EQ(0, tdg(TDG_VP_INFO, 0, 0, 0));
}

static void ask_nobody(void)
{
	static volatile u64 zero;

	CHECK_EQ(0, zero);
}

static u64 cycles(void (*ask)(void))
{
	u64 start = tsc();

	for (int i = 0; i < ROUND_TRIPS; i++)
		ask();
	return tsc() - start;
}

void inside_main(u32 vcpu, u64 argument)
{
	(void)vcpu;
	(void)argument;
	mailbox->value[CYCLES_VMCALL] = cycles(ask_host);
	mailbox->value[CYCLES_INFO] = cycles(ask_module);
	mailbox->value[CYCLES_NOTHING] = cycles(ask_nobody);
}
