/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The initial memory of a TD, from a file: an ELF program, each of whose segments goes to its
 * physical address, or any other file, which goes below 4G, so that its last 16 bytes are the first
 * that the TD executes.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <linux/types.h>

#define IMAGE_PARTS	8

/* A range of guest physical addresses, and what it is to hold. */
struct image_part {
	__u64 gpa;
	__u64 pages;
	void *data;
};

struct image {
	struct image_part part[IMAGE_PARTS];
	int nr;
};

/* Returns 0, or -1 with errno and *error in words. image_free() frees what image_load() has read. */
int image_load(const char *path, struct image *image, const char **error);
void image_free(struct image *image);

#endif
