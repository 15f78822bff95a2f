// SPDX-License-Identifier: GPL-2.0
/* Wrong input at each step of a TD's life: each is refused with its errno, and the TD goes on as if it had not been tried. */
#include <sys/ioctl.h>

#include "fixture.h"
#include "vm.h"

#define SHARED_GPA	(1ULL << 47)	/* with a 48-bit GPAW */
#define BAD_POINTER	1ULL

/* What CPUID leaves KVM takes at most (KVM_MAX_CPUID_ENTRIES). */
#define MAX_CPUID	256

#define EXPECT_REFUSED(error, call, what)						\
	do {										\
		errno = 0;								\
		EXPECT_EQ(-1, call) TH_LOG("%s is to be refused", what);		\
		EXPECT_EQ(error, errno) TH_LOG("%s: got %s", what, strerror(errno));	\
	} while (0)

static int command(int fd, __u32 id, __u32 flags, const void *data)
{
	struct kvm_tdx_cmd cmd = { .id = id, .flags = flags, .data = (__u64)data };

	return ioctl(fd, KVM_MEMORY_ENCRYPT_OP, &cmd);
}

TEST_F(tdx, capabilities)
{
	struct kvm_tdx_capabilities caps = { };
	struct kvm_tdx_cmd cmd = { .id = KVM_TDX_CAPABILITIES, .hw_error = 1 };
	struct test_vm vm;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	EXPECT_REFUSED(E2BIG, command(vm.vm, KVM_TDX_CAPABILITIES, 0, &caps), "no room for CPUID entries");
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_CAPABILITIES, 1, &caps), "a flag");
	EXPECT_REFUSED(EFAULT, command(vm.vm, KVM_TDX_CAPABILITIES, 0, (void *)BAD_POINTER), "a bad pointer");
	EXPECT_REFUSED(EINVAL, ioctl(vm.vm, KVM_MEMORY_ENCRYPT_OP, &cmd), "hw_error set by the user");
	EXPECT_REFUSED(EFAULT, ioctl(vm.vm, KVM_MEMORY_ENCRYPT_OP, BAD_POINTER), "a bad pointer to the command");
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_CMD_NR_MAX, 0, NULL), "an unknown command");
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_INIT_VCPU, 0, NULL), "a vCPU's command on the VM");
	vm_close(_metadata, &vm);
}

/* A valid KVM_TDX_INIT_VM to spoil, with room for more CPUID entries. */
static struct kvm_tdx_init_vm *valid_init(const struct test_vm *vm)
{
	struct kvm_tdx_init_vm *init = calloc(1, sizeof(*init) + (MAX_CPUID + 1) * sizeof(init->cpuid.entries[0]));

	init->xfam = vm->caps->supported_xfam;
	init->cpuid.nent = vm->cpuid->nent;
	memcpy(init->cpuid.entries, vm->cpuid->entries, vm->cpuid->nent * sizeof(init->cpuid.entries[0]));
	return init;
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *cpuid, __u32 function)
{
	for (__u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && !cpuid->entries[i].index)
			return &cpuid->entries[i];
	return NULL;
}

typedef void (*spoil_t)(struct test_vm *vm, struct kvm_tdx_init_vm *init);

static void add_attribute(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	init->attributes = ~vm->caps->supported_attrs;
}

static void add_xfam(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	init->xfam = ~vm->caps->supported_xfam;
}

static void set_reserved(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	init->reserved[ARRAY_SIZE(init->reserved) - 1] = 1;
}

static void set_padding(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	init->cpuid.padding = 1;
}

static void drop_gpaw(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	*find_leaf(&init->cpuid, 0x80000008) = init->cpuid.entries[init->cpuid.nent - 1];
	init->cpuid.nent--;
}

static void odd_gpaw(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	find_leaf(&init->cpuid, 0x80000008)->eax = 40 << 16;
}

static void add_leaf(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	init->cpuid.entries[init->cpuid.nent++].function = 0x40000000;
}

static void add_tsx(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	find_leaf(&init->cpuid, 7)->ebx |= 1 << 11;	/* RTM */
}

static void add_waitpkg(struct test_vm *vm, struct kvm_tdx_init_vm *init)
{
	find_leaf(&init->cpuid, 7)->ecx |= 1 << 5;
}

