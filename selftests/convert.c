// SPDX-License-Identifier: GPL-2.0
/* Memory of a TD changes hands while its vCPUs work with it. */
#include "fixture.h"
#include "huge.h"
#include "inside.h"
#include "inside/convert.h"
#include "killed.h"

/* One vCPU converts pages, another one works in the same 2M. */
static void convert(struct __test_metadata *_metadata, struct inside *td)
{
	inside_finish_all(_metadata, td);
	EXPECT_EQ(2 * CONVERT_NR, td->vcpu[0].run.exits[KVM_EXIT_HYPERCALL]);
	EXPECT_EQ(0, pages_of(_metadata, INSIDE_FREE, SZ_2M).leaves[1]) TH_LOG("2M pages");
	EXPECT_EQ(SZ_2M / PAGE_SIZE, pages_of(_metadata, INSIDE_FREE, SZ_2M).mapped);
}

TEST_F(tdx, conversion)
{
	struct inside td;

	inside_start(_metadata, &td, "convert", 2, CONVERT);
	convert(_metadata, &td);
	inside_close(_metadata, &td);
}

/* The 2M is one page of the TD, which is split under the vCPU that works in it. */
TEST_F(tdx, conversion_in_a_huge_page)
{
	struct inside td;

	huge_pages_on(_metadata, self);
	inside_start(_metadata, &td, "convert", 2, CONVERT);
	ASSERT_EQ(0, td_allocate(td.vm.slot[0].gmem, INSIDE_FREE, SZ_2M)) TH_LOG("fallocate(): %s", strerror(errno));
	convert(_metadata, &td);
	if (variant->backend == BACKEND_RUST) {
		EXPECT_LT(0, sim_calls_since(&self->before.calls, "TDH.MEM.PAGE.DEMOTE", true).ok) TH_LOG("the page was split");
	}
	inside_close(_metadata, &td);
}

/* The host takes a page back and the TD gets another one. */
TEST_F(tdx, punch_hole)
{
	const __u64 rounds = 8;
	struct inside td;

	inside_start(_metadata, &td, "convert", 1, PUNCH);
	td.mailbox->value[PUNCH_LAST] = rounds;
	for (__u64 round = 0; round < rounds; round++) {
		inside_run(_metadata, &td, 0, KVM_EXIT_IO);
		EXPECT_EQ(round + 1, td.mailbox->value[PUNCH_ROUNDS]);
		ASSERT_EQ(0, td_punch_hole(td.vm.slot[0].gmem, INSIDE_FREE, PAGE_SIZE));
	}
	inside_finish(_metadata, &td, 0);
	inside_close(_metadata, &td);
}

/* As above, but the vCPU does not stop for it: it must not have the old page any more by the time the host has it. */
TEST_F(tdx, punch_hole_under_a_running_vcpu)
{
	const __u64 rounds = 16;
	volatile __u64 *value;
	struct inside td;

	inside_start(_metadata, &td, "convert", 1, PUNCH_RUNNING);
	value = td.mailbox->value;
	inside_run_thread(_metadata, &td, 0);
	for (__u64 round = 1; round <= rounds; round++) {
		/* The TD has got what it touched, and is at work in it. */
		for (__u64 looks = value[PUNCH_LOOKS]; value[PUNCH_FOUND] < round || value[PUNCH_LOOKS] < looks + 2;)
			inside_pause(_metadata, &td, 0);
		ASSERT_EQ(0, td_punch_hole(td.vm.slot[0].gmem, INSIDE_FREE, PAGE_SIZE));
	}
	value[STOP] = 1;
	inside_join(_metadata, &td, 0);
	EXPECT_LE(rounds, value[PUNCH_FOUND]);
	inside_close(_metadata, &td);
}

/* What the work of a vCPU must have added up to after so many rounds. */
static __u64 expected_sum(unsigned long long state, int vcpu, __u64 rounds)
{
	__u64 content[WORK_PAGES] = { }, sum = 0;

	while (rounds--) {
		unsigned long long random = work_random(&state);
		__u64 i = random % WORK_PAGES;

		switch (random >> 32 & 7) {
		case 0:
			content[i] = vcpu * WORK_PAGES + i;
			break;
		case 1:
			content[i] = random;
			break;
		default:
			sum += content[i];
		}
	}
	return sum;
}

/* 2 vCPUs at work on 2 CPUs, in an order that comes from @seed. */
static void start_work(struct __test_metadata *_metadata, struct inside *td, __u64 seed)
{
	inside_start(_metadata, td, "convert", 2, RANDOM_WORK);
	for (int i = 0; i < 2; i++) {
		td->mailbox->value[SEEDS + i] = seed * 0x9e3779b97f4a7c15 + i + 1;
		inside_run_thread(_metadata, td, i);
	}
}

/*
 * TD_WORK_MS and TD_WORK_SEED in the environment say how long, by the machine's clock, and which of all ways. An emulated machine takes
 * many times as long.
 */
TEST_F(tdx, random_work)
{
	const char *ms = getenv("TD_WORK_MS"), *text = getenv("TD_WORK_SEED");
	__u64 seed = text ? strtoull(text, NULL, 0) : 1;
	struct inside td;

	self->too_long = ms;
	start_work(_metadata, &td, seed);
	usleep((ms ? atoi(ms) : 200) * 1000);
	td.mailbox->value[STOP] = 1;
	for (int i = 0; i < 2; i++) {
		inside_join(_metadata, &td, i);
		EXPECT_LT(100, td.mailbox->value[ROUNDS + i]);
		EXPECT_EQ(expected_sum(td.mailbox->value[SEEDS + i], i, td.mailbox->value[ROUNDS + i]), td.mailbox->value[SUM + i])
			TH_LOG("vCPU %d, seed %llu, %llu rounds", i, seed, td.mailbox->value[ROUNDS + i]);
	}
	inside_close(_metadata, &td);
}

/* The VMM that is to die: it says so when both vCPUs of its TD are at work, which is for ever. */
static void work_for_ever(struct __test_metadata *_metadata, int said)
{
	struct inside td;

	start_work(_metadata, &td, 1);
	for (int i = 0; i < 2; i++)
		while (!td.mailbox->value[ROUNDS + i])
			inside_pause(_metadata, &td, i);
	ASSERT_EQ(1, write(said, "", 1));
	for (;;)
		inside_pause(_metadata, &td, 0);
}

/* A VMM that is killed while both vCPUs are inside the TD, or have it change their memory. */
TEST_F(tdx, kill)
{
	for (int i = 0; i < 5; i++)
		kill_while(_metadata, work_for_ever, i * 7000);
}

TEST_HARNESS_MAIN
