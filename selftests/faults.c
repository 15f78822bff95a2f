// SPDX-License-Identifier: GPL-2.0
/*
 * SEAMCALLs that fail in KVM's hands, and TDs that come through, or end without loss: locks of the TDX module that are busy, refusals, interrupts, missing
 * entropy.
 */
#include "fixture.h"
#include "inject.h"
#include "vm.h"

#define NR_PAGES	8ULL

/* Classes of completion statuses. */
#define INTERRUPTED_RESUMABLE	0x80000003
#define KEY_GENERATION_FAILED	0x80000800

#define NEED_INJECTION()									\
	do {											\
		if (!inject_supported())							\
			SKIP(return, "no CONFIG_TDX_SIM_FAULT_INJECTION");			\
		self->undo = inject_nothing;							\
	} while (0)

#define INJECT(...)										\
	ASSERT_EQ(0, inject(__VA_ARGS__)) TH_LOG("no rule: %s", strerror(errno))

/* Initial memory and later memory, each with S-EPT pages of its own. */
static void build(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_start(_metadata, vm, 2 * SZ_2M);
	vm_prefault(_metadata, vm, SZ_2M, NR_PAGES * PAGE_SIZE);
}

static void expect_pages(struct __test_metadata *_metadata, __u64 pending)
{
	struct sim_pages pages = pages_of(_metadata, 0, 2 * SZ_2M);

	EXPECT_EQ(1, pages.mapped);
	EXPECT_EQ(pending, pages.pending);
	EXPECT_EQ(0, pages.blocked);
}

/* A TD of which nothing is special. */
static void expect_next_td(struct __test_metadata *_metadata)
{
	struct test_vm vm;

	build(_metadata, &vm);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, SZ_2M));
	expect_pages(_metadata, 0);
	vm_close(_metadata, &vm);
	check_nothing_left(_metadata, "a TD after one that met faults");
}

/* KVM lets user space do nothing any more with a VM that met a bug. */
static void expect_dead(struct __test_metadata *_metadata, struct test_vm *vm)
{
	EXPECT_EQ(-1, td_create_vcpu(vm->vm, 1)) TH_LOG("the VM is to be dead");
	EXPECT_EQ(EIO, errno);
}

static const struct fault {
	const char *leaf, *status;
} map_faults[] = {
	{ "TDH.MEM.SEPT.ADD", "TDX_OPERAND_BUSY|RCX" },
	{ "TDH.MEM.SEPT.ADD", "TDX_OPERAND_BUSY|SEPT_TREE" },
	{ "TDH.MEM.PAGE.ADD", "TDX_OPERAND_BUSY|RCX" },
	{ "TDH.MEM.PAGE.AUG", "TDX_OPERAND_BUSY|RCX" },
	{ "TDH.MEM.PAGE.AUG", "TDX_OPERAND_BUSY|SEPT_TREE" },
}, removal_faults[] = {
	{ "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY|RCX" },
	{ "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY|SEPT_TREE" },
	{ "TDH.MEM.TRACK", "TDX_OPERAND_BUSY|TD_EPOCH" },
	{ "TDH.MEM.PAGE.REMOVE", "TDX_OPERAND_BUSY|RCX" },
	{ "TDH.MEM.PAGE.REMOVE", "TDX_OPERAND_BUSY|SEPT_TREE" },
};

/* KVM asks again, and nobody notices. */
TEST_F(tdx, busy_at_each_call_that_maps)
{
	NEED_INJECTION();
	for (size_t i = 0; i < ARRAY_SIZE(map_faults); i++) {
		const struct fault *fault = &map_faults[i];
		struct test_vm vm;
		__u64 struck;
		int call = 0;

		do {
			INJECT("leaf=%s status=%s call=%d", fault->leaf, fault->status, ++call);
			build(_metadata, &vm);
			expect_pages(_metadata, NR_PAGES);
			struck = inject_struck();
			inject_nothing();
			vm_close(_metadata, &vm);
		} while (struck);
		EXPECT_LT(1, call) TH_LOG("%s was never called", fault->leaf);
	}
}