static const struct {
	const char *what;
	spoil_t spoil;
} spoils[] = {
	{ "an unsupported attribute", add_attribute },
	{ "an unsupported XFAM bit", add_xfam },
	{ "a reserved field", set_reserved },
	{ "padding in the CPUID", set_padding },
	{ "no CPUID 0x80000008", drop_gpaw },
	{ "a GPAW of 40", odd_gpaw },
	{ "a CPUID leaf that is not configurable", add_leaf },
	{ "TSX", add_tsx },
	{ "WAITPKG", add_waitpkg },
};

TEST_F(tdx, init_vm)
{
	struct kvm_tdx_init_vm *init;
	struct test_vm vm;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);

	EXPECT_REFUSED(EFAULT, command(vm.vm, KVM_TDX_INIT_VM, 0, (void *)BAD_POINTER), "a bad pointer");
	init = valid_init(&vm);
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_INIT_VM, 1, init), "a flag");
	init->cpuid.nent = MAX_CPUID + 1;
	EXPECT_REFUSED(E2BIG, command(vm.vm, KVM_TDX_INIT_VM, 0, init), "too many CPUID entries");
	free(init);

	for (size_t i = 0; i < ARRAY_SIZE(spoils); i++) {
		init = valid_init(&vm);
		spoils[i].spoil(&vm, init);
		EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_INIT_VM, 0, init), spoils[i].what);
		free(init);
	}
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_FINALIZE_VM, 0, NULL), "FINALIZE before INIT");
	EXPECT_REFUSED(EIO, td_create_vcpu(vm.vm, 0), "a vCPU before INIT");

	vm_init(_metadata, &vm);
	init = valid_init(&vm);
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_INIT_VM, 0, init), "a second INIT");
	free(init);
	vm_close(_metadata, &vm);
}

/* What KVM lets pass and the TDX module refuses comes back with the module's own status, and costs no KeyID. */
TEST_F(tdx, init_vm_refused_by_module)
{
	struct kvm_tdx_init_vm *init;
	struct kvm_tdx_cmd cmd = { .id = KVM_TDX_INIT_VM };
	struct test_vm vm;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	init = valid_init(&vm);
	/* CPUID(7,0).EBX[0] FSGSBASE is not the host's to configure. */
	ASSERT_NE(NULL, find_leaf(&init->cpuid, 7));
	find_leaf(&init->cpuid, 7)->ebx |= 1;
	cmd.data = (__u64)init;
	EXPECT_REFUSED(EINVAL, ioctl(vm.vm, KVM_MEMORY_ENCRYPT_OP, &cmd), "a CPUID bit that is not configurable");
	EXPECT_EQ(0xC0000100ULL, cmd.hw_error >> 32) TH_LOG("TDX_OPERAND_INVALID is to be told, not %#llx", cmd.hw_error);
	free(init);

	/* The VM is as it was: the right parameters make a TD of it. */
	vm_init(_metadata, &vm);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, vcpu)
{
	const struct kvm_cpuid2 no_cpuid = { };
	struct kvm_cpuid2 *nothing = (struct kvm_cpuid2 *)&no_cpuid;
	struct test_vm vm;
	int vcpu, max;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);

	vcpu = td_create_vcpu(vm.vm, 0);
	ASSERT_LE(0, vcpu);
	EXPECT_REFUSED(EINVAL, td_init_vcpu(vcpu, nothing, 0), "a vCPU without x2APIC");
	EXPECT_REFUSED(EINVAL, command(vcpu, KVM_TDX_INIT_VCPU, 1, NULL), "a flag");
	ASSERT_EQ(0, td_init_vcpu(vcpu, vm.supported_cpuid, 0)) TH_LOG("INIT_VCPU: %s", strerror(errno));
	EXPECT_REFUSED(EINVAL, command(vcpu, KVM_TDX_INIT_VCPU, 0, NULL), "a second INIT_VCPU");
	EXPECT_REFUSED(EEXIST, td_create_vcpu(vm.vm, 0), "a second vCPU 0");
	vm.vcpu[vm.nr_vcpus++] = vcpu;

	/* As many vCPUs as KVM says, and no more. */
	max = ioctl(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	ASSERT_LE(1, max);
	for (int id = 1; id < max; id++) {
		vcpu = td_create_vcpu(vm.vm, id);
		ASSERT_LE(0, vcpu) TH_LOG("vCPU %d of %d: %s", id, max, strerror(errno));
		close(vcpu);
	}
	EXPECT_REFUSED(EINVAL, td_create_vcpu(vm.vm, max), "one vCPU too many");
	vm_close(_metadata, &vm);
}

