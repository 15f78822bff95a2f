// SPDX-License-Identifier: GPL-2.0
/*
 * What running a TD needs from C: the host's descriptor tables, segments and
 * extended state, which the kernel reaches by inline functions and macros.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <asm/asm.h>
#include <asm/desc.h>
#include <asm/gsseg.h>
#include <asm/msr.h>
#include <asm/segment.h>

#include "host.h"

/* Zeroed memory that stays, and where it is. */
void *tdx_sim_alloc_pages(u64 size, u64 *pa)
{
	void *pages = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);

	if (pages)
		*pa = __pa(pages);
	return pages;
}

void tdx_sim_save_host(struct tdx_sim_host *host)
{
	struct desc_ptr gdt, idt;
	unsigned long ldtr;

	native_store_gdt(&gdt);
	store_idt(&idt);
	store_ldt(ldtr);
	host->gdt_base = gdt.address;
	host->gdt_limit = gdt.size;
	host->idt_base = idt.address;
	host->idt_limit = idt.size;
	host->ldtr = ldtr;
	host->tr = GDT_ENTRY_TSS * 8;
	host->tr_base = (unsigned long)&get_cpu_entry_area(raw_smp_processor_id())->tss.x86_tss;
	savesegment(cs, host->cs);
	savesegment(ss, host->ss);
	savesegment(ds, host->ds);
	savesegment(es, host->es);
	savesegment(fs, host->fs);
	savesegment(gs, host->gs);
}

/*
 * A VM exit leaves the limits of GDT and IDT at 64K, that of TR at its minimum,
 * LDTR unusable, and the data segments as the VMCS says: null.
 */
void tdx_sim_restore_host(const struct tdx_sim_host *host)
{
	const struct desc_ptr gdt = { .size = host->gdt_limit, .address = host->gdt_base };
	const struct desc_ptr idt = { .size = host->idt_limit, .address = host->idt_base };

	native_load_gdt(&gdt);
	native_load_idt(&idt);
	asm volatile("lldt %0" : : "rm" (host->ldtr));
	force_reload_TR();

	if (host->ds | host->es) {
		loadsegment(ds, host->ds);
		loadsegment(es, host->es);
	}
	if (host->fs) {
		u64 base;

		rdmsrq(MSR_FS_BASE, base);
		loadsegment(fs, host->fs);
		wrmsrq(MSR_FS_BASE, base);
	}
	if (host->gs)
		load_gs_index(host->gs);
}

/* Loads extended state; false if there is something in it that the CPU refuses. */
bool tdx_sim_load_xstate(const void *xsave, u64 mask)
{
	int err;

	asm volatile("1: xrstors64 (%[xsave])\n"
		     "xor %[err], %[err]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE(1b, 2b, EX_TYPE_FAULT_MCE_SAFE)
		     : [err] "=a" (err)
		     : [xsave] "r" (xsave), "a" ((u32)mask), "d" ((u32)(mask >> 32))
		     : "memory");
	return !err;
}

void tdx_sim_save_xstate(void *xsave, u64 mask)
{
	asm volatile("xsaves64 (%[xsave])"
		     : : [xsave] "r" (xsave), "a" ((u32)mask), "d" ((u32)(mask >> 32))
		     : "memory");
}

/* Not all CPUs have all MSRs that the TDX module looks at. */
u64 tdx_sim_rdmsr(u32 msr)
{
	u64 value;

	return rdmsrq_safe(msr, &value) ? 0 : value;
}
