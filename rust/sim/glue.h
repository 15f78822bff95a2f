/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The border between the C and the Rust side of the simulated TDX module.
 * rust/sim/ffi.rs declares the same functions to Rust.
 */
#ifndef TDX_SIM_GLUE_H
#define TDX_SIM_GLUE_H

#include <linux/types.h>

struct pt_regs;
struct seq_file;

/* Facts of the machine that the simulator is told once, at init. */
struct tdx_sim_facts {
	u64 pte_flags;			/* of a writable kernel mapping of RAM */
	u64 xfeatures;			/* XCR0 and IA32_XSS bits that the CPU has, in one mask */
	u64 tsc_hz;
	u64 backend_start;		/* code of the SEAMCALL entry of backends */
	u64 backend_size;
	u32 phys_bits;			/* width of addresses without the KeyID */
	u32 first_private_keyid;
	u32 nr_private_keyids;
	u32 nr_cpus;
	u32 nr_packages;
	u32 cpuid_fms;			/* CPUID.1:EAX */
	bool has_vmx;
	bool has_ept5;			/* 5-level EPT */
};

/* What was asked for; an empty string or a 0 leaves what the profile has. */
struct tdx_sim_options {
	char *profile;
	char *version;
	char *features;
	u32 max_tdmrs;
	u32 max_reserved_per_tdmr;
	u32 pamt_entry_size[3];		/* 4K, 2M, 1G */
	u32 tdcs_pages;
	u32 tdvps_pages;
};

/* A range of physical memory. */
struct tdx_sim_range {
	u64 base;
	u64 size;
};

/* Rules of fault injection that there can be. */
#define TDX_SIM_FAULT_RULES	8

/* What struct fault_attr knows of a rule: which of its events it strikes. */
struct tdx_sim_fault_when {
	u32 interval;
	u32 probability;
	s32 space;
	s32 times;
};

/* C functions that Rust calls. */
void tdx_sim_get_facts(struct tdx_sim_facts *facts);
const struct tdx_sim_options *tdx_sim_get_options(void);
bool tdx_sim_get_trace(void);
void tdx_sim_create_trace_file(void);
u32 tdx_sim_get_ram(struct tdx_sim_range *ranges, u32 max);
void *tdx_sim_map_windows(unsigned long nr, unsigned long **ptes);
u32 tdx_sim_package(u32 cpu);
bool tdx_sim_interrupt_pending(void);
bool tdx_sim_random(u64 *value);
int tdx_sim_start_protection(void);
void tdx_sim_set_host_access(u64 pa, u64 nr_pages, bool allowed);
bool tdx_sim_should_fail(u32 rule);
void tdx_sim_set_fault(u32 rule, const struct tdx_sim_fault_when *when);
void tdx_sim_get_fault(u32 rule, struct tdx_sim_fault_when *when);
const char *tdx_sim_start_faults(struct tdx_sim_fault_when *when);

/* Rust functions that C calls. */
int tdx_sim_start(void);
int tdx_sim_trap(struct pt_regs *regs, u32 cpu);
bool tdx_sim_report_access(u64 pa, bool write);
u64 tdx_sim_trace_pieces(void);
void tdx_sim_trace_show(struct seq_file *m, u64 piece);

#endif
