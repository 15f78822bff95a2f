// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "files.h"

int cgroup_enable_misc(void)
{
	return write_file(CGROUP_ROOT "/cgroup.subtree_control", "+misc");
}

int cgroup_tdx(const char *path)
{
	char text[256];
	const char *line;

	if (read_file(path, text, sizeof(text)))
		return -1;
	line = strstr(text, "tdx ");
	return line ? atoi(line + strlen("tdx ")) : -1;
}
