// SPDX-License-Identifier: GPL-2.0
/*
 * Measures KVM's S-EPT operations from entry to return: the function by which KVM's MMU asks for one change of an S-EPT entry, the same for
 * KVM's own code and for a registered backend.
 *
 * debugfs file tdx_sept_bench: write "cycles" or "kicks" to begin measuring the one or the other, or "off"; each begins at zero. Reading gives
 *   op=4k count=N cycles=M		changes of 4K entries, and TSC cycles within them
 *   op=kick count=N			requests to all vCPUs to leave the guest
 *   op=empty count=N cycles=M		what measuring itself costs: a probed function that does nothing
 * "seamcall" makes SEAMCALLs that do nothing, on the spot:
 *   op=seamcall count=N cycles=M	from before the instruction to behind it; what measuring costs is taken off
 * Kicks are counted apart, for the probe that counts them would take cycles of the operation.
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <asm/asm.h>
#include <asm/kvm_host.h>
#include <asm/tsc.h>

#define NR_EMPTY	64
#define NR_SEAMCALLS	256

/* TDX ABI: the leaf does nothing, and is there for compatibility. */
#define TDH_MNG_KEY_RECLAIMID	27

struct op {
	const char *name;
	atomic64_t count;
	atomic64_t cycles;
};

static struct op sept_op = { .name = "4k" };
static struct op empty_op = { .name = "empty" };
static struct op kick = { .name = "kick" };
static struct op seamcall_op = { .name = "seamcall" };

static struct dentry *file;

static void reset(struct op *op)
{
	atomic64_set(&op->count, 0);
	atomic64_set(&op->cycles, 0);
}

/* Kretprobes keep this for each call that is under way. */
struct call {
	u64 begin;
};

static int sept_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct call *call = (struct call *)ri->data;

	/* tdx_sept_set_private_spte(kvm, gfn, old_spte, new_spte, level): tables are not what is measured. */
	if (regs_get_kernel_argument(regs, 4) != PG_LEVEL_4K)
		return 1;

	call->begin = rdtsc_ordered();
	return 0;
}
NOKPROBE_SYMBOL(sept_entry);

static void account(struct op *op, struct kretprobe_instance *ri, u64 now)
{
	atomic64_add(now - ((struct call *)ri->data)->begin, &op->cycles);
	atomic64_inc(&op->count);
}
NOKPROBE_SYMBOL(account);

static int sept_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	account(&sept_op, ri, rdtsc_ordered());
	return 0;
}
NOKPROBE_SYMBOL(sept_return);

static int empty_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct call *call = (struct call *)ri->data;

	/* The same work as for the S-EPT, on the argument that it is called with below. */
	if (regs_get_kernel_argument(regs, 4) != PG_LEVEL_4K)
		return 1;

	call->begin = rdtsc_ordered();
	return 0;
}
NOKPROBE_SYMBOL(empty_entry);

static int empty_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	account(&empty_op, ri, rdtsc_ordered());
	return 0;
}
NOKPROBE_SYMBOL(empty_return);

static int kick_entry(struct kprobe *probe, struct pt_regs *regs)
{
	atomic64_inc(&kick.count);
	return 0;
}
NOKPROBE_SYMBOL(kick_entry);

/* Not static, so that the compiler cannot leave out the arguments. */
int tdx_sept_bench_empty(void *kvm, u64 gfn, u64 old_spte, u64 new_spte, int level);

noinline int tdx_sept_bench_empty(void *kvm, u64 gfn, u64 old_spte, u64 new_spte, int level)
{
	barrier();
	return 0;
}

static struct kretprobe sept_probe = {
	.kp.symbol_name	= "tdx_sept_set_private_spte",
	.kp.flags	= KPROBE_FLAG_DISABLED,
	.entry_handler	= sept_entry,
	.handler	= sept_return,
	.data_size	= sizeof(struct call),
};

static struct kretprobe empty_probe = {
	.kp.symbol_name	= "tdx_sept_bench_empty",
	.kp.flags	= KPROBE_FLAG_DISABLED,
	.entry_handler	= empty_entry,
	.handler	= empty_return,
	.data_size	= sizeof(struct call),
};

