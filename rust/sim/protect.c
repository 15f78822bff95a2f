// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps the host out of memory that is in TDX hands, as its KeyID does on
 * hardware: pages leave the direct map while the TDX module has them. As
 * debug_pagealloc does it, and by its means: with debug_pagealloc=on the direct
 * map has an entry for each page and is changed without a lock.
 *
 * The trap must not send IPIs, so only this CPU's translations are flushed:
 * where another CPU still has one, an access from there goes unnoticed.
 */
#define pr_fmt(fmt)	"tdx_sim: " fmt

#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <asm/pgtable_types.h>
#include <asm/ptrace.h>
#include <asm/trap_pf.h>
#include <trace/events/exceptions.h>

#include "glue.h"

static bool protect;
module_param(protect, bool, 0444);
MODULE_PARM_DESC(protect, "Take memory in TDX hands from the direct map, and report who reaches for it (needs debug_pagealloc=on)");

/*
 * Before exception tables are asked: copy_from_kernel_nofault() and the like
 * are caught, too.
 */
static void look_at_fault(void *data, unsigned long address,
			  struct pt_regs *regs, unsigned long error_code)
{
	if (error_code & X86_PF_PROT || !virt_addr_valid(address))
		return;
	if (tdx_sim_report_access(__pa(address), error_code & X86_PF_WRITE))
		dump_stack();
}

int tdx_sim_start_protection(void)
{
	if (!protect)
		return 0;
	if (!debug_pagealloc_enabled()) {
		pr_err("protect=1: it needs debug_pagealloc=on\n");
		return -EINVAL;
	}
	pr_info("the host is kept out of memory in TDX hands\n");
	return register_trace_page_fault_kernel(look_at_fault, NULL);
}

/*
 * Some memory is not: what has no entry in the memory map, and what the kernel
 * keeps out for reasons of its own.
 */
static bool in_direct_map(unsigned long pfn)
{
	unsigned int level;
	pte_t *pte;

	if (!pfn_valid(pfn))
		return false;
	pte = lookup_address((unsigned long)pfn_to_kaddr(pfn), &level);
	return pte && level == PG_LEVEL_4K && !pte_none(*pte);
}

void tdx_sim_set_host_access(u64 pa, u64 nr_pages, bool allowed)
{
	unsigned long pfn, first = PHYS_PFN(pa);

	if (!protect)
		return;
	for (pfn = first; pfn < first + nr_pages; pfn++) {
		if (!in_direct_map(pfn))
			continue;
		if (allowed)
			debug_pagealloc_map_pages(pfn_to_page(pfn), 1);
		else
			debug_pagealloc_unmap_pages(pfn_to_page(pfn), 1);
	}
}
