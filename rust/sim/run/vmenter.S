/* SPDX-License-Identifier: GPL-2.0 */
/* The VM entry of a TD vCPU, after __vmx_vcpu_run() of arch/x86/kvm/vmx/vmenter.S. */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>

#include "regs.h"

/* As enum vmcs_field of asm/vmx.h, which is for C alone. */
#define HOST_RSP	0x6c14

.text

/*
 * bool tdx_sim_vmenter(u64 regs[16]): enters the guest of the current VMCS with
 * these registers and stores those at the exit; the place of RSP is left alone.
 * Returns true if there was no entry. Interrupts are off.
 */
SYM_FUNC_START(tdx_sim_vmenter)
	push %rbp
	mov %rsp, %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rdi

	/* The VM exit comes back to the stack as it is here. */
	mov $HOST_RSP, %eax
	vmwrite %rsp, %rax

	LOAD_REGS

	UNWIND_HINT_SAVE
	vmlaunch
	jmp .Lno_entry

SYM_INNER_LABEL_ALIGN(tdx_sim_vmexit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	STORE_REGS

	/* Nothing of the guest stays where the host could take it for its own. */
	xor %ecx, %ecx
	xor %edx, %edx
	xor %esi, %esi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %eax, %eax
.Lout:
	pop %rdi
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET

.Lno_entry:
	mov $1, %eax
	jmp .Lout
SYM_FUNC_END(tdx_sim_vmenter)
