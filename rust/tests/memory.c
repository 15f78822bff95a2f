// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of the kernel by frame number, for the KUnit tests. What turns one into
 * the other are macros, which Rust cannot use.
 */
#include <linux/gfp.h>
#include <linux/pfn.h>

u64 tdx_sept_test_alloc(void);
void tdx_sept_test_free(u64 pfn);
void *tdx_sept_test_address(u64 pfn);

/* Returns 0 if there is no memory. */
u64 tdx_sept_test_alloc(void)
{
	unsigned long addr = get_zeroed_page(GFP_KERNEL);

	return addr ? PHYS_PFN(__pa(addr)) : 0;
}

void tdx_sept_test_free(u64 pfn)
{
	free_page((unsigned long)__va(PFN_PHYS(pfn)));
}

void *tdx_sept_test_address(u64 pfn)
{
	return __va(PFN_PHYS(pfn));
}
