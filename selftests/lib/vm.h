/* SPDX-License-Identifier: GPL-2.0 */
/* A TD for tests: the steps of td.h with an assertion at each, so that a test says only what is special about its TD. */
#ifndef VM_H
#define VM_H

#include <sched.h>
#include <sys/mman.h>

#include "kselftest_harness.h"

#include "sim.h"
#include "td.h"

#define PAGE_SIZE	TD_PAGE_SIZE
#define SZ_2M		(512 * PAGE_SIZE)
#define SZ_1G		(512 * SZ_2M)
#define SZ_512G		(512 * SZ_1G)

#define MAX_VCPUS	2
#define MAX_SLOTS	8

struct test_vm {
	int kvm, vm;
	struct kvm_cpuid2 *supported_cpuid, *cpuid;
	struct kvm_tdx_capabilities *caps;
	struct td_slot slot[MAX_SLOTS];
	int nr_slots;
	int vcpu[MAX_VCPUS];
	int nr_vcpus;
	__u64 attributes;	/* for KVM_TDX_INIT_VM; to be set after vm_create() */
};

/* A VM that KVM_TDX_INIT_VM can be called for. */
static __maybe_unused void vm_create(struct __test_metadata *_metadata, struct test_vm *vm)
{
	*vm = (struct test_vm) { };

	vm->kvm = td_open_kvm();
	ASSERT_LE(0, vm->kvm) TH_LOG("/dev/kvm: %s", strerror(errno));
	ASSERT_TRUE(td_supported(vm->kvm)) TH_LOG("KVM makes no TDs");
	vm->supported_cpuid = td_supported_cpuid(vm->kvm);
	ASSERT_NE(NULL, vm->supported_cpuid);

	vm->vm = td_create_vm(vm->kvm);
	ASSERT_LE(0, vm->vm) TH_LOG("KVM_CREATE_VM: %s", strerror(errno));
	vm->caps = td_capabilities(vm->vm);
	ASSERT_NE(NULL, vm->caps) TH_LOG("KVM_TDX_CAPABILITIES: %s", strerror(errno));
	vm->cpuid = td_configurable_cpuid(vm->supported_cpuid, vm->caps);
	ASSERT_NE(NULL, vm->cpuid);
	ASSERT_EQ(0, td_split_irqchip(vm->vm)) TH_LOG("KVM_CAP_SPLIT_IRQCHIP: %s", strerror(errno));
}

/* KVM_TDX_INIT_VM with what every test takes; 0 or -1 with errno. */
static __maybe_unused int vm_try_init(struct test_vm *vm, __u64 *hw_error)
{
	const struct td_params params = { .attributes = vm->attributes, .xfam = vm->caps->supported_xfam };

	return td_init_vm(vm->vm, &params, vm->cpuid, hw_error);
}

static __maybe_unused void vm_init(struct __test_metadata *_metadata, struct test_vm *vm)
{
	__u64 hw_error;

	ASSERT_EQ(0, vm_try_init(vm, &hw_error))
		TH_LOG("KVM_TDX_INIT_VM: %s, TDX module status %#llx", strerror(errno), hw_error);
}

