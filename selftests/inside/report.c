// SPDX-License-Identifier: GPL-2.0
/* In the TD of report.c: a TDREPORT, for the test to look at. */
#include "program.h"
#include "report.h"

void inside_main(u32 vcpu, u64 argument)
{
	static u8 data[64] __attribute__((aligned(64)));
	const u64 bytes = INSIDE_SHARED_BIT | (INSIDE_MAILBOX + offsetof(struct mailbox, bytes));

	(void)vcpu;
	for (int rtmr = 0; rtmr < RTMRS_NR; rtmr++) {
		for (int i = 0; i < EXTENDS(rtmr); i++) {
			memset(data, EXTEND_BYTE(rtmr, i), 48);
			CHECK_EQ(0, tdg(TDG_MR_RTMR_EXTEND, (u64)data, rtmr, 0));
		}
	}
	CHECK_EQ(TDX_OPERAND_INVALID, code(tdg(TDG_MR_RTMR_EXTEND, (u64)data, RTMRS_NR, 0)));
	CHECK_EQ(TDX_OPERAND_INVALID, code(tdg(TDG_MR_RTMR_EXTEND, (u64)data + 8, 0, 0)));
	memset(data, argument, sizeof(data));
	/* To memory that the host sees. The data are the TD's own. */
	CHECK_EQ(0, tdg(TDG_MR_REPORT, bytes, (u64)data, 0));
	mailbox->value[0] = 1;
}
