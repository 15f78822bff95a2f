// SPDX-License-Identifier: GPL-2.0
/* A VMM that is killed takes its TD with it, whatever it was at. */
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "fixture.h"
#include "vm.h"

#define NR_PAGES	32ULL

/* The life of the VMM that is to die. */
static void add_slot(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_add_slot(_metadata, vm, 0, SZ_2M);
}

static void add_vcpu(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_add_vcpu(_metadata, vm);
}

static void add_pages(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_add_pages(_metadata, vm, 0, 4, true);
}

static void prefault(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_prefault(_metadata, vm, 0, NR_PAGES * PAGE_SIZE);
}

static void punch(struct __test_metadata *_metadata, struct test_vm *vm)
{
	ASSERT_EQ(0, td_punch_hole(vm->slot[0].gmem, 0, NR_PAGES / 2 * PAGE_SIZE));
}

static void convert(struct __test_metadata *_metadata, struct test_vm *vm)
{
	ASSERT_EQ(0, td_set_private(vm->vm, NR_PAGES / 2 * PAGE_SIZE, NR_PAGES / 4 * PAGE_SIZE, false));
}

static const struct step {
	const char *name;
	void (*run)(struct __test_metadata *_metadata, struct test_vm *vm);
} steps[] = {
	{ "KVM_CREATE_VM", vm_create },
	{ "KVM_TDX_INIT_VM", vm_init },
	{ "guest_memfd and slot", add_slot },
	{ "KVM_TDX_INIT_VCPU", add_vcpu },
	{ "KVM_TDX_INIT_MEM_REGION", add_pages },
	{ "KVM_TDX_FINALIZE_VM", vm_finalize },
	{ "KVM_PRE_FAULT_MEMORY", prefault },
	{ "punch a hole", punch },
	{ "convert to shared", convert },
	{ "close", vm_close },
};

/* How far the VMM is with the last of its steps, in memory that it shares with its killer. */
enum progress {
	BEFORE,
	INSIDE,
	AFTER,
};

struct victim {
	_Atomic enum progress *progress;
	pid_t pid;
};

/* Starts a VMM that lives through the steps up to @last, and then waits for its end. */
static struct victim start_victim(struct __test_metadata *_metadata, size_t last)
{
	struct victim victim;
	struct test_vm vm;

	victim.progress = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, victim.progress);
	victim.pid = fork();
	ASSERT_LE(0, victim.pid);
	if (victim.pid)
		return victim;

	for (size_t i = 0; i < last; i++)
		steps[i].run(_metadata, &vm);
	atomic_store(victim.progress, INSIDE);
	steps[last].run(_metadata, &vm);
	atomic_store(victim.progress, AFTER);
	for (;;)
		pause();
}

/* Waits for it, but not for ever: a victim whose assertion failed is dead already. */
static void wait_for(struct __test_metadata *_metadata, const struct victim *victim, enum progress progress)
{
	while (atomic_load(victim->progress) < progress) {
		ASSERT_EQ(0, waitpid(victim->pid, NULL, WNOHANG)) TH_LOG("the VMM is to get that far");
		sched_yield();
	}
}

/* Kills it, and sees that the kernel takes all of it down. How far it came. */
static enum progress kill_victim(struct __test_metadata *_metadata, const struct victim *victim)
{
	enum progress progress;
	int status;

	ASSERT_EQ(0, kill(victim->pid, SIGKILL));
	ASSERT_EQ(victim->pid, waitpid(victim->pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_nothing_left(_metadata, "the killed VMM");
	progress = atomic_load(victim->progress);
	munmap(victim->progress, PAGE_SIZE);
	return progress;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

TEST_F(tdx, after_each_step)
{
	for (size_t last = 0; last < ARRAY_SIZE(steps); last++) {
		struct victim victim = start_victim(_metadata, last);

		wait_for(_metadata, &victim, AFTER);
		kill_victim(_metadata, &victim);
	}
}

/* The signal comes at points of time spread over the duration of each step. */
#define SHOTS	5

TEST_F(tdx, inside_each_step)
{
	for (size_t last = 0; last < ARRAY_SIZE(steps); last++) {
		__u64 begin, duration;
		struct victim victim;
		int hits = 0;

		victim = start_victim(_metadata, last);
		wait_for(_metadata, &victim, INSIDE);
		begin = now_ns();
		wait_for(_metadata, &victim, AFTER);
		duration = now_ns() - begin;
		kill_victim(_metadata, &victim);

		for (int shot = 0; shot < SHOTS; shot++) {
			victim = start_victim(_metadata, last);
			wait_for(_metadata, &victim, INSIDE);
			begin = now_ns();
			while (now_ns() - begin < duration * shot / SHOTS)
				;
			hits += kill_victim(_metadata, &victim) == INSIDE;
		}
		EXPECT_LT(0, hits) TH_LOG("%s, which takes %llu ns, was never met by a signal", steps[last].name, duration);
	}
}

TEST_HARNESS_MAIN
