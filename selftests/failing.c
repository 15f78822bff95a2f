// SPDX-License-Identifier: GPL-2.0
/*
 * failing - a test that fails on purpose, after a TD's life: the host replays the SEAMCALLs that it leaves. Not one of the tests that are to pass.
 */
#include "fixture.h"
#include "vm.h"

TEST_F(tdx, on_purpose)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, SZ_2M);
	vm_close(_metadata, &vm);
	EXPECT_TRUE(false) TH_LOG("on purpose");
}

TEST_HARNESS_MAIN
