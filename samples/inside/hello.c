// SPDX-License-Identifier: GPL-2.0
/*
 * A program in a TD that says hello, takes memory that it finds, shares a page with its host, and shows its TDREPORT.
 *
 * Its argument is the first of 2M of guest physical addresses that are the TD's to take.
 */
#include "inside.h"

#define PAGES	64

static void check(const char *what, u64 status)
{
	if (!status)
		return;
	say(what);
	say(" failed: ");
	say_hex(status);
	say("\n");
	fatal(1);
}

static u64 accepted;

/* A page that the host has added because the program touched it: it is to be accepted before it can be used. */
bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	(void)trap;
	if (!ve || ve->reason != VE_EPT_VIOLATION)
		return false;
	check("TDG.MEM.PAGE.ACCEPT", accept(ve->gpa & ~(PAGE_SIZE - 1), 0));
	accepted++;
	return true;
}

static void take_memory(u64 gpa)
{
	for (u64 i = 0; i < PAGES; i++)
		*(volatile u64 *)(gpa + i * PAGE_SIZE) = i;
	say("accepted on demand: ");
	say_hex(accepted);
	say(" pages at ");
	say_hex(gpa);
	say("\n");
}

static void share_page(u64 gpa)
{
	check("MapGPA", map_gpa(INSIDE_SHARED_BIT | gpa, PAGE_SIZE));
	memcpy(inside_shared(gpa), "for the host's eyes", 20);
	say("shared with the host: the page at ");
	say_hex(gpa);
	say("\n");
}

static void say_bytes(const char *what, const u8 *bytes, u32 nr)
{
	say(what);
	for (u32 i = 0; i < nr; i++) {
		char text[3] = { "0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15] };

		say(text);
	}
	say("\n");
}

static void show_report(void)
{
	static u8 report[1024] __attribute__((aligned(1024)));
	static u8 data[64] __attribute__((aligned(64)));

	check("TDG.MR.REPORT", tdg(TDG_MR_REPORT, (u64)report, (u64)data, 0));
	say_bytes("TDREPORT: MRTD ", report + 528, 48);
	say_bytes("TDREPORT: MAC  ", report + 224, 32);
}

void inside_main(u32 vcpu, u64 argument)
{
	if (vcpu)
		return;
	say("hello from inside a TD\n");
	take_memory(argument);
	share_page(argument + PAGES * PAGE_SIZE);
	show_report();
	say("done\n");
}
