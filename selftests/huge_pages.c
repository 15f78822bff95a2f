// SPDX-License-Identifier: GPL-2.0
/*
 * Private memory at 2M, where guest_memfd has contiguous pages and kvm-intel.tdx_huge_pages is on. KVM's own S-EPT operations cannot
 * split a mapping, and so the control has 4K pages everywhere.
 *
 * What is mapped how is read from the S-EPT and the PAMT themselves.
 */
#include <pthread.h>

#include "fixture.h"
#include "huge.h"
#include "inject.h"
#include "vm.h"

#define LEVEL_4K	0
#define LEVEL_2M	1
#define PAGES_PER_2M	(SZ_2M / PAGE_SIZE)

/* A TD with @nr huge pages of contiguous memory from 2M up. */
static void start(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, struct test_vm *vm, __u64 nr)
{
	huge_pages_on(_metadata, self);
	vm_start(_metadata, vm, (nr + 1) * SZ_2M);
	ASSERT_EQ(0, td_allocate(vm->slot[0].gmem, SZ_2M, nr * SZ_2M)) TH_LOG("fallocate(): %s", strerror(errno));
}

/* The range is mapped by so many huge pages and small pages, and the PAMT agrees with the S-EPT. */
static void expect_pages(struct __test_metadata *_metadata, enum backend backend, __u64 gpa, __u64 size, __u64 huge, __u64 small)
{
	struct sim_pages pages = pages_of(_metadata, gpa, size);

	if (backend == BACKEND_C) {
		small += huge * PAGES_PER_2M;
		huge = 0;
	}
	EXPECT_EQ(huge, pages.leaves[LEVEL_2M]) TH_LOG("2M pages at GPA %#llx", gpa);
	EXPECT_EQ(small, pages.leaves[LEVEL_4K]) TH_LOG("4K pages at GPA %#llx", gpa);
	EXPECT_EQ(huge * PAGES_PER_2M + small, pages.pending) TH_LOG("nothing is to be left blocked");
	EXPECT_EQ(huge, sim_pamt_pages_at("PT_REG", LEVEL_2M)) TH_LOG("2M pages in the PAMT");
	/* And the initial page. */
	EXPECT_EQ(small + 1, sim_pamt_pages_at("PT_REG", LEVEL_4K)) TH_LOG("4K pages in the PAMT");
}

static __u64 calls_of(FIXTURE_DATA(tdx) *self, enum backend backend, const char *leaf)
{
	return sim_calls_since(&self->before.calls, leaf, backend == BACKEND_RUST).ok;
}

TEST_F(tdx, contiguous_memory)
{
	struct test_vm vm;

	start(_metadata, self, &vm, 3);
	vm_prefault(_metadata, &vm, SZ_2M, 3 * SZ_2M);
	expect_pages(_metadata, variant->backend, SZ_2M, 3 * SZ_2M, 3, 0);
	EXPECT_EQ(variant->backend == BACKEND_RUST ? 3 : 3 * PAGES_PER_2M, calls_of(self, variant->backend, "TDH.MEM.PAGE.AUG"));
	vm_close(_metadata, &vm);
	EXPECT_EQ(0, calls_of(self, variant->backend, "TDH.MEM.PAGE.DEMOTE")) TH_LOG("the end of a TD is no reason to split");
}

/* Pages that came one by one are where the page allocator had some. */
TEST_F(tdx, scattered_memory)
{
	struct test_vm vm;

	huge_pages_on(_metadata, self);
	vm_start(_metadata, &vm, 2 * SZ_2M);
	vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M);
	vm_close(_metadata, &vm);
}

/* Off, which is the default, contiguous memory changes nothing; a TD keeps what it began with. */
TEST_F(tdx, parameter)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, 2 * SZ_2M);
	huge_pages_on(_metadata, self);
	ASSERT_EQ(0, td_allocate(vm.slot[0].gmem, SZ_2M, SZ_2M));
	vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M);
	vm_close(_metadata, &vm);

	start(_metadata, self, &vm, 1);
	huge_pages_off();
	vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 1, 0);
	vm_close(_metadata, &vm);
}

