// SPDX-License-Identifier: GPL-2.0
/*
 * What the simulated TDX module needs from C: an initcall that comes before
 * tdx_enable(), the #UD notifier, the page-table entries of the memory windows
 * and those facts of the machine that are behind macros and inline functions.
 */
#define pr_fmt(fmt)	"tdx_sim: " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kallsyms.h>
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>
#include <asm/archrandom.h>
#include <asm/cpufeature.h>
#include <asm/cpuid/api.h>
#include <asm/e820/api.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/ptrace.h>
#include <asm/tdx.h>
#include <asm/trapnr.h>
#include <asm/tsc.h>
#include <asm/vmx.h>

#include "glue.h"

/* IA32_MTRRCAP: the CPU has SEAM range registers, and so a SEAMCALL of its own. */
#define MTRRCAP_SEAMRR	BIT_ULL(15)

/*
 * The parameters on the kernel's command line, which a simulator that is built
 * in gets before its initcall. rust/sim/model/options.rs knows what is good.
 */
static struct tdx_sim_options options = {
	.profile = "current",
	.version = "",
	.features = "",
};

#define OPTION(name, type, text)				\
	module_param_named(name, options.name, type, 0444);	\
	MODULE_PARM_DESC(name, text)

OPTION(profile, charp, "TDX module to answer as: 1.5.01, or current (default), which adds what Linux needs beyond it");
OPTION(version, charp, "Version that it has, MAJOR.MINOR.UPDATE");
OPTION(features, charp, "Features to add (+name) and to take away (-name), separated by commas");
OPTION(max_tdmrs, uint, "Most TDMRs, 1 to 64");
OPTION(max_reserved_per_tdmr, uint, "Most reserved areas in a TDMR, 1 to 16");
OPTION(tdcs_pages, uint, "TDCX pages of a TD, 6 to 9");
OPTION(tdvps_pages, uint, "TDVPS pages of a vCPU, 6 to 15");
module_param_array_named(pamt_entry_size, options.pamt_entry_size, uint, NULL, 0444);
MODULE_PARM_DESC(pamt_entry_size, "Bytes of a PAMT entry for pages of 4K, 2M, 1G");

const struct tdx_sim_options *tdx_sim_get_options(void)
{
	return &options;
}

static bool trace;
module_param(trace, bool, 0444);
MODULE_PARM_DESC(trace, "Keep the last SEAMCALLs in detail, for the debugfs files log and trace");

bool tdx_sim_get_trace(void)
{
	return trace;
}

static void *tdx_sim_trace_start(struct seq_file *m, loff_t *pos)
{
	return *pos < tdx_sim_trace_pieces() ? pos : NULL;
}

static void *tdx_sim_trace_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return tdx_sim_trace_start(m, pos);
}

static void tdx_sim_trace_stop(struct seq_file *m, void *v)
{
}

static int tdx_sim_trace_show_one(struct seq_file *m, void *v)
{
	tdx_sim_trace_show(m, *(loff_t *)v);
	return 0;
}

static const struct seq_operations tdx_sim_trace_sops = {
	.start	= tdx_sim_trace_start,
	.next	= tdx_sim_trace_next,
	.stop	= tdx_sim_trace_stop,
	.show	= tdx_sim_trace_show_one,
};
DEFINE_SEQ_ATTRIBUTE(tdx_sim_trace);

void tdx_sim_create_trace_file(void)
{
	struct dentry *dir = debugfs_lookup("tdx_sim", NULL);

	debugfs_create_file("trace", 0400, dir, NULL, &tdx_sim_trace_fops);
	dput(dir);
}

static u64 cpu_xfeatures(void)
{
	u32 eax, ebx, ecx, edx;
	u64 xcr0, xss;

	cpuid_count(CPUID_LEAF_XSTATE, 0, &eax, &ebx, &ecx, &edx);
	xcr0 = eax | (u64)edx << 32;
	cpuid_count(CPUID_LEAF_XSTATE, 1, &eax, &ebx, &ecx, &edx);
	xss = ecx | (u64)edx << 32;
	return xcr0 | xss;
}

static bool cpu_has_ept5(void)
{
	u64 cap;

	return boot_cpu_has(X86_FEATURE_VMX) &&
	       !rdmsrq_safe(MSR_IA32_VMX_EPT_VPID_CAP, &cap) &&
	       (cap & VMX_EPT_PAGE_WALK_5_BIT);
}

