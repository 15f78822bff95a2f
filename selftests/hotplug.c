// SPDX-License-Identifier: GPL-2.0
/* CPUs that go and come back while a TD lives. */
#include "fixture.h"
#include "vm.h"

#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

static void cpu1_online(void)
{
	write_file(CPU1_ONLINE, "1");
}

/* The vCPU is associated with the CPU that goes: the kernel has to flush it there (TDH.VP.FLUSH). */
TEST_F(tdx, cpu_of_a_vcpu)
{
	struct test_vm vm;

	if (access(CPU1_ONLINE, F_OK))
		SKIP(return, "there is no second CPU that can go offline");

	self->undo = cpu1_online;
	run_on(_metadata, 1);
	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, 4 * PAGE_SIZE);

	run_on(_metadata, 0);
	ASSERT_EQ(0, write_file(CPU1_ONLINE, "0")) TH_LOG("offline: %s", strerror(errno));
	vm_prefault(_metadata, &vm, 4 * PAGE_SIZE, 4 * PAGE_SIZE);
	EXPECT_EQ(7, pages_of(_metadata, 0, SZ_2M).pending);

	ASSERT_EQ(0, write_file(CPU1_ONLINE, "1")) TH_LOG("online: %s", strerror(errno));
	run_on(_metadata, 1);
	vm_prefault(_metadata, &vm, 8 * PAGE_SIZE, 4 * PAGE_SIZE);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, 0, SZ_2M));
	EXPECT_EQ(0, pages_of(_metadata, 0, SZ_2M).pending);
	vm_close(_metadata, &vm);
}

/* A TD that is made while the CPU is away, and ends when it is back. */
TEST_F(tdx, made_while_away)
{
	struct test_vm vm;

	if (access(CPU1_ONLINE, F_OK))
		SKIP(return, "there is no second CPU that can go offline");

	self->undo = cpu1_online;
	run_on(_metadata, 0);
	ASSERT_EQ(0, write_file(CPU1_ONLINE, "0")) TH_LOG("offline: %s", strerror(errno));
	vm_start(_metadata, &vm, SZ_2M);
	ASSERT_EQ(0, write_file(CPU1_ONLINE, "1")) TH_LOG("online: %s", strerror(errno));
	run_on(_metadata, 1);
	vm_prefault(_metadata, &vm, 0, 8 * PAGE_SIZE);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