/* Before FINALIZE memory comes by TDH.MEM.PAGE.ADD, which has 4K pages only. */
TEST_F(tdx, initial_memory)
{
	struct test_vm vm;

	huge_pages_on(_metadata, self);
	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	ASSERT_EQ(0, td_allocate(vm.slot[0].gmem, 0, SZ_2M));
	vm_add_pages(_metadata, &vm, 0, PAGES_PER_2M, false);
	vm_finalize(_metadata, &vm);
	EXPECT_EQ(PAGES_PER_2M, pages_of(_metadata, 0, SZ_2M).leaves[LEVEL_4K]);
	vm_close(_metadata, &vm);
}

/* A hole that is smaller than the huge page it is in: all else stays mapped all the time. */
TEST_F(tdx, hole_inside)
{
	const __u64 gpa = SZ_2M + 8 * PAGE_SIZE, size = 4 * PAGE_SIZE;
	struct test_vm vm;
	__u64 pfn;

	start(_metadata, self, &vm, 2);
	vm_prefault(_metadata, &vm, SZ_2M, 2 * SZ_2M);
	pfn = sim_pfn(only_tdr(_metadata), SZ_2M);

	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, gpa, size));
	expect_pages(_metadata, variant->backend, SZ_2M, 2 * SZ_2M, 1, PAGES_PER_2M - 4);
	EXPECT_EQ(0, pages_of(_metadata, gpa, size).pending);
	EXPECT_EQ(pfn, sim_pfn(only_tdr(_metadata), SZ_2M)) TH_LOG("the rest is to stay where it was");
	EXPECT_EQ(variant->backend == BACKEND_RUST, calls_of(self, variant->backend, "TDH.MEM.PAGE.DEMOTE"));
	EXPECT_EQ(4, calls_of(self, variant->backend, "TDH.MEM.PAGE.REMOVE")) TH_LOG("nothing but the hole is to be removed");

	/* Pages that come later go into the table that is there. */
	vm_prefault(_metadata, &vm, gpa, size);
	expect_pages(_metadata, variant->backend, SZ_2M, 2 * SZ_2M, 1, PAGES_PER_2M);
	vm_close(_metadata, &vm);
}

static void undo_all(void)
{
	inject_nothing();
	huge_pages_off();
}

/* KVM keeps the vCPUs out and asks again, for each call of a split. */
TEST_F(tdx, split_while_busy)
{
	static const struct {
		const char *leaf, *status;
		bool removes;			/* KVM calls it to remove pages, too */
	} faults[] = {
		{ "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY|RCX", true },
		{ "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY|SEPT_TREE", true },
		{ "TDH.MEM.TRACK", "TDX_OPERAND_BUSY|TD_EPOCH", true },
		{ "TDH.MEM.PAGE.DEMOTE", "TDX_OPERAND_BUSY|RCX" },
		{ "TDH.MEM.PAGE.DEMOTE", "TDX_OPERAND_BUSY|SEPT_TREE" },
	};

	if (!inject_supported())
		SKIP(return, "no CONFIG_TDX_SIM_FAULT_INJECTION");
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct test_vm vm;

		start(_metadata, self, &vm, 1);
		self->undo = undo_all;
		vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
		ASSERT_EQ(0, inject("leaf=%s status=%s", faults[i].leaf, faults[i].status)) TH_LOG("no rule: %s", strerror(errno));
		ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M + PAGE_SIZE, PAGE_SIZE));
		expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M - 1);
		EXPECT_EQ(variant->backend == BACKEND_RUST || faults[i].removes, inject_struck()) TH_LOG("%s", faults[i].leaf);
		inject_nothing();
		vm_close(_metadata, &vm);
	}
}

/* Both of its ends are inside of huge pages. */
TEST_F(tdx, hole_across)
{
	struct test_vm vm;

	start(_metadata, self, &vm, 3);
	vm_prefault(_metadata, &vm, SZ_2M, 3 * SZ_2M);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, 2 * SZ_2M - PAGE_SIZE, SZ_2M + 2 * PAGE_SIZE));

	expect_pages(_metadata, variant->backend, SZ_2M, 3 * SZ_2M, 0, 2 * (PAGES_PER_2M - 1));
	EXPECT_EQ(variant->backend == BACKEND_RUST ? 2 : 0, calls_of(self, variant->backend, "TDH.MEM.PAGE.DEMOTE"));
	EXPECT_EQ(variant->backend == BACKEND_RUST ? 3 : PAGES_PER_2M + 2, calls_of(self, variant->backend, "TDH.MEM.PAGE.REMOVE"))
		TH_LOG("the huge page in the middle is to go as one");
	vm_close(_metadata, &vm);
}

