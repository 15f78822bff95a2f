// SPDX-License-Identifier: GPL-2.0
/* Conversion between private and shared memory. */
#include "fixture.h"
#include "vm.h"

TEST_F(tdx, to_shared_and_back)
{
	const __u64 gpa = SZ_2M, size = 16 * PAGE_SIZE;
	struct test_vm vm;
	__u64 tdr, pfn;

	vm_start(_metadata, &vm, 2 * SZ_2M);
	vm_prefault(_metadata, &vm, gpa, size);
	tdr = only_tdr(_metadata);
	pfn = sim_pfn(tdr, gpa);
	ASSERT_NE(0, pfn);

	ASSERT_EQ(0, td_set_private(vm.vm, gpa, size, false));
	EXPECT_EQ(0, pages_of(_metadata, gpa, size).pending) TH_LOG("shared pages have no place in the S-EPT");

	/* A fault of the guest on shared memory reaches the process's own pages. */
	vm_prefault(_metadata, &vm, gpa, size);
	EXPECT_EQ(0, pages_of(_metadata, gpa, size).pending);

	ASSERT_EQ(0, td_set_private(vm.vm, gpa, size, true));
	vm_prefault(_metadata, &vm, gpa, size);
	EXPECT_EQ(size / PAGE_SIZE, pages_of(_metadata, gpa, size).pending);
	EXPECT_EQ(pfn, sim_pfn(tdr, gpa)) TH_LOG("without a hole the guest_memfd is to keep its page");
	vm_close(_metadata, &vm);
}

/* Every other page is converted. */
TEST_F(tdx, interleaved)
{
	const __u64 nr = 16;
	struct test_vm vm;

	vm_start(_metadata, &vm, 2 * SZ_2M);
	vm_prefault(_metadata, &vm, SZ_2M, nr * PAGE_SIZE);
	for (__u64 i = 0; i < nr; i += 2) {
		ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M + i * PAGE_SIZE, PAGE_SIZE, false));
	}

	for (__u64 i = 0; i < nr; i++) {
		EXPECT_EQ(i % 2, pages_of(_metadata, SZ_2M + i * PAGE_SIZE, PAGE_SIZE).pending) TH_LOG("page %llu", i);
	}

	vm_prefault(_metadata, &vm, SZ_2M, nr * PAGE_SIZE);
	EXPECT_EQ(nr / 2, pages_of(_metadata, SZ_2M, SZ_2M).pending);
	vm_close(_metadata, &vm);
}

/* What the process writes to shared memory is not touched by conversions. */
TEST_F(tdx, shared_contents_stay)
{
	struct test_vm vm;
	__u8 *shared;

	vm_start(_metadata, &vm, 2 * SZ_2M);
	shared = (__u8 *)vm.slot[0].shared + SZ_2M;
	fill_pages(shared, 2);

	vm_prefault(_metadata, &vm, SZ_2M, 2 * PAGE_SIZE);
	ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M, 2 * PAGE_SIZE, false));
	vm_prefault(_metadata, &vm, SZ_2M, 2 * PAGE_SIZE);
	ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M, 2 * PAGE_SIZE, true));
	vm_prefault(_metadata, &vm, SZ_2M, 2 * PAGE_SIZE);

	for (int i = 0; i < 2 * PAGE_SIZE; i++) {
		ASSERT_EQ((__u8)(i / PAGE_SIZE * 31 + i % 251), shared[i]) TH_LOG("byte %d", i);
	}
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
