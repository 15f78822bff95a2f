// SPDX-License-Identifier: GPL-2.0
/*
 * What TDH.VP.ENTER leaves of the host's state: everything is filled with values of its own before, and compared afterwards.
 *
 * TDX ABI: "Exit: host register state", "Host CPU state after a TD exit". Built in, for what it needs is not exported.
 */
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "enter.h"

#define REGISTERS	16
#define RBP		5
#define RSP		4
#define XMMS		16

/* A status of the simulator alone: this machine cannot run TDs. */
#define CANNOT_RUN	0xc000050dULL

#define EPT_VIOLATION	48

void tdx_enter_seamcall(u64 regs[REGISTERS]);

/* MSRs that an exit leaves as they were, and those that it sets. */
static const u32 kept_msrs[] = {
	MSR_EFER, MSR_IA32_CR_PAT, MSR_FS_BASE, MSR_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_IA32_S_CET, MSR_IA32_INT_SSP_TAB,
};

static const struct {
	u32 msr;
	u64 fill, after;
} set_msrs[] = {
	{ MSR_STAR, 0x0023001000000000, 0 },
	{ MSR_LSTAR, 0xffffffff81234567, 0 },
	{ MSR_SYSCALL_MASK, 0x47700, 0x20200 },
	{ MSR_KERNEL_GS_BASE, 0x00007f1234567000, 0 },
	{ MSR_TSC_AUX, 0x1001, 0 },
};

/* What the CPU has besides general-purpose registers. */
struct state {
	struct desc_ptr gdt, idt;
	u16 ldtr, tr, cs, ss, ds, es, fs, gs;
	u64 cr0, cr2, cr3, cr4, xcr0, xss;
	u64 dr[4], dr6, dr7;
	u64 kept[ARRAY_SIZE(kept_msrs)];
	u64 set[ARRAY_SIZE(set_msrs)];
	u64 xmm[XMMS][2];
};

#define XMM(number, op, value)	asm volatile(op(number) : "+m" (value))
#define XMM_STORE(number)	"movdqu %%xmm" #number ", %0"
#define XMM_LOAD(number)	"movdqu %0, %%xmm" #number
#define FOR_XMMS(op, s) do {						\
	XMM(0, op, (s)->xmm[0]); XMM(1, op, (s)->xmm[1]);		\
	XMM(2, op, (s)->xmm[2]); XMM(3, op, (s)->xmm[3]);		\
	XMM(4, op, (s)->xmm[4]); XMM(5, op, (s)->xmm[5]);		\
	XMM(6, op, (s)->xmm[6]); XMM(7, op, (s)->xmm[7]);		\
	XMM(8, op, (s)->xmm[8]); XMM(9, op, (s)->xmm[9]);		\
	XMM(10, op, (s)->xmm[10]); XMM(11, op, (s)->xmm[11]);		\
	XMM(12, op, (s)->xmm[12]); XMM(13, op, (s)->xmm[13]);		\
	XMM(14, op, (s)->xmm[14]); XMM(15, op, (s)->xmm[15]);		\
} while (0)

