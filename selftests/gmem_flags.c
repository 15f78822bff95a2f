// SPDX-License-Identifier: GPL-2.0
/* guest_memfd: its flags and sizes, and what may be bound to a TD. */
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "vm.h"

TEST_F(tdx, flags)
{
	struct test_vm vm;
	int flags;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);

	flags = ioctl(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS);
	EXPECT_EQ(GUEST_MEMFD_FLAG_MMAP, flags) TH_LOG("a TD's memory begins as private, so INIT_SHARED is not for it");

	for (int bit = 0; bit < 64; bit++) {
		if (flags & 1ULL << bit)
			continue;
		EXPECT_EQ(-1, td_create_gmem(vm.vm, SZ_2M, 1ULL << bit)) TH_LOG("flag bit %d", bit);
		EXPECT_EQ(EINVAL, errno) TH_LOG("flag bit %d", bit);
	}
	vm_close(_metadata, &vm);
}

TEST_F(tdx, sizes)
{
	static const __u64 bad[] = { 0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1, 1ULL << 63 };
	struct test_vm vm;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, td_create_gmem(vm.vm, bad[i], 0)) TH_LOG("size %#llx", bad[i]);
		EXPECT_EQ(EINVAL, errno) TH_LOG("size %#llx", bad[i]);
	}
	vm_close(_metadata, &vm);
}

static sigjmp_buf after_sigbus;

static void on_sigbus(int signal)
{
	siglongjmp(after_sigbus, 1);
}

/* A guest_memfd of a TD can be mapped, but its private pages cannot be touched; the TD uses it as any other. */
TEST_F(tdx, mmap)
{
	struct td_slot *slot;
	volatile char *map;
	struct test_vm vm;
	int gmem;

	vm_start(_metadata, &vm, SZ_2M);
	slot = vm_add_slot(_metadata, &vm, SZ_1G, SZ_2M);
	ASSERT_EQ(0, td_delete_slot(vm.vm, slot));

	gmem = td_create_gmem(vm.vm, SZ_2M, GUEST_MEMFD_FLAG_MMAP);
	ASSERT_LE(0, gmem) TH_LOG("GUEST_MEMFD_FLAG_MMAP: %s", strerror(errno));
	ASSERT_EQ(0, close(slot->gmem));
	slot->gmem = gmem;
	ASSERT_EQ(0, td_set_slot(vm.vm, slot)) TH_LOG("slot: %s", strerror(errno));

	vm_prefault(_metadata, &vm, SZ_1G, 4 * PAGE_SIZE);
	EXPECT_EQ(4, pages_of(_metadata, SZ_1G, SZ_2M).pending);

	map = mmap(NULL, SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, gmem, 0);
	ASSERT_NE(MAP_FAILED, (void *)map) TH_LOG("mmap: %s", strerror(errno));
	signal(SIGBUS, on_sigbus);
	if (!sigsetjmp(after_sigbus, 1)) {
		map[0] = 1;
		EXPECT_TRUE(false) TH_LOG("private memory is not to be reached through the mapping");
	}
	munmap((void *)map, SZ_2M);
	vm_close(_metadata, &vm);
}

/* Memory of one VM is no other's. */
TEST_F(tdx, foreign_gmem)
{
	struct test_vm vm, other;
	struct td_slot slot;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	vm_create(_metadata, &other);
	slot = *vm_add_slot(_metadata, &other, 0, SZ_2M);
	EXPECT_EQ(-1, td_set_slot(vm.vm, &slot)) TH_LOG("a guest_memfd of another VM is to be refused");
	EXPECT_EQ(EINVAL, errno);
	vm_close(_metadata, &other);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, range_of_slot)
{
	struct td_slot slot;
	struct test_vm vm;

	self->no_sept_calls = true;
	vm_create(_metadata, &vm);
	slot = *vm_add_slot(_metadata, &vm, 0, SZ_2M);

	slot.id = 1;
	slot.gpa = SZ_1G;
	EXPECT_EQ(-1, td_set_slot(vm.vm, &slot)) TH_LOG("one page is not to be at two GPAs");
	EXPECT_EQ(EEXIST, errno);

	slot.gmem_offset = PAGE_SIZE;
	EXPECT_EQ(-1, td_set_slot(vm.vm, &slot)) TH_LOG("a slot is not to reach past the end of its guest_memfd");
	EXPECT_EQ(EINVAL, errno);

	slot.gmem_offset = 1;
	EXPECT_EQ(-1, td_set_slot(vm.vm, &slot)) TH_LOG("offsets are whole pages");
	EXPECT_EQ(EINVAL, errno);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
