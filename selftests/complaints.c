// SPDX-License-Identifier: GPL-2.0
/* complaints - prints the kernel's first complaint since it booted, those aside that a test provoked; status 0 if there is none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kmsg.h"

int main(void)
{
	char first[256];
	int nr = kmsg_unexpected(first, sizeof(first));

	if (nr < 0) {
		fprintf(stderr, "complaints: cannot read the kernel's log: %s\n", strerror(errno));
		return 2;
	}
	if (!nr) {
		puts("none");
		return 0;
	}
	printf("%d, the first: %s\n", nr, first);
	return 1;
}
