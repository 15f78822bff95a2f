// SPDX-License-Identifier: GPL-2.0
/*
 * round_trip - what it costs a TD to ask its host and to ask the TDX module. A benchmark, not a test: it is one so that it gets its TD from where
 * the tests get theirs.
 *
 * The TD counts by its time-stamp counter, which runs as the host's does. In Bochs with one CPU that counts instructions.
 */
#include "backend.h"
#include "inside.h"
#include "inside/round_trip.h"

static void add_cycles(const char *record, void *arg)
{
	char leaf[32];

	sim_text(record, "leaf", leaf, sizeof(leaf));
	if (!strcmp(leaf, "TDH.VP.ENTER"))
		*(__u64 *)arg += sim_number(record, "cycles");
}

static double each(const struct mailbox *mailbox, int kind)
{
	return (double)(mailbox->value[kind] - mailbox->value[CYCLES_NOTHING]) / ROUND_TRIPS;
}

TEST(round_trip)
{
	__u64 before = 0, after = 0;
	struct inside td;
	double host, module;

	ASSERT_EQ(0, backend_select(BACKEND_C));
	inside_start(_metadata, &td, "round_trip", 1, 0);
	ASSERT_EQ(0, sim_for_each("calls", add_cycles, &before));
	inside_finish(_metadata, &td, 0);
	ASSERT_EQ(0, sim_for_each("calls", add_cycles, &after));
	host = each(td.mailbox, CYCLES_VMCALL);
	module = each(td.mailbox, CYCLES_INFO);
	/* In TDH.VP.ENTER the TD runs, too: what it asks the module is all there. */
	printf("\nTSC cycles of a TD that asks\n");
	printf("  its host (TDG.VP.VMCALL, an exit and an entry)  %9.0f\n", host);
	printf("    of them in the simulator                      %9.0f\n",
	       (double)(after - before - td.mailbox->value[CYCLES_INFO]) / ROUND_TRIPS);
	printf("  the TDX module (TDG.VP.INFO, no exit)           %9.0f\n", module);
	inside_close(_metadata, &td);
}

TEST_HARNESS_MAIN
