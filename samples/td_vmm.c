// SPDX-License-Identifier: GPL-2.0
/*
 * td_vmm - a virtual machine monitor that makes one TD, runs a program in it, and takes it down again.
 *
 * It goes through every step that a VMM takes for a TD, and says after each how it went. The steps are the rows of the table
 * @phases below; the ioctls are in td.c, the run loop is in run.c, and inside/hello.c is the program that it runs by default.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"
#include "run.h"
#include "td.h"

#define KIB	1024ULL
#define MIB	(1024 * KIB)

/* Private memory that no image fills comes from here on, on the next 2 MiB boundary: first what this program moves, then what the TD may take. */
#define DYNAMIC_ALIGN	(2 * MIB)
#define DYNAMIC_SIZE	(2 * MIB)

/* The program that the TD runs, beside this one. */
#define DEFAULT_IMAGE	"hello.td"

struct vmm {
	/* What the user asked for. */
	const char *image_path;
	__u64 memory;
	const char *stop_after;
	const char *hook_phase, *hook_command;

	struct image image;
	__u64 dynamic;		/* GPA of the memory that is added after FINALIZE */

	/* The TD. */
	int kvm, vm, vcpu;
	struct kvm_cpuid2 *supported_cpuid;
	struct kvm_cpuid2 *td_cpuid;
	struct kvm_tdx_capabilities *caps;
	struct td_slot slot;		/* the TD's memory */
	struct td_slot high[IMAGE_PARTS];	/* parts of the image that are beyond it */
	int nr_high;
	struct run run;
	bool line_begins;		/* of the TD's console */

	char result[128];	/* what a phase has to say when it succeeded */
	char hint[256];		/* what to do about its failure */
};

__attribute__((format(printf, 2, 3)))
static int say(struct vmm *vmm, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(vmm->result, sizeof(vmm->result), format, args);
	va_end(args);
	return 0;
}

/* For a failing phase: errno stays as it is. */
__attribute__((format(printf, 2, 3)))
static int hint(struct vmm *vmm, const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(vmm->hint, sizeof(vmm->hint), format, args);
	va_end(args);
	errno = err;
	return -1;
}

static __u64 round_up(__u64 value, __u64 to)
{
	return (value + to - 1) / to * to;
}

static int load_image(struct vmm *vmm)
{
	__u64 pages = 0, end = 0;
	const char *error;

	if (image_load(vmm->image_path, &vmm->image, &error))
		return hint(vmm, "the image '%s': %s", vmm->image_path, error);
	for (int i = 0; i < vmm->image.nr; i++) {
		struct image_part *part = &vmm->image.part[i];
		__u64 part_end = part->gpa + part->pages * TD_PAGE_SIZE;

		pages += part->pages;
		if (part->gpa < vmm->memory && part_end > end)
			end = part_end;
	}
	vmm->dynamic = round_up(end, DYNAMIC_ALIGN);
	if (vmm->dynamic + 2 * DYNAMIC_SIZE > vmm->memory) {
		errno = EFBIG;
		return hint(vmm, "the image needs --memory %llu or more", (vmm->dynamic + 2 * DYNAMIC_SIZE) / MIB);
	}
	return say(vmm, "%s: %llu pages", vmm->image_path, pages);
}

static int check_kvm(struct vmm *vmm)
{
	vmm->kvm = td_open_kvm();
	if (vmm->kvm < 0)
		return hint(vmm, "cannot open /dev/kvm: is the module kvm-intel loaded, and may you use it?");
	if (!td_supported(vmm->kvm)) {
		errno = EOPNOTSUPP;
		return hint(vmm, "KVM makes no TDs here: it takes a kernel with CONFIG_KVM_INTEL_TDX, kvm-intel loaded with tdx=1, "
			    "and a TDX module that the kernel has initialised (dmesg | grep tdx)");
	}

	vmm->supported_cpuid = td_supported_cpuid(vmm->kvm);
	if (!vmm->supported_cpuid)
		return hint(vmm, "KVM does not tell the CPUID it supports");
	return say(vmm, "VM type %d is there", KVM_X86_TDX_VM);
}