/* KVM_CAP_SPLIT_IRQCHIP is no option for a TD. */
TEST_F(tdx, vcpu_without_split_irqchip)
{
	const struct td_params params = { };
	struct kvm_tdx_capabilities *caps;
	struct kvm_cpuid2 *cpuid;
	int kvm, vm;

	self->no_sept_calls = true;
	kvm = td_open_kvm();
	vm = td_create_vm(kvm);
	ASSERT_LE(0, vm);
	caps = td_capabilities(vm);
	ASSERT_NE(NULL, caps);
	cpuid = td_configurable_cpuid(td_supported_cpuid(kvm), caps);
	ASSERT_EQ(0, td_init_vm(vm, &params, cpuid, NULL)) TH_LOG("INIT_VM: %s", strerror(errno));
	EXPECT_REFUSED(EINVAL, td_create_vcpu(vm, 0), "a vCPU without split irqchip");
}

static int add_region(int vcpu, const void *source, __u64 gpa, __u64 nr, __u32 flags)
{
	struct kvm_tdx_init_mem_region region = { .source_addr = (__u64)source, .gpa = gpa, .nr_pages = nr };

	return command(vcpu, KVM_TDX_INIT_MEM_REGION, flags, &region);
}

TEST_F(tdx, init_mem_region)
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	struct test_vm vm;
	int vcpu;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	memset(page, 1, PAGE_SIZE);

	vcpu = td_create_vcpu(vm.vm, 1);
	ASSERT_LE(0, vcpu);
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, 0, 1, 0), "a vCPU that is not initialised");
	close(vcpu);

	vcpu = vm_add_vcpu(_metadata, &vm);
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, 0, 1, 2), "an unknown flag");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, (char *)page + 1, 0, 1, 0), "an unaligned source");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, NULL, 0, 1, 0), "no source");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, 1, 1, 0), "an unaligned GPA");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, 0, 0, 0), "no pages");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, PAGE_SIZE, ~0ULL / PAGE_SIZE, 0), "a range that wraps around");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, SHARED_GPA, 1, 0), "a shared GPA");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, SHARED_GPA - PAGE_SIZE, 2, 0), "a range that ends in shared GPAs");
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, SZ_1G, 1, 0), "a GPA without a slot");
	EXPECT_REFUSED(EFAULT, command(vcpu, KVM_TDX_INIT_MEM_REGION, 0, (void *)BAD_POINTER), "a bad pointer");
	EXPECT_REFUSED(EFAULT, add_region(vcpu, (void *)(1ULL << 40), 0, 1, 0), "a source that is not there");

	ASSERT_EQ(0, td_set_private(vm.vm, PAGE_SIZE, PAGE_SIZE, false));
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, PAGE_SIZE, 1, 0), "shared memory");

	ASSERT_EQ(0, add_region(vcpu, page, 0, 1, 0)) TH_LOG("a good page: %s", strerror(errno));
	EXPECT_REFUSED(EIO, add_region(vcpu, page, 0, 1, 0), "the same page again");
	EXPECT_REFUSED(EOPNOTSUPP, td_prefault(vcpu, 0, PAGE_SIZE), "PRE_FAULT before FINALIZE");
	vm_finalize(_metadata, &vm);
	EXPECT_REFUSED(EINVAL, add_region(vcpu, page, 2 * PAGE_SIZE, 1, 0), "initial memory after FINALIZE");
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_FINALIZE_VM, 0, NULL), "a second FINALIZE");
	EXPECT_EQ(1, pages_of(_metadata, 0, SZ_2M).mapped);
	vm_close(_metadata, &vm);
}

static int prefault(int vcpu, __u64 gpa, __u64 size, __u64 flags)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size, .flags = flags };

	return ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range);
}

