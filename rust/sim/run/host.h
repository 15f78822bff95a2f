/* SPDX-License-Identifier: GPL-2.0 */
/*
 * State of the host around a VM entry. rust/sim/run/ffi.rs declares the same
 * functions to Rust.
 */
#ifndef TDX_SIM_HOST_H
#define TDX_SIM_HOST_H

#include <linux/types.h>
#include <asm/desc_defs.h>

/* What a VM exit does not bring back by itself. */
struct tdx_sim_host {
	u64 gdt_base;
	u64 idt_base;
	u64 tr_base;
	u16 gdt_limit;
	u16 idt_limit;
	u16 ldtr;
	u16 tr;
	u16 cs;
	u16 ss;
	u16 ds;
	u16 es;
	u16 fs;
	u16 gs;
};

/* C functions that Rust calls. */
void *tdx_sim_alloc_pages(u64 size, u64 *pa);
void tdx_sim_save_host(struct tdx_sim_host *host);
void tdx_sim_restore_host(const struct tdx_sim_host *host);
bool tdx_sim_load_xstate(const void *xsave, u64 mask);
void tdx_sim_save_xstate(void *xsave, u64 mask);
u64 tdx_sim_rdmsr(u32 msr);

/* vmenter.S */
bool tdx_sim_vmenter(u64 regs[16]);
void tdx_sim_vmexit(void);

#endif
