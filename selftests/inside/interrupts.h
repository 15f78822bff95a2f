/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of interrupts.c is to do, and what it says in the mailbox. */
enum {
	IPI,
	IPI_TO_HALTED,
	TIMER,
	DEADLINE_TIMER,
	SELF_IPI,
	NMI,
	MSI,
};

#define INTERRUPTS_NR		8
#define INTERRUPTS_VECTOR	0x40

enum {
	CAME,		/* that many */
	WAITING,	/* for that one */
};
