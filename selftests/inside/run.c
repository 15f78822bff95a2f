// SPDX-License-Identifier: GPL-2.0
/* In the TD of run.c. */
#include "program.h"
#include "run.h"

#define IA32_EFER	0xc0000080
#define IA32_U_CET	0x6a0
#define IA32_S_CET	0x6a2
#define IA32_PL0_SSP	0x6a4

/* IA32_U_CET and IA32_S_CET: indirect branches must go to ENDBR. */
#define ENDBR_EN	(1 << 2)
#define CR0_WP		(1 << 16)
#define CR4_CET		(1 << 23)

#define VECTOR_CP	21
#define CP_ENDBRANCH	3

/* What the vCPU began with. */
static void tell_start(void)
{
	struct tdcall info = { .rax = TDG_VP_INFO };
	u32 eax = 1;

	mailbox->value[START_RCX] = inside_started[0].rcx;
	mailbox->value[START_R8] = inside_started[0].r8;
	mailbox->value[START_RBX] = inside_started[0].rbx;
	mailbox->value[START_RDX] = inside_started[0].rdx;
	mailbox->value[START_RSI] = inside_started[0].rsi;
	mailbox->value[START_EFER] = rdmsr(IA32_EFER);
	asm volatile("cpuid" : "+a" (eax) : : "rbx", "rcx", "rdx");
	mailbox->value[START_CPUID1_EAX] = eax;
	mailbox->value[START_CR0] = inside_started[0].cr0;
	mailbox->value[START_CR4] = inside_started[0].cr4;
	tdcall(&info);
	mailbox->value[START_GPAW] = info.rcx;
	mailbox->value[START_VCPUS] = info.r8;
	mailbox->value[START_INDEX] = info.r9;
}

/* An exception, and no table to find the handler of it or of any other in. */
static void triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { };

	asm volatile("lidt %0\n\tud2" : : "m" (none));
}

static volatile u64 violations;

/* Of what the programs here do, only control_flow() takes care of a trap itself: it goes on where the branch went. */
bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	(void)ve;
	if (trap->vector != VECTOR_CP)
		return false;
	CHECK_EQ(CP_ENDBRANCH, trap->error);
	violations++;
	return true;
}

static void branch_astray(void)
{
	asm volatile("lea 1f(%%rip), %%rax\n\tjmp *%%rax\n1:" : : : "rax");
}

/* What the TD has set up is there when it comes back from the host, and the host's is not for it. */
static void control_flow(void)
{
	u64 cr0, cr4;

	/* CET needs pages that cannot be written, not by the supervisor either. */
	asm volatile("mov %%cr0, %0" : "=r" (cr0));
	asm volatile("mov %0, %%cr0" : : "r" (cr0 | CR0_WP));
	asm volatile("mov %%cr4, %0" : "=r" (cr4));
	branch_astray();
	CHECK_EQ(0, violations);
	asm volatile("mov %0, %%cr4" : : "r" (cr4 | CR4_CET));
	wrmsr(IA32_PL0_SSP, 0x1230);
	wrmsr(IA32_U_CET, ENDBR_EN);
	wrmsr(IA32_S_CET, ENDBR_EN);
	branch_astray();
	CHECK_EQ(1, violations);
	port_out(INSIDE_PORT, 4, 0);
	branch_astray();
	CHECK_EQ(2, violations);
	CHECK_EQ(0x1230, rdmsr(IA32_PL0_SSP));
	CHECK_EQ(ENDBR_EN, rdmsr(IA32_U_CET));
	CHECK_EQ(ENDBR_EN, rdmsr(IA32_S_CET));
	wrmsr(IA32_S_CET, 0);
	branch_astray();
	CHECK_EQ(2, violations);
}

/* Nothing wakes it. */
static void halt_for_ever(void)
{
	for (;;) {
		mailbox->value[HALTS]++;
		halt();
	}
}

void inside_main(u32 vcpu, u64 argument)
{
	switch ((u32)argument) {
	case RUN_HELLO:
		say("hello from inside\n");
		break;
	case RUN_START:
		tell_start();
		break;
	case RUN_CONTROL_FLOW:
		control_flow();
		break;
	case RUN_FATAL:
		fatal(0x1234);
	case RUN_TRIPLE_FAULT:
		triple_fault();
		break;
	case RUN_SPIN:
		for (;;)
			asm volatile("pause");
	case RUN_HALT:
		halt_for_ever();
	}
	(void)vcpu;
}
