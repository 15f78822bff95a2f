// SPDX-License-Identifier: GPL-2.0
/* What is below a program in a TD: TDCALL, traps, the console. */
#include "inside.h"

/* RDX, RBX, RSI, RDI and R8 to R15: all registers but RBP. */
#define ALL_REGISTERS	0xffcc

#define LAPIC_EOI	0x80b

struct inside_start inside_started[INSIDE_VCPUS];

void *memset(void *to, int byte, size_t size)
{
	void *start = to;

	asm volatile("rep stosb" : "+D" (to), "+c" (size) : "a" (byte) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (size) : : "memory");
	return start;
}

u64 tdvmcall(enum tdvmcall function, struct tdcall *regs)
{
	regs->rax = TDG_VP_VMCALL;
	regs->rcx = ALL_REGISTERS;
	regs->r10 = 0;
	regs->r11 = function;
	tdcall(regs);
	return regs->r10;
}

u64 tdvmcall4(enum tdvmcall function, u64 r12, u64 r13, u64 r14, u64 r15)
{
	struct tdcall regs = { .r12 = r12, .r13 = r13, .r14 = r14, .r15 = r15 };

	return tdvmcall(function, &regs);
}

u32 port_in(u16 port, u32 size)
{
	struct tdcall regs = { .r12 = size, .r13 = 0, .r14 = port };

	tdvmcall(TDVMCALL_IO, &regs);
	return regs.r11;
}

void port_out(u16 port, u32 size, u32 value)
{
	tdvmcall4(TDVMCALL_IO, size, 1, port, value);
}

u64 msr_read(u32 msr)
{
	struct tdcall regs = { .r12 = msr };

	return tdvmcall(TDVMCALL_RDMSR, &regs) ? 0 : regs.r11;
}

void msr_write(u32 msr, u64 value)
{
	tdvmcall4(TDVMCALL_WRMSR, msr, value, 0, 0);
}

void halt(void)
{
	/* R12: an interrupt is to end it, although the TD does not take it yet. */
	tdvmcall4(TDVMCALL_HLT, 0, 0, 0, 0);
	asm volatile("sti\n\tnop\n\tcli");
}

u64 map_gpa(u64 gpa, u64 size)
{
	struct tdcall regs;
	u64 ret, end = gpa + size;

	do {
		regs = (struct tdcall) { .r12 = gpa, .r13 = end - gpa };
		ret = tdvmcall(TDVMCALL_MAP_GPA, &regs);
		/* How far it got. */
		if (ret == TDVMCALL_RETRY)
			gpa = regs.r11;
	} while (ret == TDVMCALL_RETRY);
	return ret;
}

void fatal(u64 code)
{
	for (;;)
		tdvmcall4(TDVMCALL_FATAL_ERROR, code, 0, 0, 0);
}

void say(const char *text)
{
	while (*text)
		port_out(INSIDE_CONSOLE, 1, *text++);
}

void say_hex(u64 number)
{
	char text[19] = "0x";
	int digits = 1;

	while (digits < 16 && number >> 4 * digits)
		digits++;
	for (int i = 0; i < digits; i++)
		text[2 + i] = "0123456789abcdef"[number >> 4 * (digits - 1 - i) & 15];
	text[2 + digits] = '\0';
	say(text);
}

static void get_ve(struct ve *ve)
{
	struct tdcall regs = { .rax = TDG_VP_VEINFO_GET };

	tdcall(&regs);
	*ve = (struct ve) {
		.reason = regs.rcx,
		.qualification = regs.rdx,
		.gla = regs.r8,
		.gpa = regs.r9,
		.length = regs.r10,
		.information = regs.r10 >> 32,
	};
}

