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

#include <errno.h>
#include <stdlib.h>

#include "backend.h"
#include "callers.h"
#include "look.h"
#include "sim.h"

/* Not how long a test may take, but when it must have come to a stop: the machine may be slow and busy with other things. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

#define EXPECTED_SIZE	192

/* The SEAMCALLs of a test, for the build host. Elsewhere than in our VM there is no script for that. */
#define SAVE_TRACE	"/guest/save-trace"

FIXTURE(tdx) {
	struct before before;

	/* What is different about this test; to be set by the test. */
	bool no_sept_calls;			/* it gets not as far as the S-EPT */
	bool too_long;				/* for the simulator to remember all calls: nobody looks who made them */
	__u64 not_returned;			/* pages of the S-EPT that are neither reclaimed nor written back in the end */
	char complaints[MAX_EXPECTED][EXPECTED_SIZE];	/* what the kernel is to complain of; texts, for the parent cannot follow pointers */
	void (*undo)(void);			/* what the machine needs to be as it was, however the test ends */
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

FIXTURE_SETUP(tdx)
{
	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");

	ASSERT_EQ(0, backend_select(variant->backend))
		TH_LOG("cannot %s %s: %s", variant->backend == BACKEND_RUST ? "load" : "unload", BACKEND_MODULE, strerror(errno));
	look_before(_metadata, &self->before);
}

/* The S-EPT calls of each TD came from where this variant wants them, and there were some. */
static void check_callers(struct __test_metadata *_metadata, enum backend backend, bool none, __u64 not_returned)
{
	const bool rust = backend == BACKEND_RUST;
	struct td_callers *tds;
	__u64 total = 0, held = 0;
	int nr;

	nr = callers_of_tds(&tds);
	ASSERT_LE(0, nr) TH_LOG("the simulator's log: %s", errno == ENOBUFS ? "too short for this test" : strerror(errno));
	for (int i = 0; i < nr; i++) {
		EXPECT_EQ(0, rust ? tds[i].core : tds[i].backend)
			TH_LOG("S-EPT calls of the TD with TDR PFN %#llx by %s", tds[i].tdr_pfn, rust ? "the TDX core's tdh_*()" : "the backend");
		held += tds[i].held;
		total += tds[i].backend + tds[i].core;
	}
	EXPECT_EQ(not_returned, held) TH_LOG("pages that TDs got and that were neither reclaimed nor written back");
	if (none) {
		EXPECT_EQ(0, total) TH_LOG("this test was not to reach the S-EPT");
	} else {
		EXPECT_LT(0, total) TH_LOG("no S-EPT call at all was seen");
	}
	free(tds);
}

/* In a file outside of the VM that is called by program, test and backend. */
static void save_trace(const struct __test_metadata *_metadata, enum backend backend)
{
	char command[256];

	if (access(SAVE_TRACE, X_OK))
		return;
	snprintf(command, sizeof(command), SAVE_TRACE " %s.%s.%s", program_invocation_short_name, _metadata->name,
		 backend == BACKEND_RUST ? "rust" : "c");
	if (system(command))
		TH_LOG("%s: no trace", command);
}

FIXTURE_TEARDOWN_PARENT(tdx)
{
	const char *complaints[MAX_EXPECTED + 1] = { };

	if (_metadata->exit_code == KSFT_SKIP)
		return;

	/* Left by an ASSERT that failed, it would set off the handler of the next EXPECT. */
	_metadata->trigger = 0;
	for (int i = 0; i < MAX_EXPECTED && *self->complaints[i]; i++)
		complaints[i] = self->complaints[i];
	if (*complaints)
		kmsg_expect_end(_metadata->name);
	if (self->undo)
		self->undo();
	if (!self->too_long)
		check_callers(_metadata, variant->backend, self->no_sept_calls, self->not_returned);
	look_after(_metadata, &self->before, complaints);
	if (!__test_passed(_metadata))
		save_trace(_metadata, variant->backend);
}

/*
 * From here on the test provokes the kernel: it is to say each of these texts, NULL-terminated, and nothing else that is a complaint.
 * They may have wildcards, as fnmatch() knows them.
 */
static __maybe_unused void expect_complaints(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self, const char *const *texts)
{
	for (int i = 0; texts[i]; i++) {
		ASSERT_LT(i, MAX_EXPECTED);
		ASSERT_GT(EXPECTED_SIZE, snprintf(self->complaints[i], EXPECTED_SIZE, "%s", texts[i]));
	}
	kmsg_expect_begin(_metadata->name);
}

#endif
