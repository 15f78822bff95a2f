/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the first instruction of a TD's vCPU to inside_start(), in 64-bit mode.
 *
 * The TDX module starts a vCPU in 32-bit protected mode with flat segments and
 * no paging, 16 bytes below 4G: RBX holds the width of guest physical addresses,
 * RCX and R8 what the VMM gave to KVM_TDX_INIT_VCPU, RSI the vCPU's index, RDX the CPU's family, model and stepping.
 */
#include "layout.h"

	/* The last page below 4G. */
	.section .reset, "ax"
	.code32
start32:
	mov	$pml4, %eax
	mov	%eax, %cr3
	/* Physical address extension; machine checks stay on, a TD must not turn them off. */
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	/* IA32_EFER has what 64-bit mode takes, and must not be written. */
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	lgdtl	gdt_pointer
	ljmp	$8, $start64

	.code64
start64:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	/* inside_start(rsi, rcx, r8, rbx, rdx) */
	mov	%rsi, %rdi
	mov	%rcx, %rsi
	xchg	%r8, %rdx
	mov	%rbx, %rcx
	mov	%rdi, %rsp
	inc	%rsp
	imul	$INSIDE_STACK, %rsp
	add	$stacks, %rsp
	xor	%ebp, %ebp
	mov	$inside_start, %rax
	call	*%rax
	hlt

	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
	.quad	0x00cf93000000ffff	/* data */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.org	0xff0
	.code32
	jmp	start32
	.org	0x1000

	/* The first 4G as private memory, and once more as shared memory from 512G on. */
	.section .data
	.balign	4096
pml4:
	.quad	private + 3, shared + 3
	.fill	510, 8, 0
private:
	.quad	0x00000083, 0x40000083, 0x80000083, 0xc0000083
	.fill	508, 8, 0
shared:
	.quad	INSIDE_SHARED_BIT + 0x00000083, INSIDE_SHARED_BIT + 0x40000083
	.quad	INSIDE_SHARED_BIT + 0x80000083, INSIDE_SHARED_BIT + 0xc0000083
	.fill	508, 8, 0

	.section .bss
	.balign	4096
stacks:
	.fill	INSIDE_STACK * INSIDE_VCPUS

	.section .text
	.code64
/* void tdcall(struct tdcall *): TDCALL with these registers, and what it returns in them. */
	.global	tdcall
tdcall:
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	0x00(%rdi), %rax
	mov	0x08(%rdi), %rcx
	mov	0x10(%rdi), %rdx
	mov	0x18(%rdi), %rbx
	mov	0x20(%rdi), %rsi
	mov	0x30(%rdi), %r8
	mov	0x38(%rdi), %r9
	mov	0x40(%rdi), %r10
	mov	0x48(%rdi), %r11
	mov	0x50(%rdi), %r12
	mov	0x58(%rdi), %r13
	mov	0x60(%rdi), %r14
	mov	0x68(%rdi), %r15
	mov	0x28(%rdi), %rdi
	.byte	0x66, 0x0f, 0x01, 0xcc
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, 0x00(%rdi)
	mov	%rcx, 0x08(%rdi)
	mov	%rdx, 0x10(%rdi)
	mov	%rbx, 0x18(%rdi)
	mov	%rsi, 0x20(%rdi)
	pop	0x28(%rdi)
	mov	%r8, 0x30(%rdi)
	mov	%r9, 0x38(%rdi)
	mov	%r10, 0x40(%rdi)
	mov	%r11, 0x48(%rdi)
	mov	%r12, 0x50(%rdi)
	mov	%r13, 0x58(%rdi)
	mov	%r14, 0x60(%rdi)
	mov	%r15, 0x68(%rdi)
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	ret

/*
 * One entry of 16 bytes for each vector, so that all reach the handler with an error code and the vector on the stack. To a CPU
 * that tracks indirect branches an event is one.
 */
	.balign	16
	.global	trap_entries
trap_entries:
	vector = 0
	.rept	256
	.balign	16
	endbr64
	/* #DF, #TS, #NP, #SS, #GP, #PF, #AC and #CP have an error code of their own. */
	.if	(vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21)
	push	$0
	.endif
	push	$vector
	jmp	trap
	vector = vector + 1
	.endr

trap:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	cld
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	inside_trap
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
