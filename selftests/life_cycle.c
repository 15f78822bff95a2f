// SPDX-License-Identifier: GPL-2.0
/* A TD from its creation to its end, step by step. */
#include "fixture.h"
#include "vm.h"

/* After each step the TDX module has the TD in the state that the step is to bring. */
TEST_F(tdx, each_step)
{
	struct test_vm vm;
	struct sim_td td;

	vm_create(_metadata, &vm);
	EXPECT_EQ(0, sim_tds(&td, 1)) TH_LOG("KVM_CREATE_VM alone is to make no TD");

	vm_init(_metadata, &vm);
	ASSERT_EQ(1, sim_tds(&td, 1)) TH_LOG("KVM_TDX_INIT_VM is to make a TD");
	EXPECT_STREQ("INITIALIZED", td.op_state);
	EXPECT_EQ(0, td.vcpus);

	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	ASSERT_EQ(1, sim_tds(&td, 1));
	EXPECT_EQ(1, td.vcpus);

	vm_add_pages(_metadata, &vm, 0, 4, true);
	EXPECT_EQ(4, pages_of(_metadata, 0, SZ_2M).mapped) TH_LOG("initial pages are to be mapped at once");

	vm_finalize(_metadata, &vm);
	ASSERT_EQ(1, sim_tds(&td, 1));
	EXPECT_STREQ("RUNNABLE", td.op_state);

	vm_prefault(_metadata, &vm, SZ_2M / 2, 8 * PAGE_SIZE);
	EXPECT_EQ(8, pages_of(_metadata, SZ_2M / 2, SZ_2M / 2).pending) TH_LOG("pages that were added later wait for the guest to accept them");

	vm_close(_metadata, &vm);
	EXPECT_EQ(0, sim_tds(&td, 1)) TH_LOG("the last close() is to end the TD");
}

struct vcpus {
	__u64 tdr_pfn, indices;		/* a bit for each */
	int nr;
};

static void note_vcpu(const char *record, void *arg)
{
	struct vcpus *vcpus = arg;
	char state[32];

	sim_text(record, "state", state, sizeof(state));
	if (sim_number(record, "td") >> 12 != vcpus->tdr_pfn || strcmp(state, "VCPU_READY"))
		return;
	vcpus->nr++;
	vcpus->indices |= 1 << sim_number(record, "index");
}

/* The simulator shows each vCPU of a TD. */
TEST_F(tdx, vcpus)
{
	struct vcpus vcpus = { };
	struct test_vm vm;
	struct sim_td td;

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	ASSERT_EQ(1, sim_tds(&td, 1));
	vcpus.tdr_pfn = td.tdr_pfn;
	for (int i = 1; i <= MAX_VCPUS; i++) {
		vm_add_vcpu(_metadata, &vm);
		vcpus.nr = 0;
		ASSERT_EQ(0, sim_for_each("vcpus", note_vcpu, &vcpus));
		EXPECT_EQ(i, vcpus.nr);
		EXPECT_EQ((1 << i) - 1, vcpus.indices) TH_LOG("vCPUs are counted from 0");
	}
	vm_add_pages(_metadata, &vm, 0, 1, true);
	vm_close(_metadata, &vm);
	vcpus.nr = 0;
	ASSERT_EQ(0, sim_for_each("vcpus", note_vcpu, &vcpus));
	EXPECT_EQ(0, vcpus.nr);
}

/* KVM says which backend a VM has, for as long as it has one. */
TEST_F(tdx, backend_is_named)
{
	struct test_vm vm;
	char name[32];

	vm_start(_metadata, &vm, SZ_2M);
	ASSERT_EQ(0, backend_of_vm(vm.vm, name, sizeof(name)));
	EXPECT_STREQ(variant->backend == BACKEND_RUST ? "tdx_sept" : "kvm", name);
	vm_close(_metadata, &vm);
}

/* A TD may end at any point of its construction. */
TEST_F(tdx, ends_before_it_runs)
{
	struct test_vm vm;

	vm_create(_metadata, &vm);
	vm_close(_metadata, &vm);

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_close(_metadata, &vm);

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_close(_metadata, &vm);

	vm_create(_metadata, &vm);
	vm_init(_metadata, &vm);
	vm_add_slot(_metadata, &vm, 0, SZ_2M);
	vm_add_vcpu(_metadata, &vm);
	vm_add_pages(_metadata, &vm, 0, 2, false);
	vm_close(_metadata, &vm);
}

/* The same TD many times over gives everything back each time. */
TEST_F(tdx, again_and_again)
{
	struct test_vm vm;

	for (int i = 0; i < 5; i++) {
		vm_start(_metadata, &vm, SZ_2M);
		vm_prefault(_metadata, &vm, 0, 16 * PAGE_SIZE);
		vm_close(_metadata, &vm);
		check_nothing_left(_metadata, "this round");
	}
}

TEST_HARNESS_MAIN
