/* SPDX-License-Identifier: GPL-2.0 */
/* Physical memory, by /dev/mem (CONFIG_DEVMEM without CONFIG_STRICT_DEVMEM): to damage what the host gave to the TDX module. */
#ifndef PHYSMEM_H
#define PHYSMEM_H

#include <linux/types.h>

volatile __u8 *physmem_map_page(__u64 pfn);	/* NULL with errno */
void physmem_unmap_page(volatile __u8 *page);

#endif