static void read_state(struct state *s)
{
	unsigned long ldtr;

	memset(s, 0, sizeof(*s));
	native_store_gdt(&s->gdt);
	store_idt(&s->idt);
	store_ldt(ldtr);
	s->ldtr = ldtr;
	asm volatile("str %0" : "=m" (s->tr));
	savesegment(cs, s->cs);
	savesegment(ss, s->ss);
	savesegment(ds, s->ds);
	savesegment(es, s->es);
	savesegment(fs, s->fs);
	savesegment(gs, s->gs);
	s->cr0 = read_cr0();
	s->cr2 = native_read_cr2();
	s->cr3 = __native_read_cr3();
	s->cr4 = native_read_cr4();
	s->xcr0 = xgetbv(0);
	rdmsrq(MSR_IA32_XSS, s->xss);
	get_debugreg(s->dr[0], 0);
	get_debugreg(s->dr[1], 1);
	get_debugreg(s->dr[2], 2);
	get_debugreg(s->dr[3], 3);
	get_debugreg(s->dr6, 6);
	get_debugreg(s->dr7, 7);
	/* Not all CPUs have all of them. */
	for (int i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		rdmsrq_safe(kept_msrs[i], &s->kept[i]);
	for (int i = 0; i < ARRAY_SIZE(set_msrs); i++)
		rdmsrq(set_msrs[i].msr, s->set[i]);
	FOR_XMMS(XMM_STORE, s);
}

/* What an exit changes, with values that it would not leave there. */
static void fill_state(void)
{
	struct state s;

	set_debugreg(0x1000, 0);
	set_debugreg(0x2000, 1);
	set_debugreg(0x3000, 2);
	set_debugreg(0x4000, 3);
	native_write_cr2(0x123000);
	loadsegment(ds, __USER_DS);
	loadsegment(es, __USER_DS);
	for (int i = 0; i < ARRAY_SIZE(set_msrs); i++)
		wrmsrq(set_msrs[i].msr, set_msrs[i].fill);
	/* It means nothing as long as CET is off in CR4, and is the kernel's own value else. */
	wrmsrq_safe(MSR_IA32_S_CET, CET_ENDBR_EN);
	memset(s.xmm, 0x5a, sizeof(s.xmm));
	FOR_XMMS(XMM_LOAD, &s);
}

static void restore_state(const struct state *s)
{
	xsetbv(0, s->xcr0);
	wrmsrq(MSR_IA32_XSS, s->xss);
	set_debugreg(s->dr[0], 0);
	set_debugreg(s->dr[1], 1);
	set_debugreg(s->dr[2], 2);
	set_debugreg(s->dr[3], 3);
	set_debugreg(s->dr6, 6);
	set_debugreg(s->dr7, 7);
	loadsegment(ds, s->ds);
	loadsegment(es, s->es);
	for (int i = 0; i < ARRAY_SIZE(set_msrs); i++)
		wrmsrq(set_msrs[i].msr, s->set[i]);
	for (int i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		wrmsrq_safe(kept_msrs[i], s->kept[i]);
}

/* What no call of the TDX module changes. */
static void expect_kept(struct kunit *test, const struct state *a, const struct state *b)
{
	KUNIT_EXPECT_EQ(test, a->gdt.address, b->gdt.address);
	KUNIT_EXPECT_EQ(test, a->gdt.size, b->gdt.size);
	KUNIT_EXPECT_EQ(test, a->idt.address, b->idt.address);
	KUNIT_EXPECT_EQ(test, a->idt.size, b->idt.size);
	KUNIT_EXPECT_EQ(test, a->ldtr, b->ldtr);
	KUNIT_EXPECT_EQ(test, a->tr, b->tr);
	KUNIT_EXPECT_EQ(test, a->cs, b->cs);
	KUNIT_EXPECT_EQ(test, a->ss, b->ss);
	KUNIT_EXPECT_EQ(test, a->ds, b->ds);
	KUNIT_EXPECT_EQ(test, a->es, b->es);
	KUNIT_EXPECT_EQ(test, a->fs, b->fs);
	KUNIT_EXPECT_EQ(test, a->gs, b->gs);
	KUNIT_EXPECT_EQ(test, a->cr0, b->cr0);
	KUNIT_EXPECT_EQ(test, a->cr3, b->cr3);
	KUNIT_EXPECT_EQ(test, a->cr4, b->cr4);
	for (int i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		KUNIT_EXPECT_EQ_MSG(test, a->kept[i], b->kept[i], "MSR %#x", kept_msrs[i]);
}

/* What a refused call leaves alone, too. */
static void expect_untouched(struct kunit *test, const struct state *a, const struct state *b, const u64 *regs, const u64 *after)
{
	expect_kept(test, a, b);
	KUNIT_EXPECT_EQ(test, a->cr2, b->cr2);
	KUNIT_EXPECT_EQ(test, a->xcr0, b->xcr0);
	KUNIT_EXPECT_EQ(test, a->xss, b->xss);
	KUNIT_EXPECT_MEMEQ(test, a->dr, b->dr, sizeof(a->dr));
	KUNIT_EXPECT_MEMEQ(test, a->set, b->set, sizeof(a->set));
	KUNIT_EXPECT_MEMEQ(test, a->xmm, b->xmm, sizeof(a->xmm));
	for (int i = 1; i < REGISTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, regs[i], after[i], "register %d", i);
}

/* The TDX module's own values. */
static void expect_exit(struct kunit *test, const struct state *a, const struct state *b, const u64 *after, u64 gpa, u64 xfam, u64 rbp)
{
	static const u64 zero[XMMS][2];

	expect_kept(test, a, b);
	KUNIT_EXPECT_EQ(test, 0, b->cr2);
	KUNIT_EXPECT_EQ(test, xfam, b->xcr0 | b->xss);
	for (int i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ_MSG(test, 0, b->dr[i], "DR%d", i);
	KUNIT_EXPECT_EQ(test, 0xffff0ff0, b->dr6);
	KUNIT_EXPECT_EQ(test, 0x400, b->dr7);
	for (int i = 0; i < ARRAY_SIZE(set_msrs); i++)
		KUNIT_EXPECT_EQ_MSG(test, set_msrs[i].after, b->set[i], "MSR %#x", set_msrs[i].msr);
	KUNIT_EXPECT_MEMEQ(test, zero, b->xmm, sizeof(zero));

	KUNIT_EXPECT_EQ(test, EPT_VIOLATION, after[0]);
	KUNIT_EXPECT_EQ(test, gpa, after[8]);
	/* An instruction fetch. */
	KUNIT_EXPECT_EQ(test, 4, after[1]);
	KUNIT_EXPECT_EQ(test, rbp, after[RBP]);
	for (int i = 2; i < REGISTERS; i++)
		if (i != RSP && i != RBP && i != 8)
			KUNIT_EXPECT_EQ_MSG(test, 0, after[i], "register %d", i);
}

void tdx_enter_stay(bool stay)
{
	set_cpus_allowed_ptr(current, stay ? cpumask_of(raw_smp_processor_id()) : cpu_possible_mask);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_enter_stay, "tdx_sept");

/*
 * Enters the vCPU with its root page at @tdvpr, whose first instruction is at @gpa, in a page that is not mapped. With @keeps_rbp the TD was made to leave
 * RBP alone. Where the machine can run no TDs, nothing is to have changed.
 */
void tdx_enter_check(u64 tdvpr, u64 gpa, u64 xfam, bool keeps_rbp)
{
	struct kunit *test = kunit_get_current_test();
	u64 regs[REGISTERS], after[REGISTERS];
	struct state *s = kunit_kcalloc(test, 3, sizeof(*s), GFP_KERNEL);
	unsigned long flags;

	KUNIT_ASSERT_NOT_NULL(test, s);
	for (int i = 0; i < REGISTERS; i++)
		regs[i] = 0x1111111111111111 * i;
	regs[1] = tdvpr;
	memcpy(after, regs, sizeof(after));

	kernel_fpu_begin();
	local_irq_save(flags);
	read_state(&s[0]);
	fill_state();
	read_state(&s[1]);
	tdx_enter_seamcall(after);
	read_state(&s[2]);
	restore_state(&s[0]);
	local_irq_restore(flags);
	kernel_fpu_end();

	if (after[0] >> 32 == CANNOT_RUN)
		expect_untouched(test, &s[1], &s[2], regs, after);
	else
		expect_exit(test, &s[1], &s[2], after, gpa, xfam, keeps_rbp ? regs[RBP] : 0);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_enter_check, "tdx_sept");
