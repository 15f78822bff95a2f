/* SPDX-License-Identifier: GPL-2.0 */
/* Which code keeps the S-EPT, and the modules that hold it. */
#ifndef BACKEND_H
#define BACKEND_H

#include <stdbool.h>
#include <stddef.h>

enum backend {
	BACKEND_C,	/* KVM's own code, the control group */
	BACKEND_RUST,	/* tdx_sept */
};

#define BACKEND_MODULE	"tdx_sept"
#define KVM_MODULE	"kvm_intel"

bool module_loaded(const char *name);
int module_load(const char *name, const char *params);
int module_unload(const char *name);	/* -1 with errno, EBUSY or EAGAIN while in use */

int backend_select(enum backend backend);
int backend_of_vm(int vm, char *name, size_t size);

#endif
