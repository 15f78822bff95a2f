/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs a vCPU of a TD: KVM_RUN again and again, with an answer to those exits to which all VMMs
 * answer alike.
 */
#ifndef RUN_H
#define RUN_H

#include <linux/kvm.h>
#include <stddef.h>

#define RUN_EXITS	64

struct run {
	int vm;
	int vcpu;
	struct kvm_run *run;		/* what KVM and the VMM tell each other */
	size_t run_size;

	void (*console)(void *arg, char c);	/* a character for the console, port 0x3f8 */
	void *arg;

	__u64 exits[RUN_EXITS];		/* KVM_RUN came back that often, by exit reason */
	__u64 touched;			/* the last memory that was converted because the TD touched it, and one */
};

/* Lets conversions that a TD asks for come to the VMM; to be called before KVM_TDX_INIT_VM. */
int run_enable_conversions(int vm);

int run_open(struct run *run, int kvm, int vm, int vcpu);
void run_close(struct run *run);

/*
 * Runs the vCPU until there is something for the caller: returns 0, and run->run tells what. Converts memory where the TD asks for that, and
 * where it touches memory in another way than it is. Returns -1 with errno if KVM_RUN fails; a signal ends it with EINTR.
 */
int run_vcpu(struct run *run);

/* What an exit is called. */
const char *run_exit_name(__u32 reason);

#endif
