// SPDX-License-Identifier: GPL-2.0
/* The backend's module on its own: no KVM, no TD, any machine. */
#include "kselftest_harness.h"

#include "backend.h"
#include "files.h"
#include "kmsg.h"
#include "sim.h"

FIXTURE(module) {
	unsigned long long kmsg;
};

FIXTURE_SETUP(module)
{
	self->kmsg = kmsg_now();
	if (module_loaded(BACKEND_MODULE)) {
		ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("unload: %s", strerror(errno));
	}
}

FIXTURE_TEARDOWN(module)
{
	char first[256];

	/* Left by an ASSERT that failed, it would set off the handler of the next EXPECT. */
	_metadata->trigger = 0;
	if (module_loaded(BACKEND_MODULE)) {
		EXPECT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("unload: %s", strerror(errno));
	}
	EXPECT_EQ(0, kmsg_complaints(self->kmsg, NULL, first, sizeof(first))) TH_LOG("the kernel said: %s", first);
}

TEST_F(module, load_and_unload)
{
	char refcnt[16];

	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL)) TH_LOG("round %d", i);
		ASSERT_TRUE(module_loaded(BACKEND_MODULE));
		ASSERT_EQ(0, read_file("/sys/module/" BACKEND_MODULE "/refcnt", refcnt, sizeof(refcnt)));
		EXPECT_STREQ("0", refcnt) TH_LOG("without a TD nobody holds the backend");
		ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("round %d: %s", i, strerror(errno));
		ASSERT_FALSE(module_loaded(BACKEND_MODULE));
	}
}

/* Registering is all that loading does: the TDX module sees nothing of it. */
TEST_F(module, makes_no_seamcalls)
{
	struct sim_calls before, after;

	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");

	ASSERT_EQ(0, sim_calls(&before));
	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	ASSERT_EQ(0, module_unload(BACKEND_MODULE));
	ASSERT_EQ(0, sim_calls(&after));
	ASSERT_EQ(before.nr, after.nr);
	for (int i = 0; i < before.nr; i++) {
		EXPECT_EQ(before.call[i].ok + before.call[i].failed, after.call[i].ok + after.call[i].failed) {
			TH_LOG("%s", before.call[i].leaf);
		}
	}
}

TEST_HARNESS_MAIN
