/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A TD with a program of selftests/inside in it, for tests that run one.
 *
 * Memory of the TD: MEMORY bytes at 0, private but for the page MAILBOX, in which test and program tell each other what they have done. The program
 * itself is at 1M.
 */
#ifndef LIB_INSIDE_H
#define LIB_INSIDE_H

#include <libgen.h>
#include <pthread.h>

#include "kselftest_harness.h"

#include "../inside/mailbox.h"
#include "image.h"
#include "mrtd.h"
#include "run.h"
#include "vm.h"

#define CONSOLE_SIZE	4096

/* Attribute of a TD that gets no #VE for private memory which it has not accepted. */
#define SEPT_VE_DISABLE	(1ULL << 28)

struct inside_vcpu {
	struct run run;
	char console[CONSOLE_SIZE];	/* what it has said */
	size_t said;
	pthread_t thread;
	int ret, err;			/* of run_vcpu(), once the thread has ended */
};

struct inside {
	struct test_vm vm;
	struct mailbox *mailbox;
	struct inside_vcpu vcpu[MAX_VCPUS];
	struct mrtd mrtd;		/* of the program */
};

static __maybe_unused void inside_console(void *arg, char c)
{
	struct inside_vcpu *vcpu = arg;

	if (vcpu->said < CONSOLE_SIZE - 1)
		vcpu->console[vcpu->said++] = c;
}

/* The file with the program, which is where the test is. */
static __maybe_unused void inside_path(struct __test_metadata *_metadata, const char *program, char *path, size_t size)
{
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ASSERT_LT(0, length);
	self[length] = '\0';
	ASSERT_GT(size, snprintf(path, size, "%s/%s.td", dirname(self), program));
}

/* A TD with these attributes that is ready to run @program with @vcpus vCPUs, which get @argument. */
static __maybe_unused void inside_start_with(struct __test_metadata *_metadata, struct inside *td, const char *program, int vcpus,
					     __u64 argument, __u64 attributes)
{
	char path[4096];
	struct td_slot *slot;
	struct image image;
	const char *error;

	memset(td, 0, sizeof(*td));
	inside_path(_metadata, program, path, sizeof(path));
	ASSERT_EQ(0, image_load(path, &image, &error)) TH_LOG("%s: %s: %s", path, error, strerror(errno));

	vm_create(_metadata, &td->vm);
	ASSERT_EQ(0, run_enable_conversions(td->vm.vm)) TH_LOG("KVM_CAP_EXIT_HYPERCALL: %s", strerror(errno));
	td->vm.attributes = attributes;
	vm_init(_metadata, &td->vm);
	slot = vm_add_slot(_metadata, &td->vm, 0, INSIDE_MEMORY);
	ASSERT_EQ(0, td_set_private(td->vm.vm, INSIDE_MAILBOX, PAGE_SIZE, false));
	td->mailbox = slot->shared + INSIDE_MAILBOX;
	for (int i = 0; i < vcpus; i++)
		vm_add_vcpu_with(_metadata, &td->vm, argument);
	mrtd_begin(&td->mrtd);
	for (int i = 0; i < image.nr; i++) {
		struct image_part *part = &image.part[i];

		if (part->gpa >= INSIDE_MEMORY)
			vm_add_slot(_metadata, &td->vm, part->gpa, part->pages * PAGE_SIZE);
		ASSERT_EQ(0, td_add_memory(td->vm.vcpu[0], part->data, part->gpa, part->pages, true))
			TH_LOG("KVM_TDX_INIT_MEM_REGION at %#llx: %s", part->gpa, strerror(errno));
		for (__u64 page = 0; page < part->pages; page++)
			mrtd_add_page(&td->mrtd, part->gpa + page * PAGE_SIZE, (char *)part->data + page * PAGE_SIZE, true);
	}
	image_free(&image);
	vm_finalize(_metadata, &td->vm);
	for (int i = 0; i < vcpus; i++) {
		struct run *run = &td->vcpu[i].run;

		run->console = inside_console;
		run->arg = &td->vcpu[i];
		ASSERT_EQ(0, run_open(run, td->vm.kvm, td->vm.vm, td->vm.vcpu[i])) TH_LOG("struct kvm_run: %s", strerror(errno));
	}
}

