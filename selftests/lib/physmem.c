// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "physmem.h"

#define PAGE_SIZE	4096

volatile __u8 *physmem_map_page(__u64 pfn)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0)
		return NULL;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, pfn * PAGE_SIZE);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

void physmem_unmap_page(volatile __u8 *page)
{
	munmap((void *)page, PAGE_SIZE);
}
