// SPDX-License-Identifier: GPL-2.0
/* Two vCPUs that fault at the same time, from two threads. */
#include <pthread.h>

#include "fixture.h"
#include "vm.h"

#define NR_PAGES	256ULL

struct faulter {
	pthread_barrier_t *start;
	int vcpu;
	__u64 first, step;	/* which pages, in which order */
	__u64 nr;
	int error;
};

static void *fault(void *arg)
{
	struct faulter *faulter = arg;

	pthread_barrier_wait(faulter->start);
	for (__u64 i = 0; i < faulter->nr && !faulter->error; i++)
		if (td_prefault(faulter->vcpu, (faulter->first + i * faulter->step) % NR_PAGES * PAGE_SIZE, PAGE_SIZE))
			faulter->error = errno;
	return NULL;
}

/* Runs both threads to their ends. */
static void fault_together(struct __test_metadata *_metadata, struct faulter *faulters)
{
	pthread_barrier_t start;
	pthread_t thread[2];

	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	for (int i = 0; i < 2; i++) {
		faulters[i].start = &start;
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, fault, &faulters[i]));
	}
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_EQ(0, faulters[i].error) TH_LOG("vCPU %d: %s", i, strerror(faulters[i].error));
	}
}

static void start_two(struct __test_metadata *_metadata, struct test_vm *vm)
{
	vm_create(_metadata, vm);
	vm_init(_metadata, vm);
	vm_add_slot(_metadata, vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, vm);
	vm_add_vcpu(_metadata, vm);
	vm_finalize(_metadata, vm);
}

/* Both want the same pages, in the same order: each page is to be mapped once, whoever comes first. */
TEST_F(tdx, same_pages)
{
	struct test_vm vm;

	start_two(_metadata, &vm);
	fault_together(_metadata, (struct faulter[]) {
		{ .vcpu = vm.vcpu[0], .step = 1, .nr = NR_PAGES },
		{ .vcpu = vm.vcpu[1], .step = 1, .nr = NR_PAGES },
	});
	EXPECT_EQ(NR_PAGES, pages_of(_metadata, 0, SZ_2M).pending);
	EXPECT_EQ(NR_PAGES, sim_calls_since(&self->before.calls, "TDH.MEM.PAGE.AUG", variant->backend == BACKEND_RUST).ok)
		TH_LOG("each page is to be mapped once");
	vm_close(_metadata, &vm);
}

/* One wants the even pages, the other the odd ones: neighbours in one S-EPT page. */
TEST_F(tdx, neighbours)
{
	struct test_vm vm;

	start_two(_metadata, &vm);
	fault_together(_metadata, (struct faulter[]) {
		{ .vcpu = vm.vcpu[0], .first = 0, .step = 2, .nr = NR_PAGES / 2 },
		{ .vcpu = vm.vcpu[1], .first = 1, .step = 2, .nr = NR_PAGES / 2 },
	});
	EXPECT_EQ(NR_PAGES, pages_of(_metadata, 0, SZ_2M).pending);
	vm_close(_metadata, &vm);
}

struct puncher {
	pthread_barrier_t *start;
	int gmem;
	int error;
};

static void *punch(void *arg)
{
	struct puncher *puncher = arg;

	pthread_barrier_wait(puncher->start);
	for (__u64 i = 0; i < NR_PAGES && !puncher->error; i++)
		if (td_punch_hole(puncher->gmem, i * PAGE_SIZE, PAGE_SIZE))
			puncher->error = errno;
	return NULL;
}

/* One thread takes away what the other maps. Afterwards S-EPT and PAMT are to agree on what is left. */
TEST_F(tdx, fault_against_punch)
{
	pthread_barrier_t start;
	struct faulter faulter = { .start = &start, .step = 1, .nr = NR_PAGES };
	struct puncher puncher = { .start = &start };
	pthread_t thread[2];
	struct test_vm vm;

	start_two(_metadata, &vm);
	faulter.vcpu = vm.vcpu[0];
	puncher.gmem = vm.slot[0].gmem;
	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread[0], NULL, fault, &faulter));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, punch, &puncher));
	ASSERT_EQ(0, pthread_join(thread[0], NULL));
	ASSERT_EQ(0, pthread_join(thread[1], NULL));
	EXPECT_EQ(0, faulter.error) TH_LOG("pre-fault: %s", strerror(faulter.error));
	EXPECT_EQ(0, puncher.error) TH_LOG("punch: %s", strerror(puncher.error));
	EXPECT_EQ(sim_pamt_pages("PT_REG"), pages_of(_metadata, 0, SZ_2M).pending);
	vm_close(_metadata, &vm);
}

TEST_HARNESS_MAIN
