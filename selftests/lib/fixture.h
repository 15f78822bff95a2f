/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of all tests that make TDs: each test runs with the Rust backend and with KVM's own code as control.
 *
 * Teardown runs in the parent process, after the test's own process is gone and with it every TD it made, however it ended. There
 * it looks at what each test must leave behind: nothing in TDX hands, S-EPT calls from the chosen backend only, and a kernel that complains of nothing.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "kselftest_harness.h"

#include "backend.h"
#include "files.h"
#include "kmsg.h"
#include "sim.h"

#define MAX_EXPECTED	8

/* The leaves by which KVM changes an S-EPT, all on behalf of one TD. */
static const char *const sept_leaves[] = {
	"TDH.MEM.SEPT.ADD", "TDH.MEM.PAGE.ADD", "TDH.MEM.PAGE.AUG", "TDH.MEM.RANGE.BLOCK", "TDH.MEM.TRACK", "TDH.MEM.PAGE.REMOVE",
};

/* How it was before the test. */
struct before {
	struct sim_calls calls;
	unsigned long long kmsg;
	char leftovers[512];
};

FIXTURE(tdx) {
	struct before before;

	/* What is different about this test; to be set by the test. */
	bool no_sept_calls;			/* it gets not as far as the S-EPT */
	const char *complaints[MAX_EXPECTED];	/* what the kernel is to complain of, NULL-terminated */
};

FIXTURE_VARIANT(tdx) {
	enum backend backend;
};

FIXTURE_VARIANT_ADD(tdx, rust) {
	.backend = BACKEND_RUST,
};

FIXTURE_VARIANT_ADD(tdx, c) {
	.backend = BACKEND_C,
};

static __maybe_unused void look_before(struct __test_metadata *_metadata, struct before *before)
{
	/* A WARN_ON_ONCE() that an earlier test met is to be seen again. */
	ASSERT_EQ(0, write_file("/sys/kernel/debug/clear_warn_once", "1"));

	before->kmsg = kmsg_now();
	ASSERT_EQ(0, sim_calls(&before->calls));
	ASSERT_LE(0, sim_leftovers(before->leftovers, sizeof(before->leftovers)));
}

/* No more in TDX hands than before, and no complaint but the expected ones. */
static __maybe_unused void look_after(struct __test_metadata *_metadata, const struct before *before, const char *const *complaints)
{
	char text[512], first[256];

	ASSERT_LE(0, sim_leftovers(text, sizeof(text)));
	EXPECT_STREQ(before->leftovers, text) TH_LOG("pages or KeyIDs are left in TDX hands");
	EXPECT_EQ(0, kmsg_complaints(before->kmsg, complaints, first, sizeof(first)))
		TH_LOG("the kernel is to complain of nothing else, but said: %s", first);
}

FIXTURE_SETUP(tdx)
{
	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");

	ASSERT_EQ(0, backend_select(variant->backend))
		TH_LOG("cannot %s %s: %s", variant->backend == BACKEND_RUST ? "load" : "unload", BACKEND_MODULE, strerror(errno));
	look_before(_metadata, &self->before);
}

/* All S-EPT calls came from where this variant wants them, and there were some. */
static void check_callers(struct __test_metadata *_metadata, const struct sim_calls *before, enum backend backend, bool none)
{
	const bool rust = backend == BACKEND_RUST;
	struct sim_call removed, tables, right, wrong;
	__u64 total = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sept_leaves); i++) {
		right = sim_calls_since(before, sept_leaves[i], rust);
		wrong = sim_calls_since(before, sept_leaves[i], !rust);
		total += right.ok + right.failed;
		EXPECT_EQ(0, wrong.ok + wrong.failed)
			TH_LOG("%s was issued by %s", sept_leaves[i], rust ? "the TDX core's tdh_*()" : "the backend");
	}
	if (none) {
		EXPECT_EQ(0, total) TH_LOG("this test was not to reach the S-EPT");
	} else {
		EXPECT_LT(0, total) TH_LOG("no S-EPT call at all was seen");
	}

	/* These leaves serve control pages, too: what is left of them is the TDX core's. */
	removed = sim_calls_since(before, "TDH.MEM.PAGE.REMOVE", true);
	right = sim_calls_since(before, "TDH.PHYMEM.PAGE.WBINVD", true);
	EXPECT_EQ(removed.ok, right.ok) TH_LOG("the backend is to write back the cache of each page that it removes");

	tables = sim_calls_since(before, "TDH.MEM.SEPT.ADD", true);
	right = sim_calls_since(before, "TDH.PHYMEM.PAGE.RECLAIM", true);
	EXPECT_EQ(tables.ok, right.ok) TH_LOG("the backend is to reclaim each S-EPT page that it added");
}

FIXTURE_TEARDOWN_PARENT(tdx)
{
	if (_metadata->exit_code == KSFT_SKIP)
		return;

	/* Left by an ASSERT that failed, it would set off the handler of the next EXPECT. */
	_metadata->trigger = 0;
	if (*self->complaints)
		kmsg_expect_end(_metadata->name);
	check_callers(_metadata, &self->before.calls, variant->backend, self->no_sept_calls);
	look_after(_metadata, &self->before, self->complaints);
}

/* From here on the test provokes the kernel: it is to say these texts, NULL-terminated, and nothing else that is a complaint. */
static __maybe_unused void expect_complaints(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, const char *const *texts)
{
	for (int i = 0; texts[i]; i++) {
		ASSERT_LT(i, MAX_EXPECTED - 1);
		self->complaints[i] = texts[i];
	}
	kmsg_expect_begin(_metadata->name);
}

#endif
