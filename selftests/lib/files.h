/* SPDX-License-Identifier: GPL-2.0 */
/* Small files: sysfs, debugfs, cgroupfs. Failures are 0 or -1 with errno. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>

int write_file(const char *path, const char *text);
int read_file(const char *path, char *buffer, size_t size);

#endif
