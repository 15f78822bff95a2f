// SPDX-License-Identifier: GPL-2.0
/* The misc cgroup limits the number of TDs: each takes one KeyID. */
#include <sys/stat.h>

#include "cgroup.h"
#include "fixture.h"
#include "vm.h"

#define GROUP	CGROUP_ROOT "/tdx_selftest"

TEST_F(tdx, limit)
{
	struct test_vm vm[3];
	__u64 hw_error;

	self->no_sept_calls = true;
	if (cgroup_enable_misc())
		SKIP(return, "no misc cgroup (CONFIG_CGROUP_MISC, cgroup2 at %s)", CGROUP_ROOT);

	ASSERT_TRUE(!mkdir(GROUP, 0755) || errno == EEXIST);
	ASSERT_EQ(0, write_file(GROUP "/cgroup.procs", "0")) TH_LOG("%s", strerror(errno));
	ASSERT_EQ(0, write_file(GROUP "/misc.max", "tdx 2")) TH_LOG("%s", strerror(errno));

	for (int i = 0; i < 2; i++) {
		vm_create(_metadata, &vm[i]);
		vm_init(_metadata, &vm[i]);
	}
	EXPECT_EQ(2, cgroup_tdx(GROUP "/misc.current"));

	vm_create(_metadata, &vm[2]);
	EXPECT_EQ(-1, vm_try_init(&vm[2], &hw_error)) TH_LOG("the limit is to stop the third TD");
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(2, cgroup_tdx(GROUP "/misc.current")) TH_LOG("a TD that was refused is not to count");

	vm_close(_metadata, &vm[0]);
	EXPECT_EQ(1, cgroup_tdx(GROUP "/misc.current"));
	EXPECT_EQ(0, vm_try_init(&vm[2], &hw_error)) TH_LOG("below the limit again: %s", strerror(errno));
	EXPECT_EQ(2, cgroup_tdx(GROUP "/misc.current"));

	vm_close(_metadata, &vm[1]);
	vm_close(_metadata, &vm[2]);
	EXPECT_EQ(0, cgroup_tdx(GROUP "/misc.current")) TH_LOG("TDs that ended are not to count");

	ASSERT_EQ(0, write_file(CGROUP_ROOT "/cgroup.procs", "0"));
	EXPECT_EQ(0, rmdir(GROUP)) TH_LOG("%s", strerror(errno));
}

TEST_HARNESS_MAIN
