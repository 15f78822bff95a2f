// SPDX-License-Identifier: GPL-2.0
/* Interrupts of a TD: KVM posts them, for it cannot inject. */
#include <sys/ioctl.h>

#include "fixture.h"
#include "inside.h"
#include "inside/interrupts.h"

static void run_two(struct __test_metadata *_metadata, __u64 what)
{
	struct inside td;

	inside_start(_metadata, &td, "interrupts", 2, what);
	inside_run_thread(_metadata, &td, 0);
	inside_run_thread(_metadata, &td, 1);
	inside_join(_metadata, &td, 0);
	inside_join(_metadata, &td, 1);
	EXPECT_EQ(INTERRUPTS_NR, td.mailbox->value[CAME]);
	inside_close(_metadata, &td);
}

static void run_one(struct __test_metadata *_metadata, __u64 what)
{
	struct inside td;

	inside_start(_metadata, &td, "interrupts", 1, what);
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(INTERRUPTS_NR, td.mailbox->value[CAME]);
	inside_close(_metadata, &td);
}

TEST_F(tdx, ipi)
{
	run_two(_metadata, IPI);
}

TEST_F(tdx, ipi_to_halted)
{
	run_two(_metadata, IPI_TO_HALTED);
}

TEST_F(tdx, timer)
{
	run_one(_metadata, TIMER);
}

TEST_F(tdx, self_ipi)
{
	run_one(_metadata, SELF_IPI);
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

TEST_HARNESS_MAIN
