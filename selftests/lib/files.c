// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

/* In place of what is there: tracefs takes the truncation as an order to forget. */
int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ssize_t done;
	int err;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return done == (ssize_t)strlen(text) ? 0 : -1;
}

/* The beginning of a file as a string without its last newline. */
int read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, buffer, size - 1);
	close(fd);
	if (got < 0)
		return -1;
	if (got && buffer[got - 1] == '\n')
		got--;
	buffer[got] = '\0';
	return 0;
}
