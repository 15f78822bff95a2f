// SPDX-License-Identifier: GPL-2.0
/*
 * debugcon - copies its standard input to port 0xE9, where Bochs and QEMU have a debug console: a file outside of the VM. Not a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORT	0xe9

int main(void)
{
	int ports = open("/dev/port", O_WRONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t length;

	if (ports < 0)
		goto fail;
	while ((length = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		/* More than one byte would go to more than one port. */
		for (ssize_t i = 0; i < length; i++)
			if (pwrite(ports, bytes + i, 1, PORT) != 1)
				goto fail;
	if (!length)
		return 0;
fail:
	fprintf(stderr, "debugcon: %s\n", strerror(errno));
	return 1;
}
