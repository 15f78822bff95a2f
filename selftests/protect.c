// SPDX-License-Identifier: GPL-2.0
/*
 * With tdx_sim.protect=1 the host cannot reach memory in TDX hands: it is no longer in the direct map. Who tries is caught and reported, with the
 * owner and the GPA. That what comes back can be used again, and that KVM does not try before, is shown by the other tests.
 */
#include <fcntl.h>

#include "fixture.h"
#include "vm.h"

/* The page that is reached for; its neighbours have made the S-EPT pages. */
#define GPA	(100ULL * PAGE_SIZE)

/* Through the direct map, which is how /dev/mem reads, ready for a fault. */
static bool can_read(struct __test_metadata *_metadata, __u64 pfn)
{
	const int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	char byte;
	ssize_t got;

	ASSERT_LE(0, fd) TH_LOG("/dev/mem: %s", strerror(errno));
	got = pread(fd, &byte, 1, pfn * PAGE_SIZE);
	if (got < 0)
		EXPECT_EQ(EFAULT, errno);
	close(fd);
	return got == 1;
}

static bool is_protected(void)
{
	char value[8] = "";

	return !read_file("/sys/module/tdx_sim/parameters/protect", value, sizeof(value)) && *value == 'Y';
}

TEST_F(tdx, host_access)
{
	char private[EXPECTED_SIZE], table[EXPECTED_SIZE], root[EXPECTED_SIZE];
	struct sim_td td[2];
	struct test_vm vm;
	__u64 pfn, table_pfn;

	if (!is_protected())
		SKIP(return, "not booted with tdx_sim.protect=1");
	run_on(_metadata, 0);
	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, GPA, PAGE_SIZE);
	ASSERT_EQ(1, sim_tds(td, 2));
	pfn = sim_pfn(td[0].tdr_pfn, GPA);
	table_pfn = pages_of(_metadata, 0, SZ_2M).first_table_pfn[1];
	ASSERT_NE(0, pfn);
	ASSERT_NE(0, table_pfn);

	snprintf(private, sizeof(private), "BUG: host read of memory in TDX hands at %#llx: PT_REG of TD %#llx, HKID %u, GPA %#llx, level 4K",
		 pfn * PAGE_SIZE, td[0].tdr_pfn * PAGE_SIZE, td[0].hkid, GPA);
	snprintf(table, sizeof(table), "BUG: host read of memory in TDX hands at %#llx: PT_EPT of TD %#llx, HKID %u, GPA 0x0, level 2M",
		 table_pfn * PAGE_SIZE, td[0].tdr_pfn * PAGE_SIZE, td[0].hkid);
	snprintf(root, sizeof(root), "BUG: host read of memory in TDX hands at %#llx: PT_TDR of TD %#llx, HKID %u",
		 td[0].tdr_pfn * PAGE_SIZE, td[0].tdr_pfn * PAGE_SIZE, td[0].hkid);
	expect_complaints(_metadata, self, (const char *[]) { private, table, root, NULL });
	EXPECT_FALSE(can_read(_metadata, pfn));
	EXPECT_FALSE(can_read(_metadata, table_pfn));
	EXPECT_FALSE(can_read(_metadata, td[0].tdr_pfn));

	EXPECT_EQ(0, td_punch_hole(vm.slot[0].gmem, GPA, PAGE_SIZE));
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
