// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "mrtd.h"

/* MR.EXTEND takes a page in chunks of this size. */
#define CHUNK_SIZE	256
#define PAGE_SIZE	4096

void mrtd_begin(struct mrtd *mrtd)
{
	SHA384Init(&mrtd->sha);
}

/* The block that names an operation and its GPA. */
static void add_header(struct mrtd *mrtd, const char *operation, __u64 gpa)
{
	__u8 block[128] = { };

	strcpy((char *)block, operation);
	memcpy(block + 16, &gpa, sizeof(gpa));
	SHA384Update(&mrtd->sha, block, sizeof(block));
}

void mrtd_add_page(struct mrtd *mrtd, __u64 gpa, const void *page, bool measured)
{
	add_header(mrtd, "MEM.PAGE.ADD", gpa);
	if (!measured)
		return;

	for (int offset = 0; offset < PAGE_SIZE; offset += CHUNK_SIZE) {
		add_header(mrtd, "MR.EXTEND", gpa + offset);
		SHA384Update(&mrtd->sha, (const __u8 *)page + offset, CHUNK_SIZE);
	}
}

void mrtd_end(struct mrtd *mrtd, char hex[97])
{
	__u8 digest[SHA384_DIGEST_LENGTH];

	SHA384Final(digest, &mrtd->sha);
	for (size_t i = 0; i < sizeof(digest); i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
}
