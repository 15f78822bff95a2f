// SPDX-License-Identifier: GPL-2.0
/* A VMM that is killed takes its TD with it, whatever it was at. */
#include <signal.h>
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

/* What the VMM tells of itself, in memory that it shares with the test. */
struct diary {
	enum progress {
		BEFORE,
		INSIDE,
		AFTER,
	} progress;		/* in the last of its steps */
	__u64 ns[ARRAY_SIZE(steps)];	/* how long each step took */
};

static struct diary *open_diary(struct __test_metadata *_metadata)
{
	struct diary *diary = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, diary);
	return diary;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Has the kernel kill this process after @ns. */
static void set_timer(struct __test_metadata *_metadata, __u64 ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec when = { .it_value = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 } };
	timer_t timer;

	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer)) TH_LOG("timer_create: %s", strerror(errno));
	ASSERT_EQ(0, timer_settime(timer, 0, &when, NULL)) TH_LOG("timer_settime: %s", strerror(errno));
}

/* Lives through the steps up to @last and stops then, unless a signal comes @kill_after ns after the beginning of the last one; 0: none. */
static void live(struct __test_metadata *_metadata, struct diary *diary, size_t last, __u64 kill_after)
{
	struct test_vm vm;

	for (size_t i = 0; i <= last; i++) {
		__u64 begin;

		if (i == last) {
			if (kill_after)
				set_timer(_metadata, kill_after);
			diary->progress = INSIDE;
		}
		begin = now_ns();
		steps[i].run(_metadata, &vm);
		diary->ns[i] = now_ns() - begin;
	}
	diary->progress = AFTER;
	raise(SIGSTOP);
}

/* A VMM from its beginning to its death by SIGKILL, which the kernel takes all of it down after. How far it came. */
static enum progress live_and_die(struct __test_metadata *_metadata, struct diary *diary, size_t last, __u64 kill_after)
{
	int status;
	pid_t pid;

	diary->progress = BEFORE;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		live(_metadata, diary, last, kill_after);
		_exit(1);
	}

	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	if (WIFSTOPPED(status)) {
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) TH_LOG("%s: wait status %#x", steps[last].name, status);
	check_nothing_left(_metadata, "the killed VMM");
	return diary->progress;
}

TEST_F(tdx, after_each_step)
{
	struct diary *diary = open_diary(_metadata);

	for (size_t last = 0; last < ARRAY_SIZE(steps); last++)
		EXPECT_EQ(AFTER, live_and_die(_metadata, diary, last, 0));
}

/*
 * Each step is to be met inside that often. How long a step takes varies, so a shot may come too early or too late. Shots are spread over
 * the duration that the step last had, so that one of few is a hit, and the limit is for a step that cannot be met at all.
 */
#define HITS		3
#define MAX_SHOTS	1000

TEST_F(tdx, inside_each_step)
{
	struct diary *diary = open_diary(_metadata);

	EXPECT_EQ(AFTER, live_and_die(_metadata, diary, ARRAY_SIZE(steps) - 1, 0));

	for (size_t last = 0; last < ARRAY_SIZE(steps); last++) {
		int hits = 0, shots = 0;

		while (hits < HITS && shots < MAX_SHOTS) {
			/* Multiples of the golden section: any few of them lie apart. */
			__u64 part = ++shots * 618 % 1000;

			hits += live_and_die(_metadata, diary, last, diary->ns[last] * part / 1000 + 1) == INSIDE;
		}
		EXPECT_EQ(HITS, hits) TH_LOG("%s, which takes %llu ns, was met %d times", steps[last].name, diary->ns[last], hits);
	}
}

TEST_HARNESS_MAIN
