// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "files.h"
#include "inject.h"
#include "sim.h"

#define INJECT	SIM_DIR "inject"

bool inject_supported(void)
{
	return !access(INJECT, W_OK);
}

int inject(const char *format, ...)
{
	char rule[256];
	va_list args;

	va_start(args, format);
	vsnprintf(rule, sizeof(rule), format, args);
	va_end(args);
	return write_file(INJECT, rule);
}

void inject_nothing(void)
{
	write_file(INJECT, "\n");
}

static void add_struck(const char *record, void *arg)
{
	*(__u64 *)arg += sim_number(record, "struck");
}

__u64 inject_struck(void)
{
	__u64 struck = 0;

	sim_for_each("inject", add_struck, &struck);
	return struck;
}

int inject_vcpus_in_guest(__u64 tdr_pfn, int current, int previous)
{
	char text[128];

	snprintf(text, sizeof(text), "td=%#llx current=%d previous=%d", tdr_pfn << 12, current, previous);
	return write_file(SIM_DIR "epochs", text);
}
