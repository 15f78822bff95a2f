// SPDX-License-Identifier: GPL-2.0
/* MRTD against one that is worked out here, from what went into the TD. */
#include "fixture.h"
#include "mrtd.h"
#include "vm.h"

/* One call of KVM_TDX_INIT_MEM_REGION. */
struct piece {
	__u64 gpa, nr;
	bool measured;
};

static void check_mrtd(struct __test_metadata *_metadata, const struct piece *pieces, size_t nr)
{
	struct mrtd mrtd;
	struct test_vm vm;
	struct sim_td td;
	char hex[97];
	__u8 *pages;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);

	mrtd_begin(&mrtd);
	for (size_t i = 0; i < nr; i++) {
		vm_add_pages(_metadata, &vm, pieces[i].gpa, pieces[i].nr, pieces[i].measured);

		pages = malloc(pieces[i].nr * PAGE_SIZE);
		ASSERT_NE(NULL, pages);
		fill_pages(pages, pieces[i].nr);
		for (__u64 page = 0; page < pieces[i].nr; page++)
			mrtd_add_page(&mrtd, pieces[i].gpa + page * PAGE_SIZE, pages + page * PAGE_SIZE, pieces[i].measured);
		free(pages);
	}
	mrtd_end(&mrtd, hex);
	vm_finalize(_metadata, &vm);

	ASSERT_EQ(1, sim_tds(&td, 1));
	EXPECT_STREQ(hex, td.mrtd) TH_LOG("MRTD");
	vm_close(_metadata, &vm);
}

TEST_F(tdx, measured_pages)
{
	static const struct piece pieces[] = { { 0, 5, true } };

	check_mrtd(_metadata, pieces, ARRAY_SIZE(pieces));
}

/* A page that is not measured still leaves its address in MRTD. */
TEST_F(tdx, unmeasured_pages)
{
	static const struct piece pieces[] = { { 0, 2, true }, { 0x100000, 3, false }, { 0x10000, 1, true } };

	check_mrtd(_metadata, pieces, ARRAY_SIZE(pieces));
}

/* The order counts: the same pages in another order give another MRTD, which is again the right one. */
TEST_F(tdx, order)
{
	static const struct piece pieces[] = { { 0x10000, 1, true }, { 0, 2, true } };

	check_mrtd(_metadata, pieces, ARRAY_SIZE(pieces));
}

TEST_F(tdx, no_memory_at_all)
{
	struct test_vm vm;
	struct mrtd mrtd;
	struct sim_td td;
	char hex[97];

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_vcpu(_metadata, &vm);
	vm_finalize(_metadata, &vm);

	mrtd_begin(&mrtd);
	mrtd_end(&mrtd, hex);
	ASSERT_EQ(1, sim_tds(&td, 1));
	EXPECT_STREQ(hex, td.mrtd) TH_LOG("MRTD of nothing");
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
