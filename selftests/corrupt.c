// SPDX-License-Identifier: GPL-2.0
/*
 * The host writes where it must not: into pages that it gave to the TDX module. The simulator keeps its state there, so it meets the damage, and
 * answers as the ABI says for what it then finds. KVM takes each answer for a bug and kills the VM; once the byte is repaired, everything comes back.
 */
#include "fixture.h"
#include "physmem.h"
#include "vm.h"

/* TDX ABI, layout of the TDR. */
#define TDR_FATAL		0x00
#define TDR_LIFECYCLE		0x10

/* S-EPT entries are 8 bytes: byte 0 has the permissions, byte 6 most of the state. */
#define ENTRY_SIZE		8
#define ENTRY_PERMISSIONS	0
#define ENTRY_STATE		6
#define ENTRY_STATE_BLOCKED	0x80

/* What the TDX module answers: the class, bits 63:32 of the completion status, and how the backend puts the answer into words. */
struct answer {
	__u32 class;
	const char *text;
};

/* TDX_GPA_RANGE_ALREADY_BLOCKED, which is no error. */
#define ALREADY_BLOCKED		0x00000B07

static const struct answer td_fatal = { 0xE0000604, "TDX_TD_FATAL*" };
static const struct answer keys_not_configured = { 0x80000810, "TDX_TD_KEYS_NOT_CONFIGURED*" };
static const struct answer walk_failed = { 0xC0000B00, "TDX_EPT_WALK_FAILED*RCX*, entry * at level 2M" };
static const struct answer entry_state_incorrect = { 0xC0000B0D, "TDX_EPT_ENTRY_STATE_INCORRECT*RCX*, entry * at level 4K" };

/* The page whose mapping is tried: its neighbours have made the S-EPT pages already. */
#define PAGE	100ULL

/*
 * KVM is to say which operation failed, and to warn twice: in its TDX code and in KVM_PRE_FAULT_MEMORY. The backend is to say which SEAMCALL
 * was refused, where and why; it speaks before KVM does.
 */
static void expect_refusal(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, enum backend backend, const struct answer *answer)
{
	char failure[64], refusal[EXPECTED_SIZE];

	snprintf(failure, sizeof(failure), "S-EPT aug failed (-5): 0x%08x", answer->class);
	snprintf(refusal, sizeof(refusal), "tdx_sept: aug at GPA %#llx, level 4K, PFN 0x*, TD 0x*: refused, TDH.MEM.PAGE.AUG: %s",
		 PAGE * PAGE_SIZE, answer->text);
	expect_complaints(_metadata, self, (const char *[]) {
		"cut here", "WARNING: ", failure, backend == BACKEND_RUST ? refusal : NULL, NULL
	});
}

/* Changes a byte, and sees how the TDX module answers to TDH.MEM.PAGE.AUG then. */
static void expect_answer(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, struct test_vm *vm, enum backend backend,
			  __u64 pfn, int offset, __u8 damage, const struct answer *answer)
{
	volatile __u8 *page = physmem_map_page(pfn);
	const __u64 answers = sim_answers("TDH.MEM.PAGE.AUG", answer->class);
	__u8 good;

	if (!page)
		SKIP(return, "physical memory cannot be written: %s", strerror(errno));

	expect_refusal(_metadata, self, backend, answer);
	good = page[offset];
	ASSERT_NE(damage, good) TH_LOG("the byte is to change");
	page[offset] = damage;

	EXPECT_EQ(-1, td_prefault(vm->vcpu[0], PAGE * PAGE_SIZE, PAGE_SIZE)) TH_LOG("the TDX module is to refuse");
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(answers + 1, sim_answers("TDH.MEM.PAGE.AUG", answer->class)) TH_LOG("the answer is to be %s", answer->text);

	page[offset] = good;
	physmem_unmap_page(page);
}

/*
 * The TD that is to be damaged. It stays on one CPU: to move a vCPU takes a SEAMCALL (TDH.VP.FLUSH), and if that met the damage, KVM would
 * take the vCPU for moved, and could not take down the TD later.
 */
static void start(struct __test_metadata *_metadata, struct test_vm *vm)
{
	run_on(_metadata, 0);
	vm_start(_metadata, vm, SZ_2M);
}

/* The S-EPT page at the end of the walk to @PAGE, or the one above it. */
static __u64 table_pfn(struct __test_metadata *_metadata, int level)
{
	struct sim_pages pages = pages_of(_metadata, 0, SZ_2M);

	ASSERT_EQ(1, pages.tables[level + 1]);
	return pages.first_table_pfn[level + 1];
}

TEST_F(tdx, tdr_fatal)
{
	struct test_vm vm;

	start(_metadata, &vm);
	expect_answer(_metadata, self, &vm, variant->backend, only_tdr(_metadata), TDR_FATAL, 1, &td_fatal);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, tdr_life_cycle)
{
	struct test_vm vm;

	start(_metadata, &vm);
	expect_answer(_metadata, self, &vm, variant->backend, only_tdr(_metadata), TDR_LIFECYCLE, 0, &keys_not_configured);
	vm_close(_metadata, &vm);
}

/* An entry that was free is not any more. */
TEST_F(tdx, sept_entry)
{
	struct test_vm vm;

	start(_metadata, &vm);
	expect_answer(_metadata, self, &vm, variant->backend, table_pfn(_metadata, 0), PAGE * ENTRY_SIZE + ENTRY_STATE, 0, &entry_state_incorrect);
	vm_close(_metadata, &vm);
}

/* The way to the entry is cut off. */
TEST_F(tdx, sept_table)
{
	struct test_vm vm;

	start(_metadata, &vm);
	expect_answer(_metadata, self, &vm, variant->backend, table_pfn(_metadata, 1), ENTRY_PERMISSIONS, 0, &walk_failed);
	vm_close(_metadata, &vm);
}

/* A mapping that somebody else has blocked already: both backends take that for done, and the page comes back. */
TEST_F(tdx, blocked_already)
{
	const __u64 answers = sim_answers("TDH.MEM.RANGE.BLOCK", ALREADY_BLOCKED);
	volatile __u8 *table;
	struct test_vm vm;

	start(_metadata, &vm);
	vm_prefault(_metadata, &vm, PAGE * PAGE_SIZE, PAGE_SIZE);
	table = physmem_map_page(table_pfn(_metadata, 0));
	if (!table)
		SKIP(return, "physical memory cannot be written: %s", strerror(errno));
	table[PAGE * ENTRY_SIZE + ENTRY_STATE] |= ENTRY_STATE_BLOCKED;
	physmem_unmap_page(table);
	ASSERT_EQ(1, pages_of(_metadata, PAGE * PAGE_SIZE, PAGE_SIZE).blocked);

	EXPECT_EQ(0, td_punch_hole(vm.slot[0].gmem, PAGE * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(answers + 1, sim_answers("TDH.MEM.RANGE.BLOCK", ALREADY_BLOCKED));
	EXPECT_EQ(0, pages_of(_metadata, PAGE * PAGE_SIZE, PAGE_SIZE).blocked);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