/* The instruction, as a request to the host. The reasons have the numbers of the sub-functions. */
static bool ask_host(struct trap *trap, const struct ve *ve)
{
	struct tdcall regs = { };
	u64 mask;

	switch (ve->reason) {
	case TDVMCALL_CPUID:
		regs.r12 = trap->rax;
		regs.r13 = trap->rcx;
		tdvmcall(TDVMCALL_CPUID, &regs);
		trap->rax = regs.r12;
		trap->rbx = regs.r13;
		trap->rcx = regs.r14;
		trap->rdx = regs.r15;
		break;
	case TDVMCALL_HLT:
		tdvmcall4(TDVMCALL_HLT, !(trap->rflags & 0x200), 0, 0, 0);
		break;
	case TDVMCALL_IO:
		/* Size less one, direction (1: in), port. String instructions are for others. */
		regs.r12 = (ve->qualification & 7) + 1;
		regs.r13 = !(ve->qualification & 8);
		regs.r14 = ve->qualification >> 16;
		mask = (1ULL << 8 * regs.r12) - 1;
		regs.r15 = trap->rax & mask;
		tdvmcall(TDVMCALL_IO, &regs);
		if (ve->qualification & 8)
			trap->rax = (trap->rax & ~mask) | (regs.r11 & mask);
		break;
	case TDVMCALL_RDMSR:
		regs.r12 = trap->rcx;
		if (tdvmcall(TDVMCALL_RDMSR, &regs))
			return false;
		trap->rax = (u32)regs.r11;
		trap->rdx = regs.r11 >> 32;
		break;
	case TDVMCALL_WRMSR:
		regs.r12 = trap->rcx;
		regs.r13 = (u32)trap->rax | trap->rdx << 32;
		if (tdvmcall(TDVMCALL_WRMSR, &regs))
			return false;
		break;
	default:
		return false;
	}
	trap->rip += ve->length;
	return true;
}

/* Programs with something to do have one of their own. */
__attribute__((weak)) bool inside_on_trap(struct trap *trap, const struct ve *ve)
{
	(void)trap;
	(void)ve;
	return false;
}

/* The x2APIC's EOI register, which the CPU has for the TD. */
static void acknowledge(void)
{
	asm volatile("wrmsr" : : "c" (LAPIC_EOI), "a" (0), "d" (0));
}

void inside_trap(struct trap *trap)
{
	struct ve ve = { };
	bool is_ve = trap->vector == VECTOR_VE;

	if (is_ve)
		get_ve(&ve);
	if (trap->vector >= 32)
		acknowledge();
	if (inside_on_trap(trap, is_ve ? &ve : NULL) || trap->vector >= 32)
		return;
	if (is_ve && ask_host(trap, &ve))
		return;

	say("\ntrap ");
	say_hex(trap->vector);
	say(" error ");
	say_hex(trap->error);
	say(" at ");
	say_hex(trap->rip);
	if (is_ve) {
		say(" #VE reason ");
		say_hex(ve.reason);
		say(" GPA ");
		say_hex(ve.gpa);
	}
	say("\n");
	fatal(trap->vector);
}

struct gate {
	u16 low, selector, flags, middle;
	u32 high, zero;
} __attribute__((packed));

static struct gate idt[256];

extern const char trap_entries[][16];

static void load_idt(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

	for (int i = 0; i < 256; i++) {
		u64 entry = (u64)trap_entries[i];

		/* A 64-bit interrupt gate. */
		idt[i] = (struct gate) {
			.low = entry,
			.selector = 8,
			.flags = 0x8e00,
			.middle = entry >> 16,
			.high = entry >> 32,
		};
	}
	asm volatile("lidt %0" : : "m" (pointer));
}

static u64 read_cr0(void)
{
	u64 value;

	asm volatile("mov %%cr0, %0" : "=r" (value));
	return value;
}

static u64 read_cr4(void)
{
	u64 value;

	asm volatile("mov %%cr4, %0" : "=r" (value));
	return value;
}

/* From boot.S, on the stack of the vCPU: RSI is its number. */
void inside_start(u64 rsi, u64 rcx, u64 r8, u64 rbx, u64 rdx)
{
	const u32 vcpu = rsi;

	inside_started[vcpu] = (struct inside_start) {
		.rcx = rcx,
		.r8 = r8,
		.rbx = rbx,
		.rdx = rdx,
		.rsi = rsi,
		.cr0 = read_cr0(),
		.cr4 = read_cr4(),
	};
	load_idt();
	inside_main(vcpu, rcx);
	fatal(0);
}
