// SPDX-License-Identifier: GPL-2.0
/* In the TD of convert.c: memory that changes hands while vCPUs work. */
#include "convert.h"
#include "program.h"

static volatile u64 ready, done;

static volatile u64 *page(u64 index)
{
	return (void *)(INSIDE_FREE + index * PAGE_SIZE);
}

/* To shared memory, which both sides see, and back to private memory, which has nothing in it. */
static void convert_page(u64 index)
{
	u64 gpa = (u64)page(index);
	volatile u64 *shared = inside_shared(gpa);

	CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(INSIDE_SHARED_BIT | gpa, PAGE_SIZE));
	shared[0] = ~index;
	CHECK_EQ(~index, shared[0]);
	CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(gpa, PAGE_SIZE));
	CHECK_EQ(0, accept(gpa, 0));
	CHECK_EQ(0, page(index)[0]);
	page(index)[0] = index;
}

/* All of the 2M, at once where the host has mapped it so. */
static void accept_2m(void)
{
	if (!accept(INSIDE_FREE, 1))
		return;
	for (u64 i = 0; i < SIZE_2M / PAGE_SIZE; i++)
		CHECK_EQ(0, accept((u64)page(i), 0));
}

/* vCPU 0 converts some pages; the rest of the 2M is vCPU 1's, who loses nothing of it. */
static void convert(u32 vcpu)
{
	const u64 own = CONVERT_NR, all = SIZE_2M / PAGE_SIZE;
	u64 rounds = 0;

	if (vcpu == 0) {
		accept_2m();
		ready = 1;
		wait_for(&ready, 2);
		for (u64 i = 0; i < CONVERT_NR; i++)
			convert_page(i);
		done = 1;
		return;
	}
	wait_for(&ready, 1);
	for (u64 i = own; i < all; i += 16)
		page(i)[1] = i;
	ready = 2;
	while (!done || !rounds) {
		for (u64 i = own; i < all; i += 16) {
			CHECK_EQ(i, page(i)[1]);
			page(i)[2] = ++rounds;
		}
	}
}

/* The host takes a page away while the TD uses it: what it finds there then is a new one. */
static void punch(void)
{
	volatile u64 *p = page(0);
	u64 round;

	for (round = 0; round < mailbox->value[PUNCH_LAST]; round++) {
		CHECK_EQ(0, accept((u64)p, 0));
		CHECK_EQ(0, p[0]);
		p[0] = round + 1;
		mailbox->value[PUNCH_ROUNDS] = round + 1;
		/* The test punches the hole. */
		port_out(INSIDE_PORT, 4, round);
	}
}

static volatile u64 renewed;
static bool in_holes;

/* The host has taken a page away, and KVM has added a new one where the TD touched it. */
bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	(void)trap;
	if (!in_holes || !ve || ve->reason != VE_EPT_VIOLATION)
		return false;
	CHECK_EQ(0, accept(ve->gpa & ~(PAGE_SIZE - 1), 0));
	renewed++;
	return true;
}

/* The host takes the page away again and again while the TD works in it: there is what the TD has written, or nothing. */
static void work_in_holes(void)
{
	volatile u64 *p = page(0);
	u64 found, written = 0;

	in_holes = true;
	while (!mailbox->value[STOP]) {
		found = p[0];
		if (found)
			CHECK_EQ(written, found);
		p[0] = ++written;
		mailbox->value[PUNCH_FOUND] = renewed;
		mailbox->value[PUNCH_LOOKS] = written;
	}
}

/* Accepts, writes, adds up and converts its own pages in an order that nobody foresees but the test. */
static void work(u32 vcpu)
{
	static u64 sum[INSIDE_VCPUS];
	static u64 content[INSIDE_VCPUS][WORK_PAGES];
	unsigned long long state = mailbox->value[SEEDS + vcpu];
	u64 first = vcpu * WORK_PAGES;

	for (u64 i = 0; i < WORK_PAGES; i++)
		CHECK_EQ(0, accept((u64)page(first + i), 0));
	while (!mailbox->value[STOP]) {
		u64 random = work_random(&state), i = random % WORK_PAGES;
		volatile u64 *p = page(first + i);

		switch (random >> 32 & 7) {
		case 0:
			convert_page(first + i);
			content[vcpu][i] = first + i;
			break;
		case 1:
			p[0] = content[vcpu][i] = random;
			break;
		default:
			CHECK_EQ(content[vcpu][i], p[0]);
			sum[vcpu] += p[0];
		}
		mailbox->value[ROUNDS + vcpu]++;
	}
	mailbox->value[SUM + vcpu] = sum[vcpu];
}

void inside_main(u32 vcpu, u64 argument)
{
	switch (argument) {
	case CONVERT:
		convert(vcpu);
		break;
	case PUNCH:
		punch();
		break;
	case PUNCH_RUNNING:
		work_in_holes();
		break;
	case RANDOM_WORK:
		work(vcpu);
		break;
	}
}
