// SPDX-License-Identifier: GPL-2.0
/* The misc cgroup limits the number of TDs: each takes one KeyID. */
#include <sys/stat.h>

#include "fixture.h"
#include "vm.h"

#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/tdx_selftest"

/* "tdx N" of a file that has a line for each resource; -1 if there is none. */
static int count(const char *file)
{
	char path[128], text[256];
	const char *line;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	if (read_file(path, text, sizeof(text)))
		return -1;
	line = strstr(text, "tdx ");
	return line ? atoi(line + strlen("tdx ")) : -1;
}

TEST_F(tdx, limit)
{
	struct test_vm vm[3];
	__u64 hw_error;

	self->no_sept_calls = true;
	if (write_file(ROOT "/cgroup.subtree_control", "+misc"))
		SKIP(return, "no misc cgroup (CONFIG_CGROUP_MISC, cgroup2 at %s)", ROOT);

	ASSERT_TRUE(!mkdir(GROUP, 0755) || errno == EEXIST);
	ASSERT_EQ(0, write_file(GROUP "/cgroup.procs", "0")) TH_LOG("%s", strerror(errno));
	ASSERT_EQ(0, write_file(GROUP "/misc.max", "tdx 2")) TH_LOG("%s", strerror(errno));

	for (int i = 0; i < 2; i++) {
		vm_create(_metadata, &vm[i]);
		vm_init(_metadata, &vm[i]);
	}
	EXPECT_EQ(2, count("misc.current"));

	vm_create(_metadata, &vm[2]);
	EXPECT_EQ(-1, vm_try_init(&vm[2], &hw_error)) TH_LOG("the limit is to stop the third TD");
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(2, count("misc.current")) TH_LOG("a TD that was refused is not to count");

	vm_close(_metadata, &vm[0]);
	EXPECT_EQ(1, count("misc.current"));
	EXPECT_EQ(0, vm_try_init(&vm[2], &hw_error)) TH_LOG("below the limit again: %s", strerror(errno));
	EXPECT_EQ(2, count("misc.current"));

	vm_close(_metadata, &vm[1]);
	vm_close(_metadata, &vm[2]);
	EXPECT_EQ(0, count("misc.current")) TH_LOG("TDs that ended are not to count");

	ASSERT_EQ(0, write_file(ROOT "/cgroup.procs", "0"));
	EXPECT_EQ(0, rmdir(GROUP)) TH_LOG("%s", strerror(errno));
}

TEST_HARNESS_MAIN
