// SPDX-License-Identifier: GPL-2.0
/*
 * live_tds - leaves one TD of each backend alive in the background, for whoever wants to see what a reboot makes of them.
 * It ends, with a TAP result, as soon as both TDs are there.
 */
#include "backend.h"
#include "vm.h"

TEST(tds_for_a_reboot)
{
	struct test_vm vm[2];
	pid_t child;
	int fds[2];
	char byte;

	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");

	ASSERT_EQ(0, pipe(fds));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		ASSERT_EQ(0, backend_select(BACKEND_C));
		vm_start(_metadata, &vm[0], SZ_2M);
		ASSERT_EQ(0, backend_select(BACKEND_RUST));
		vm_start(_metadata, &vm[1], SZ_2M);
		setsid();
		if (write(fds[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(KSFT_FAIL);
	}
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &byte, 1)) TH_LOG("both TDs are to be there");
	EXPECT_EQ(2, sim_tds((struct sim_td[2]) { }, 2));
}

TEST_HARNESS_MAIN