static int create_vm(struct vmm *vmm)
{
	vmm->vm = td_create_vm(vmm->kvm);
	if (vmm->vm < 0)
		return hint(vmm, "KVM_CREATE_VM refused the type KVM_X86_TDX_VM");
	return say(vmm, "at most %d vCPUs", ioctl(vmm->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS));
}

static int read_capabilities(struct vmm *vmm)
{
	vmm->caps = td_capabilities(vmm->vm);
	if (!vmm->caps)
		return hint(vmm, "KVM_TDX_CAPABILITIES failed");

	vmm->td_cpuid = td_configurable_cpuid(vmm->supported_cpuid, vmm->caps);
	if (!vmm->td_cpuid)
		return hint(vmm, "no memory");
	return say(vmm, "attributes %#llx, XFAM %#llx, CPUID leaves %u",
		   vmm->caps->supported_attrs, vmm->caps->supported_xfam, vmm->td_cpuid->nent);
}

static int init_vm(struct vmm *vmm)
{
	/* No attributes: not debuggable. Of XFAM all that the machine has, as KVM_GET_SUPPORTED_CPUID does for ordinary guests. */
	struct td_params params = { .xfam = vmm->caps->supported_xfam };
	__u64 hw_error;

	if (td_split_irqchip(vmm->vm))
		return hint(vmm, "KVM_CAP_SPLIT_IRQCHIP was refused");
	if (run_enable_conversions(vmm->vm))
		return hint(vmm, "KVM_CAP_EXIT_HYPERCALL was refused");

	if (td_init_vm(vmm->vm, &params, vmm->td_cpuid, &hw_error)) {
		if (hw_error)
			return hint(vmm, "the TDX module refused the parameters: status %#llx", hw_error);
		if (errno == ENOSPC)
			return hint(vmm, "all KeyIDs are taken by other TDs");
		if (errno == EBUSY)
			return hint(vmm, "the limit of the misc cgroup (tdx in misc.max) is reached");
		return hint(vmm, "KVM_TDX_INIT_VM failed: the kernel log may say why");
	}
	return say(vmm, "XFAM %#llx, CPUID leaves %u", params.xfam, vmm->td_cpuid->nent);
}

static int add_slot(struct vmm *vmm, struct td_slot *slot)
{
	slot->gmem = td_create_gmem(vmm->vm, slot->size, 0);
	if (slot->gmem < 0)
		return hint(vmm, "KVM_CREATE_GUEST_MEMFD failed");

	slot->shared = mmap(NULL, slot->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slot->shared == MAP_FAILED)
		return hint(vmm, "no address space for %llu KiB of shared memory", slot->size / KIB);

	if (td_set_slot(vmm->vm, slot))
		return hint(vmm, "KVM_SET_USER_MEMORY_REGION2 failed");
	if (td_set_private(vmm->vm, slot->gpa, slot->size, true))
		return hint(vmm, "KVM_SET_MEMORY_ATTRIBUTES failed");
	return 0;
}

static int set_memory(struct vmm *vmm)
{
	vmm->slot.size = vmm->memory;
	if (add_slot(vmm, &vmm->slot))
		return -1;
	for (int i = 0; i < vmm->image.nr; i++) {
		struct image_part *part = &vmm->image.part[i];
		struct td_slot *slot = &vmm->high[vmm->nr_high];

		if (part->gpa < vmm->memory)
			continue;
		slot->id = ++vmm->nr_high;
		slot->gpa = part->gpa;
		slot->size = part->pages * TD_PAGE_SIZE;
		if (add_slot(vmm, slot))
			return -1;
	}
	return say(vmm, "%llu MiB at GPA %#llx, private", vmm->slot.size / MIB, vmm->slot.gpa);
}

