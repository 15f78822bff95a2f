/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program that runs in a TD, with nothing below it: what it finds there.
 *
 * It is built without a C library (inside/inside.mk) and begins in
 * inside_main(), once for each vCPU.
 */
#ifndef INSIDE_H
#define INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ghci.h"
#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE_SIZE	4096ULL
#define SIZE_2M		(512 * PAGE_SIZE)

/* The program: @vcpu counts from 0, @argument is what the VMM gave to KVM_TDX_INIT_VCPU. When it returns, the TD is at its end. */
void inside_main(u32 vcpu, u64 argument);

/* What the vCPU's registers held at its first instruction. */
struct inside_start {
	u64 rcx, r8, rbx, rdx, rsi, cr0, cr4;
};

extern struct inside_start inside_started[INSIDE_VCPUS];

/* The same memory, as the host sees it. */
static inline void *inside_shared(u64 gpa)
{
	return (void *)(INSIDE_SHARED_BASE + gpa);
}

/* Registers of a TDCALL, before and after. The offsets are boot.S's. */
struct tdcall {
	u64 rax, rcx, rdx, rbx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

void tdcall(struct tdcall *regs);

/* Leaves. */
enum tdg {
	TDG_VP_VMCALL		= 0,
	TDG_VP_INFO		= 1,
	TDG_MR_RTMR_EXTEND	= 2,
	TDG_VP_VEINFO_GET	= 3,
	TDG_MR_REPORT		= 4,
	TDG_MEM_PAGE_ACCEPT	= 6,
	TDG_VM_RD		= 7,
	TDG_VM_WR		= 8,
};

/* Codes of completion statuses, bits 63:32. */
#define TDX_OPERAND_BUSY		0x80000200
#define TDX_OPERAND_INVALID		0xc0000100
#define TDX_PAGE_ALREADY_ACCEPTED	0x00000b0a
#define TDX_PAGE_SIZE_MISMATCH		0xc0000b0b

/* RCX, RDX and R8 as operands; returns the status. */
static inline u64 tdg(enum tdg leaf, u64 rcx, u64 rdx, u64 r8)
{
	struct tdcall regs = { .rax = leaf, .rcx = rcx, .rdx = rdx, .r8 = r8 };

	tdcall(&regs);
	return regs.rax;
}

/* Accepts the page of @level at @gpa; returns the status. */
static inline u64 accept(u64 gpa, u32 level)
{
	return tdg(TDG_MEM_PAGE_ACCEPT, gpa | level, 0, 0);
}

/* Asks the host: R12 to R15 as operands and results, R11 as one more result; returns R10. */
u64 tdvmcall(enum tdvmcall function, struct tdcall *regs);
u64 tdvmcall4(enum tdvmcall function, u64 r12, u64 r13, u64 r14, u64 r15);

u32 port_in(u16 port, u32 size);
void port_out(u16 port, u32 size, u32 value);
u64 msr_read(u32 msr);
void msr_write(u32 msr, u64 value);
/* Interrupts are off: waits until there is one, takes it, and turns them off again. */
void halt(void);
/* Converts a range; @gpa has the SHARED bit for shared memory. */
u64 map_gpa(u64 gpa, u64 size);
/* Ends the TD. */
__attribute__((noreturn)) void fatal(u64 code);

/* The console. */
void say(const char *text);
void say_hex(u64 number);

/* An exception or an interrupt, with the registers at it. */
struct trap {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

#define VECTOR_GP	13
#define VECTOR_PF	14
#define VECTOR_VE	20

/* What a #VE is for. The reasons are those of VMX exits: as enum tdvmcall has them, and one for memory. */
#define VE_EPT_VIOLATION	48

struct ve {
	u64 reason, qualification, gla, gpa;
	u32 length, information;
};

/*
 * For the program, if it wants to know: true if it took care of the trap. Else #VE becomes a request to the host, an interrupt is
 * acknowledged, and anything else ends the TD.
 */
bool inside_on_trap(struct trap *trap, const struct ve *ve);

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);

#endif
