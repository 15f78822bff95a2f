// SPDX-License-Identifier: GPL-2.0
/* TDG.VP.VMCALL: what a TD asks its host for. The program in the TD checks the answers. */
#include "fixture.h"
#include "../samples/inside/ghci.h"
#include "inside.h"
#include "inside/tdvmcall.h"

struct device {
	__u64 last;
	int reads, writes;
};

static void access_device(struct device *device, bool write, void *data, __u32 size)
{
	__u64 answer = ~device->last;

	if (write) {
		device->last = 0;
		memcpy(&device->last, data, size);
		device->writes++;
	} else {
		memcpy(data, &answer, size);
		device->reads++;
	}
}

/* What TDX has beyond ordinary guests. */
static void answer_tdx(struct __test_metadata *_metadata, struct kvm_run *run)
{
	switch (run->tdx.nr) {
	case TDVMCALL_GET_QUOTE:
		EXPECT_EQ(INSIDE_MAILBOX, run->tdx.get_quote.gpa);
		EXPECT_EQ(PAGE_SIZE, run->tdx.get_quote.size);
		run->tdx.get_quote.ret = 0;
		break;
	case TDVMCALL_INFO:
		EXPECT_EQ(1, run->tdx.get_tdvmcall_info.leaf);
		run->tdx.get_tdvmcall_info.ret = 0;
		run->tdx.get_tdvmcall_info.r11 = INFO_R11;
		break;
	case TDVMCALL_NOTIFY:
		EXPECT_EQ(NOTIFY_VECTOR, run->tdx.setup_event_notify.vector);
		run->tdx.setup_event_notify.ret = 0;
		break;
	default:
		ASSERT_TRUE(false) TH_LOG("an exit for TDVMCALL %#llx", run->tdx.nr);
	}
}

/* Runs the program for a subject to its end. */
static void ask(struct __test_metadata *_metadata, __u64 subject, struct device *device, struct inside *td)
{
	struct kvm_run *run;

	inside_start(_metadata, td, "tdvmcall", 1, subject);
	*device = (struct device) { };
	for (;;) {
		ASSERT_EQ(0, run_vcpu(&td->vcpu[0].run)) TH_LOG("KVM_RUN: %s; said: %s", strerror(errno), td->vcpu[0].console);
		run = td->vcpu[0].run.run;
		if (run->exit_reason == KVM_EXIT_IO) {
			ASSERT_EQ(DEVICE_PORT, run->io.port);
			access_device(device, run->io.direction == KVM_EXIT_IO_OUT, (char *)run + run->io.data_offset, run->io.size);
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			ASSERT_EQ(DEVICE_GPA, run->mmio.phys_addr);
			access_device(device, run->mmio.is_write, run->mmio.data, run->mmio.len);
		} else if (run->exit_reason == KVM_EXIT_TDX) {
			answer_tdx(_metadata, run);
		} else {
			break;
		}
	}
	ASSERT_EQ(KVM_EXIT_SYSTEM_EVENT, run->exit_reason)
		TH_LOG("exit for '%s'; said: %s", run_exit_name(run->exit_reason), td->vcpu[0].console);
	EXPECT_EQ(0, run->system_event.data[12]) TH_LOG("the program failed; said: %s", td->vcpu[0].console);
}

#define EXITS(name)	td.vcpu[0].run.exits[KVM_EXIT_##name]

TEST_F(tdx, ports)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_PORTS, &device, &td);
	EXPECT_EQ(3, device.reads);
	EXPECT_EQ(3, device.writes);
	inside_close(_metadata, &td);
}

TEST_F(tdx, port_instructions)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_PORT_INSTRUCTIONS, &device, &td);
	EXPECT_EQ(1, device.reads);
	EXPECT_EQ(1, device.writes);
	inside_close(_metadata, &td);
}

TEST_F(tdx, memory_mapped)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_MEMORY_MAPPED, &device, &td);
	EXPECT_EQ(4, device.reads);
	EXPECT_EQ(4, device.writes);
	EXPECT_EQ(8, EXITS(MMIO));
	inside_close(_metadata, &td);
}

TEST_F(tdx, cpuid)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_CPUIDS, &device, &td);
	inside_close(_metadata, &td);
}

TEST_F(tdx, msrs)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_MSRS, &device, &td);
	inside_close(_metadata, &td);
}

TEST_F(tdx, conversions)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_CONVERSIONS, &device, &td);
	EXPECT_EQ(2, EXITS(HYPERCALL)) TH_LOG("KVM itself refuses those that are wrong");
	inside_close(_metadata, &td);
}

TEST_F(tdx, information)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_INFORMATION, &device, &td);
	EXPECT_EQ(1, EXITS(TDX));
	inside_close(_metadata, &td);
}

TEST_F(tdx, attestation)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_ATTESTATION, &device, &td);
	EXPECT_EQ(2, EXITS(TDX));
	inside_close(_metadata, &td);
}

TEST_F(tdx, unknown)
{
	struct device device;
	struct inside td;

	ask(_metadata, ASK_UNKNOWN, &device, &td);
	inside_close(_metadata, &td);
}

TEST_HARNESS_MAIN
