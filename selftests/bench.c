// SPDX-License-Identifier: GPL-2.0
/*
 * bench - what mapping and removing one 4K page of a TD costs, with KVM's own code and with tdx_sept, side by side. A benchmark, not a test.
 *
 * Cycles are those of the TSC between entry and return of KVM's operation on one S-EPT entry, less what is the simulated TDX module's and less
 * what measuring costs. The simulator's are the model's, which it counts, and for each call those of the way to the model and back, which are
 * measured first. In Bochs with one CPU the TSC counts instructions.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "files.h"
#include "sim.h"
#include "td.h"

#define CONTROL		"/sys/kernel/debug/tdx_sept_bench"
/* The kernel turns probes into jumps after a while, and back: what measuring costs would change on the way. */
#define OPTIMIZATION	"/proc/sys/debug/kprobes-optimization"

#define NR_PAGES	256
#define MEMORY		(4ULL << 20)

/* The measured pages: all in the second 2 MiB, whose S-EPT page the first page there has brought. */
#define FIRST_GPA	((2ULL << 20) + TD_PAGE_SIZE)
#define LENGTH		(NR_PAGES * TD_PAGE_SIZE)

/* Beginnings of the names of leaves. */
#define ALL_LEAVES	""
#define CACHE_LEAVES	"TDH.PHYMEM.PAGE.WBINVD"

struct cost {
	double instructions, seamcalls, cache_calls, kicks;
};

struct costs {
	struct cost map, remove;
};

struct bench_td {
	int kvm, vm, vcpu;
	struct td_slot slot;
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

static struct bench_td make_td(void)
{
	static unsigned char page[TD_PAGE_SIZE] __attribute__((aligned(4096)));
	struct bench_td td = { };
	struct td_params params = { };
	struct kvm_tdx_capabilities *caps;
	struct kvm_cpuid2 *supported, *cpuid;

	td.kvm = td_open_kvm();
	if (td.kvm < 0 || !td_supported(td.kvm))
		die("KVM makes no TDs here");
	supported = td_supported_cpuid(td.kvm);
	td.vm = td_create_vm(td.kvm);
	caps = td.vm < 0 ? NULL : td_capabilities(td.vm);
	cpuid = caps && supported ? td_configurable_cpuid(supported, caps) : NULL;
	if (!cpuid || td_split_irqchip(td.vm) || td_init_vm(td.vm, &params, cpuid, NULL))
		die("cannot make a TD");

	td.slot.size = MEMORY;
	td.slot.gmem = td_create_gmem(td.vm, MEMORY, 0);
	td.slot.shared = aligned_alloc(TD_PAGE_SIZE, MEMORY);
	if (td.slot.gmem < 0 || td_set_slot(td.vm, &td.slot) || td_set_private(td.vm, 0, MEMORY, true))
		die("cannot give the TD memory");

	td.vcpu = td_create_vcpu(td.vm, 0);
	if (td.vcpu < 0 || td_init_vcpu(td.vcpu, supported, 0) || td_add_memory(td.vcpu, page, 0, 1, true) ||
	    td_finalize_vm(td.vm, NULL))
		die("cannot finish the TD");

	if (td_prefault(td.vcpu, FIRST_GPA - TD_PAGE_SIZE, TD_PAGE_SIZE))
		die("cannot map a page");
	free(supported);
	free(cpuid);
	free(caps);
	return td;
}

static void close_td(struct bench_td *td)
{
	close(td->vcpu);
	close(td->slot.gmem);
	close(td->vm);
	close(td->kvm);
	free(td->slot.shared);
}

static void map(struct bench_td *td)
{
	if (td_prefault(td->vcpu, FIRST_GPA, LENGTH))
		die("KVM_PRE_FAULT_MEMORY");
}

static void remove_pages(struct bench_td *td)
{
	if (td_punch_hole(td->slot.gmem, FIRST_GPA, LENGTH))
		die("punch hole");
}

static void add_cycles(const char *record, void *arg)
{
	*(__u64 *)arg += sim_number(record, "cycles");
}

/* Cycles in the model. */
static __u64 model_cycles(void)
{
	__u64 cycles = 0;

	if (sim_for_each("calls", add_cycles, &cycles))
		die("the simulator tells no cycles");
	return cycles;
}

/* Number of SEAMCALLs so far of leaves whose names begin like that. */
static __u64 seamcalls(const char *prefix)
{
	struct sim_calls calls;
	__u64 nr = 0;

	if (sim_calls(&calls))
		die("the simulator tells no calls");
	for (int i = 0; i < calls.nr; i++) {
		if (!strncmp(calls.call[i].leaf, prefix, strlen(prefix)))
			nr += calls.call[i].ok + calls.call[i].failed;
	}
	return nr;
}

/* A number of the bench module's file. */
static double measured(const char *op, const char *key)
{
	char text[512], name[16];
	char *line, *rest = text;

	if (read_file(CONTROL, text, sizeof(text)))
		die(CONTROL);
	while ((line = strsep(&rest, "\n"))) {
		sim_text(line, "op", name, sizeof(name));
		if (!strcmp(name, op))
			return sim_number(line, key);
	}
	return 0;
}

static void begin(const char *what)
{
	if (write_file(CONTROL, what))
		die(CONTROL);
}

/* Per page. */
static struct cost measure(struct bench_td *td, double trap, void (*op)(struct bench_td *), void (*undo)(struct bench_td *))
{
	struct cost cost;
	double overhead;
	__u64 cycles, calls, cache_calls;

