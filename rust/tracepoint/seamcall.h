/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoint of a SEAMCALL. Who includes this says whose calls they are: TRACE_SYSTEM is tdx_sim or tdx_sept.
 *
 * Numbers are recorded, and turned into names when somebody reads them. The words of the text are those of the simulator's debugfs
 * file `log`.
 */
#if !defined(_TDX_TRACEPOINT_SEAMCALL_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TDX_TRACEPOINT_SEAMCALL_H

#include <linux/tracepoint.h>

#include "names.h"

/* As Leaf::outputs() has them (rust/abi/leaf.rs). */
#define TDX_OUTPUT_NAMES \
	{ 0x1, "rcx" }, { 0x2, "rdx" }, { 0x4, "r8" }, { 0x8, "r9" }, { 0x10, "r10" }, { 0x20, "r11" }

TRACE_EVENT(seamcall,

	TP_PROTO(u64 rax, const u64 *in, u64 status, u16 operand, const u64 *out, u8 outputs,
		  u64 cycles, bool backend, unsigned long function),

	TP_ARGS(rax, in, status, operand, out, outputs, cycles, backend, function),

	TP_STRUCT__entry(
		__field(u64,		rax)
		__field(u64,		rcx)
		__field(u64,		rdx)
		__field(u64,		r8)
		__field(u64,		r9)
		__field(u64,		r10)
		__field(u64,		r11)
		__field(u64,		status)
		__field(u64,		rcx_out)
		__field(u64,		rdx_out)
		__field(u64,		r8_out)
		__field(u64,		r9_out)
		__field(u64,		r10_out)
		__field(u64,		r11_out)
		__field(u64,		cycles)
		__field(unsigned long,	function)
		__field(u16,		operand)
		__field(u8,		outputs)
		__field(bool,		backend)
	),

	TP_fast_assign(
		__entry->rax		= rax;
		__entry->rcx		= in[0];
		__entry->rdx		= in[1];
		__entry->r8		= in[2];
		__entry->r9		= in[3];
		__entry->r10		= in[4];
		__entry->r11		= in[5];
		__entry->status		= status;
		__entry->rcx_out	= out[0];
		__entry->rdx_out	= out[1];
		__entry->r8_out		= out[2];
		__entry->r9_out		= out[3];
		__entry->r10_out	= out[4];
		__entry->r11_out	= out[5];
		__entry->cycles		= cycles;
		__entry->function	= function;
		__entry->operand	= operand;
		__entry->outputs	= outputs;
		__entry->backend	= backend;
	),

	TP_printk("leaf=%s rax=0x%llx rcx=0x%llx rdx=0x%llx r8=0x%llx r9=0x%llx r10=0x%llx r11=0x%llx status=0x%016llx name=%s operand=%s rcx_out=0x%llx rdx_out=0x%llx r8_out=0x%llx r9_out=0x%llx r10_out=0x%llx r11_out=0x%llx outputs=%s cycles=%llu caller=%s function=%pS",
		  __print_symbolic(__entry->rax & 0xffff, TDX_LEAF_NAMES),
		  __entry->rax, __entry->rcx, __entry->rdx, __entry->r8, __entry->r9, __entry->r10, __entry->r11,
		  __entry->status,
		  __print_symbolic(__entry->status >> 32, TDX_STATUS_NAMES),
		  __print_symbolic(__entry->operand, TDX_OPERAND_NAMES),
		  __entry->rcx_out, __entry->rdx_out, __entry->r8_out, __entry->r9_out, __entry->r10_out, __entry->r11_out,
		  __print_flags(__entry->outputs, ",", TDX_OUTPUT_NAMES),
		  __entry->cycles,
		  __print_symbolic(__entry->backend, { 0, "core" }, { 1, "backend" }),
		  (void *)__entry->function)
);

#endif

/* Here, beside this file, is where the macros find it again. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE seamcall
#include <trace/define_trace.h>