static int create_vcpu(struct vmm *vmm)
{
	vmm->vcpu = td_create_vcpu(vmm->vm, 0);
	if (vmm->vcpu < 0)
		return hint(vmm, "KVM_CREATE_VCPU failed");
	/* The program gets to know where it finds memory. */
	if (td_init_vcpu(vmm->vcpu, vmm->supported_cpuid, vmm->dynamic + DYNAMIC_SIZE))
		return hint(vmm, "KVM_TDX_INIT_VCPU failed");
	return say(vmm, "vCPU 0");
}

static int add_image(struct vmm *vmm)
{
	__u64 pages = 0;

	for (int i = 0; i < vmm->image.nr; i++) {
		struct image_part *part = &vmm->image.part[i];

		if (td_add_memory(vmm->vcpu, part->data, part->gpa, part->pages, true))
			return hint(vmm, "KVM_TDX_INIT_MEM_REGION failed at GPA %#llx", part->gpa);
		pages += part->pages;
	}
	return say(vmm, "%llu pages copied, encrypted and measured", pages);
}

static int finalize_vm(struct vmm *vmm)
{
	__u64 hw_error;

	if (td_finalize_vm(vmm->vm, &hw_error))
		return hint(vmm, "KVM_TDX_FINALIZE_VM failed, TDX module status %#llx", hw_error);
	return say(vmm, "the measurement is complete");
}

static int prefault(struct vmm *vmm)
{
	if (td_prefault(vmm->vcpu, vmm->dynamic, DYNAMIC_SIZE))
		return hint(vmm, "KVM_PRE_FAULT_MEMORY failed");
	return say(vmm, "%llu pages at GPA %#llx", DYNAMIC_SIZE / TD_PAGE_SIZE, vmm->dynamic);
}

static int punch_hole(struct vmm *vmm)
{
	const __u64 size = DYNAMIC_SIZE / 2;

	if (td_punch_hole(vmm->slot.gmem, vmm->dynamic, size))
		return hint(vmm, "fallocate() of the guest_memfd failed");
	return say(vmm, "%llu pages went back to the host", size / TD_PAGE_SIZE);
}

static int to_shared(struct vmm *vmm)
{
	const __u64 gpa = vmm->dynamic + DYNAMIC_SIZE / 2, size = DYNAMIC_SIZE / 2;

	/* Shared pages are ordinary memory of this process: the guest sees what is written here. */
	memset((char *)vmm->slot.shared + gpa, 0x5a, size);

	if (td_set_private(vmm->vm, gpa, size, false))
		return hint(vmm, "KVM_SET_MEMORY_ATTRIBUTES failed");
	if (td_prefault(vmm->vcpu, gpa, size))
		return hint(vmm, "KVM_PRE_FAULT_MEMORY of shared memory failed");
	return say(vmm, "%llu pages at GPA %#llx", size / TD_PAGE_SIZE, gpa);
}

static int to_private(struct vmm *vmm)
{
	const __u64 gpa = vmm->dynamic + DYNAMIC_SIZE / 2, size = DYNAMIC_SIZE / 2;

	if (td_set_private(vmm->vm, gpa, size, true))
		return hint(vmm, "KVM_SET_MEMORY_ATTRIBUTES failed");
	if (td_prefault(vmm->vcpu, gpa, size))
		return hint(vmm, "KVM_PRE_FAULT_MEMORY failed");
	return say(vmm, "%llu pages at GPA %#llx", size / TD_PAGE_SIZE, gpa);
}

/* What the TD says is indented below this program's own words. */
static void print_console(void *arg, char c)
{
	struct vmm *vmm = arg;

	if (vmm->line_begins)
		fputs("    | ", stdout);
	putchar(c);
	vmm->line_begins = c == '\n';
}

