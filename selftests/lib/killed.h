/* SPDX-License-Identifier: GPL-2.0 */
/* A VMM that is killed while its TD runs. */
#ifndef KILLED_H
#define KILLED_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

/*
 * Has a process of its own run @live, which must not return, and kills it some time after it has written to @said: as soon as its TD is at what the test
 * is about, however long it takes to get there. What it must not leave behind is for the test's fixture to look for.
 */
static __maybe_unused void kill_while(struct __test_metadata *_metadata, void (*live)(struct __test_metadata *_metadata, int said),
				      useconds_t after)
{
	int status, said[2];
	pid_t vmm;
	char byte;

	ASSERT_EQ(0, pipe(said));
	vmm = fork();
	ASSERT_LE(0, vmm);
	if (!vmm) {
		live(_metadata, said[1]);
		_exit(1);
	}
	close(said[1]);
	ASSERT_EQ(1, read(said[0], &byte, 1)) TH_LOG("the VMM has ended");
	usleep(after);
	ASSERT_EQ(0, kill(vmm, SIGKILL));
	ASSERT_EQ(vmm, waitpid(vmm, &status, 0));
	/* An assertion that fails there is a signal, too. */
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) TH_LOG("wait status %#x", status);
	close(said[0]);
}

#endif
