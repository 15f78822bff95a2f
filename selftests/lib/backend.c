// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "files.h"

/* Built-in modules have a directory of that name too, if they have parameters, but no reference count. */
bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

/* modprobe knows the files and what a module depends on. */
int module_load(const char *name, const char *params)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		execlp("modprobe", "modprobe", name, params, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		errno = ENOEXEC;
		return -1;
	}
	return 0;
}

int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK);
}

/* Leaves KVM loaded, and the Rust backend loaded or not, as @backend wants it. */
int backend_select(enum backend backend)
{
	bool loaded = module_loaded(BACKEND_MODULE);

	if (!module_loaded(KVM_MODULE) && module_load(KVM_MODULE, "tdx=1"))
		return -1;
	if (backend == BACKEND_RUST && !loaded)
		return module_load(BACKEND_MODULE, NULL);
	if (backend == BACKEND_C && loaded)
		return module_unload(BACKEND_MODULE);
	return 0;
}

/* What KVM says of the VM behind a descriptor of this process: "kvm" for its own code. */
int backend_of_vm(int vm, char *name, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/tdx_sept_backend", getpid(), vm);
	return read_file(path, name, size);
}
