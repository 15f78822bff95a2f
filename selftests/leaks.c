// SPDX-License-Identifier: GPL-2.0
/*
 * The TDX module refuses what KVM needs to end a TD. KVM says so, and leaks what it cannot take back: the pages, the KeyID and, with the Rust
 * backend, the module that keeps the S-EPT. Nothing of that is used again, and other TDs do not notice.
 *
 * For a machine that ends soon. KVM's own code comes first, for after the others the Rust backend cannot be unloaded.
 */
#include "backend.h"
#include "files.h"
#include "huge_parameter.h"
#include "inject.h"
#include "look.h"
#include "vm.h"

/* TDX ABI: leaf numbers. */
#define TDH_MNG_VPFLUSHDONE	19
#define TDH_MNG_KEY_FREEID	20
#define TDH_PHYMEM_PAGE_RECLAIM	28
#define TDH_PHYMEM_CACHE_WB	40

#define MAX_PAGES_LEFT	64

struct leak {
	const char *rule;
	__u64 strikes;
	int (*step)(struct test_vm *vm);	/* of the TD's life, before its end */
	bool huge;		/* there is a 2M page, which only the Rust backend makes */
	const char *kvm[3];	/* what KVM says, beside that it warns */
	const char *backend;	/* and the Rust backend */
};

FIXTURE(leaks) {
	struct before before;
};

FIXTURE_VARIANT(leaks) {
	enum backend backend;
};

FIXTURE_VARIANT_ADD(leaks, c) {
	.backend = BACKEND_C,
};

FIXTURE_VARIANT_ADD(leaks, rust) {
	.backend = BACKEND_RUST,
};

FIXTURE_SETUP(leaks)
{
	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");
	if (!inject_supported())
		SKIP(return, "no CONFIG_TDX_SIM_FAULT_INJECTION");
	ASSERT_EQ(0, backend_select(variant->backend))
		TH_LOG("cannot choose the backend: %s", strerror(errno));
	look_before(_metadata, &self->before);
}

FIXTURE_TEARDOWN(leaks)
{
	inject_nothing();
}

/* 0, or -1 if the call did not do its job. */
static int seamcall(int leaf, __u64 rcx)
{
	char text[64];

	snprintf(text, sizeof(text), "rax=%d rcx=%#llx", leaf, rcx);
	return write_file(SIM_DIR "seamcall", text);
}

struct left {
	__u64 page[MAX_PAGES_LEFT], owner[MAX_PAGES_LEFT];
	int nr;
};

static void note_page(const char *record, void *arg)
{
	struct left *left = arg;
	__u64 page = sim_number(record, "page");

	if (!page || left->nr == MAX_PAGES_LEFT)
		return;
	left->page[left->nr] = page;
	left->owner[left->nr++] = sim_number(record, "owner");
}

/* What KVM could not, or did not try any more. */
static void take_back(struct __test_metadata *_metadata)
{
	struct left left = { };
	struct sim_td td = { };

	ASSERT_EQ(1, sim_tds(&td, 1)) TH_LOG("a TD is to be left");
	ASSERT_EQ(0, sim_for_each("pamt", note_page, &left));
	ASSERT_LT(0, left.nr);
	ASSERT_GT(MAX_PAGES_LEFT, left.nr);

	/* Each of these fails where KVM has done it. */
	seamcall(TDH_MNG_VPFLUSHDONE, td.tdr_pfn * PAGE_SIZE);
	for (int resume = 0; seamcall(TDH_PHYMEM_CACHE_WB, resume) && resume < 1; resume++)
		;
	seamcall(TDH_MNG_KEY_FREEID, td.tdr_pfn * PAGE_SIZE);
	for (int i = 0; i < left.nr; i++) {
		if (left.owner[i]) {
			EXPECT_EQ(0, seamcall(TDH_PHYMEM_PAGE_RECLAIM, left.page[i])) TH_LOG("page %#llx", left.page[i]);
		}
	}
	EXPECT_EQ(0, seamcall(TDH_PHYMEM_PAGE_RECLAIM, td.tdr_pfn * PAGE_SIZE)) TH_LOG("the TDR");
}

static void build(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_start(_metadata, vm, 2 * SZ_2M);
	vm_prefault(_metadata, vm, SZ_2M, 8 * PAGE_SIZE);
}

/* As build(), with 2M in one page. */
static void build_huge(struct __test_metadata *_metadata, struct test_vm *vm)
{
	ASSERT_EQ(0, write_file(HUGE_PARAMETER, "Y"));
	vm_start(_metadata, vm, 2 * SZ_2M);
	ASSERT_EQ(0, td_allocate(vm->slot[0].gmem, SZ_2M, SZ_2M)) TH_LOG("fallocate(): %s", strerror(errno));
	vm_prefault(_metadata, vm, SZ_2M, SZ_2M);
	huge_pages_off();
}

