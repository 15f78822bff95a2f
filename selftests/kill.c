// SPDX-License-Identifier: GPL-2.0
/* A VMM that is killed takes its TD with it, whatever it was at. */
#include <signal.h>

#include "fixture.h"
#include "vm.h"

/* The life of the VMM that is to die. After each step it tells the parent, by a byte in the pipe, and is killed there or goes on. */
enum step {
	AFTER_CREATE,
	AFTER_INIT,
	AFTER_SLOT,
	AFTER_VCPU,
	AFTER_ADD,
	AFTER_FINALIZE,
	AFTER_PREFAULT,
	AFTER_PUNCH,
	AFTER_CONVERT,
	NR_STEPS,
};

static void reached(enum step step, enum step last, int pipe)
{
	if (step != last)
		return;
	if (write(pipe, "", 1) == 1)
		for (;;)
			pause();
	_exit(KSFT_FAIL);
}

static void live_until(struct __test_metadata *_metadata, enum step last, int pipe)
{
	struct test_vm vm;

	vm_create(_metadata, &vm);
	reached(AFTER_CREATE, last, pipe);
	vm_init(_metadata, &vm);
	reached(AFTER_INIT, last, pipe);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	reached(AFTER_SLOT, last, pipe);
	vm_add_vcpu(_metadata, &vm);
	reached(AFTER_VCPU, last, pipe);
	vm_add_pages(_metadata, &vm, 0, 2, true);
	reached(AFTER_ADD, last, pipe);
	vm_finalize(_metadata, &vm);
	reached(AFTER_FINALIZE, last, pipe);
	vm_prefault(_metadata, &vm, 0, 32 * PAGE_SIZE);
	reached(AFTER_PREFAULT, last, pipe);
	ASSERT_EQ(0, td_punch_hole(vm.slot[0].gmem, 0, 8 * PAGE_SIZE));
	reached(AFTER_PUNCH, last, pipe);
	ASSERT_EQ(0, td_set_private(vm.vm, 8 * PAGE_SIZE, 8 * PAGE_SIZE, false));
	reached(AFTER_CONVERT, last, pipe);
}

/* Kills the child as soon as it has told that it is ready, and waits until the kernel has taken all of it down. */
static void kill_when_ready(struct __test_metadata *_metadata, pid_t child, int pipe)
{
	int status;
	char byte;

	ASSERT_EQ(1, read(pipe, &byte, 1)) TH_LOG("the child is to get that far");
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void check_nothing_left(struct __test_metadata *_metadata, const char *before)
{
	char text[512];

	ASSERT_LE(0, sim_leftovers(text, sizeof(text)));
	ASSERT_STREQ(before, text) TH_LOG("the killed VMM left something in TDX hands");
}

TEST_F(tdx, after_each_step)
{
	for (enum step last = 0; last < NR_STEPS; last++) {
		int fds[2];
		pid_t child;

		ASSERT_EQ(0, pipe(fds));
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			live_until(_metadata, last, fds[1]);
			_exit(KSFT_FAIL);
		}
		close(fds[1]);
		kill_when_ready(_metadata, child, fds[0]);
		close(fds[0]);
		check_nothing_left(_metadata, self->before.leftovers);
	}
}

/* What a VMM may be at when the signal comes: each of these never ends by itself. */
static void fault_and_punch(struct __test_metadata *_metadata, struct test_vm *vm)
{
	for (;;) {
		vm_prefault(_metadata, vm, 0, SZ_2M);
		ASSERT_EQ(0, td_punch_hole(vm->slot[0].gmem, 0, SZ_2M));
	}
}

static void convert(struct __test_metadata *_metadata, struct test_vm *vm)
{
	for (;;) {
		vm_prefault(_metadata, vm, 0, SZ_2M);
		ASSERT_EQ(0, td_set_private(vm->vm, 0, SZ_2M, false));
		ASSERT_EQ(0, td_set_private(vm->vm, 0, SZ_2M, true));
	}
}

static void make_tds(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_close(_metadata, vm);
	for (;;) {
		vm_start(_metadata, vm, SZ_2M);
		vm_close(_metadata, vm);
	}
}

TEST_F(tdx, in_the_middle)
{
	void (*const loops[])(struct __test_metadata *, struct test_vm *) = { fault_and_punch, convert, make_tds };

	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		int fds[2];
		pid_t child;

		ASSERT_EQ(0, pipe(fds));
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			struct test_vm vm;

			vm_start(_metadata, &vm, SZ_2M);
			if (write(fds[1], "", 1) == 1)
				loops[i](_metadata, &vm);
			_exit(KSFT_FAIL);
		}
		close(fds[1]);
		kill_when_ready(_metadata, child, fds[0]);
		close(fds[0]);
		check_nothing_left(_metadata, self->before.leftovers);
	}
}

TEST_HARNESS_MAIN