/* As large as a huge page, and in its place: nothing to split, and the next one is huge again. */
TEST_F(tdx, hole_that_fits)
{
	struct test_vm vm;

	start(_metadata, self, &vm, 2);
	vm_prefault(_metadata, &vm, SZ_2M, 2 * SZ_2M);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, SZ_2M));
		expect_pages(_metadata, variant->backend, SZ_2M, 2 * SZ_2M, 1, 0);
		ASSERT_EQ(0, td_allocate(vm.slot[0].gmem, SZ_2M, SZ_2M));
		/* The control's table for 4K pages is still there. */
		vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
		expect_pages(_metadata, variant->backend, SZ_2M, 2 * SZ_2M, 2, 0);
	}
	EXPECT_EQ(0, calls_of(self, variant->backend, "TDH.MEM.PAGE.DEMOTE"));
	vm_close(_metadata, &vm);
}

/* Memory that was converted and came back is as contiguous as before, but its S-EPT table cannot be replaced by a huge page. */
TEST_F(tdx, convert_a_part)
{
	const __u64 gpa = SZ_2M + SZ_2M / 2, size = SZ_2M / 4;
	struct test_vm vm;

	start(_metadata, self, &vm, 1);
	vm_prefault(_metadata, &vm, SZ_2M, SZ_2M);
	ASSERT_EQ(0, td_set_private(vm.vm, gpa, size, false));
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M * 3 / 4);
	ASSERT_EQ(0, td_set_private(vm.vm, gpa, size, true));
	vm_prefault(_metadata, &vm, gpa, size);
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M);
	vm_close(_metadata, &vm);
}

/* Where a part of the range is shared nothing huge is mapped. */
TEST_F(tdx, part_is_shared)
{
	struct test_vm vm;

	start(_metadata, self, &vm, 1);
	ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M, PAGE_SIZE, false));
	vm_prefault(_metadata, &vm, SZ_2M + PAGE_SIZE, SZ_2M - PAGE_SIZE);
	expect_pages(_metadata, variant->backend, SZ_2M, SZ_2M, 0, PAGES_PER_2M - 1);
	vm_close(_metadata, &vm);
}

#define ROUNDS	40

/* Takes one page away, and makes the memory whole again. */
static void *punch(void *arg)
{
	int gmem = *(int *)arg;

	for (int i = 0; i < ROUNDS; i++)
		if (td_punch_hole(gmem, SZ_2M + 5 * PAGE_SIZE, PAGE_SIZE) ||
		    td_punch_hole(gmem, SZ_2M, SZ_2M) ||
		    td_allocate(gmem, SZ_2M, SZ_2M))
			return arg;
	return NULL;
}

/* A page goes while a fault on another page of the same huge page is on its way: it must not be mapped any more. */
TEST_F(tdx, hole_and_fault_race)
{
	const __u64 hole = SZ_2M + 5 * PAGE_SIZE;
	pthread_t puncher;
	struct test_vm vm;
	void *failed;

	start(_metadata, self, &vm, 1);
	ASSERT_EQ(0, pthread_create(&puncher, NULL, punch, &vm.slot[0].gmem));
	for (int i = 0; i < ROUNDS; i++)
		vm_prefault(_metadata, &vm, SZ_2M + 100 * PAGE_SIZE, PAGE_SIZE);
	ASSERT_EQ(0, pthread_join(puncher, &failed));
	ASSERT_EQ(NULL, failed);

	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, hole, PAGE_SIZE));
	EXPECT_EQ(0, pages_of(_metadata, hole, PAGE_SIZE).pending);
	EXPECT_EQ(pages_of(_metadata, 0, 2 * SZ_2M).pending + 1, sim_pamt_pages("PT_REG")) TH_LOG("the PAMT is to agree with the S-EPT");
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