/* By number of calls, by time, and by chance. */
TEST_F(tdx, busy_for_a_while)
{
	static const char *const durations[] = { "times=100", "ns=2000000", "probability=50 times=-1", "interval=3 times=-1" };

	NEED_INJECTION();
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct test_vm vm;

		INJECT("leaf=TDH.MEM.PAGE.AUG status=TDX_OPERAND_BUSY|RCX %s", durations[i]);
		INJECT("leaf=TDH.MEM.RANGE.BLOCK status=TDX_OPERAND_BUSY|RCX interval=2 times=-1");
		build(_metadata, &vm);
		vm_prefault(_metadata, &vm, SZ_2M, SZ_2M / 4);
		expect_pages(_metadata, 128);
		EXPECT_LT(i ? 0 : 99, inject_struck()) TH_LOG("%s", durations[i]);
		ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, SZ_2M));
		expect_pages(_metadata, 0);
		vm_close(_metadata, &vm);
		inject_nothing();
	}
}

/* KVM keeps the vCPUs out, asks again, and nobody notices. */
TEST_F(tdx, busy_at_each_call_that_removes)
{
	struct test_vm vm;

	NEED_INJECTION();
	build(_metadata, &vm);
	for (size_t i = 0; i < ARRAY_SIZE(removal_faults); i++) {
		const struct fault *fault = &removal_faults[i];

		for (__u64 call = 1; call <= NR_PAGES; call++) {
			INJECT("leaf=%s status=%s call=%llu", fault->leaf, fault->status, call);
			ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, SZ_2M));
			EXPECT_EQ(1, inject_struck()) TH_LOG("call %llu of %s", call, fault->leaf);
			expect_pages(_metadata, 0);
			inject_nothing();
			vm_prefault(_metadata, &vm, SZ_2M, NR_PAGES * PAGE_SIZE);
		}

		/* At each of them. */
		INJECT("leaf=%s status=%s interval=2 times=-1", fault->leaf, fault->status);
		ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M, SZ_2M, false));
		EXPECT_LE(NR_PAGES - 1, inject_struck());
		expect_pages(_metadata, 0);
		ASSERT_EQ(0, td_set_private(vm.vm, SZ_2M, SZ_2M, true));
		vm_prefault(_metadata, &vm, SZ_2M, NR_PAGES * PAGE_SIZE);
		inject_nothing();
	}
	vm_close(_metadata, &vm);
}

/* All at once, down to the end of the TD. */
TEST_F(tdx, busy_when_it_ends)
{
	struct test_vm vm;

	NEED_INJECTION();
	build(_metadata, &vm);
	for (size_t i = 0; i < ARRAY_SIZE(removal_faults); i++)
		if (strstr(removal_faults[i].status, "|SEPT_TREE") == NULL)
			INJECT("leaf=%s status=%s interval=2 times=-1", removal_faults[i].leaf, removal_faults[i].status);
	vm_close(_metadata, &vm);
	EXPECT_LE(3 * NR_PAGES, inject_struck());
}

/*
 * An answer that KVM has no other use for than to kill the VM: it says which operation failed, and the backend which SEAMCALL, in words.
 */
static void expect_refusal(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, const char *kvm, const char *backend)
{
	kmsg_make_room();
	expect_complaints(_metadata, self, (const char *[]) { "cut here", "WARNING: ", kvm, backend, NULL });
}

/* A step of a TD's life that is refused, and what KVM and the Rust backend say of it. */
struct refused_step {
	void (*build)(struct __test_metadata *_metadata, struct test_vm *vm);
	int (*step)(struct test_vm *vm);
	const char *rule, *kvm, *backend;
};

static void run_refused(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, enum backend backend, const struct refused_step *refused)
{
	struct test_vm vm;

	NEED_INJECTION();
	refused->build(_metadata, &vm);
	expect_refusal(_metadata, self, refused->kvm, backend == BACKEND_RUST ? refused->backend : NULL);
	INJECT("%s", refused->rule);
	EXPECT_EQ(-1, refused->step(&vm));
	EXPECT_EQ(EIO, errno);
	expect_dead(_metadata, &vm);
	vm_close(_metadata, &vm);
	expect_next_td(_metadata);
}

