// SPDX-License-Identifier: GPL-2.0
/* The tracepoints seamcall of tdx_sim and of tdx_sept tell what the simulator's log tells. */
#include "fixture.h"
#include "vm.h"

#define TRACEFS		"/sys/kernel/tracing/"
#define SIM_EVENT	TRACEFS "events/tdx_sim/seamcall/"
#define SEPT_EVENT	TRACEFS "events/tdx_sept/seamcall/"

#define MAX_CALLS	4096

/* The words of a record that are numbers and belong to the call. */
static const char *const numbers[] = {
	"rax", "rcx", "rdx", "r8", "r9", "r10", "r11",
	"status", "rcx_out", "rdx_out", "r8_out", "r9_out", "r10_out", "r11_out",
};

/* And one that says what it cost, which those who measure from farther away see differently. */
#define CYCLES	ARRAY_SIZE(numbers)

struct call {
	char leaf[32], caller[16];
	__u64 number[ARRAY_SIZE(numbers) + 1];
};

struct calls {
	struct call *call;
	int nr;
	bool backend_only;
};

static void note_call(const char *record, void *arg)
{
	struct calls *calls = arg;
	struct call *call = &calls->call[calls->nr];

	sim_text(record, "leaf", call->leaf, sizeof(call->leaf));
	sim_text(record, "caller", call->caller, sizeof(call->caller));
	if (!*call->leaf || calls->nr == MAX_CALLS - 1 || (calls->backend_only && strcmp(call->caller, "backend")))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		call->number[i] = sim_number(record, numbers[i]);
	call->number[CYCLES] = sim_number(record, "cycles");
	calls->nr++;
}

/* The records of the one event that is on, in the order of time. */
static void read_trace(struct __test_metadata *_metadata, struct calls *calls)
{
	ASSERT_EQ(0, records_for_each(TRACEFS "trace", note_call, calls)) TH_LOG(TRACEFS "trace: %s", strerror(errno));
}

static void read_log(struct __test_metadata *_metadata, struct calls *calls)
{
	ASSERT_EQ(0, sim_for_each("log", note_call, calls));
}

static void calls_init(struct __test_metadata *_metadata, struct calls *calls, bool backend_only)
{
	*calls = (struct calls) { .call = calloc(MAX_CALLS, sizeof(struct call)), .backend_only = backend_only };
	ASSERT_NE(NULL, calls->call);
}

static void expect_same(struct __test_metadata *_metadata, const struct calls *log, const struct calls *trace, size_t nr_numbers)
{
	ASSERT_LT(0, log->nr);
	ASSERT_GT(MAX_CALLS - 1, log->nr);
	ASSERT_EQ(log->nr, trace->nr);
	for (int i = 0; i < log->nr; i++) {
		ASSERT_STREQ(log->call[i].leaf, trace->call[i].leaf) TH_LOG("call %d", i);
		ASSERT_STREQ(log->call[i].caller, trace->call[i].caller) TH_LOG("call %d", i);
		for (size_t n = 0; n < nr_numbers; n++) {
			ASSERT_EQ(log->call[i].number[n], trace->call[i].number[n])
				TH_LOG("call %d, %s: %s", i, log->call[i].leaf, n < CYCLES ? numbers[n] : "cycles");
		}
	}
}

static bool traceable(const char *event)
{
	return !access(event, F_OK);
}

static void begin(struct __test_metadata *_metadata, const char *event)
{
	char path[128];

	snprintf(path, sizeof(path), "%senable", event);
	ASSERT_EQ(0, write_file(TRACEFS "trace", ""));
	ASSERT_EQ(0, callers_forget());
	ASSERT_EQ(0, write_file(path, "1"));
}

static void end(struct __test_metadata *_metadata, const char *event)
{
	char path[128];

	snprintf(path, sizeof(path), "%senable", event);
	ASSERT_EQ(0, write_file(path, "0"));
}

static void a_life(struct __test_metadata *_metadata)
{
	struct test_vm vm;

	vm_start(_metadata, &vm, SZ_2M);
	vm_prefault(_metadata, &vm, 0, SZ_2M);
	vm_close(_metadata, &vm);
}

TEST_F(tdx, the_simulators_is_its_log)
{
	struct calls log, trace;

	if (!traceable(SIM_EVENT))
		SKIP(return, "no tdx_sim:seamcall (CONFIG_FTRACE)");

	calls_init(_metadata, &log, false);
	calls_init(_metadata, &trace, false);
	begin(_metadata, SIM_EVENT);
	a_life(_metadata);
	end(_metadata, SIM_EVENT);
	read_log(_metadata, &log);
	read_trace(_metadata, &trace);
	expect_same(_metadata, &log, &trace, ARRAY_SIZE(numbers) + 1);
}

/* As on a TDX host, where there is no simulator: the backend tells of its own calls. */
TEST_F(tdx, the_backends_is_its_part_of_the_log)
{
	struct calls log, trace;

	if (variant->backend == BACKEND_C) {
		a_life(_metadata);
		ASSERT_FALSE(traceable(SEPT_EVENT)) TH_LOG("tdx_sept is not loaded");
		return;
	}
	if (!traceable(SEPT_EVENT))
		SKIP(return, "no tdx_sept:seamcall (CONFIG_FTRACE)");

	calls_init(_metadata, &log, true);
	calls_init(_metadata, &trace, false);
	begin(_metadata, SEPT_EVENT);
	a_life(_metadata);
	end(_metadata, SEPT_EVENT);
	read_log(_metadata, &log);
	read_trace(_metadata, &trace);
	expect_same(_metadata, &log, &trace, ARRAY_SIZE(numbers));
}

TEST_HARNESS_MAIN
