/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of report.c puts into its TDREPORT: its argument is the byte that the data are made of. */
#define EXTENDS		2
#define EXTEND_RTMR	2
#define EXTEND_BYTE	0x10
#define REPORT_BYTE	0xd5
