// SPDX-License-Identifier: GPL-2.0
/* TDG.VP.VMCALL: what a TD asks its host for. The program in the TD checks the answers. */
#include <sys/ioctl.h>

#include "fixture.h"
#include "../samples/inside/ghci.h"
#include "inside.h"
#include "inside/tdvmcall.h"

/* What the host was asked for, and the device that the TD finds. */
struct asked {
	int reads, writes;
	__u64 last;			/* value written */
	__u64 exits[RUN_EXITS];		/* by KVM's reasons */
};

static void access_device(struct asked *asked, bool write, void *data, __u32 size)
{
	__u64 answer = ~asked->last;

	if (write) {
		asked->last = 0;
		memcpy(&asked->last, data, size);
		asked->writes++;
	} else {
		memcpy(data, &answer, size);
		asked->reads++;
	}
}

/* What TDX has beyond ordinary guests: the @nr-th question. */
static void answer_tdx(struct __test_metadata *_metadata, struct kvm_run *run, __u64 nr)
{
	static const __u64 statuses[] = { HOST_STATUSES };
	const __u64 status = statuses[nr % ARRAY_SIZE(statuses)];

	switch (run->tdx.nr) {
	case TDVMCALL_GET_QUOTE:
		EXPECT_EQ(INSIDE_MAILBOX, run->tdx.get_quote.gpa);
		EXPECT_EQ(PAGE_SIZE, run->tdx.get_quote.size);
		run->tdx.get_quote.ret = status;
		break;
	case TDVMCALL_INFO:
		EXPECT_EQ(1, run->tdx.get_tdvmcall_info.leaf);
		run->tdx.get_tdvmcall_info.ret = 0;
		run->tdx.get_tdvmcall_info.r11 = INFO_R11;
		break;
	case TDVMCALL_NOTIFY:
		EXPECT_EQ(NOTIFY_VECTOR, run->tdx.setup_event_notify.vector);
		run->tdx.setup_event_notify.ret = status;
		break;
	default:
		ASSERT_TRUE(false) TH_LOG("an exit for TDVMCALL %#llx", run->tdx.nr);
	}
}

/* Runs the program for a subject to its end. */
static struct asked ask(struct __test_metadata *_metadata, __u64 subject)
{
	struct asked asked = { };
	struct kvm_run *run;
	struct inside td;

	inside_start(_metadata, &td, "tdvmcall", 1, subject);
	for (;;) {
		ASSERT_EQ(0, run_vcpu(&td.vcpu[0].run)) TH_LOG("KVM_RUN: %s; said: %s", strerror(errno), td.vcpu[0].console);
		run = td.vcpu[0].run.run;
		if (run->exit_reason == KVM_EXIT_IO) {
			ASSERT_EQ(DEVICE_PORT, run->io.port);
			access_device(&asked, run->io.direction == KVM_EXIT_IO_OUT, (char *)run + run->io.data_offset, run->io.size);
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			ASSERT_EQ(DEVICE_GPA, run->mmio.phys_addr);
			access_device(&asked, run->mmio.is_write, run->mmio.data, run->mmio.len);
		} else if (run->exit_reason == KVM_EXIT_TDX) {
			answer_tdx(_metadata, run, td.vcpu[0].run.exits[KVM_EXIT_TDX] - 1);
		} else {
			break;
		}
	}
	inside_expect_end(_metadata, &td, 0);
	memcpy(asked.exits, td.vcpu[0].run.exits, sizeof(asked.exits));
	inside_close(_metadata, &td);
	return asked;
}

TEST_F(tdx, ports)
{
	struct asked asked = ask(_metadata, ASK_PORTS);

	EXPECT_EQ(3, asked.reads);
	EXPECT_EQ(3, asked.writes);
}

TEST_F(tdx, port_instructions)
{
	struct asked asked = ask(_metadata, ASK_PORT_INSTRUCTIONS);

	EXPECT_EQ(1, asked.reads);
	EXPECT_EQ(1, asked.writes);
}

TEST_F(tdx, memory_mapped)
{
	struct asked asked = ask(_metadata, ASK_MEMORY_MAPPED);

	EXPECT_EQ(4, asked.reads);
	EXPECT_EQ(4, asked.writes);
	EXPECT_EQ(8, asked.exits[KVM_EXIT_MMIO]);
}

TEST_F(tdx, cpuid)
{
	ask(_metadata, ASK_CPUIDS);
}

TEST_F(tdx, msrs)
{
	ask(_metadata, ASK_MSRS);
}

TEST_F(tdx, conversions)
{
	EXPECT_EQ(2, ask(_metadata, ASK_CONVERSIONS).exits[KVM_EXIT_HYPERCALL]) TH_LOG("KVM itself refuses those that are wrong");
}

/* The VMM has its say for each 2M of what the TD wants to convert. */
TEST_F(tdx, refused_conversions)
{
	const struct {
		__u64 gpa, ret;
	} asked[] = {
		{ INSIDE_FREE, 0 },
		{ INSIDE_FREE + SZ_2M, EAGAIN },
		{ INSIDE_FREE, EINVAL },
	};
	struct kvm_run *run;
	struct inside td;

	inside_start(_metadata, &td, "tdvmcall", 1, ASK_REFUSED_CONVERSIONS);
	run = td.vcpu[0].run.run;
	for (int i = 0; i < ARRAY_SIZE(asked); i++) {
		/* Not by run_vcpu(), which converts. */
		ASSERT_EQ(0, ioctl(td.vm.vcpu[0], KVM_RUN, 0)) TH_LOG("KVM_RUN: %s", strerror(errno));
		ASSERT_EQ(KVM_EXIT_HYPERCALL, run->exit_reason) TH_LOG("exit for '%s'", run_exit_name(run->exit_reason));
		EXPECT_EQ(asked[i].gpa, run->hypercall.args[0]);
		EXPECT_EQ(SZ_2M / PAGE_SIZE, run->hypercall.args[1]);
		run->hypercall.ret = asked[i].ret;
	}
	inside_finish(_metadata, &td, 0);
	inside_close(_metadata, &td);
}

TEST_F(tdx, information)
{
	EXPECT_EQ(1, ask(_metadata, ASK_INFORMATION).exits[KVM_EXIT_TDX]);
}

TEST_F(tdx, attestation)
{
	static const __u64 statuses[] = { HOST_STATUSES };

	EXPECT_EQ(2 * ARRAY_SIZE(statuses), ask(_metadata, ASK_ATTESTATION).exits[KVM_EXIT_TDX])
		TH_LOG("KVM itself refuses those that are wrong");
}

TEST_F(tdx, unknown)
{
	ask(_metadata, ASK_UNKNOWN);
}

TEST_HARNESS_MAIN