void tdx_sim_get_facts(struct tdx_sim_facts *facts)
{
	unsigned long offset;
	unsigned long size = 0;

	kallsyms_lookup_size_offset((unsigned long)tdx_seamcall, &size, &offset);

	*facts = (struct tdx_sim_facts) {
		/*
		 * Global, so that INVLPG drops a window's translation whatever
		 * the PCID of the address space that it was loaded under.
		 */
		.pte_flags = pgprot_val(PAGE_KERNEL) | _PAGE_GLOBAL,
		.xfeatures = cpu_xfeatures(),
		.tsc_hz = (u64)tsc_khz * 1000,
		.backend_start = (unsigned long)tdx_seamcall,
		.backend_size = size,
		.phys_bits = boot_cpu_data.x86_phys_bits,
		.first_private_keyid = tdx_get_global_keyid(),
		.nr_private_keyids = tdx_get_nr_guest_keyids() + 1,
		.nr_cpus = num_present_cpus(),
		.nr_packages = topology_max_packages(),
		.cpuid_fms = cpuid_eax(1),
		.has_vmx = boot_cpu_has(X86_FEATURE_VMX),
		.has_ept5 = cpu_has_ept5(),
	};
}

/* The firmware's view of RAM: command-line options do not take it from TDX. */
u32 tdx_sim_get_ram(struct tdx_sim_range *ranges, u32 max)
{
	u32 i, nr = 0;

	for (i = 0; i < e820_table_firmware->nr_entries; i++) {
		struct e820_entry *entry = &e820_table_firmware->entries[i];
		u64 start = PAGE_ALIGN(entry->addr);
		u64 end = PAGE_ALIGN_DOWN(entry->addr + entry->size);

		if (entry->type != E820_TYPE_RAM || start >= end)
			continue;
		if (nr && start == ranges[nr - 1].base + ranges[nr - 1].size) {
			ranges[nr - 1].size += end - start;
			continue;
		}
		if (nr == max)
			break;
		ranges[nr++] = (struct tdx_sim_range) { start, end - start };
	}
	return nr;
}

static int collect_pte(pte_t *pte, unsigned long addr, void *data)
{
	pteval_t ***next = data;

	*(*next)++ = &pte->pte;
	return 0;
}

/*
 * Reserves kernel addresses for @nr single-page windows, with nothing behind
 * them, and stores where the page-table entry of each is. The entries stay for
 * ever: vmalloc never frees page tables.
 */
void *tdx_sim_map_windows(unsigned long nr, unsigned long **ptes)
{
	struct vm_struct *area = get_vm_area(nr * PAGE_SIZE, VM_IOREMAP);
	unsigned long start;

	if (!area)
		return NULL;
	start = (unsigned long)area->addr;
	if (apply_to_page_range(&init_mm, start, nr * PAGE_SIZE, collect_pte, &ptes)) {
		free_vm_area(area);
		return NULL;
	}
	return area->addr;
}

u32 tdx_sim_package(u32 cpu)
{
	return topology_physical_package_id(cpu);
}

/* Whether the local APIC holds an interrupt that the CPU would take if it could. */
bool tdx_sim_interrupt_pending(void)
{
	u32 priority = apic_read(APIC_PROCPRI) & APIC_TPRI_MASK;
	int reg;

	for (reg = MAX_APIC_VECTOR / APIC_VECTORS_PER_REG - 1; reg > 0; reg--) {
		u32 irr = apic_read(APIC_IRR + reg * 0x10);

		if (irr)
			return reg * APIC_VECTORS_PER_REG + __fls(irr) >= priority + 0x10;
	}
	return false;
}

/* The TDX module takes random numbers from the CPU, and so may the trap: no locks there. */
bool tdx_sim_random(u64 *value)
{
	unsigned long v;

	if (!arch_get_random_longs(&v, 1))
		return false;
	*value = v;
	return true;
}

static int tdx_sim_notify(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (val != DIE_TRAP || args->trapnr != X86_TRAP_UD || user_mode(args->regs))
		return NOTIFY_DONE;
	return tdx_sim_trap(args->regs, raw_smp_processor_id());
}

static struct notifier_block tdx_sim_nb = {
	.notifier_call = tdx_sim_notify,
	.priority = INT_MAX,		/* each SEAMCALL comes here */
};

/* Real SEAM executes SEAMCALL, or turns it into something else than #UD. */
static bool __init cpu_has_seam(void)
{
	u64 cap;

	return !rdmsrq_safe(MSR_MTRRcap, &cap) && (cap & MTRRCAP_SEAMRR);
}

static int __init tdx_sim_init(void)
{
	int err;

	if (!cpu_feature_enabled(X86_FEATURE_TDX_HOST_PLATFORM)) {
		pr_info("not active: no private KeyIDs (on a machine without them, boot with tdx_sim_platform=)\n");
		return 0;
	}
	if (cpu_has_seam()) {
		pr_err("not active: this CPU has SEAM and executes SEAMCALL itself\n");
		return -EBUSY;
	}
	if (!cpu_feature_enabled(X86_FEATURE_RDRAND)) {
		pr_err("not active: no RDRAND, which the TDX module takes its random numbers from\n");
		return -ENODEV;
	}

	err = tdx_sim_start();
	if (err) {
		pr_err("not active: init failed (%d)\n", err);
		return err;
	}
	return register_die_notifier(&tdx_sim_nb);
}

/* Before tdx_enable(), a subsys_initcall(), executes the first SEAMCALL. */
arch_initcall(tdx_sim_init);