static __maybe_unused void inside_start(struct __test_metadata *_metadata, struct inside *td, const char *program, int vcpus,
					__u64 argument)
{
	inside_start_with(_metadata, td, program, vcpus, argument, 0);
}

/* Runs a vCPU until it exits for this reason. */
static __maybe_unused struct kvm_run *inside_run(struct __test_metadata *_metadata, struct inside *td, int vcpu, __u32 reason)
{
	struct inside_vcpu *v = &td->vcpu[vcpu];

	ASSERT_EQ(0, run_vcpu(&v->run)) TH_LOG("KVM_RUN: %s (%s); said: %s", strerror(errno), run_exit_name(v->run.run->exit_reason), v->console);
	ASSERT_EQ(reason, v->run.run->exit_reason)
		TH_LOG("exit for '%s', not for '%s'; said: %s", run_exit_name(v->run.run->exit_reason), run_exit_name(reason), v->console);
	return v->run.run;
}

/* The vCPU's last exit was the end of its program, which has found nothing wrong. */
static __maybe_unused void inside_expect_end(struct __test_metadata *_metadata, struct inside *td, int vcpu)
{
	struct inside_vcpu *v = &td->vcpu[vcpu];
	struct kvm_run *run = v->run.run;

	ASSERT_EQ(KVM_EXIT_SYSTEM_EVENT, run->exit_reason)
		TH_LOG("exit for '%s'; said: %s", run_exit_name(run->exit_reason), v->console);
	ASSERT_EQ(KVM_SYSTEM_EVENT_TDX_FATAL, run->system_event.type);
	/* R12: what it gives as the reason. */
	EXPECT_EQ(0, run->system_event.data[12]) TH_LOG("the program failed; said: %s", v->console);
}

/* Runs a vCPU until its program has come to its end. */
static __maybe_unused void inside_finish(struct __test_metadata *_metadata, struct inside *td, int vcpu)
{
	inside_run(_metadata, td, vcpu, KVM_EXIT_SYSTEM_EVENT);
	inside_expect_end(_metadata, td, vcpu);
}

static __maybe_unused void *inside_thread(void *arg)
{
	struct inside_vcpu *vcpu = arg;

	vcpu->ret = run_vcpu(&vcpu->run);
	vcpu->err = errno;
	return NULL;
}

/* As inside_run(), in a thread of its own, on a CPU of that number. */
static __maybe_unused void inside_run_thread(struct __test_metadata *_metadata, struct inside *td, int vcpu)
{
	pthread_attr_t attr;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(vcpu, &set);
	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setaffinity_np(&attr, sizeof(set), &set));
	ASSERT_EQ(0, pthread_create(&td->vcpu[vcpu].thread, &attr, inside_thread, &td->vcpu[vcpu]));
}

/* Lets some time go by, as long as that thread is at it. */
static __maybe_unused void inside_pause(struct __test_metadata *_metadata, struct inside *td, int vcpu)
{
	struct inside_vcpu *v = &td->vcpu[vcpu];

	ASSERT_NE(0, pthread_tryjoin_np(v->thread, NULL)) TH_LOG("KVM_RUN has come back; said: %s", v->console);
	usleep(1000);
}

/* Waits for that thread; the program has come to its end. */
static __maybe_unused void inside_join(struct __test_metadata *_metadata, struct inside *td, int vcpu)
{
	struct inside_vcpu *v = &td->vcpu[vcpu];

	ASSERT_EQ(0, pthread_join(v->thread, NULL));
	ASSERT_EQ(0, v->ret) TH_LOG("KVM_RUN of vCPU %d: %s; said: %s", vcpu, strerror(v->err), v->console);
	inside_expect_end(_metadata, td, vcpu);
}

/* Runs all vCPUs at the same time until their program has come to its end. */
static __maybe_unused void inside_finish_all(struct __test_metadata *_metadata, struct inside *td)
{
	for (int i = 0; i < td->vm.nr_vcpus; i++)
		inside_run_thread(_metadata, td, i);
	for (int i = 0; i < td->vm.nr_vcpus; i++)
		inside_join(_metadata, td, i);
}

static __maybe_unused void inside_close(struct __test_metadata *_metadata, struct inside *td)
{
	for (int i = 0; i < td->vm.nr_vcpus; i++)
		run_close(&td->vcpu[i].run);
	vm_close(_metadata, &td->vm);
}

#endif
