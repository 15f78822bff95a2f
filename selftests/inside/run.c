// SPDX-License-Identifier: GPL-2.0
/* In the TD of run.c. */
#include "program.h"
#include "run.h"

#define IA32_EFER	0xc0000080

/* What the vCPU began with. */
static void tell_start(void)
{
	struct tdcall info = { .rax = TDG_VP_INFO };
	u32 low, high, eax = 1;

	mailbox->value[START_RCX] = inside_started[0].rcx;
	mailbox->value[START_R8] = inside_started[0].r8;
	mailbox->value[START_RBX] = inside_started[0].rbx;
	mailbox->value[START_RDX] = inside_started[0].rdx;
	mailbox->value[START_RSI] = inside_started[0].rsi;
	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (IA32_EFER));
	mailbox->value[START_EFER] = low | (u64)high << 32;
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