static void run_leak(struct __test_metadata *_metadata, FIXTURE_DATA(leaks) *self, enum backend backend, const struct leak *leak)
{
	const char *complaints[7] = {
		"cut here", "WARNING: ", leak->kvm[0], leak->kvm[1],
	};
	int nr = 4;
	struct test_vm vm;
	char left[512];

	if (leak->huge && backend == BACKEND_C)
		SKIP(return, "KVM's own S-EPT operations make no huge pages");
	if (leak->kvm[2])
		complaints[nr++] = leak->kvm[2];
	if (backend == BACKEND_RUST)
		complaints[nr] = leak->backend;
	(leak->huge ? build_huge : build)(_metadata, &vm);
	kmsg_make_room();
	kmsg_expect_begin(_metadata->name);
	ASSERT_EQ(0, inject("%s", leak->rule)) TH_LOG("no rule: %s", strerror(errno));
	if (leak->step)
		EXPECT_EQ(0, leak->step(&vm)) TH_LOG("%s", strerror(errno));
	vm_close(_metadata, &vm);
	EXPECT_EQ(leak->strikes, inject_struck());
	inject_nothing();
	kmsg_expect_end(_metadata->name);
	ASSERT_LT(0, sim_leftovers(left, sizeof(left))) TH_LOG("what could not be taken back is to be with TDX");

	/* A page or KeyID that had been freed nevertheless would be refused when this TD gets it. */
	build(_metadata, &vm);
	vm_close(_metadata, &vm);

	take_back(_metadata);
	look_after(_metadata, &self->before, complaints);
}

#define LEAK(name, ...)							\
	TEST_F(leaks, name)						\
	{								\
		static const struct leak leak = { __VA_ARGS__ };	\
									\
		run_leak(_metadata, self, variant->backend, &leak);	\
	}

static int punch(struct test_vm *vm)
{
	return td_punch_hole(vm->slot[0].gmem, SZ_2M, PAGE_SIZE);
}

#define PAGES_EXIST	"SEAMCALL TDH_PHYMEM_PAGE_RECLAIM failed: 0xc000040000000000"

LEAK(vcpus_not_flushed,
	.rule = "leaf=TDH.MNG.VPFLUSHDONE status=TDX_OPERAND_BUSY|RCX", .strikes = 1,
	.kvm = { "SEAMCALL TDH_MNG_VPFLUSHDONE failed: 0x8000020000000001", "tdh_mng_vpflushdone() failed. HKID * is leaked." })

LEAK(keyid_not_freed,
	.rule = "leaf=TDH.MNG.KEY.FREEID status=TDX_OPERAND_BUSY|RCX", .strikes = 1,
	.kvm = { "SEAMCALL TDH_MNG_KEY_FREEID failed: 0x8000020000000001", "tdh_mng_key_freeid() failed. HKID * is leaked." })

/* The first page that comes back is the vCPU's. */
LEAK(control_page_not_reclaimed,
	.rule = "leaf=TDH.PHYMEM.PAGE.RECLAIM status=TDX_OPERAND_BUSY|RCX", .strikes = 1,
	.kvm = { "SEAMCALL TDH_PHYMEM_PAGE_RECLAIM failed: 0x8000020000000001", PAGES_EXIST })

LEAK(table_not_reclaimed,
	.rule = "leaf=TDH.PHYMEM.PAGE.RECLAIM status=TDX_OPERAND_BUSY|RCX call=7", .strikes = 1,
	.kvm = { "S-EPT free_table failed (-16): 0x8000020000000001", PAGES_EXIST })

/* Busy once more after all vCPUs have left the guest: KVM takes that for impossible. */
LEAK(block_busy_again,
	.rule = "leaf=TDH.MEM.RANGE.BLOCK status=TDX_OPERAND_BUSY|RCX times=2", .strikes = 2, .step = punch,
	.kvm = { "S-EPT block failed (-16): 0x8000020000000001", PAGES_EXIST })

LEAK(track_busy_again,
	.rule = "leaf=TDH.MEM.TRACK status=TDX_OPERAND_BUSY|TD_EPOCH times=2", .strikes = 2, .step = punch,
	.kvm = { "S-EPT track failed (-16): 0x80000200000000a9", PAGES_EXIST },
	.backend = "tdx_sept: remove at GPA 0x200000, level 4K, PFN 0x*, TD 0x*: refused, TDH.MEM.PAGE.REMOVE: TDX_TLB_TRACKING_NOT_DONE|RCX")

LEAK(remove_busy_again,
	.rule = "leaf=TDH.MEM.PAGE.REMOVE status=TDX_OPERAND_BUSY|RCX times=2", .strikes = 2, .step = punch,
	.kvm = { "S-EPT remove failed (-16): 0x8000020000000001", PAGES_EXIST })

/* All of the 2M is lost: the page is whole in the S-EPT, and KVM has 4K pages. */
LEAK(split_busy_again,
	.rule = "leaf=TDH.MEM.PAGE.DEMOTE status=TDX_OPERAND_BUSY|RCX times=2", .strikes = 2, .step = punch, .huge = true,
	.kvm = {
		"S-EPT split failed (-16): 0x8000020000000001", PAGES_EXIST,
		/* The table that KVM has for the 4K pages has never come into TDX hands. */
		"S-EPT free_table failed (-5): 0xc000030000000001",
	},
	.backend = "tdx_sept: block at GPA 0x*, level 4K, TD 0x*: refused, TDH.MEM.RANGE.BLOCK: TDX_EPT_WALK_FAILED|RCX*")

TEST_HARNESS_MAIN
