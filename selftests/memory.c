// SPDX-License-Identifier: GPL-2.0
/* Many pages, and pages far apart: S-EPT pages at every level. */
#include "fixture.h"
#include "vm.h"

TEST_F(tdx, many_pages)
{
	const __u64 size = 4 * SZ_2M;
	struct sim_pages pages;
	struct test_vm vm;

	vm_start(_metadata, &vm, size);
	vm_prefault(_metadata, &vm, 0, size);

	pages = pages_of(_metadata, 0, size);
	EXPECT_EQ(1, pages.mapped) TH_LOG("the initial page is to stay as it is");
	EXPECT_EQ(size / PAGE_SIZE - 1, pages.pending) TH_LOG("all other pages are to be mapped");
	EXPECT_EQ(4, pages.tables[1]) TH_LOG("one table of 4K entries for each 2 MiB");
	EXPECT_EQ(1, pages.tables[2]);
	EXPECT_EQ(1, pages.tables[3]);
	EXPECT_EQ(size / PAGE_SIZE, sim_pamt_pages("PT_REG")) TH_LOG("the PAMT is to agree with the S-EPT");

	vm_close(_metadata, &vm);
}

/* Where each slot begins, and how many S-EPT pages it takes beside those that the ones before it have in common with it. */
static const struct {
	__u64 gpa;
	__u64 new_tables;
} sparse[] = {
	{ 0, 3 },				/* one at each level below the root */
	{ 7 * SZ_2M, 1 },			/* another table of 4K entries */
	{ SZ_1G + 3 * SZ_2M, 2 },		/* another table of 2M entries */
	{ 5 * SZ_512G + 511 * SZ_1G, 3 },	/* another table of 1G entries */
	{ (1ULL << 46) + 511 * SZ_2M, 3 },	/* in the upper half of the private GPAs of a 48-bit GPAW */
};

TEST_F(tdx, sparse_gpas)
{
	__u64 tables = 0;
	struct test_vm vm;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	for (size_t i = 0; i < ARRAY_SIZE(sparse); i++)
		vm_add_slot(_metadata, &vm, sparse[i].gpa, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_add_pages(_metadata, &vm, sparse[0].gpa, 1, true);
	vm_finalize(_metadata, &vm);

	for (size_t i = 0; i < ARRAY_SIZE(sparse); i++) {
		/* The first and the last page of each. */
		vm_prefault(_metadata, &vm, sparse[i].gpa, PAGE_SIZE);
		vm_prefault(_metadata, &vm, sparse[i].gpa + SZ_2M - PAGE_SIZE, PAGE_SIZE);

		tables += sparse[i].new_tables;
		/* The root page of the S-EPT is one of the TD's control pages. */
		EXPECT_EQ(tables, sim_pamt_pages("PT_EPT")) TH_LOG("S-EPT pages after GPA %#llx", sparse[i].gpa);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sparse); i++) {
		struct sim_pages pages = pages_of(_metadata, sparse[i].gpa, SZ_2M);

		EXPECT_EQ(2, pages.mapped + pages.pending) TH_LOG("pages at GPA %#llx", sparse[i].gpa);
	}

	vm_close(_metadata, &vm);
}

/* Initial memory in several pieces, not in order of GPA. */
TEST_F(tdx, initial_memory_out_of_order)
{
	struct test_vm vm;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, 2 * SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_add_pages(_metadata, &vm, SZ_2M + 5 * PAGE_SIZE, 3, true);
	vm_add_pages(_metadata, &vm, 0, 2, false);
	vm_add_pages(_metadata, &vm, SZ_2M - PAGE_SIZE, 2, true);
	vm_finalize(_metadata, &vm);
	EXPECT_EQ(7, pages_of(_metadata, 0, 2 * SZ_2M).mapped);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
