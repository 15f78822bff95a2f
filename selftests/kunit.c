// SPDX-License-Identifier: GPL-2.0
/* The KUnit suites of the backend and of the simulated TDX module: started here, their KTAP is what this program reports. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "backend.h"
#include "files.h"

#define KUNIT	"/sys/kernel/debug/kunit"

/* Returns whether the suite ran, and all of its tests passed. */
static bool run(const char *suite)
{
	char path[128], line[1024];
	bool failed = false, any = false;
	FILE *results;

	snprintf(path, sizeof(path), KUNIT "/%s/run", suite);
	if (write_file(path, "1")) {
		printf("not ok - %s: cannot be run: %s\n", suite, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), KUNIT "/%s/results", suite);
	results = fopen(path, "r");
	if (!results) {
		printf("not ok - %s: no results: %s\n", suite, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), results)) {
		fputs(line, stdout);
		any |= !strncmp(line, "ok ", 3);
		failed |= !strncmp(line, "not ok ", 7);
	}
	fclose(results);
	return any && !failed;
}

int main(void)
{
	bool passed;

	if (access(KUNIT, F_OK)) {
		printf("1..0 # SKIP KUnit is off (kunit.enable=1 kunit.autorun=0 on the kernel command line)\n");
		return KSFT_SKIP;
	}
	if (!module_loaded(BACKEND_MODULE) && module_load(BACKEND_MODULE, NULL)) {
		printf("Bail out! cannot load %s: %s\n", BACKEND_MODULE, strerror(errno));
		return KSFT_FAIL;
	}
	passed = run("tdx_sept");
	passed &= run("tdx_sim");
	return passed ? KSFT_PASS : KSFT_FAIL;
}
