/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of report.c puts into its TDREPORT: its argument is the byte that the data are made of. */
#define REPORT_BYTE		0xd5

/* Run-time measurements, how often each is extended, and the byte that those of one time are made of. */
#define RTMRS_NR		4
#define EXTENDS(rtmr)		(rtmr)
#define EXTEND_BYTE(rtmr, time)	(0x10 * (rtmr) + (time))
