/* SPDX-License-Identifier: GPL-2.0 */
/* What a test must leave behind, by a look before and one after it: nothing in TDX hands, and a kernel that has complained of what it was to complain. */
#ifndef LOOK_H
#define LOOK_H

#include "kselftest_harness.h"

#include <errno.h>

#include "callers.h"
#include "files.h"
#include "kmsg.h"
#include "sim.h"

/* Texts that a test may expect. */
#define MAX_EXPECTED	8

/* How it was before the test. */
struct before {
	struct sim_calls calls;
	unsigned long long kmsg;
};

/* Nothing is in TDX hands: no page in the whole of the PAMT, and no KeyID but the TDX module's own. */
static __maybe_unused void check_nothing_left(struct __test_metadata *_metadata, const char *whose)
{
	char text[512];

	ASSERT_LE(0, sim_leftovers(text, sizeof(text)));
	EXPECT_STREQ("", text) TH_LOG("%s left pages or KeyIDs in TDX hands", whose);
}

static __maybe_unused void look_before(struct __test_metadata *_metadata, struct before *before)
{
	/* A WARN_ON_ONCE() that an earlier test met is to be seen again. */
	ASSERT_EQ(0, write_file("/sys/kernel/debug/clear_warn_once", "1"));

	before->kmsg = kmsg_now();
	ASSERT_EQ(0, sim_calls(&before->calls));
	ASSERT_EQ(0, callers_forget());
	check_nothing_left(_metadata, "an earlier test");
}

/* Nothing in TDX hands, and the complaints that were expected and no other. */
static __maybe_unused void look_after(struct __test_metadata *_metadata, const struct before *before,
				      const char *const *complaints)
{
	char first[256];

	check_nothing_left(_metadata, "the test");
	EXPECT_EQ(0, kmsg_complaints(before->kmsg, complaints, first, sizeof(first)))
		TH_LOG("the kernel's complaints are not those expected: %s", *first ? first : strerror(errno));
}

#endif
