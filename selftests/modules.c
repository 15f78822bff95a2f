// SPDX-License-Identifier: GPL-2.0
/* Modules come and go: KVM's, and the backend while TDs are there. */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fixture.h"
#include "vm.h"

/* KVM without TDs can be unloaded and loaded again, with the backend staying as it is. */
TEST_F(tdx, kvm_reloaded)
{
	struct test_vm vm;

	for (int i = 0; i < 2; i++) {
		vm_start(_metadata, &vm, SZ_2M);
		EXPECT_EQ(-1, module_unload(KVM_MODULE)) TH_LOG("KVM is not to go while there is a TD");
		EXPECT_EQ(EAGAIN, errno);
		vm_close(_metadata, &vm);

		ASSERT_EQ(0, module_unload(KVM_MODULE)) TH_LOG("unload: %s", strerror(errno));
		EXPECT_EQ(variant->backend == BACKEND_RUST, module_loaded(BACKEND_MODULE));
		ASSERT_EQ(0, module_load(KVM_MODULE, "tdx=1"));
	}
	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, 4 * PAGE_SIZE);
	vm_close(_metadata, &vm);
}

/* Tests that bring and take away the backend themselves, and look at the calls of single TDs. They begin without it. */
FIXTURE(backends) {
	struct before before;
};

FIXTURE_SETUP(backends)
{
	if (access(SIM_DIR, F_OK))
		SKIP(return, "no simulated TDX module (CONFIG_TDX_SIM) to look into");

	ASSERT_EQ(0, backend_select(BACKEND_C)) TH_LOG("cannot unload %s: %s", BACKEND_MODULE, strerror(errno));
	look_before(_metadata, &self->before);
}

FIXTURE_TEARDOWN_PARENT(backends)
{
	_metadata->trigger = 0;
	look_after(_metadata, &self->before, NULL);
}

/* Who kept the TDs of this test, which made as many. */
static struct td_callers *callers_of(struct __test_metadata *_metadata, int expected)
{
	struct td_callers *tds;

	ASSERT_EQ(expected, callers_of_tds(&tds)) TH_LOG("TDs in the simulator's log: %s", strerror(errno));
	return tds;
}

static void expect_backend(struct __test_metadata *_metadata, const struct test_vm *vm, const char *expected)
{
	char name[32];

	ASSERT_EQ(0, backend_of_vm(vm->vm, name, sizeof(name)));
	EXPECT_STREQ(expected, name);
}

/* A TD keeps the backend it was made with, also when the other comes. */
TEST_F(backends, both_at_once)
{
	struct test_vm of_c, of_rust;
	struct td_callers *tds;

	vm_start(_metadata, &of_c, SZ_2M);
	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	vm_start(_metadata, &of_rust, SZ_2M);
	expect_backend(_metadata, &of_c, "kvm");
	expect_backend(_metadata, &of_rust, "tdx_sept");

	for (int i = 0; i < 2; i++) {
		vm_prefault(_metadata, &of_c, 0, 8 * PAGE_SIZE);
		vm_prefault(_metadata, &of_rust, 0, 8 * PAGE_SIZE);
		ASSERT_EQ(0, td_punch_hole(of_c.slot[0].gmem, 0, 4 * PAGE_SIZE));
		ASSERT_EQ(0, td_punch_hole(of_rust.slot[0].gmem, 0, 4 * PAGE_SIZE));
	}
	EXPECT_EQ(2 * 4, sim_pamt_pages("PT_REG"));
	EXPECT_EQ(-1, module_unload(BACKEND_MODULE)) TH_LOG("the backend has a TD to keep");
	vm_close(_metadata, &of_rust);
	vm_close(_metadata, &of_c);

	tds = callers_of(_metadata, 2);
	EXPECT_LT(0, tds[0].core);
	EXPECT_EQ(0, tds[0].backend) TH_LOG("the backend is to leave KVM's TD alone");
	EXPECT_LT(0, tds[1].backend);
	EXPECT_EQ(0, tds[1].core) TH_LOG("KVM's own code is to leave the backend's TD alone");
	free(tds);
	ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("unload: %s", strerror(errno));
}

