/* SPDX-License-Identifier: GPL-2.0 */
/* Who keeps the S-EPT of which TD: the backend or the TDX core's tdh_*(), from the simulator's log of SEAMCALLs. */
#ifndef CALLERS_H
#define CALLERS_H

#include <linux/types.h>

/* A TD's life, as far as the log has it. */
struct td_callers {
	__u64 tdr_pfn;
	__u64 backend, core;	/* S-EPT calls, the return of pages among them */
	__u64 held;		/* pages that it got by the S-EPT and that have not been returned */
};

/* Forgets the calls so far. 0, or -1 with errno. */
int callers_forget(void);

/* All TDs that were made since then, oldest first, into memory to be freed. Their number, or -1 with errno: ENOBUFS if the log has a gap. */
int callers_of_tds(struct td_callers **tds);

#endif
