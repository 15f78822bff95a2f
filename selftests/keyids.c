// SPDX-License-Identifier: GPL-2.0
/* As many TDs as there are KeyIDs, and what happens then. */
#include "cgroup.h"
#include "fixture.h"
#include "vm.h"

/* The Bochs machine has 31 for TDs. */
#define MAX_TDS		128

TEST_F(tdx, until_they_run_out)
{
	struct test_vm vm[MAX_TDS], extra;
	struct sim_td td[MAX_TDS];
	__u64 hw_error;
	int nr;

	self->no_sept_calls = true;
	if (cgroup_enable_misc())
		SKIP(return, "no misc cgroup, which tells the number of KeyIDs (CONFIG_CGROUP_MISC, cgroup2 at %s)", CGROUP_ROOT);
	nr = cgroup_tdx(CGROUP_ROOT "/misc.capacity");
	ASSERT_LE(2, nr) TH_LOG("misc.capacity is to tell the number of KeyIDs");
	ASSERT_GT(MAX_TDS, nr);

	for (int i = 0; i < nr; i++) {
		vm_create(_metadata, &vm[i]);
		vm_init(_metadata, &vm[i]);
	}
	ASSERT_EQ(nr, sim_tds(td, MAX_TDS));
	for (int i = 0; i < nr; i++) {
		for (int j = 0; j < i; j++) {
			ASSERT_NE(td[i].hkid, td[j].hkid) TH_LOG("no KeyID is to serve two TDs");
		}
	}

	vm_create(_metadata, &extra);
	EXPECT_EQ(-1, vm_try_init(&extra, &hw_error)) TH_LOG("there is no KeyID for one TD more");
	EXPECT_EQ(ENOSPC, errno);

	/* One that ends makes room for one. */
	vm_close(_metadata, &vm[nr / 2]);
	EXPECT_EQ(0, vm_try_init(&extra, &hw_error)) TH_LOG("a freed KeyID is to be used again: %s", strerror(errno));
	vm[nr / 2] = extra;

	for (int i = 0; i < nr; i++)
		vm_close(_metadata, &vm[i]);
	ASSERT_EQ(0, sim_tds(td, MAX_TDS));

	/* All of them gone, there is room for more. */
	for (int i = 0; i < 3; i++) {
		vm_create(_metadata, &vm[i]);
		vm_init(_metadata, &vm[i]);
	}
	ASSERT_EQ(3, sim_tds(td, MAX_TDS));
	for (int i = 0; i < 3; i++)
		vm_close(_metadata, &vm[i]);
}

/* Several TDs that live at once do not see each other's pages. */
TEST_F(tdx, several_with_memory)
{
	struct test_vm vm[4];
	struct sim_td td[4];

	for (size_t i = 0; i < ARRAY_SIZE(vm); i++) {
		vm_start(_metadata, &vm[i], SZ_2M);
		vm_prefault(_metadata, &vm[i], 0, (4 + i) * PAGE_SIZE);
	}
	ASSERT_EQ(ARRAY_SIZE(vm), sim_tds(td, ARRAY_SIZE(td)));
	EXPECT_EQ(4 + 5 + 6 + 7, sim_pamt_pages("PT_REG"));

	/* All at the same GPAs, so each page must be there once. */
	for (size_t i = 0; i < ARRAY_SIZE(td); i++)
		for (size_t j = 0; j < i; j++) {
			EXPECT_NE(sim_pfn(td[i].tdr_pfn, 0), sim_pfn(td[j].tdr_pfn, 0));
		}

	ASSERT_EQ(0, td_punch_hole(vm[1].slot[0].gmem, 0, SZ_2M));
	EXPECT_EQ(4 + 6 + 7, sim_pamt_pages("PT_REG")) TH_LOG("a hole in one TD is to leave the others alone");
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++)
		vm_close(_metadata, &vm[i]);
}

TEST_HARNESS_MAIN
