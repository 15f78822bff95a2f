// SPDX-License-Identifier: GPL-2.0
/* A TD runs: how it begins, and how it ends. */
#include <signal.h>

#include "fixture.h"
#include "inside.h"
#include "inside/run.h"

TEST_F(tdx, hello)
{
	struct inside td;

	inside_start(_metadata, &td, "run", 1, RUN_HELLO);
	inside_finish(_metadata, &td, 0);
	EXPECT_STREQ("hello from inside\n", td.vcpu[0].console);
	inside_close(_metadata, &td);
}

/* The state in which the TDX module starts a vCPU. */
TEST_F(tdx, initial_state)
{
	/* The program does not care for the upper bits. */
	const __u64 rcx = 0x8765432100000000 | RUN_START;
	volatile __u64 *value;
	struct inside td;

	inside_start(_metadata, &td, "run", 1, rcx);
	inside_finish(_metadata, &td, 0);
	value = td.mailbox->value;
	EXPECT_EQ((__u32)rcx, (__u32)value[START_RCX]);
	EXPECT_EQ(rcx, value[START_R8]);
	EXPECT_EQ(48, value[START_RBX]) TH_LOG("width of guest physical addresses");
	EXPECT_EQ(0, value[START_RSI]) TH_LOG("number of the vCPU");
	EXPECT_EQ(value[START_CPUID1_EAX], value[START_RDX]) TH_LOG("family, model and stepping");
	EXPECT_EQ(0xd01, value[START_EFER]) TH_LOG("NXE, LMA since the program turned on paging, LME, SCE");
	EXPECT_EQ(0x80000021, value[START_CR0] & ~0x10) TH_LOG("PG, NE, PE; ET is as the CPU has it");
	EXPECT_EQ(0x60, value[START_CR4]) TH_LOG("MCE, and PAE, which the program has set; VMXE is not to be seen");
	EXPECT_EQ(48, value[START_GPAW]);
	EXPECT_EQ(1, (__u32)value[START_VCPUS]);
	EXPECT_EQ(0, value[START_INDEX]);
	inside_close(_metadata, &td);
}

/* A TD may have CET, of which VMX switches a part, and XSAVE another. */
TEST_F(tdx, control_flow_enforcement)
{
	const __u64 cet = 3 << 11;
	struct inside td;

	inside_start(_metadata, &td, "run", 1, RUN_CONTROL_FLOW);
	if (!(td.vm.caps->supported_xfam & cet))
		SKIP(return, "the CPU has no CET");
	inside_run(_metadata, &td, 0, KVM_EXIT_IO);
	inside_finish(_metadata, &td, 0);
	inside_close(_metadata, &td);
}

TEST_F(tdx, fatal_error)
{
	struct inside td;
	struct kvm_run *run;

	inside_start(_metadata, &td, "run", 1, RUN_FATAL);
	run = inside_run(_metadata, &td, 0, KVM_EXIT_SYSTEM_EVENT);
	EXPECT_EQ(KVM_SYSTEM_EVENT_TDX_FATAL, run->system_event.type);
	EXPECT_EQ(0x1234, run->system_event.data[12]);
	inside_close(_metadata, &td);
}

/* The vCPU is of no use any more, and the TD can be taken down all the same. */
TEST_F(tdx, triple_fault)
{
	struct inside td;

	inside_start(_metadata, &td, "run", 1, RUN_TRIPLE_FAULT);
	inside_run(_metadata, &td, 0, KVM_EXIT_SHUTDOWN);
	inside_close(_metadata, &td);
}

static void nothing(int signal)
{
}

/* Signals come again and again: the first may come before KVM_RUN. */
static void start_signals(struct __test_metadata *_metadata)
{
	struct sigaction action = { .sa_handler = nothing };

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ualarm(20000, 20000);
}

static void run_until_signal(struct __test_metadata *_metadata, struct inside *td)
{
	ASSERT_EQ(-1, run_vcpu(&td->vcpu[0].run)) TH_LOG("exit for '%s'", run_exit_name(td->vcpu[0].run.run->exit_reason));
	ASSERT_EQ(EINTR, errno);
}

/* A guest that asks for nothing leaves when somebody wants its CPU. */
TEST_F(tdx, signal)
{
	struct inside td;

	inside_start(_metadata, &td, "run", 1, RUN_SPIN);
	start_signals(_metadata);
	run_until_signal(_metadata, &td);
	ualarm(0, 0);
	inside_close(_metadata, &td);
}

/* A signal ends KVM_RUN of a guest that has halted, and does not wake the guest. */
TEST_F(tdx, signal_to_halted)
{
	struct inside td;

	inside_start(_metadata, &td, "run", 1, RUN_HALT);
	start_signals(_metadata);
	while (!td.mailbox->value[HALTS])
		run_until_signal(_metadata, &td);
	for (int i = 0; i < 3; i++)
		run_until_signal(_metadata, &td);
	EXPECT_EQ(1, td.mailbox->value[HALTS]);
	ualarm(0, 0);
	inside_close(_metadata, &td);
}

TEST_HARNESS_MAIN
