// SPDX-License-Identifier: GPL-2.0
/* In the TD of interrupts.c: interrupts of other vCPUs, of a timer, and of the vCPU's own. */
#include "interrupts.h"
#include "program.h"

#define VECTOR_NMI	2

/* x2APIC registers. The CPU has EOI and the self IPI for the TD, the others are KVM's. */
#define X2APIC_SPIV	0x80f
#define X2APIC_ICR	0x830
#define X2APIC_LVTT	0x832
#define X2APIC_TMICT	0x838
#define X2APIC_TDCR	0x83e
#define X2APIC_SELF_IPI	0x83f

#define IA32_TSC_DEADLINE	0x6e0
#define LVTT_DEADLINE		(2 << 17)

static volatile u64 came, waiting;
static u64 expected_vector = INTERRUPTS_VECTOR;

bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	if (ve || (trap->vector < 32 && trap->vector != VECTOR_NMI))
		return false;
	CHECK_EQ(expected_vector, trap->vector);
	came++;
	return true;
}

static void enable_apic(void)
{
	msr_write(X2APIC_SPIV, 0x1ff);
}

/* Waits for the next interrupt, awake or asleep. */
static void wait_for_interrupt(u64 nr, bool asleep)
{
	if (asleep) {
		while (came < nr)
			halt();
		return;
	}
	asm volatile("sti");
	wait_for(&came, nr);
	asm volatile("cli");
}

static void ipi(u32 vcpu, bool asleep)
{
	const u64 to = 1;

	enable_apic();
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		if (vcpu == to) {
			waiting = i;
			wait_for_interrupt(i, asleep);
			continue;
		}
		wait_for(&waiting, i);
		msr_write(X2APIC_ICR, to << 32 | INTERRUPTS_VECTOR);
		wait_for(&came, i);
	}
}

static void timer(void)
{
	enable_apic();
	/* One shot, by the undivided clock. */
	msr_write(X2APIC_TDCR, 0xb);
	msr_write(X2APIC_LVTT, INTERRUPTS_VECTOR);
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		msr_write(X2APIC_TMICT, 100000);
		wait_for_interrupt(i, i & 1);
	}
}

/* By the TD's own clock, and not before its time. */
static void deadline_timer(void)
{
	enable_apic();
	msr_write(X2APIC_LVTT, LVTT_DEADLINE | INTERRUPTS_VECTOR);
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		const u64 deadline = tsc() + 1000000;

		msr_write(IA32_TSC_DEADLINE, deadline);
		wait_for_interrupt(i, i & 1);
		CHECK(tsc() >= deadline);
	}
}

/* Does not leave the TD. */
static void self_ipi(void)
{
	enable_apic();
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		wrmsr(X2APIC_SELF_IPI, INTERRUPTS_VECTOR);
		CHECK_EQ(i - 1, came);
		wait_for_interrupt(i, false);
	}
}

/* The host sends one whenever the TD asks: also where interrupts are off, as they are here. */
static void nmi(void)
{
	expected_vector = VECTOR_NMI;
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		port_out(INSIDE_PORT, 4, i);
		wait_for(&came, i);
	}
}

/* The host sends one as soon as it sees that the TD waits. */
static void msi(void)
{
	enable_apic();
	for (u64 i = 1; i <= INTERRUPTS_NR; i++) {
		mailbox->value[WAITING] = i;
		wait_for_interrupt(i, i & 1);
	}
}

void inside_main(u32 vcpu, u64 argument)
{
	switch (argument) {
	case IPI:
		ipi(vcpu, false);
		break;
	case IPI_TO_HALTED:
		ipi(vcpu, true);
		break;
	case TIMER:
		timer();
		break;
	case DEADLINE_TIMER:
		deadline_timer();
		break;
	case SELF_IPI:
		self_ipi();
		break;
	case NMI:
		nmi();
		break;
	case MSI:
		msi();
		break;
	}
	mailbox->value[CAME] = came;
}