/* How often KVM_RUN came back, and what for. */
static int say_exits(struct vmm *vmm)
{
	size_t length = 0;

	for (__u32 i = 0; i < RUN_EXITS; i++)
		if (vmm->run.exits[i] && length < sizeof(vmm->result))
			length += snprintf(vmm->result + length, sizeof(vmm->result) - length, "%s%s %llu", length ? ", " : "exits: ",
					   run_exit_name(i), vmm->run.exits[i]);
	return 0;
}

/* Runs the program until it asks the VMM to end the TD, which is how a TD ends that has nothing more to do. */
static int run_program(struct vmm *vmm)
{
	const struct kvm_run *run;
	int ret;

	if (run_open(&vmm->run, vmm->kvm, vmm->vm, vmm->vcpu))
		return hint(vmm, "no memory for struct kvm_run");
	vmm->run.console = print_console;
	vmm->run.arg = vmm;
	vmm->line_begins = true;
	ret = run_vcpu(&vmm->run);
	if (!vmm->line_begins)
		putchar('\n');
	run = vmm->run.run;
	if (ret)
		return hint(vmm, "KVM_RUN failed: the kernel log may say why. A CPU without VMX, or with physical addresses of less than 48 "
				 "bits, runs no TDs");
	if (run->exit_reason != KVM_EXIT_SYSTEM_EVENT || run->system_event.type != KVM_SYSTEM_EVENT_TDX_FATAL) {
		errno = EPROTO;
		return hint(vmm, "KVM_RUN came back for '%s', exit reason %u", run_exit_name(run->exit_reason), run->exit_reason);
	}
	/* R12: what the program gives as the reason. */
	if (run->system_event.data[12]) {
		errno = EPROTO;
		return hint(vmm, "the program ended with error %#llx", run->system_event.data[12]);
	}
	return say_exits(vmm);
}

static int close_slot(struct td_slot *slot)
{
	munmap(slot->shared, slot->size);
	return close(slot->gmem);
}

/* KVM takes the TD down when the last descriptor of it is closed: the VM's, the vCPU's or a guest_memfd's. */
static int tear_down(struct vmm *vmm)
{
	run_close(&vmm->run);
	for (int i = 0; i < vmm->nr_high; i++)
		if (close_slot(&vmm->high[i]))
			return hint(vmm, "close() failed");
	if (close(vmm->vcpu) || close_slot(&vmm->slot) || close(vmm->vm))
		return hint(vmm, "close() failed");
	return say(vmm, "all memory is the host's again");
}

static const struct phase {
	const char *name;
	const char *what;
	int (*run)(struct vmm *vmm);
} phases[] = {
	{ "image",	  "read the image",			load_image },
	{ "check",	  "does KVM make TDs here?",		check_kvm },
	{ "create",	  "KVM_CREATE_VM",			create_vm },
	{ "capabilities", "KVM_TDX_CAPABILITIES",		read_capabilities },
	{ "init",	  "KVM_TDX_INIT_VM",			init_vm },
	{ "memory",	  "guest_memfd, slot, attributes",	set_memory },
	{ "vcpu",	  "KVM_TDX_INIT_VCPU",			create_vcpu },
	{ "add",	  "KVM_TDX_INIT_MEM_REGION",		add_image },
	{ "finalize",	  "KVM_TDX_FINALIZE_VM",		finalize_vm },
	{ "prefault",	  "KVM_PRE_FAULT_MEMORY",		prefault },
	{ "punch",	  "punch a hole",			punch_hole },
	{ "shared",	  "convert to shared",			to_shared },
	{ "private",	  "convert back to private",		to_private },
	{ "run",	  "KVM_RUN",				run_program },
	{ "teardown",	  "close the TD",			tear_down },
};

#define NR_PHASES	(sizeof(phases) / sizeof(phases[0]))

