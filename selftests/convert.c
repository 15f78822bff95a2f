// SPDX-License-Identifier: GPL-2.0
/* Memory of a TD changes hands while its vCPUs work with it. */
#include "fixture.h"
#include "inside.h"
#include "inside/convert.h"

/* One vCPU converts pages, another one works in the same 2M. */
TEST_F(tdx, conversion)
{
	struct inside td;

	inside_start(_metadata, &td, "convert", 2, CONVERT);
	inside_run_thread(_metadata, &td, 0);
	inside_run_thread(_metadata, &td, 1);
	inside_join(_metadata, &td, 0);
	inside_join(_metadata, &td, 1);
	EXPECT_EQ(2 * CONVERT_NR, td.vcpu[0].run.exits[KVM_EXIT_HYPERCALL]);
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

/*
 * 2 vCPUs on 2 CPUs. TD_WORK_MS and TD_WORK_SEED in the environment say how long, by the machine's clock, and which of all ways. An emulated CPU
 * takes ten times as long.
 */
TEST_F(tdx, random_work)
{
	const char *ms = getenv("TD_WORK_MS"), *text = getenv("TD_WORK_SEED");
	__u64 seed = text ? strtoull(text, NULL, 0) : 1;
	struct inside td;

	inside_start(_metadata, &td, "convert", 2, RANDOM_WORK);
	for (int i = 0; i < 2; i++) {
		td.mailbox->value[SEEDS + i] = seed * 0x9e3779b97f4a7c15 + i + 1;
		inside_run_thread(_metadata, &td, i);
	}
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

TEST_HARNESS_MAIN
