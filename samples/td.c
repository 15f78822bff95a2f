// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "td.h"

/* More than any CPU has; KVM_GET_SUPPORTED_CPUID answers E2BIG to less than it needs. */
#define MAX_CPUID_ENTRIES	256

/* Lines of the split I/O APIC, which user space would emulate: as many as the I/O APIC of a PC has. */
#define IOAPIC_LINES		24

/* CPUID.0x80000008:EAX[23:16]: how KVM lets user space choose the width of guest-physical addresses (GPAW). */
#define GPAW_LEAF		0x80000008
#define GPAW_SHIFT		16
#define GPAW_MASK		(0xffu << GPAW_SHIFT)
#define GPAW_48			(48u << GPAW_SHIFT)

static struct kvm_cpuid2 *alloc_cpuid(__u32 nent)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + nent * sizeof(cpuid->entries[0]));
	if (cpuid)
		cpuid->nent = nent;
	return cpuid;
}

/* One KVM_MEMORY_ENCRYPT_OP. KVM reports the TDX module's own status in @hw_error where it has one. */
static int tdx_cmd(int fd, __u32 id, __u32 flags, __u64 data, __u64 *hw_error)
{
	struct kvm_tdx_cmd cmd = { .id = id, .flags = flags, .data = data };
	int ret;

	ret = ioctl(fd, KVM_MEMORY_ENCRYPT_OP, &cmd);
	if (hw_error)
		*hw_error = cmd.hw_error;
	return ret;
}

int td_open_kvm(void)
{
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/* Does this kernel, on this machine, make TDs? */
bool td_supported(int kvm)
{
	int types = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES);

	return types > 0 && types & (1 << KVM_X86_TDX_VM);
}

/* The CPUID that KVM can give a guest. To be freed by the caller; NULL with errno on failure. */
struct kvm_cpuid2 *td_supported_cpuid(int kvm)
{
	struct kvm_cpuid2 *cpuid = alloc_cpuid(MAX_CPUID_ENTRIES);

