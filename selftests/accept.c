// SPDX-License-Identifier: GPL-2.0
/* Memory that a TD takes while it runs: private memory that it accepts, and memory that it shares. */
#include "fixture.h"
#include "huge.h"
#include "inside.h"
#include "inside/accept.h"
#include "killed.h"

/* Each page is added by KVM's fault handler, for the TD wants to accept it. */
TEST_F(tdx, accept)
{
	struct sim_pages pages;
	struct inside td;

	inside_start(_metadata, &td, "accept", 1, ACCEPT_PAGES);
	inside_finish(_metadata, &td, 0);
	pages = pages_of(_metadata, INSIDE_FREE, ACCEPT_NR * PAGE_SIZE);
	EXPECT_EQ(ACCEPT_NR, pages.mapped);
	EXPECT_EQ(0, pages.pending);
	inside_close(_metadata, &td);
}

/* As accept, but the TD touches the pages first: it gets a #VE for each that KVM has added. */
TEST_F(tdx, lazy_accept)
{
	struct inside td;

	inside_start(_metadata, &td, "accept", 1, ACCEPT_LAZY);
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(ACCEPT_NR, td.mailbox->value[VES]);
	EXPECT_EQ(ACCEPT_NR, pages_of(_metadata, INSIDE_FREE, ACCEPT_NR * PAGE_SIZE).mapped);
	inside_close(_metadata, &td);
}

/* KVM maps small pages, and the TD is told so. */
TEST_F(tdx, large_accept_of_small_pages)
{
	struct inside td;

	inside_start(_metadata, &td, "accept", 1, ACCEPT_LARGE);
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(0, td.mailbox->value[TOOK_2M]);
	EXPECT_EQ(SZ_2M / PAGE_SIZE, td.mailbox->value[TOOK_4K]);
	inside_close(_metadata, &td);
}

/* As inside_start(), and KVM maps 2M at once where it can, which is so at INSIDE_FREE. */
static void start_with_huge_page(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, struct inside *td, int vcpus,
				 __u64 argument)
{
	huge_pages_on(_metadata, self);
	inside_start(_metadata, td, "accept", vcpus, argument);
	ASSERT_EQ(0, td_allocate(td->vm.slot[0].gmem, INSIDE_FREE, SZ_2M)) TH_LOG("fallocate(): %s", strerror(errno));
}

/* Where KVM maps 2M at once, the TD accepts them at once. */
TEST_F(tdx, large_accept)
{
	const bool huge = variant->backend == BACKEND_RUST;
	struct inside td;

	start_with_huge_page(_metadata, self, &td, 1, ACCEPT_LARGE);
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(huge ? 1 : 0, td.mailbox->value[TOOK_2M]);
	EXPECT_EQ(huge ? 0 : SZ_2M / PAGE_SIZE, td.mailbox->value[TOOK_4K]);
	EXPECT_EQ(SZ_2M / PAGE_SIZE, pages_of(_metadata, INSIDE_FREE, SZ_2M).mapped);
	inside_close(_metadata, &td);
}

/* KVM has mapped 2M at once of which the TD accepts some small pages. */
static void expect_split(struct __test_metadata *_metadata, const FIXTURE_DATA(tdx) *self, enum backend backend)
{
	struct sim_pages pages = pages_of(_metadata, INSIDE_FREE, SZ_2M);
	const bool huge = backend == BACKEND_RUST;

	EXPECT_EQ(ACCEPT_NR, pages.mapped);
	EXPECT_EQ(huge ? SZ_2M / PAGE_SIZE - ACCEPT_NR : 0, pages.pending);
	EXPECT_EQ(huge ? 1 : 0, sim_calls_since(&self->before.calls, "TDH.MEM.PAGE.DEMOTE", true).ok);
}

TEST_F(tdx, accept_of_a_part)
{
	struct inside td;

	start_with_huge_page(_metadata, self, &td, 1, ACCEPT_PAGES);
	inside_finish(_metadata, &td, 0);
	expect_split(_metadata, self, variant->backend);
	inside_close(_metadata, &td);
}