#define REFUSED_STEP(name, ...)							\
	TEST_F(tdx, name)							\
	{									\
		static const struct refused_step refused = { __VA_ARGS__ };	\
										\
		run_refused(_metadata, self, variant->backend, &refused);	\
	}

static void build_final(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_start(_metadata, vm, 2 * SZ_2M);
}

static int prefault(struct test_vm *vm)
{
	return td_prefault(vm->vcpu[0], SZ_2M, PAGE_SIZE);
}

/* A TD that waits for its initial memory. */
static void build_empty(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_create(_metadata, vm);
	vm_init(_metadata, vm);
	vm_add_slot(_metadata, vm, 0, 2 * SZ_2M);
	vm_add_vcpu(_metadata, vm);
}

static int add_page(struct test_vm *vm)
{
	static __u8 page[PAGE_SIZE] __attribute__((aligned(4096))) = { 1 };

	return td_add_memory(vm->vcpu[0], page, 0, 1, true);
}

REFUSED_STEP(table_refused, build_final, prefault,
	.rule = "leaf=TDH.MEM.SEPT.ADD status=TDX_OPERAND_INVALID|RCX",
	.kvm = "S-EPT link failed (-5): 0xc000010000000001",
	.backend = "tdx_sept: link at GPA 0x200000, level 2M, PFN 0x*, TD 0x*: refused, TDH.MEM.SEPT.ADD: TDX_OPERAND_INVALID|RCX")

REFUSED_STEP(page_refused, build_final, prefault,
	.rule = "leaf=TDH.MEM.PAGE.AUG status=TDX_PAGE_METADATA_INCORRECT|R8",
	.kvm = "S-EPT aug failed (-5): 0xc000030000000008",
	.backend = "tdx_sept: aug at GPA 0x200000, level 4K, PFN 0x*, TD 0x*: refused, TDH.MEM.PAGE.AUG: TDX_PAGE_METADATA_INCORRECT|R8")

REFUSED_STEP(initial_page_refused, build_empty, add_page,
	.rule = "leaf=TDH.MEM.PAGE.ADD status=TDX_TD_FATAL",
	.kvm = "S-EPT add failed (-5): 0xe000060400000000",
	.backend = "tdx_sept: add at GPA 0x0, level 4K, PFN 0x*, TD 0x*: refused, TDH.MEM.PAGE.ADD: TDX_TD_FATAL")

/* KVM does not expect anybody else at the lock of the measurement: for this leaf BUSY is a refusal, too. */
REFUSED_STEP(measurement_busy, build_empty, add_page,
	.rule = "leaf=TDH.MR.EXTEND status=TDX_OPERAND_BUSY|RTMR call=7",
	.kvm = "SEAMCALL TDH_MR_EXTEND failed: 0x80000200000000a8")

/* The mapping is gone, but the cache lines of the page have not been written back: it does not count as returned. */
TEST_F(tdx, write_back_busy)
{
	struct test_vm vm;

	NEED_INJECTION();
	build(_metadata, &vm);
	expect_refusal(_metadata, self, "S-EPT remove failed (-5): 0x8000020000000001",
		       variant->backend == BACKEND_RUST ?
		       "tdx_sept: remove at GPA 0x200000, level 4K, PFN 0x*, TD 0x*: memory lost, TDH.PHYMEM.PAGE.WBINVD: TDX_OPERAND_BUSY|RCX" : NULL);
	INJECT("leaf=TDH.PHYMEM.PAGE.WBINVD status=TDX_OPERAND_BUSY|RCX");
	self->not_returned = 1;
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, PAGE_SIZE));
	EXPECT_EQ(1, inject_struck());
	expect_pages(_metadata, NR_PAGES - 1);
	expect_dead(_metadata, &vm);
	vm_close(_metadata, &vm);
	expect_next_td(_metadata);
}

