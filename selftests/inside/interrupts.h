/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of interrupts.c is to do, and what it says in the mailbox. */
enum {
	IPI,
	IPI_TO_HALTED,
	TIMER,
	SELF_IPI,
	NMI,
};

/* Interrupts that came, and those that the TD has sent. */
#define INTERRUPTS_NR	8

enum {
	CAME,
};