static struct kprobe kick_probe = {
	.symbol_name	= "kvm_make_all_cpus_request",
	.pre_handler	= kick_entry,
	.flags		= KPROBE_FLAG_DISABLED,
};

static int show(struct seq_file *m, void *unused)
{
	struct op *const ops[] = { &sept_op, &kick, &empty_op, &seamcall_op };

	for (int i = 0; i < ARRAY_SIZE(ops); i++)
		seq_printf(m, "op=%s count=%lld cycles=%lld\n", ops[i]->name,
			   atomic64_read(&ops[i]->count), atomic64_read(&ops[i]->cycles));
	return 0;
}

static int begin_cycles(void)
{
	int ret;

	disable_kprobe(&kick_probe);
	ret = enable_kretprobe(&sept_probe);
	if (ret)
		return ret;
	/* Armed anew each time: Bochs has been seen to pass by a probe that was armed before a module was loaded. */
	ret = enable_kretprobe(&empty_probe);
	if (ret)
		return ret;
	for (int i = 0; i < NR_EMPTY; i++)
		tdx_sept_bench_empty(NULL, 0, 0, 0, PG_LEVEL_4K);
	return disable_kretprobe(&empty_probe);
}

static int begin_kicks(void)
{
	disable_kretprobe(&sept_probe);
	return enable_kprobe(&kick_probe);
}

/* The instruction alone. RAX stays as it was if the CPU refuses it. */
static __always_inline u64 seamcall(u64 leaf)
{
	asm volatile("1: .byte 0x66, 0x0f, 0x01, 0xcf\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : "+a" (leaf) : "c" (0) : "cc", "memory");
	return leaf;
}

static int measure_seamcalls(void)
{
	u64 begin, middle, status;

	for (int i = 0; i < NR_SEAMCALLS; i++) {
		begin = rdtsc_ordered();
		middle = rdtsc_ordered();
		status = seamcall(TDH_MNG_KEY_RECLAIMID);
		/* From the middle to the end, less what two readings are apart. */
		atomic64_add(rdtsc_ordered() - middle - (middle - begin), &seamcall_op.cycles);
		atomic64_inc(&seamcall_op.count);
		if (status)
			return -EIO;
	}
	return 0;
}

static ssize_t control(struct file *f, const char __user *text, size_t size, loff_t *pos)
{
	char word[16] = { };
	int ret;

	if (size >= sizeof(word))
		return -EINVAL;
	if (copy_from_user(word, text, size))
		return -EFAULT;

	reset(&sept_op);
	reset(&empty_op);
	reset(&kick);
	reset(&seamcall_op);

	if (sysfs_streq(word, "cycles"))
		ret = begin_cycles();
	else if (sysfs_streq(word, "kicks"))
		ret = begin_kicks();
	else if (sysfs_streq(word, "seamcall"))
		ret = measure_seamcalls();
	else if (sysfs_streq(word, "off"))
		ret = disable_kretprobe(&sept_probe) ?: disable_kprobe(&kick_probe);
	else
		ret = -EINVAL;
	return ret ?: size;
}

static int open(struct inode *inode, struct file *f)
{
	return single_open(f, show, NULL);
}

static const struct file_operations fops = {
	.owner		= THIS_MODULE,
	.open		= open,
	.read		= seq_read,
	.write		= control,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int __init tdx_sept_bench_init(void)
{
	int ret;

	ret = register_kretprobe(&sept_probe);
	if (ret)
		return ret;
	ret = register_kretprobe(&empty_probe);
	if (ret)
		goto no_empty;
	ret = register_kprobe(&kick_probe);
	if (ret)
		goto no_kick;

	file = debugfs_create_file("tdx_sept_bench", 0600, NULL, NULL, &fops);
	return 0;

no_kick:
	unregister_kretprobe(&empty_probe);
no_empty:
	unregister_kretprobe(&sept_probe);
	return ret;
}
module_init(tdx_sept_bench_init);

static void __exit tdx_sept_bench_exit(void)
{
	debugfs_remove(file);
	unregister_kprobe(&kick_probe);
	unregister_kretprobe(&empty_probe);
	unregister_kretprobe(&sept_probe);
}
module_exit(tdx_sept_bench_exit);

MODULE_DESCRIPTION("Measures KVM's operations on TDX secure EPT entries");
MODULE_LICENSE("GPL");
