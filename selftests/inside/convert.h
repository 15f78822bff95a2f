/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of convert.c is to do. */
enum {
	CONVERT,
	PUNCH,
	PUNCH_RUNNING,
	RANDOM_WORK,
};

/* CONVERT: pages that vCPU 0 converts, one after the other; all are in one 2M, in which vCPU 1 works. */
#define CONVERT_NR	32

enum {
	/* PUNCH: rounds of the TD, and the last one that the test wants. */
	PUNCH_ROUNDS,
	PUNCH_LAST,
	/* PUNCH_RUNNING: times that the page was new, and times that the TD looked. */
	PUNCH_FOUND,
	PUNCH_LOOKS,
	/* RANDOM_WORK: the TD is to stop; rounds and checksum of each vCPU. */
	STOP,
	ROUNDS,
	SUM = ROUNDS + 2,
	SEEDS = SUM + 2,
};

/* RANDOM_WORK: memory of each vCPU. */
#define WORK_PAGES	64

/* The numbers that test and TD both make: xorshift64. */
static inline unsigned long long work_random(unsigned long long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