/* The kernel asks ten times (arch/x86/virt/vmx/tdx/seamcall_internal.h: sc_retry()), then user space is to ask again. */
TEST_F(tdx, no_entropy_for_a_td)
{
	static const char *const leaves[] = { "TDH.MNG.CREATE", "TDH.MNG.ADDCX" };
	__u64 hw_error;

	NEED_INJECTION();
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		struct test_vm vm;

		vm_create(_metadata, &vm);
		INJECT("event=no_entropy leaf=%s times=9", leaves[i]);
		EXPECT_EQ(0, vm_try_init(&vm, &hw_error)) TH_LOG("%s, no entropy nine times: %s", leaves[i], strerror(errno));
		EXPECT_EQ(9, inject_struck());
		inject_nothing();
		vm_close(_metadata, &vm);

		vm_create(_metadata, &vm);
		INJECT("event=no_entropy leaf=%s times=10", leaves[i]);
		EXPECT_EQ(-1, vm_try_init(&vm, &hw_error));
		EXPECT_EQ(EAGAIN, errno);
		EXPECT_EQ(10, inject_struck());
		EXPECT_EQ(0, vm_try_init(&vm, &hw_error)) TH_LOG("%s, entropy again: %s", leaves[i], strerror(errno));
		inject_nothing();
		vm_close(_metadata, &vm);
	}
	expect_next_td(_metadata);
}

/* TDX ABI: KEY_GENERATION_FAILED asks for another try. KVM has none. */
TEST_F(tdx, no_entropy_for_a_key)
{
	__u64 answers = sim_answers("TDH.MNG.KEY.CONFIG", KEY_GENERATION_FAILED);
	struct test_vm vm;
	__u64 hw_error;

	NEED_INJECTION();
	vm_create(_metadata, &vm);
	expect_refusal(_metadata, self, "SEAMCALL TDH_MNG_KEY_CONFIG failed: 0x8000080000000000", NULL);
	INJECT("event=no_entropy leaf=TDH.MNG.KEY.CONFIG");
	EXPECT_EQ(-1, vm_try_init(&vm, &hw_error));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(answers + 1, sim_answers("TDH.MNG.KEY.CONFIG", KEY_GENERATION_FAILED));
	EXPECT_EQ(-1, td_create_vcpu(vm.vm, 0));
	EXPECT_EQ(EIO, errno);
	vm_close(_metadata, &vm);
	expect_next_td(_metadata);
}

struct write_back {
	__u64 since;		/* sequence number of the first call of interest */
	int nr;
	__u64 rcx[16];
	bool interrupted[16];
};

static void note_write_back(const char *record, void *arg)
{
	struct write_back *calls = arg;
	char leaf[32];

	sim_text(record, "leaf", leaf, sizeof(leaf));
	if (strcmp(leaf, "TDH.PHYMEM.CACHE.WB") || sim_number(record, "seq") < calls->since || calls->nr == ARRAY_SIZE(calls->rcx))
		return;
	calls->rcx[calls->nr] = sim_number(record, "rcx");
	calls->interrupted[calls->nr++] = sim_number(record, "status") >> 32 == INTERRUPTED_RESUMABLE;
}

static void note_next(const char *record, void *arg)
{
	if (!strncmp(record, "records=", strlen("records=")))
		*(__u64 *)arg = sim_number(record, "next");
}

/* The calls of TDH.PHYMEM.CACHE.WB when a TD ends: which began anew or went on, and which were interrupted. */
static struct write_back close_and_look(struct __test_metadata *_metadata, struct test_vm *vm)
{
	struct write_back calls = { };

	ASSERT_EQ(0, sim_for_each("log", note_next, &calls.since));
	vm_close(_metadata, vm);
	ASSERT_EQ(0, sim_for_each("log", note_write_back, &calls));
	return calls;
}

/* The write-back of the caches is interrupted at one point, and goes on from there. */
TEST_F(tdx, interrupt_at_a_point)
{
	NEED_INJECTION();
	for (int point = 1; point <= 3; point++) {
		struct write_back calls;
		struct test_vm vm;

		build(_metadata, &vm);
		INJECT("event=interrupt leaf=TDH.PHYMEM.CACHE.WB call=%d", point);
		calls = close_and_look(_metadata, &vm);
		ASSERT_EQ(2, calls.nr) TH_LOG("the call is to be made twice");
		EXPECT_TRUE(calls.rcx[0] == 0 && calls.interrupted[0]);
		EXPECT_TRUE(calls.rcx[1] == 1 && !calls.interrupted[1]);
		inject_nothing();
	}
}

