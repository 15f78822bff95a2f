/* SPDX-License-Identifier: GPL-2.0 */
/* The misc cgroup, which counts KeyIDs as its resource "tdx". */
#ifndef CGROUP_H
#define CGROUP_H

#define CGROUP_ROOT	"/sys/fs/cgroup"

/* Lets groups below the root have the misc controller; -1 with errno where there is none. */
int cgroup_enable_misc(void);

/* The number of a line "tdx N" of a file; -1 if there is none. */
int cgroup_tdx(const char *path);

#endif
