/* SPDX-License-Identifier: GPL-2.0 */
/* The VM entry of a TD vCPU, after __vmx_vcpu_run() of arch/x86/kvm/vmx/vmenter.S. */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>

/* As enum vmcs_field of asm/vmx.h, which is for C alone. */
#define HOST_RSP	0x6c14

/* A register of the array that rust/sim/run.rs hands over, by its number in instructions. */
#define REG(number)	((number) * 8)

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

	mov REG(0)(%rdi), %rax
	mov REG(1)(%rdi), %rcx
	mov REG(2)(%rdi), %rdx
	mov REG(3)(%rdi), %rbx
	mov REG(5)(%rdi), %rbp
	mov REG(6)(%rdi), %rsi
	mov REG(8)(%rdi), %r8
	mov REG(9)(%rdi), %r9
	mov REG(10)(%rdi), %r10
	mov REG(11)(%rdi), %r11
	mov REG(12)(%rdi), %r12
	mov REG(13)(%rdi), %r13
	mov REG(14)(%rdi), %r14
	mov REG(15)(%rdi), %r15
	mov REG(7)(%rdi), %rdi

	UNWIND_HINT_SAVE
	vmlaunch
	jmp .Lno_entry

SYM_INNER_LABEL_ALIGN(tdx_sim_vmexit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	push %rdi
	mov 8(%rsp), %rdi
	mov %rax, REG(0)(%rdi)
	mov %rcx, REG(1)(%rdi)
	mov %rdx, REG(2)(%rdi)
	mov %rbx, REG(3)(%rdi)
	mov %rbp, REG(5)(%rdi)
	mov %rsi, REG(6)(%rdi)
	pop REG(7)(%rdi)
	mov %r8, REG(8)(%rdi)
	mov %r9, REG(9)(%rdi)
	mov %r10, REG(10)(%rdi)
	mov %r11, REG(11)(%rdi)
	mov %r12, REG(12)(%rdi)
	mov %r13, REG(13)(%rdi)
	mov %r14, REG(14)(%rdi)
	mov %r15, REG(15)(%rdi)

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
