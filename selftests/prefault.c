// SPDX-License-Identifier: GPL-2.0
/* Pages that come and go while the TD lives: pre-fault, punch a hole, pre-fault again. */
#include "fixture.h"
#include "vm.h"

TEST_F(tdx, punch_and_prefault_again)
{
	const __u64 size = 64 * PAGE_SIZE;
	struct test_vm vm;

	vm_start(_metadata, &vm, 2 * SZ_2M);

	for (int round = 0; round < 3; round++) {
		vm_prefault(_metadata, &vm, SZ_2M, size);
		EXPECT_EQ(size / PAGE_SIZE, pages_of(_metadata, SZ_2M, SZ_2M).pending) TH_LOG("round %d", round);

		ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, size));
		EXPECT_EQ(0, pages_of(_metadata, SZ_2M, SZ_2M).pending) TH_LOG("round %d: the hole is to be empty", round);
		EXPECT_EQ(1, sim_pamt_pages("PT_REG")) TH_LOG("round %d: the host is to have the pages back", round);
	}
	vm_close(_metadata, &vm);
}

/* Only the pages of the hole go. */
TEST_F(tdx, hole_in_the_middle)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, 32 * PAGE_SIZE);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, 8 * PAGE_SIZE, 4 * PAGE_SIZE));

	EXPECT_EQ(7, pages_of(_metadata, 0, 8 * PAGE_SIZE).pending);
	EXPECT_EQ(0, pages_of(_metadata, 8 * PAGE_SIZE, 4 * PAGE_SIZE).pending);
	EXPECT_EQ(20, pages_of(_metadata, 12 * PAGE_SIZE, SZ_2M - 12 * PAGE_SIZE).pending);
	vm_close(_metadata, &vm);
}

/* The initial, measured pages can be taken away like any other. */
TEST_F(tdx, hole_in_initial_memory)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, 0, PAGE_SIZE));
	EXPECT_EQ(0, pages_of(_metadata, 0, SZ_2M).mapped);

	vm_prefault(_metadata, &vm, 0, PAGE_SIZE);
	EXPECT_EQ(1, pages_of(_metadata, 0, SZ_2M).pending) TH_LOG("what comes back is a new page");
	vm_close(_metadata, &vm);
}

/* Before FINALIZE there is nothing to track: no vCPU has run. */
TEST_F(tdx, hole_before_finalize)
{
	struct test_vm vm;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_add_pages(_metadata, &vm, 0, 4, true);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(3, pages_of(_metadata, 0, SZ_2M).mapped);
	EXPECT_EQ(0, sim_calls_since(&self->before.calls, "TDH.MEM.TRACK", variant->backend == BACKEND_RUST).ok)
		TH_LOG("before FINALIZE there is nothing to track");
	vm_finalize(_metadata, &vm);
	vm_close(_metadata, &vm);
}

/* To pre-fault what is there is no change. */
TEST_F(tdx, twice)
{
	const bool rust = variant->backend == BACKEND_RUST;
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, 8 * PAGE_SIZE);
	vm_prefault(_metadata, &vm, 0, 8 * PAGE_SIZE);
	EXPECT_EQ(7, sim_calls_since(&self->before.calls, "TDH.MEM.PAGE.AUG", rust).ok) TH_LOG("one TDH.MEM.PAGE.AUG per page");
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
