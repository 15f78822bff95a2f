/* SPDX-License-Identifier: GPL-2.0 */
/* SEAMCALL with all registers, for enter.c. */
#include <linux/linkage.h>

#include "../../rust/sim/run/regs.h"

.text

/* void tdx_enter_seamcall(u64 regs[16]): RSP is left alone. */
SYM_FUNC_START(tdx_enter_seamcall)
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	LOAD_REGS
	.byte 0x66, 0x0f, 0x01, 0xcf
	STORE_REGS
	pop %rdi
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	RET
SYM_FUNC_END(tdx_enter_seamcall)
