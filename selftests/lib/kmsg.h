/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's log: what the kernel complains of during a test. */
#ifndef KMSG_H
#define KMSG_H

#include <stddef.h>

/* Lines of ours around complaints that a test provokes: who looks at the log as a whole skips what is between them. */
#define KMSG_EXPECT_BEGIN	"tdx_selftest: complaints expected from here: "
#define KMSG_EXPECT_END		"tdx_selftest: complaints expected up to here: "

unsigned long long kmsg_now(void);
int kmsg_complaints(unsigned long long since, const char *const *expected, char *first, size_t size);
int kmsg_unexpected(char *first, size_t size);
int kmsg_say(const char *text, const char *name);

#endif
