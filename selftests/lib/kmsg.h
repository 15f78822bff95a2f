/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's log: what the kernel complains of during a test. */
#ifndef KMSG_H
#define KMSG_H

#include <stddef.h>

unsigned long long kmsg_now(void);
int kmsg_complaints(unsigned long long since, const char *const *expected, char *first, size_t size);
int kmsg_unexpected(char *first, size_t size);

/* Waits until the kernel says again what a test provokes, if it has said so much of it that it would not. */
void kmsg_make_room(void);

/* Around complaints that the test @name provokes: who looks at the log as a whole skips what is between these, and the console, which is slow, shows none of it. */
void kmsg_expect_begin(const char *name);
void kmsg_expect_end(const char *name);

#endif