static bool is_phase(const char *name)
{
	for (size_t i = 0; i < NR_PHASES; i++)
		if (!strcmp(phases[i].name, name))
			return true;
	return false;
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: td_vmm [options]\n"
		"Makes a TD, moves memory in and out of it, runs a program in it and takes it down, saying how each phase went.\n\n"
		"  -i, --image FILE         measured program that the TD runs: an ELF file, loaded at its physical addresses,\n"
		"                           or any other, which ends at 4 GiB (default: " DEFAULT_IMAGE " beside this program)\n"
		"  -m, --memory MIB         memory of the TD (default: 64)\n"
		"  -s, --stop-after PHASE   end after PHASE; the TD goes with the process\n"
		"  -r, --run PHASE=COMMAND  run a shell command after PHASE, while the TD is as that left it\n"
		"  -h, --help               this text\n\n"
		"Phases:\n");
	for (size_t i = 0; i < NR_PHASES; i++)
		fprintf(out, "  %-14s %s\n", phases[i].name, phases[i].what);
}

__attribute__((format(printf, 1, 2), noreturn))
static void wrong_use(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("td_vmm: ", stderr);
	vfprintf(stderr, format, args);
	fputs(" (see --help)\n", stderr);
	va_end(args);
	exit(2);
}

static __u64 parse_memory(const char *text)
{
	char *end;
	unsigned long mib = strtoul(text, &end, 0);

	if (!*text || *end || !mib || mib > 1024 * 1024)
		wrong_use("--memory takes a number of MiB, not '%s'", text);
	return mib * MIB;
}

static void parse_hook(struct vmm *vmm, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals)
		wrong_use("--run takes PHASE=COMMAND, not '%s'", text);
	*equals = '\0';
	if (!is_phase(text))
		wrong_use("there is no phase '%s'", text);
	vmm->hook_phase = text;
	vmm->hook_command = equals + 1;
}

static void parse_options(struct vmm *vmm, int argc, char **argv)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },
		{ "memory", required_argument, NULL, 'm' },
		{ "stop-after", required_argument, NULL, 's' },
		{ "run", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	int option;

	while ((option = getopt_long(argc, argv, "i:m:s:r:h", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			vmm->image_path = optarg;
			break;
		case 'm':
			vmm->memory = parse_memory(optarg);
			break;
		case 's':
			if (!is_phase(optarg))
				wrong_use("there is no phase '%s'", optarg);
			vmm->stop_after = optarg;
			break;
		case 'r':
			parse_hook(vmm, optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc)
		wrong_use("'%s' is no option", argv[optind]);
}

static void run_phase(struct vmm *vmm, const struct phase *phase)
{
	if (phase->run(vmm)) {
		printf("  %-30s FAILED  %s\n", phase->what, strerror(errno));
		fflush(stdout);
		fprintf(stderr, "td_vmm: %s: %s\n", phase->name, vmm->hint);
		exit(1);
	}
	printf("  %-30s ok  %s\n", phase->what, vmm->result);
	fflush(stdout);
}

/* The default image, where this program is. */
static const char *default_image(void)
{
	static char self[4096], path[8192];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return DEFAULT_IMAGE;
	self[length] = '\0';
	snprintf(path, sizeof(path), "%s/" DEFAULT_IMAGE, dirname(self));
	return path;
}

int main(int argc, char **argv)
{
	struct vmm vmm = { .image_path = default_image(), .memory = 64 * MIB };

	parse_options(&vmm, argc, argv);

	for (size_t i = 0; i < NR_PHASES; i++) {
		run_phase(&vmm, &phases[i]);

		if (vmm.hook_phase && !strcmp(vmm.hook_phase, phases[i].name) && system(vmm.hook_command)) {
			fprintf(stderr, "td_vmm: '%s' failed\n", vmm.hook_command);
			return 1;
		}
		if (vmm.stop_after && !strcmp(vmm.stop_after, phases[i].name))
			break;
	}
	return 0;
}
