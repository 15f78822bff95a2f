/* SPDX-License-Identifier: GPL-2.0 */
/* General-purpose registers as an array by their numbers in instructions, for assembler code that changes all of them. */
#ifndef TDX_SIM_REGS_H
#define TDX_SIM_REGS_H

#define REG(number)	((number) * 8)

/* Loads all but RSP from the array at RDI. */
.macro LOAD_REGS
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
.endm

/* Stores all but RSP to the array whose address is on top of the stack, and has that in RDI then. */
.macro STORE_REGS
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
.endm

#endif