/* The pages were there when the TD touched them, in 2M that it had not accepted. */
TEST_F(tdx, lazy_accept_of_a_part)
{
	struct inside td;

	start_with_huge_page(_metadata, self, &td, 1, ACCEPT_LAZY);
	inside_finish(_metadata, &td, 0);
	EXPECT_EQ(ACCEPT_NR, td.mailbox->value[VES]);
	expect_split(_metadata, self, variant->backend);
	inside_close(_metadata, &td);
}

/* Two vCPUs want the same part: the 2M is split once. */
TEST_F(tdx, race_for_a_part)
{
	struct inside td;

	start_with_huge_page(_metadata, self, &td, 2, ACCEPT_RACE);
	inside_finish_all(_metadata, &td);
	expect_split(_metadata, self, variant->backend);
	inside_close(_metadata, &td);
}

TEST_F(tdx, race)
{
	struct inside td;

	inside_start(_metadata, &td, "accept", 2, ACCEPT_RACE);
	inside_finish_all(_metadata, &td);
	EXPECT_EQ(ACCEPT_NR, pages_of(_metadata, INSIDE_FREE, ACCEPT_NR * PAGE_SIZE).mapped);
	inside_close(_metadata, &td);
}

TEST_F(tdx, shared_memory)
{
	struct inside td;
	char *shared;

	inside_start(_metadata, &td, "accept", 1, SHARE);
	inside_run(_metadata, &td, 0, KVM_EXIT_IO);
	for (__u32 i = 0; i < sizeof(td.mailbox->bytes); i++) {
		ASSERT_EQ((__u8)(i * 7), td.mailbox->bytes[i]) TH_LOG("byte %u", i);
	}
	/* The same address of private memory is another page. */
	shared = td.vm.slot[0].shared;
	EXPECT_EQ(0, *(__u64 *)(shared + td.mailbox->value[0]));
	*(__u64 *)(shared + td.mailbox->value[0]) = 1;
	for (__u32 i = 0; i < sizeof(td.mailbox->bytes); i++)
		td.mailbox->bytes[i] = i * 13;
	inside_finish(_metadata, &td, 0);
	inside_close(_metadata, &td);
}

/* Without #VE for it, a TD that touches memory that it has not accepted is at its end. */
TEST_F(tdx, touch_unaccepted)
{
	struct inside td;

	inside_start_with(_metadata, &td, "accept", 1, ACCEPT_TOUCH, SEPT_VE_DISABLE);
	EXPECT_EQ(-1, run_vcpu(&td.vcpu[0].run));
	EXPECT_EQ(EIO, errno);
	inside_close(_metadata, &td);
}

/* What is no memory of the TD is nowhere for it: an address of the host's memory means nothing there. */
TEST_F(tdx, outside)
{
	struct kvm_run *run;
	struct inside td;

	inside_start(_metadata, &td, "accept", 1, ACCEPT_OUTSIDE);
	run = inside_run(_metadata, &td, 0, KVM_EXIT_MEMORY_FAULT);
	EXPECT_EQ(OUTSIDE, run->memory_fault.gpa);
	EXPECT_STREQ("", td.vcpu[0].console);
	inside_close(_metadata, &td);
}

/* The VMM that is to die: it says whenever its TD begins to take memory, which it does for ever. */
static void take_for_ever(struct __test_metadata *_metadata, int said)
{
	struct inside td;

	inside_start(_metadata, &td, "accept", 1, ACCEPT_FOR_EVER);
	for (;;) {
		inside_run(_metadata, &td, 0, KVM_EXIT_IO);
		ASSERT_EQ(1, write(said, "", 1));
	}
}

/* A VMM that is killed while its TD takes memory leaves nothing behind. */
TEST_F(tdx, kill)
{
	for (int i = 0; i < 3; i++)
		kill_while(_metadata, take_for_ever, 10000 + i * 17000);
}

TEST_HARNESS_MAIN
