/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Make a TD (a virtual machine protected by Intel TDX) through /dev/kvm.
 *
 * One function per step, in the order in which a VMM takes the steps; the
 * kernel documents them in Documentation/virt/kvm/x86/intel-tdx.rst and
 * Documentation/virt/kvm/api.rst. No function keeps state of its own: what
 * goes from one step to the next is file descriptors and plain structures.
 *
 * Unless noted otherwise a function returns a file descriptor or 0, and on
 * failure -1 with errno set, as the ioctl that it wraps.
 */
#ifndef TD_H
#define TD_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/kvm.h>

#define TD_PAGE_SIZE	4096ULL

/* What KVM_TDX_INIT_VM takes beside the CPUID values. All zero is a usable choice for the measured fields. */
struct td_params {
	__u64 attributes;
	__u64 xfam;
	__u64 mrconfigid[6];
	__u64 mrowner[6];
	__u64 mrownerconfig[6];
};

/* A memory slot: private memory from guest_memfd, shared memory from the process. */
struct td_slot {
	__u32 id;
	__u64 gpa;
	__u64 size;
	int gmem;		/* guest_memfd with the private pages */
	__u64 gmem_offset;
	void *shared;		/* mapping of @size bytes with the shared pages */
};

/* The machine. */
int td_open_kvm(void);
bool td_supported(int kvm);
struct kvm_cpuid2 *td_supported_cpuid(int kvm);

/* The VM. */
int td_create_vm(int kvm);
struct kvm_tdx_capabilities *td_capabilities(int vm);
struct kvm_cpuid2 *td_configurable_cpuid(const struct kvm_cpuid2 *supported,
					 const struct kvm_tdx_capabilities *caps);
int td_split_irqchip(int vm);
int td_init_vm(int vm, const struct td_params *params, const struct kvm_cpuid2 *cpuid,
	       __u64 *hw_error);
int td_finalize_vm(int vm, __u64 *hw_error);

/* Its memory. */
int td_create_gmem(int vm, __u64 size, __u64 flags);
int td_set_slot(int vm, const struct td_slot *slot);
int td_delete_slot(int vm, const struct td_slot *slot);
int td_set_private(int vm, __u64 gpa, __u64 size, bool private);
int td_allocate(int gmem, __u64 offset, __u64 size);
int td_punch_hole(int gmem, __u64 offset, __u64 size);

/* Its vCPUs, and what KVM does through one of them. */
int td_create_vcpu(int vm, int id);
int td_init_vcpu(int vcpu, const struct kvm_cpuid2 *cpuid, __u64 rcx);
int td_add_memory(int vcpu, const void *source, __u64 gpa, __u64 nr_pages, bool measure);
int td_prefault(int vcpu, __u64 gpa, __u64 size);

#endif /* TD_H */
