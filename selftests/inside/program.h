/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs of the tests have in common. A check that fails is said on the console and ends the TD. */
#ifndef INSIDE_PROGRAM_H
#define INSIDE_PROGRAM_H

#include "inside.h"
#include "mailbox.h"

static struct mailbox *const mailbox __attribute__((unused)) = (void *)(INSIDE_SHARED_BASE + INSIDE_MAILBOX);

static inline void check_eq(const char *what, u64 expected, u64 found)
{
	if (expected == found)
		return;
	say(what);
	say(": expected ");
	say_hex(expected);
	say(", found ");
	say_hex(found);
	say("\n");
	fatal(1);
}

#define CHECK_EQ(expected, found)	check_eq(#found, expected, found)
#define CHECK(condition)		check_eq(#condition, true, !!(condition))

/* Code of a completion status. */
static inline u32 code(u64 status)
{
	return status >> 32;
}

/* MSRs by the instructions; msr_read() and msr_write() ask the host. */
static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));
	return low | (u64)high << 32;
}

static inline void wrmsr(u32 msr, u64 value)
{
	asm volatile("wrmsr" : : "c" (msr), "a" ((u32)value), "d" ((u32)(value >> 32)) : "memory");
}

/* The TD's clock, after all that comes before. */
static inline u64 tsc(void)
{
	u32 low, high;

	asm volatile("lfence\n\trdtsc" : "=a" (low), "=d" (high));
	return low | (u64)high << 32;
}

/* Waits until the other vCPU has set @word to @value at least. */
static inline void wait_for(volatile u64 *word, u64 value)
{
	while (*word < value)
		asm volatile("pause");
}

#endif
