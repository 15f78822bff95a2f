// SPDX-License-Identifier: GPL-2.0
/* In the TD of tdvmcall.c: each question that KVM has an answer to, rightly and wrongly put. */
#include "program.h"
#include "tdvmcall.h"

/* An MMIO access; returns what was read. */
static u64 mmio(u64 size, u64 write, u64 gpa, u64 value)
{
	struct tdcall regs = { .r12 = size, .r13 = write, .r14 = gpa, .r15 = value };

	CHECK_EQ(TDVMCALL_SUCCESS, tdvmcall(TDVMCALL_MMIO, &regs));
	return regs.r11;
}

static u64 mask(u64 size)
{
	return size == 8 ? ~0ULL : (1ULL << 8 * size) - 1;
}

static void ports(void)
{
	const u32 value = 0x87654321;

	for (u32 size = 1; size <= 4; size *= 2) {
		port_out(DEVICE_PORT, size, value);
		CHECK_EQ(~value & mask(size), port_in(DEVICE_PORT, size));
	}
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_IO, 3, 0, DEVICE_PORT, 0));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_IO, 1, 2, DEVICE_PORT, 0));
}

/* The instructions, which the runtime's #VE handler makes requests of. */
static void port_instructions(void)
{
	u32 value = 0x12345678;

	asm volatile("outl %0, %1" : : "a" (value), "Nd" ((u16)DEVICE_PORT));
	asm volatile("inl %1, %0" : "=a" (value) : "Nd" ((u16)DEVICE_PORT));
	CHECK_EQ(~0x12345678U, value);
}

static void memory_mapped(void)
{
	const u64 value = 0x8877665544332211, gpa = INSIDE_SHARED_BIT | DEVICE_GPA;

	for (u64 size = 1; size <= 8; size *= 2) {
		mmio(size, 1, gpa, value);
		CHECK_EQ(~value & mask(size), mmio(size, 0, gpa, 0));
	}
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_MMIO, 3, 0, gpa, 0));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_MMIO, 4, 2, gpa, 0));
	/* Private memory is no device. */
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_MMIO, 4, 0, DEVICE_GPA, 0));
}

static void cpuid(void)
{
	struct tdcall regs = { .r12 = 0x40000000 };
	u32 eax, ebx, ecx, edx;

	CHECK_EQ(TDVMCALL_SUCCESS, tdvmcall(TDVMCALL_CPUID, &regs));
	/* By way of #VE. */
	asm volatile("cpuid" : "=a" (eax), "=b" (ebx), "=c" (ecx), "=d" (edx) : "a" (0x40000000), "c" (0));
	CHECK_EQ(eax, regs.r12);
	CHECK_EQ(ebx, regs.r13);
	/* The module's own answer. */
	asm volatile("cpuid" : "=a" (eax), "=b" (ebx), "=c" (ecx), "=d" (edx) : "a" (0x21), "c" (0));
	CHECK_EQ(0x65746e49, ebx);
	CHECK_EQ(0x5844546c, edx);
}

static void msrs(void)
{
	const u32 apic_divide = 0x83e;

	msr_write(apic_divide, 0xb);
	CHECK_EQ(0xb, msr_read(apic_divide));
	wrmsr(apic_divide, 3);
	CHECK_EQ(3, rdmsr(apic_divide));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_RDMSR, 0x12345, 0, 0, 0));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_WRMSR, 0x12345, 0, 0, 0));
}

static void conversions(void)
{
	const u64 gpa = INSIDE_FREE;

	CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(INSIDE_SHARED_BIT | gpa, 4 * PAGE_SIZE));
	*(volatile u64 *)inside_shared(gpa) = 1;
	CHECK_EQ(TDVMCALL_SUCCESS, map_gpa(gpa, 4 * PAGE_SIZE));
	CHECK_EQ(0, accept(gpa, 0));
	CHECK_EQ(TDVMCALL_ALIGN_ERROR, map_gpa(gpa + 8, PAGE_SIZE));
	CHECK_EQ(TDVMCALL_ALIGN_ERROR, map_gpa(gpa, 8));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_MAP_GPA, gpa, 0, 0, 0));
	/* Half of it private, half shared. */
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, map_gpa(INSIDE_SHARED_BIT - PAGE_SIZE, 2 * PAGE_SIZE));
}

