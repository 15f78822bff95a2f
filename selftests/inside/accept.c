// SPDX-License-Identifier: GPL-2.0
/* In the TD of accept.c: memory that comes when it is asked for, and memory that is shared. */
#include "accept.h"
#include "program.h"

/* Pages that the TD has accepted are zeroes, and its own. */
static void check_page(u64 gpa)
{
	volatile u64 *page = (void *)gpa;

	for (u64 i = 0; i < PAGE_SIZE / 8; i += 64)
		CHECK_EQ(0, page[i]);
	page[0] = gpa;
	CHECK_EQ(gpa, page[0]);
}

/* The host adds each page when the TD wants to accept it. */
static void accept_pages(void)
{
	for (u64 i = 0; i < ACCEPT_NR; i++) {
		u64 gpa = INSIDE_FREE + i * PAGE_SIZE;

		CHECK_EQ(0, accept(gpa, 0));
		check_page(gpa);
		/* It is as it was. */
		CHECK_EQ(TDX_PAGE_ALREADY_ACCEPTED, code(accept(gpa, 0)));
		CHECK_EQ(gpa, *(volatile u64 *)gpa);
	}
	/* Memory that was there from the start. */
	CHECK_EQ(TDX_PAGE_ALREADY_ACCEPTED, code(accept((u64)accept_pages & ~(PAGE_SIZE - 1), 0)));
	CHECK_EQ(TDX_OPERAND_INVALID, code(accept(INSIDE_SHARED_BIT, 0)));
	CHECK_EQ(TDX_OPERAND_INVALID, code(accept(INSIDE_FREE, 2)));
}

static volatile u64 ves;

/* A page that was touched is there by then, and not accepted. */
bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	(void)trap;
	if (!ve || ve->reason != VE_EPT_VIOLATION)
		return false;
	CHECK_EQ(ve->gla, ve->gpa);
	CHECK_EQ(0, accept(ve->gpa & ~(PAGE_SIZE - 1), 0));
	ves++;
	return true;
}

/* The TD touches pages and accepts those that raise #VE. */
static void accept_lazily(void)
{
	for (u64 i = 0; i < ACCEPT_NR; i++)
		check_page(INSIDE_FREE + i * PAGE_SIZE);
	mailbox->value[VES] = ves;
}

/* 2M at once where the host has mapped that much, else in small pages. */
static void accept_2m(u64 gpa)
{
	u64 status = accept(gpa, 1);

	if (!status) {
		mailbox->value[TOOK_2M]++;
		return;
	}
	CHECK_EQ(TDX_PAGE_SIZE_MISMATCH, code(status));
	for (u64 offset = 0; offset < SIZE_2M; offset += PAGE_SIZE) {
		CHECK_EQ(0, accept(gpa + offset, 0));
		mailbox->value[TOOK_4K]++;
	}
}

static void accept_large(void)
{
	accept_2m(INSIDE_FREE);
	check_page(INSIDE_FREE);
	check_page(INSIDE_FREE + SIZE_2M - PAGE_SIZE);
}

static volatile u64 arrived[INSIDE_VCPUS][ACCEPT_NR];
static volatile u64 won[ACCEPT_NR];

/* Both vCPUs accept the same page: one of them does it. */
static void race(u32 vcpu)
{
	for (u64 i = 0; i < ACCEPT_NR; i++) {
		u64 status, gpa = INSIDE_FREE + i * PAGE_SIZE;

		arrived[vcpu][i] = 1;
		wait_for(&arrived[!vcpu][i], 1);
		do {
			status = accept(gpa, 0);
		} while (code(status) == TDX_OPERAND_BUSY);
		if (!status)
			__atomic_add_fetch(&won[i], 1, __ATOMIC_SEQ_CST);
		else
			CHECK_EQ(TDX_PAGE_ALREADY_ACCEPTED, code(status));
		arrived[vcpu][i] = 2;
		wait_for(&arrived[!vcpu][i], 2);
		CHECK_EQ(1, won[i]);
	}
}

/* Pages as long as there are some, then from the start: they go back to the host by conversion. */
static void accept_for_ever(void)
{
	for (;;) {
		for (u64 gpa = INSIDE_FREE; gpa < INSIDE_MEMORY; gpa += PAGE_SIZE) {
			CHECK_EQ(0, accept(gpa, 0));
			/* For the test to know that the work is under way. */
			if (gpa == INSIDE_FREE)
				port_out(INSIDE_PORT, 4, 0);
		}
		CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(INSIDE_SHARED_BIT | INSIDE_FREE, INSIDE_MEMORY - INSIDE_FREE));
		CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(INSIDE_FREE, INSIDE_MEMORY - INSIDE_FREE));
	}
}

/* What one side writes to shared memory, the other one reads; private memory is the TD's alone. */
static void share(void)
{
	static volatile u64 secret[PAGE_SIZE / 8] __attribute__((aligned(4096)));

	for (u32 i = 0; i < sizeof(mailbox->bytes); i++)
		mailbox->bytes[i] = i * 7;
	secret[0] = 0x5ec2e7;
	mailbox->value[0] = (u64)secret;
	port_out(INSIDE_PORT, 4, 0);
	for (u32 i = 0; i < sizeof(mailbox->bytes); i++)
		CHECK_EQ((u8)(i * 13), mailbox->bytes[i]);
	CHECK_EQ(0x5ec2e7, secret[0]);
}

void inside_main(u32 vcpu, u64 argument)
{
	switch (argument) {
	case ACCEPT_PAGES:
		accept_pages();
		break;
	case ACCEPT_LAZY:
		accept_lazily();
		break;
	case ACCEPT_LARGE:
		accept_large();
		break;
	case ACCEPT_RACE:
		race(vcpu);
		break;
	case ACCEPT_TOUCH:
		*(volatile u64 *)INSIDE_FREE = 1;
		break;
	case ACCEPT_OUTSIDE:
		say_hex(*(volatile u64 *)OUTSIDE);
		break;
	case ACCEPT_FOR_EVER:
		accept_for_ever();
		break;
	case SHARE:
		share();
		break;
	}
}
