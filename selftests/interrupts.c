// SPDX-License-Identifier: GPL-2.0
/* Interrupts of a TD: KVM posts them, for it cannot inject. */
#include <sys/ioctl.h>

#include "fixture.h"
#include "inside.h"
#include "inside/interrupts.h"

static void run(struct __test_metadata *_metadata, int vcpus, __u64 what)
{
	struct inside td;

	inside_start(_metadata, &td, "interrupts", vcpus, what);
	inside_finish_all(_metadata, &td);
	EXPECT_EQ(INTERRUPTS_NR, td.mailbox->value[CAME]);
	inside_close(_metadata, &td);
}

TEST_F(tdx, ipi)
{
	run(_metadata, 2, IPI);
}

TEST_F(tdx, ipi_to_halted)
{
	run(_metadata, 2, IPI_TO_HALTED);
}

TEST_F(tdx, timer)
{
	run(_metadata, 1, TIMER);
}

TEST_F(tdx, deadline_timer)
{
	run(_metadata, 1, DEADLINE_TIMER);
}

TEST_F(tdx, self_ipi)
{
	run(_metadata, 1, SELF_IPI);
}

/* KVM asks the TDX module to inject them. */
TEST_F(tdx, nmi)
{
	struct inside td;

	inside_start(_metadata, &td, "interrupts", 1, NMI);
	for (int i = 0; i < INTERRUPTS_NR; i++) {
		inside_run(_metadata, &td, 0, KVM_EXIT_IO);
		ASSERT_EQ(0, ioctl(td.vm.vcpu[0], KVM_NMI)) TH_LOG("KVM_NMI: %s", strerror(errno));
	}
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(INTERRUPTS_NR, td.mailbox->value[CAME]);
	inside_close(_metadata, &td);
}

/* From a device: the vCPU works, or has halted. */
TEST_F(tdx, msi)
{
	const struct kvm_msi msi = { .address_lo = 0xfee00000, .data = INTERRUPTS_VECTOR };
	struct inside td;

	inside_start(_metadata, &td, "interrupts", 1, MSI);
	inside_run_thread(_metadata, &td, 0);
	for (int i = 1; i <= INTERRUPTS_NR; i++) {
		while (td.mailbox->value[WAITING] < i)
			inside_pause(_metadata, &td, 0);
		/* 1: the vCPU gets it. */
		ASSERT_EQ(1, ioctl(td.vm.vm, KVM_SIGNAL_MSI, &msi)) TH_LOG("KVM_SIGNAL_MSI: %s", strerror(errno));
	}
	inside_join(_metadata, &td, 0);
	EXPECT_EQ(INTERRUPTS_NR, td.mailbox->value[CAME]);
	inside_close(_metadata, &td);
}

TEST_HARNESS_MAIN
