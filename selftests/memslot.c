// SPDX-License-Identifier: GPL-2.0
/* Slots with private memory can be made and deleted, not changed. */
#include "fixture.h"
#include "vm.h"

/* The pages of the deleted slot go, those of the other stay. */
TEST_F(tdx, deletion)
{
	struct td_slot *second;
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	second = vm_add_slot(_metadata, &vm, SZ_1G, SZ_2M);
	vm_prefault(_metadata, &vm, 0, 8 * PAGE_SIZE);
	vm_prefault(_metadata, &vm, SZ_1G, 8 * PAGE_SIZE);

	ASSERT_EQ(0, td_delete_slot(vm.vm, second));
	EXPECT_EQ(0, pages_of(_metadata, SZ_1G, SZ_2M).pending) TH_LOG("the deleted slot is to leave no page behind");
	EXPECT_EQ(7, pages_of(_metadata, 0, SZ_2M).pending) TH_LOG("the other slot is to keep its pages");
	EXPECT_EQ(1, pages_of(_metadata, 0, SZ_2M).mapped);

	/* The guest_memfd still has the pages; a new slot finds them again. */
	ASSERT_EQ(0, td_set_slot(vm.vm, second)) TH_LOG("slot again: %s", strerror(errno));
	vm_prefault(_metadata, &vm, SZ_1G, 8 * PAGE_SIZE);
	EXPECT_EQ(8, pages_of(_metadata, SZ_1G, SZ_2M).pending);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, move_is_refused)
{
	struct td_slot moved;
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	moved = vm.slot[0];
	moved.gpa = SZ_1G;
	EXPECT_EQ(-1, td_set_slot(vm.vm, &moved)) TH_LOG("a slot with private memory is not to be moved");
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, pages_of(_metadata, 0, SZ_2M).mapped) TH_LOG("a refused move is to change nothing");
	vm_close(_metadata, &vm);
}

TEST_F(tdx, resize_is_refused)
{
	struct td_slot smaller;
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	smaller = vm.slot[0];
	smaller.size = SZ_2M / 2;
	EXPECT_EQ(-1, td_set_slot(vm.vm, &smaller)) TH_LOG("a slot with private memory is not to be resized");
	EXPECT_EQ(EINVAL, errno);
	vm_close(_metadata, &vm);
}

/* Closing the guest_memfd alone takes its pages out of the TD; the slot stays, empty. */
TEST_F(tdx, gmem_closed_first)
{
	struct td_slot *second;
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	second = vm_add_slot(_metadata, &vm, SZ_1G, SZ_2M);
	vm_prefault(_metadata, &vm, SZ_1G, 4 * PAGE_SIZE);

	ASSERT_EQ(0, close(second->gmem));
	EXPECT_EQ(0, pages_of(_metadata, SZ_1G, SZ_2M).pending) TH_LOG("the pages are to go with the guest_memfd");
	EXPECT_EQ(-1, td_prefault(vm.vcpu[0], SZ_1G, PAGE_SIZE)) TH_LOG("there is no page to map any more");
	vm.nr_slots--;
	munmap(second->shared, second->size);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
