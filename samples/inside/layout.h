/* SPDX-License-Identifier: GPL-2.0 */
/* What the assembler and the C side of a program in a TD agree on, and its VMM with them. */
#ifndef INSIDE_LAYOUT_H
#define INSIDE_LAYOUT_H

/* vCPUs that there are stacks for, and bytes of each. */
#define INSIDE_VCPUS		2
#define INSIDE_STACK		8192

/* The bit of a guest physical address that says that the memory is shared with the host. */
#define INSIDE_SHARED_BIT	0x800000000000

/* Where the program sees guest physical addresses as shared memory: boot.S maps them there. */
#define INSIDE_SHARED_BASE	0x8000000000

/* Port of the console. */
#define INSIDE_CONSOLE		0x3f8

#endif