	if (cpuid && ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

int td_create_vm(int kvm)
{
	return ioctl(kvm, KVM_CREATE_VM, KVM_X86_TDX_VM);
}

/* What a TD may have on this machine. To be freed by the caller; NULL with errno on failure. */
struct kvm_tdx_capabilities *td_capabilities(int vm)
{
	struct kvm_tdx_capabilities *caps;

	caps = calloc(1, sizeof(*caps) + MAX_CPUID_ENTRIES * sizeof(caps->cpuid.entries[0]));
	if (!caps)
		return NULL;

	caps->cpuid.nent = MAX_CPUID_ENTRIES;
	if (tdx_cmd(vm, KVM_TDX_CAPABILITIES, 0, (__u64)caps, NULL)) {
		free(caps);
		return NULL;
	}
	return caps;
}

static const struct kvm_cpuid_entry2 *find_entry(const struct kvm_cpuid2 *cpuid, __u32 function, __u32 index)
{
	for (__u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/*
 * The CPUID values for KVM_TDX_INIT_VM: of all that KVM supports, the bits that the TDX module lets the host configure.
 * KVM refuses entries that the module has no slot for, and the module refuses bits that it keeps to itself.
 */
struct kvm_cpuid2 *td_configurable_cpuid(const struct kvm_cpuid2 *supported,
					 const struct kvm_tdx_capabilities *caps)
{
	struct kvm_cpuid2 *cpuid = alloc_cpuid(caps->cpuid.nent);

	if (!cpuid)
		return NULL;

	cpuid->nent = 0;
	for (__u32 i = 0; i < caps->cpuid.nent; i++) {
		const struct kvm_cpuid_entry2 *mask = &caps->cpuid.entries[i];
		const struct kvm_cpuid_entry2 *have = find_entry(supported, mask->function, mask->index);
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->nent];

		if (!have)
			continue;

		*entry = *have;
		entry->eax &= mask->eax;
		entry->ebx &= mask->ebx;
		entry->ecx &= mask->ecx;
		entry->edx &= mask->edx;
		/* 48 works on every machine, 52 wants 5-level EPT. */
		if (entry->function == GPAW_LEAF)
			entry->eax = (entry->eax & ~GPAW_MASK) | GPAW_48;
		cpuid->nent++;
	}
	return cpuid;
}

/* The TDX module virtualizes the local APIC, so KVM may keep no I/O APIC for a TD. To be called before any vCPU is made. */
int td_split_irqchip(int vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_LINES } };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* Makes the TD itself: takes a KeyID and has the TDX module initialise the TD's control structures. */
int td_init_vm(int vm, const struct td_params *params, const struct kvm_cpuid2 *cpuid, __u64 *hw_error)
{
	size_t entries = cpuid->nent * sizeof(cpuid->entries[0]);
	struct kvm_tdx_init_vm *init;
	int ret, err;

	init = calloc(1, sizeof(*init) + entries);
	if (!init)
		return -1;

	init->attributes = params->attributes;
	init->xfam = params->xfam;
	memcpy(init->mrconfigid, params->mrconfigid, sizeof(init->mrconfigid));
	memcpy(init->mrowner, params->mrowner, sizeof(init->mrowner));
	memcpy(init->mrownerconfig, params->mrownerconfig, sizeof(init->mrownerconfig));
	init->cpuid.nent = cpuid->nent;
	memcpy(init->cpuid.entries, cpuid->entries, entries);

	ret = tdx_cmd(vm, KVM_TDX_INIT_VM, 0, (__u64)init, hw_error);
	err = errno;
	free(init);
	errno = err;
	return ret;
}

/* Completes the measurement. From here on memory comes by faults, or by KVM_PRE_FAULT_MEMORY. */
int td_finalize_vm(int vm, __u64 *hw_error)
{
	return tdx_cmd(vm, KVM_TDX_FINALIZE_VM, 0, 0, hw_error);
}

int td_create_gmem(int vm, __u64 size, __u64 flags)
{
	struct kvm_create_guest_memfd gmem = { .size = size, .flags = flags };

	return ioctl(vm, KVM_CREATE_GUEST_MEMFD, &gmem);
}

int td_set_slot(int vm, const struct td_slot *slot)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot->id,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->size,
		.userspace_addr = (__u64)slot->shared,
		.guest_memfd_offset = slot->gmem_offset,
		.guest_memfd = slot->gmem,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

/* A size of 0 deletes a slot; one with private memory cannot be changed in any other way. */
int td_delete_slot(int vm, const struct td_slot *slot)
{
	struct kvm_userspace_memory_region2 region = { .slot = slot->id };

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

/* Converts a range: to private memory, which comes from guest_memfd, or to shared memory, which comes from the process. */
int td_set_private(int vm, __u64 gpa, __u64 size, bool private)
{
	struct kvm_memory_attributes attributes = {
		.address = gpa,
		.size = size,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	return ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes);
}

/* Allocates the pages of a range now, where KVM would do so one by one when the TD needs them. */
int td_allocate(int gmem, __u64 offset, __u64 size)
{
	return fallocate(gmem, FALLOC_FL_KEEP_SIZE, offset, size);
}

/* Gives the pages of a range back to the host. KVM takes them out of the TD first. */
int td_punch_hole(int gmem, __u64 offset, __u64 size)
{
	return fallocate(gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

int td_create_vcpu(int vm, int id)
{
	return ioctl(vm, KVM_CREATE_VCPU, id);
}

/* @rcx is handed to the guest's first instruction. KVM wants x2APIC in the vCPU's CPUID before the TDX module learns of the vCPU. */
int td_init_vcpu(int vcpu, const struct kvm_cpuid2 *cpuid, __u64 rcx)
{
	if (ioctl(vcpu, KVM_SET_CPUID2, cpuid))
		return -1;
	return tdx_cmd(vcpu, KVM_TDX_INIT_VCPU, 0, rcx, NULL);
}

/*
 * Copies pages into the TD before it is finalised; the TDX module encrypts them on the way. @source and @gpa are aligned to pages. KVM writes back
 * how far it got, so a call that was interrupted is resumed with what is left.
 */
int td_add_memory(int vcpu, const void *source, __u64 gpa, __u64 nr_pages, bool measure)
{
	struct kvm_tdx_init_mem_region region = {
		.source_addr = (__u64)source,
		.gpa = gpa,
		.nr_pages = nr_pages,
	};
	int ret;

	do {
		ret = tdx_cmd(vcpu, KVM_TDX_INIT_MEM_REGION, measure ? KVM_TDX_MEASURE_MEMORY_REGION : 0, (__u64)&region, NULL);
	} while (ret && errno == EINTR);
	return ret;
}

/* Maps a range as a fault of the guest would: private pages into the S-EPT, shared ones into the shared EPT. Success of one call may be partial. */
int td_prefault(int vcpu, __u64 gpa, __u64 size)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };

	while (range.size)
		if (ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range) && errno != EINTR)
			return -1;
	return 0;
}