/* The backend stays as long as it has a TD, up to the TD's last page; not longer. */
TEST_F(backends, unload_waits_for_tds)
{
	struct test_vm vm[2];

	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++)
		vm_start(_metadata, &vm[i], SZ_2M);
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++) {
		EXPECT_EQ(-1, module_unload(BACKEND_MODULE)) TH_LOG("%zu TDs still need the backend", ARRAY_SIZE(vm) - i);
		EXPECT_EQ(EAGAIN, errno);
		vm_close(_metadata, &vm[i]);
	}
	ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("no TD needs it any more: %s", strerror(errno));
}

/* A VM that is no TD yet needs no backend: it is bound when KVM_TDX_INIT_VM makes the TD. */
TEST_F(backends, bound_by_init_vm)
{
	struct test_vm vm;

	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	vm_create(_metadata, &vm);
	ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("unload: %s", strerror(errno));
	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	vm_init(_metadata, &vm);
	expect_backend(_metadata, &vm, "tdx_sept");
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_add_pages(_metadata, &vm, 0, 1, true);
	EXPECT_EQ(-1, module_unload(BACKEND_MODULE)) TH_LOG("the TD is to hold the backend");
	vm_close(_metadata, &vm);
	ASSERT_EQ(0, module_unload(BACKEND_MODULE)) TH_LOG("unload: %s", strerror(errno));
}

/* What the processes share: TDs made so far, whether there will be no more; how often the backend was loaded or unloaded. */
struct shared {
	atomic_int made, changes;
	atomic_bool stop;
};

/* After each TD that was made, unloads the backend as soon as no TD keeps it, or loads it again. */
static void come_and_go(struct shared *shared)
{
	int seen = 0;

	for (;;) {
		bool loaded = module_loaded(BACKEND_MODULE);

		while (atomic_load(&shared->made) == seen && !atomic_load(&shared->stop))
			sched_yield();
		if (atomic_load(&shared->stop))
			return;
		seen = atomic_load(&shared->made);
		while (loaded ? module_unload(BACKEND_MODULE) : module_load(BACKEND_MODULE, NULL)) {
			if (atomic_load(&shared->stop))
				return;
			sched_yield();
		}
		atomic_fetch_add(&shared->changes, 1);
	}
}

/* So many TDs are made, and more until each backend had some: that many at most, for which the simulator's log has room. */
#define MIN_TDS		12
#define MAX_TDS		400

/* TDs are made while the backend comes and goes: each has one backend or the other from its first S-EPT page to its last. */
TEST_F(backends, while_it_comes_and_goes)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int nr = 0, of_rust = 0, status, changes;
	struct td_callers *tds;
	struct test_vm vm;
	pid_t child;

	ASSERT_NE(MAP_FAILED, shared);
	/* The first TD finds it. */
	ASSERT_EQ(0, module_load(BACKEND_MODULE, NULL));
	/* Loading forks, and what this process forked would keep a VM for a moment that is closed here. */
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		come_and_go(shared);
		_exit(0);
	}
	while (nr < MIN_TDS || (nr < MAX_TDS && (!of_rust || of_rust == nr || atomic_load(&shared->changes) < 2))) {
		char name[32];

		vm_start(_metadata, &vm, SZ_2M);
		nr++;
		ASSERT_EQ(0, backend_of_vm(vm.vm, name, sizeof(name)));
		of_rust += !strcmp(name, BACKEND_MODULE);
		atomic_fetch_add(&shared->made, 1);
		vm_prefault(_metadata, &vm, 0, 4 * PAGE_SIZE);
		vm_close(_metadata, &vm);
	}
	atomic_store(&shared->stop, true);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	changes = atomic_load(&shared->changes);
	munmap(shared, sizeof(*shared));

	EXPECT_LT(1, changes) TH_LOG("the backend is to be unloaded and loaded meanwhile");
	EXPECT_LT(0, of_rust) TH_LOG("it is to keep some of the TDs");
	EXPECT_GT(nr, of_rust) TH_LOG("KVM's own code is to keep some of the TDs");

	tds = callers_of(_metadata, nr);
	for (int i = 0; i < nr; i++) {
		EXPECT_TRUE(!tds[i].backend != !tds[i].core)
			TH_LOG("TD %d: %llu calls by the backend and %llu by KVM's own code", i, tds[i].backend, tds[i].core);
		of_rust -= !!tds[i].backend;
	}
	free(tds);
	EXPECT_EQ(0, of_rust) TH_LOG("KVM names the backend of each TD, and that one is to make its calls");
	ASSERT_EQ(0, backend_select(BACKEND_C)) TH_LOG("unload: %s", strerror(errno));
}

TEST_HARNESS_MAIN