/* Memory for the shared half of a slot. KVM maps no huge pages, private ones neither, where its address is not as aligned as the GPA. */
static __maybe_unused void *map_shared(__u64 gpa, __u64 size)
{
	void *room = mmap(NULL, size + SZ_2M, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	__u64 start = (__u64)room + (gpa - (__u64)room) % SZ_2M;

	if (room == MAP_FAILED)
		return room;
	munmap(room, start - (__u64)room);
	munmap((void *)(start + size), (__u64)room + SZ_2M - start);
	return mmap((void *)start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* Private memory at @gpa. */
static __maybe_unused struct td_slot *vm_add_slot(struct __test_metadata *_metadata, struct test_vm *vm, __u64 gpa, __u64 size)
{
	struct td_slot *slot = &vm->slot[vm->nr_slots];

	ASSERT_LT(vm->nr_slots, MAX_SLOTS);
	*slot = (struct td_slot) { .id = vm->nr_slots++, .gpa = gpa, .size = size };

	slot->gmem = td_create_gmem(vm->vm, size, 0);
	ASSERT_LE(0, slot->gmem) TH_LOG("KVM_CREATE_GUEST_MEMFD: %s", strerror(errno));
	slot->shared = map_shared(gpa, size);
	ASSERT_NE(MAP_FAILED, slot->shared);
	ASSERT_EQ(0, td_set_slot(vm->vm, slot)) TH_LOG("slot at %#llx: %s", gpa, strerror(errno));
	ASSERT_EQ(0, td_set_private(vm->vm, gpa, size, true)) TH_LOG("private attribute at %#llx: %s", gpa, strerror(errno));
	return slot;
}

/* A vCPU whose first instruction finds @rcx in that register. */
static __maybe_unused int vm_add_vcpu_with(struct __test_metadata *_metadata, struct test_vm *vm, __u64 rcx)
{
	int vcpu;

	ASSERT_LT(vm->nr_vcpus, MAX_VCPUS);
	vcpu = td_create_vcpu(vm->vm, vm->nr_vcpus);
	ASSERT_LE(0, vcpu) TH_LOG("KVM_CREATE_VCPU: %s", strerror(errno));
	ASSERT_EQ(0, td_init_vcpu(vcpu, vm->supported_cpuid, rcx)) TH_LOG("KVM_TDX_INIT_VCPU: %s", strerror(errno));
	vm->vcpu[vm->nr_vcpus++] = vcpu;
	return vcpu;
}

static __maybe_unused int vm_add_vcpu(struct __test_metadata *_metadata, struct test_vm *vm)
{
	return vm_add_vcpu_with(_metadata, vm, 0);
}

/* Initial memory: pages filled with bytes that tell them apart. */
static __maybe_unused void fill_pages(void *pages, __u64 nr)
{
	for (__u64 i = 0; i < nr * PAGE_SIZE; i++)
		((__u8 *)pages)[i] = i / PAGE_SIZE * 31 + i % 251;
}

static __maybe_unused void vm_add_pages(struct __test_metadata *_metadata, struct test_vm *vm, __u64 gpa, __u64 nr, bool measure)
{
	void *pages = aligned_alloc(PAGE_SIZE, nr * PAGE_SIZE);

	ASSERT_NE(NULL, pages);
	fill_pages(pages, nr);
	ASSERT_EQ(0, td_add_memory(vm->vcpu[0], pages, gpa, nr, measure)) TH_LOG("KVM_TDX_INIT_MEM_REGION at %#llx: %s", gpa, strerror(errno));
	free(pages);
}

static __maybe_unused void vm_finalize(struct __test_metadata *_metadata, struct test_vm *vm)
{
	__u64 hw_error;

	ASSERT_EQ(0, td_finalize_vm(vm->vm, &hw_error)) TH_LOG("KVM_TDX_FINALIZE_VM: %s, TDX module status %#llx", strerror(errno), hw_error);
}

static __maybe_unused void vm_prefault(struct __test_metadata *_metadata, struct test_vm *vm, __u64 gpa, __u64 size)
{
	ASSERT_EQ(0, td_prefault(vm->vcpu[0], gpa, size)) TH_LOG("KVM_PRE_FAULT_MEMORY at %#llx: %s", gpa, strerror(errno));
}

/* A TD that could run: @size bytes of memory at 0 of which the first page holds initial contents. */
static __maybe_unused void vm_start(struct __test_metadata *_metadata, struct test_vm *vm, __u64 size)
{
	vm_create(_metadata, vm);
	vm_init(_metadata, vm);
	vm_add_slot(_metadata, vm, 0, size);
	vm_add_vcpu(_metadata, vm);
	vm_add_pages(_metadata, vm, 0, 1, true);
	vm_finalize(_metadata, vm);
}

/* KVM takes the TD down within the last of these close() calls. */
static __maybe_unused void vm_close(struct __test_metadata *_metadata, struct test_vm *vm)
{
	for (int i = 0; i < vm->nr_vcpus; i++)
		EXPECT_EQ(0, close(vm->vcpu[i]));
	for (int i = 0; i < vm->nr_slots; i++) {
		EXPECT_EQ(0, close(vm->slot[i].gmem));
		munmap(vm->slot[i].shared, vm->slot[i].size);
	}
	EXPECT_EQ(0, close(vm->vm));
	EXPECT_EQ(0, close(vm->kvm));
	free(vm->supported_cpuid);
	free(vm->cpuid);
	free(vm->caps);
}

/* The TDR of the only TD there is. */
static __maybe_unused __u64 only_tdr(struct __test_metadata *_metadata)
{
	struct sim_td td[2];

	ASSERT_EQ(1, sim_tds(td, 2)) TH_LOG("there is to be one TD");
	return td[0].tdr_pfn;
}

/* 4K pages of a range that are mapped, in whatever state, in the S-EPT of the only TD there is. */
static __maybe_unused struct sim_pages pages_of(struct __test_metadata *_metadata, __u64 gpa, __u64 size)
{
	struct sim_pages pages;

	ASSERT_EQ(0, sim_pages(only_tdr(_metadata), gpa, size, &pages));
	return pages;
}

/* Binds the test to a CPU; KVM associates a vCPU with the CPU on which it is loaded. */
static __maybe_unused void run_on(struct __test_metadata *_metadata, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set)) TH_LOG("CPU %d: %s", cpu, strerror(errno));
}

#endif