TEST_F(tdx, pre_fault)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], 0, PAGE_SIZE, 1), "a flag");
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], 1, PAGE_SIZE, 0), "an unaligned GPA");
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], 0, 1, 0), "an unaligned size");
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], 0, 0, 0), "an empty range");
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], -PAGE_SIZE, 2 * PAGE_SIZE, 0), "a range that wraps around");
	EXPECT_REFUSED(EINVAL, prefault(vm.vcpu[0], SHARED_GPA, PAGE_SIZE, 0), "a shared GPA");
	EXPECT_REFUSED(ENOENT, prefault(vm.vcpu[0], SZ_1G, PAGE_SIZE, 0), "a GPA without a slot");
	EXPECT_EQ(0, pages_of(_metadata, 0, SZ_1G).pending) TH_LOG("what was refused is to map nothing");
	vm_close(_metadata, &vm);
}

TEST_F(tdx, attributes)
{
	struct kvm_memory_attributes bad[] = {
		{ .address = 0, .size = PAGE_SIZE, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE << 1 },
		{ .address = 0, .size = PAGE_SIZE, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE, .flags = 1 },
		{ .address = 1, .size = PAGE_SIZE, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE },
		{ .address = 0, .size = 1, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE },
		{ .address = 0, .size = 0, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE },
		{ .address = -PAGE_SIZE, .size = 2 * PAGE_SIZE, .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE },
	};
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_REFUSED(EINVAL, ioctl(vm.vm, KVM_SET_MEMORY_ATTRIBUTES, &bad[i]), "bad attributes");
	}
	EXPECT_EQ(1, pages_of(_metadata, 0, SZ_2M).mapped) TH_LOG("what was refused is to unmap nothing");
	vm_close(_metadata, &vm);
}

TEST_F(tdx, get_cpuid)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	const struct kvm_cpuid_entry2 *vendor;
	struct test_vm vm;
	__u32 nent;
	int vcpu;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vcpu = vm_add_vcpu(_metadata, &vm);
	EXPECT_REFUSED(E2BIG, command(vcpu, KVM_TDX_GET_CPUID, 0, cpuid), "no room for CPUID entries");
	nent = cpuid->nent;
	EXPECT_LT(0, nent) TH_LOG("the room that is needed is to be told");
	EXPECT_REFUSED(EFAULT, command(vcpu, KVM_TDX_GET_CPUID, 0, (void *)BAD_POINTER), "a bad pointer");
	EXPECT_REFUSED(EINVAL, command(vm.vm, KVM_TDX_GET_CPUID, 0, cpuid), "a vCPU's command on the VM");

	ASSERT_EQ(0, command(vcpu, KVM_TDX_GET_CPUID, 0, cpuid)) TH_LOG("the room that was told: %s", strerror(errno));
	EXPECT_EQ(nent, cpuid->nent);
	vendor = find_leaf(cpuid, 0);
	ASSERT_NE(NULL, vendor);
	EXPECT_EQ(0, memcmp("Genu", &vendor->ebx, sizeof(vendor->ebx)));

	vm_finalize(_metadata, &vm);
	EXPECT_REFUSED(EINVAL, command(vcpu, KVM_TDX_GET_CPUID, 0, cpuid), "GET_CPUID after FINALIZE");
	vm_close(_metadata, &vm);
}

/* The TDX module finalises no TD without vCPUs; KVM takes that for a bug of its own and kills the VM. */
TEST_F(tdx, finalize_without_vcpu)
{
	static const char *const complaints[] = { "cut here", "at tdx_vm_ioctl+", "TDH_MR_FINALIZE", NULL };
	struct test_vm vm;
	__u64 hw_error;

	self->no_sept_calls = true;
	expect_complaints(_metadata, self, complaints);
	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	EXPECT_REFUSED(EIO, td_finalize_vm(vm.vm, &hw_error), "FINALIZE without a vCPU");
	EXPECT_EQ(0xC0000609ULL, hw_error >> 32) TH_LOG("TDX_NO_VCPUS is to be told, not %#llx", hw_error);
	EXPECT_REFUSED(EIO, td_create_vcpu(vm.vm, 0), "a VM that is dead");
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
