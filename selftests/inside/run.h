/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of run.c is to do, and where in the mailbox it tells of it. */
enum {
	RUN_HELLO,
	RUN_START,
	RUN_CONTROL_FLOW,
	RUN_FATAL,
	RUN_TRIPLE_FAULT,
	RUN_SPIN,
	RUN_HALT,
};

enum {
	START_RCX,
	START_R8,
	START_RBX,
	START_RDX,
	START_RSI,
	START_EFER,
	START_CPUID1_EAX,
	START_CR0,
	START_CR4,
	START_GPAW,
	START_VCPUS,
	START_INDEX,
};

/* RUN_HALT: how often the TD wanted to halt. */
#define HALTS	0