	begin("cycles");
	overhead = measured("empty", "cycles") / measured("empty", "count");
	cycles = model_cycles();
	calls = seamcalls(ALL_LEAVES);
	cache_calls = seamcalls(CACHE_LEAVES);
	op(td);
	cost.seamcalls = (double)(seamcalls(ALL_LEAVES) - calls) / NR_PAGES;
	cost.cache_calls = (double)(seamcalls(CACHE_LEAVES) - cache_calls) / NR_PAGES;
	cost.instructions = (measured("4k", "cycles") - (model_cycles() - cycles)) / NR_PAGES - cost.seamcalls * trap - overhead;
	if (measured("4k", "count") != NR_PAGES) {
		fprintf(stderr, "bench: %.0f operations on %d pages\n", measured("4k", "count"), NR_PAGES);
		exit(1);
	}
	undo(td);

	begin("kicks");
	op(td);
	cost.kicks = measured("kick", "count") / NR_PAGES;
	begin("off");
	undo(td);
	return cost;
}

/* What a SEAMCALL costs beyond the model's leaf: from the #UD to the model, back behind the instruction, and the simulator's records. */
static double measure_trap(void)
{
	__u64 cycles = model_cycles();

	begin("seamcall");
	return (measured("seamcall", "cycles") - (model_cycles() - cycles)) / measured("seamcall", "count");
}

static struct costs measure_backend(enum backend backend, double *trap)
{
	struct bench_td td;
	struct costs costs;

	if (backend_select(backend))
		die("cannot choose the backend");
	td = make_td();
	/* Once unmeasured: guest_memfd and KVM's caches of page tables are then as they stay. */
	map(&td);
	remove_pages(&td);

	/* Here CPUs are in VMX operation: there is a TD. */
	*trap = measure_trap();
	costs.map = measure(&td, *trap, map, remove_pages);
	map(&td);
	costs.remove = measure(&td, *trap, remove_pages, map);
	close_td(&td);
	return costs;
}

static void print_row(const char *what, double c, double rust)
{
	printf("  %-24s %12.1f %12.1f", what, c, rust);
	if (c)
		printf(" %+9.1f %%", (rust - c) / c * 100);
	putchar('\n');
}

static void print_cost(const char *what, const struct cost *c, const struct cost *rust)
{
	printf("%s\n", what);
	print_row("TSC cycles", c->instructions, rust->instructions);
	print_row("SEAMCALLs", c->seamcalls, rust->seamcalls);
	print_row("of them on caches", c->cache_calls, rust->cache_calls);
	print_row("kicks of all vCPUs", c->kicks, rust->kicks);
}

int main(void)
{
	struct costs c, rust;
	double trap;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!module_loaded(KVM_MODULE) && module_load(KVM_MODULE, "tdx=1"))
		die("cannot load KVM");
	if (!module_loaded("tdx_sept_bench") && module_load("tdx_sept_bench", NULL))
		die("cannot load tdx_sept_bench (CONFIG_TDX_SEPT_BENCH)");

	if (!access(OPTIMIZATION, F_OK) && write_file(OPTIMIZATION, "0"))
		die(OPTIMIZATION);

	c = measure_backend(BACKEND_C, &trap);
	rust = measure_backend(BACKEND_RUST, &trap);

	printf("per page, of %d pages; %ld CPU%s: TSC cycles are %s\n\n", NR_PAGES, cpus, cpus == 1 ? "" : "s",
	       cpus == 1 ? "instructions in Bochs" : "no measure of anything, see the machine with one CPU");
	printf("  %-24s %12s %12s %11s\n", "", "KVM's C code", "tdx_sept", "difference");
	print_cost("map one 4K page", &c.map, &rust.map);
	print_cost("remove one 4K page", &c.remove, &rust.remove);
	printf("\nthe simulator's way from SEAMCALL to the model and back: %.1f TSC cycles a call\n", trap);
	return 0;
}