/* How far it came is for the TD to know. */
static void refused_conversions(void)
{
	struct tdcall regs = { .r12 = INSIDE_SHARED_BIT | INSIDE_FREE, .r13 = 2 * SIZE_2M };

	CHECK_EQ(TDVMCALL_RETRY, tdvmcall(TDVMCALL_MAP_GPA, &regs));
	CHECK_EQ(INSIDE_SHARED_BIT | (INSIDE_FREE + SIZE_2M), regs.r11);
	regs = (struct tdcall) { .r12 = INSIDE_FREE, .r13 = SIZE_2M };
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall(TDVMCALL_MAP_GPA, &regs));
	CHECK_EQ(INSIDE_FREE, regs.r11);
}

static void information(void)
{
	struct tdcall regs = { .r12 = 0, .r13 = 1, .r14 = 1 };

	CHECK_EQ(TDVMCALL_SUCCESS, tdvmcall(TDVMCALL_INFO, &regs));
	CHECK_EQ(0, regs.r11 | regs.r12 | regs.r13 | regs.r14);
	/* What the VMM has beyond that. */
	regs = (struct tdcall) { .r12 = 1 };
	CHECK_EQ(TDVMCALL_SUCCESS, tdvmcall(TDVMCALL_INFO, &regs));
	CHECK_EQ(INFO_R11, regs.r11);
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_INFO, 2, 0, 0, 0));
}

static void attestation(void)
{
	static const u64 statuses[] = { HOST_STATUSES };
	const u32 nr = sizeof(statuses) / sizeof(*statuses);

	for (u32 i = 0; i < nr; i++)
		CHECK_EQ(statuses[i], tdvmcall4(TDVMCALL_GET_QUOTE, INSIDE_SHARED_BIT | INSIDE_MAILBOX, PAGE_SIZE, 0, 0));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_GET_QUOTE, INSIDE_MAILBOX, PAGE_SIZE, 0, 0));
	for (u32 i = 0; i < nr; i++)
		CHECK_EQ(statuses[i], tdvmcall4(TDVMCALL_NOTIFY, NOTIFY_VECTOR, 0, 0, 0));
	CHECK_EQ(TDVMCALL_INVALID_OPERAND, tdvmcall4(TDVMCALL_NOTIFY, 31, 0, 0, 0));
}

/* A function that there is not, and a hypercall of KVM's own that there is not either. */
static void unknown(void)
{
	const u64 enosys = -1000;
	struct tdcall regs = { .rcx = 0xfc00, .r10 = 0x7777 };

	CHECK_EQ(TDVMCALL_UNSUPPORTED, tdvmcall4(0x20000, 0, 0, 0, 0));
	tdcall(&regs);
	CHECK_EQ(enosys, regs.r10);
}

void inside_main(u32 vcpu, u64 argument)
{
	static void (*const subjects[])(void) = {
		[ASK_PORTS] = ports,
		[ASK_PORT_INSTRUCTIONS] = port_instructions,
		[ASK_MEMORY_MAPPED] = memory_mapped,
		[ASK_CPUIDS] = cpuid,
		[ASK_MSRS] = msrs,
		[ASK_CONVERSIONS] = conversions,
		[ASK_REFUSED_CONVERSIONS] = refused_conversions,
		[ASK_INFORMATION] = information,
		[ASK_ATTESTATION] = attestation,
		[ASK_UNKNOWN] = unknown,
	};

	(void)vcpu;
	subjects[argument]();
}