/* However many interrupts there are, each call makes progress. */
TEST_F(tdx, interrupt_storm)
{
	struct write_back calls;
	struct test_vm vm;

	NEED_INJECTION();
	build(_metadata, &vm);
	INJECT("event=interrupt times=-1");
	calls = close_and_look(_metadata, &vm);
	ASSERT_LT(1, calls.nr);
	for (int i = 0; i < calls.nr; i++) {
		EXPECT_EQ(i > 0, calls.rcx[i]);
		EXPECT_EQ(i < calls.nr - 1, calls.interrupted[i]);
	}
	EXPECT_EQ(calls.nr - 1, inject_struck());
}

/* A vCPU that entered the guest long ago and leaves before its pages are taken. */
TEST_F(tdx, vcpu_leaves_in_time)
{
	struct test_vm vm;

	NEED_INJECTION();
	build(_metadata, &vm);
	ASSERT_EQ(0, inject_vcpus_in_guest(only_tdr(_metadata), 1, 1));
	ASSERT_EQ(0, inject_vcpus_in_guest(only_tdr(_metadata), 0, 0));
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, SZ_2M, SZ_2M));
	expect_pages(_metadata, 0);
	vm_close(_metadata, &vm);
}

/* Answers that are injected are marked in the log and in the counters. */
static void count_injected(const char *record, void *arg)
{
	char leaf[32];

	sim_text(record, "leaf", leaf, sizeof(leaf));
	if (!strcmp(leaf, "TDH.MEM.PAGE.AUG"))
		*(__u64 *)arg += sim_number(record, "injected");
}

TEST_F(tdx, injected_answers_are_marked)
{
	__u64 before = 0, after = 0, logged = 0;
	struct test_vm vm;

	NEED_INJECTION();
	ASSERT_EQ(0, sim_for_each("calls", count_injected, &before));
	INJECT("leaf=TDH.MEM.PAGE.AUG status=TDX_OPERAND_BUSY|RCX times=3");
	build(_metadata, &vm);
	ASSERT_EQ(0, sim_for_each("calls", count_injected, &after));
	ASSERT_EQ(0, sim_for_each("log", count_injected, &logged));
	EXPECT_EQ(3, after - before);
	EXPECT_EQ(3, logged);
	vm_close(_metadata, &vm);
}

static void count_rules(const char *record, void *arg)
{
	(*(int *)arg)++;
}

/* What is no rule is refused, and says why in the log; and there is only so much room. */
TEST_F(tdx, bad_rules)
{
	static const char *const bad[] = {
		"leaf=TDH.MEM.PAGE.AUGH status=TDX_OPERAND_BUSY|RCX", "leaf=TDH.MEM.PAGE.AUG status=TDX_OPERAND_LAZY",
		"leaf=TDH.MEM.PAGE.AUG", "status=TDX_OPERAND_BUSY|RCX", "leaf=6 status=0", "event=interrupt times=0", "event=interrupt often",
	};
	int rules = 0;

	NEED_INJECTION();
	self->no_sept_calls = true;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned long long now = kmsg_now();

		EXPECT_EQ(-1, inject("%s", bad[i])) TH_LOG("%s is no rule", bad[i]);
		EXPECT_EQ(EINVAL, errno);
		EXPECT_LT(now, kmsg_now()) TH_LOG("the log is to say why");
	}
	EXPECT_EQ(-1, inject_vcpus_in_guest(1, 1, 1)) TH_LOG("there is no TD");
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write_file(SIM_DIR "seamcall", "rcx=1"));
	EXPECT_EQ(EINVAL, errno);

	while (!inject("leaf=0xffff status=TDX_SYS_BUSY") && rules < 1000)
		rules++;
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_LT(4, rules);
	inject_nothing();
	rules = 0;
	ASSERT_EQ(0, sim_for_each("inject", count_rules, &rules));
	EXPECT_EQ(0, rules);
}

TEST_HARNESS_MAIN
