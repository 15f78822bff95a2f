// SPDX-License-Identifier: GPL-2.0
/*
 * Memory runs out at each allocation of each step of a TD's life in turn: the step fails and leaves nothing half done, and works
 * when it is tried again. The kernel's fault injection makes the Nth allocation of a thread fail (Documentation/fault-injection/fault-injection.rst).
 */
#include <fcntl.h>

#include "fixture.h"
#include "vm.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"

/* More than any of the steps makes. */
#define MAX_ALLOCATIONS	2000

static const struct {
	const char *path, *value;
} settings[] = {
	/* Fail also allocations that could wait for memory, and say nothing about it. */
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
};

/* Stays open: to open it takes memory, too. */
static int fail_nth;

static bool fault_injection(struct __test_metadata *_metadata)
{
	fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (fail_nth < 0)
		SKIP(return false, "the kernel has no CONFIG_FAULT_INJECTION");
	/* Page faults of the test itself are not to meet a failure. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE)) TH_LOG("mlockall: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		ASSERT_EQ(0, write_file(settings[i].path, settings[i].value)) TH_LOG("%s: %s", settings[i].path, strerror(errno));
	}
	return true;
}

/* Lets the Nth allocation of this thread fail from now on, 0: none. */
static void set_fail_nth(struct __test_metadata *_metadata, int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", nth);

	ASSERT_EQ(length, pwrite(fail_nth, text, length, 0));
}

/* Has there been an Nth allocation? */
static bool has_failed(struct __test_metadata *_metadata)
{
	char text[16] = { };

	ASSERT_LT(0, pread(fail_nth, text, sizeof(text) - 1, 0));
	return !atoi(text);
}

static int init(struct test_vm *vm)
{
	__u64 hw_error;

	return vm_try_init(vm, &hw_error);
}

static int create_vcpu(struct test_vm *vm)
{
	int vcpu = td_create_vcpu(vm->vm, 0);

	if (vcpu < 0)
		return -1;
	vm->vcpu[0] = vcpu;
	vm->nr_vcpus = 1;
	return 0;
}

static int init_vcpu(struct test_vm *vm)
{
	return td_init_vcpu(vm->vcpu[0], vm->supported_cpuid, 0);
}

static int add_page(struct test_vm *vm)
{
	static __u8 page[PAGE_SIZE] __attribute__((aligned(4096))) = { 1 };

	return td_add_memory(vm->vcpu[0], page, 0, 1, true);
}

static int prefault(struct test_vm *vm)
{
	return td_prefault(vm->vcpu[0], SZ_1G, PAGE_SIZE);
}

static void before_init(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_create(_metadata, vm);
}

static void before_create_vcpu(struct __test_metadata *_metadata, struct test_vm *vm)
{
	before_init(_metadata, vm);
	vm_init(_metadata, vm);
	vm_add_slot(_metadata, vm, 0, SZ_2M);
	vm_add_slot(_metadata, vm, SZ_1G, SZ_2M);
}

static void before_init_vcpu(struct __test_metadata *_metadata, struct test_vm *vm)
{
	before_create_vcpu(_metadata, vm);
	ASSERT_EQ(0, create_vcpu(vm)) TH_LOG("KVM_CREATE_VCPU: %s", strerror(errno));
}

static void before_add_page(struct __test_metadata *_metadata, struct test_vm *vm)
{
	before_create_vcpu(_metadata, vm);
	vm_add_vcpu(_metadata, vm);
}

static void before_prefault(struct __test_metadata *_metadata, struct test_vm *vm)
{
	before_add_page(_metadata, vm);
	vm_finalize(_metadata, vm);
}

/* A step, what goes before it, and what the kernel says when there is no memory for it. */
struct step {
	const char *name;
	int (*run)(struct test_vm *vm);
	void (*prepare)(struct __test_metadata *_metadata, struct test_vm *vm);
	const char *complaints[4];
};

/* A TD does without a file for which there is no memory, and debugfs says so. */
static const struct step step_init = { "KVM_TDX_INIT_VM", init, before_init, { "debugfs: " } };
static const struct step step_create_vcpu = {
	"KVM_CREATE_VCPU", create_vcpu, before_create_vcpu,
	{ "debugfs: ", "malloc apic regs error for vcpu", "kvm: failed to allocate vcpu's " }
};
static const struct step step_init_vcpu = { "KVM_TDX_INIT_VCPU", init_vcpu, before_init_vcpu };
static const struct step step_add_page = { "KVM_TDX_INIT_MEM_REGION", add_page, before_add_page };
static const struct step step_prefault = { "KVM_PRE_FAULT_MEMORY", prefault, before_prefault };

/* Runs a step with its Nth allocation failing; what it returned, and whether it came to an Nth allocation. */
static int run_failing(struct __test_metadata *_metadata, struct test_vm *vm, const struct step *step, int nth, bool *failed)
{
	int ret, err;

	ASSERT_GT(MAX_ALLOCATIONS, nth);
	set_fail_nth(_metadata, nth);
	ret = step->run(vm);
	err = errno;
	*failed = has_failed(_metadata);
	set_fail_nth(_metadata, 0);
	if (ret) {
		ASSERT_TRUE(*failed) TH_LOG("%s: %s", step->name, strerror(err));
		ASSERT_EQ(ENOMEM, err) TH_LOG("%s with its allocation %d failing: %s", step->name, nth, strerror(err));
	}
	return ret;
}

/* Runs a step with its 1st, 2nd, … allocation failing until it gets by without meeting the failure. */
static void fail_each(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, const struct step *step)
{
	int failures = 0, nth = 0;
	struct test_vm vm;
	bool failed;

	if (!fault_injection(_metadata))
		return;
	if (step->complaints[0])
		expect_complaints(_metadata, self, step->complaints);
	step->prepare(_metadata, &vm);
	for (;;) {
		int ret = run_failing(_metadata, &vm, step, ++nth, &failed);

		if (!failed)
			break;
		failures += !!ret;
		/* The step goes without this allocation. The next is for another TD to miss. */
		if (!ret) {
			vm_close(_metadata, &vm);
			step->prepare(_metadata, &vm);
		}
	}
	EXPECT_LT(0, failures) TH_LOG("%s is to need memory", step->name);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, no_memory_for_init_vm)
{
	self->no_sept_calls = true;
	fail_each(_metadata, self, &step_init);
}

TEST_F(tdx, no_memory_for_create_vcpu)
{
	self->no_sept_calls = true;
	fail_each(_metadata, self, &step_create_vcpu);
}

TEST_F(tdx, no_memory_for_init_vcpu)
{
	self->no_sept_calls = true;
	fail_each(_metadata, self, &step_init_vcpu);
}

TEST_F(tdx, no_memory_for_init_mem_region)
{
	fail_each(_metadata, self, &step_add_page);
}

TEST_F(tdx, no_memory_for_pre_fault)
{
	fail_each(_metadata, self, &step_prefault);
}

/* A VM whose INIT failed, and that is given up then. */
TEST_F(tdx, given_up)
{
	struct test_vm vm;
	int given_up = 0;
	bool failed;

	if (!fault_injection(_metadata))
		return;
	self->no_sept_calls = true;
	expect_complaints(_metadata, self, step_init.complaints);
	/* Some of the allocations: no_memory_for_init_vm meets all. */
	for (int nth = 1; ; nth += 1 + nth / 8) {
		vm_create(_metadata, &vm);
		given_up += !!run_failing(_metadata, &vm, &step_init, nth, &failed);
		vm_close(_metadata, &vm);
		ASSERT_EQ(0, sim_tds(&(struct sim_td) { }, 1)) TH_LOG("allocation %d failed and the TD stayed", nth);
		if (!failed)
			break;
	}
	EXPECT_LT(0, given_up) TH_LOG("INIT is to need memory");
}

TEST_HARNESS_MAIN
