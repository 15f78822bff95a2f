/* SPDX-License-Identifier: GPL-2.0 */
/* What a test and its program in the TD agree on. */
#ifndef INSIDE_MAILBOX_H
#define INSIDE_MAILBOX_H

#include <linux/types.h>

/* Memory of the TD, and the page of it that is shared from the start. */
#define INSIDE_MEMORY	(32 << 20)
#define INSIDE_MAILBOX	0x10000

/* Private memory that nothing is at: 2M pages. */
#define INSIDE_FREE	(8 << 20)

/* Port of a message to the test: KVM_RUN comes back for it. */
#define INSIDE_PORT	0x500

struct mailbox {
	volatile __u64 value[64];	/* what they mean is the test's */
	volatile __u8 bytes[1024] __attribute__((aligned(1024)));
};

#endif
