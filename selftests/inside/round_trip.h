/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of round_trip.c finds out, in the mailbox: cycles of ROUND_TRIPS of each kind. */
#define ROUND_TRIPS	1000

enum {
	CYCLES_VMCALL,
	CYCLES_INFO,
	CYCLES_NOTHING,
};
