// SPDX-License-Identifier: GPL-2.0
/* The run loop of a VMM for a TD's vCPU: see run.h. */
#include <errno.h>
#include <linux/kvm_para.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "inside/layout.h"
#include "run.h"
#include "td.h"

/* KVM's exits that TDs meet; the numbers of others are not worth a name here. */
static const char *const names[RUN_EXITS] = {
	[KVM_EXIT_EXCEPTION]	= "exception",
	[KVM_EXIT_IO]		= "I/O",
	[KVM_EXIT_HYPERCALL]	= "conversion",
	[KVM_EXIT_HLT]		= "HLT",
	[KVM_EXIT_MMIO]		= "MMIO",
	[KVM_EXIT_SHUTDOWN]	= "shutdown",
	[KVM_EXIT_INTR]		= "signal",
	[KVM_EXIT_INTERNAL_ERROR] = "internal error",
	[KVM_EXIT_SYSTEM_EVENT]	= "system event",
	[KVM_EXIT_MEMORY_FAULT]	= "memory fault",
	[KVM_EXIT_TDX]		= "TDX",
};

const char *run_exit_name(__u32 reason)
{
	return reason < RUN_EXITS && names[reason] ? names[reason] : "other";
}

int run_enable_conversions(int vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_HYPERCALL,
		.args[0] = 1 << KVM_HC_MAP_GPA_RANGE,
	};

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

int run_open(struct run *run, int kvm, int vm, int vcpu)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < 0)
		return -1;
	run->vm = vm;
	run->vcpu = vcpu;
	run->run_size = size;
	run->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	return run->run == MAP_FAILED ? -1 : 0;
}

void run_close(struct run *run)
{
	munmap(run->run, run->run_size);
}

/* The TD writes to its console. */
static bool print(struct run *run)
{
	struct kvm_run *r = run->run;

	if (r->io.port != INSIDE_CONSOLE || r->io.direction != KVM_EXIT_IO_OUT || r->io.size != 1)
		return false;
	for (__u32 i = 0; i < r->io.count; i++)
		run->console(run->arg, *((char *)r + r->io.data_offset + i));
	return true;
}

/* The TD asks for a conversion: KVM leaves that to the VMM. */
static bool convert(struct run *run)
{
	struct kvm_run *r = run->run;
	__u64 gpa = r->hypercall.args[0], size = r->hypercall.args[1] * TD_PAGE_SIZE;
	bool private = r->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;

	if (r->hypercall.nr != KVM_HC_MAP_GPA_RANGE)
		return false;
	/* What the TD learns of a failure is that the operands are wrong. */
	r->hypercall.ret = td_set_private(run->vm, gpa, size, private) ? EINVAL : 0;
	return true;
}

/*
 * The TD touches private memory that is shared, or the other way round: that is how some ask for a conversion. If it comes back with the same,
 * there is no memory at all.
 */
static bool convert_touched(struct run *run)
{
	struct kvm_run *r = run->run;
	bool private = r->memory_fault.flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;

	if (run->touched == r->memory_fault.gpa + 1)
		return false;
	run->touched = r->memory_fault.gpa + 1;
	return !td_set_private(run->vm, r->memory_fault.gpa, r->memory_fault.size, private);
}

int run_vcpu(struct run *run)
{
	bool answered;

	do {
		int ret = ioctl(run->vcpu, KVM_RUN, 0);
		__u32 reason = run->run->exit_reason;

		if (ret && errno != EFAULT)
			return -1;
		if (reason < RUN_EXITS)
			run->exits[reason]++;
		/* Of all exits, only this one comes with an error. */
		if (ret && reason != KVM_EXIT_MEMORY_FAULT)
			return -1;
		switch (reason) {
		case KVM_EXIT_IO:
			answered = print(run);
			break;
		case KVM_EXIT_HYPERCALL:
			answered = convert(run);
			break;
		case KVM_EXIT_MEMORY_FAULT:
			answered = convert_touched(run);
			break;
		default:
			answered = false;
		}
		if (reason != KVM_EXIT_MEMORY_FAULT)
			run->touched = 0;
	} while (answered);
	return 0;
}
