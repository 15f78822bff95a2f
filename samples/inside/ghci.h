/* SPDX-License-Identifier: GPL-2.0 */
/* Questions of a TD to its host, and answers: "Guest-Host-Communication Interface (GHCI) for Intel TDX". */
#ifndef INSIDE_GHCI_H
#define INSIDE_GHCI_H

/* Sub-functions of TDG.VP.VMCALL: those of instructions have the numbers of VMX exits. */
enum tdvmcall {
	TDVMCALL_CPUID		= 10,
	TDVMCALL_HLT		= 12,
	TDVMCALL_IO		= 30,
	TDVMCALL_RDMSR		= 31,
	TDVMCALL_WRMSR		= 32,
	TDVMCALL_MMIO		= 48,
	TDVMCALL_INFO		= 0x10000,
	TDVMCALL_MAP_GPA	= 0x10001,
	TDVMCALL_GET_QUOTE	= 0x10002,
	TDVMCALL_FATAL_ERROR	= 0x10003,
	TDVMCALL_NOTIFY		= 0x10004,
};

/* Answers of the host. */
#define TDVMCALL_SUCCESS		0
#define TDVMCALL_RETRY			1
#define TDVMCALL_INVALID_OPERAND	0x8000000000000000
#define TDVMCALL_ALIGN_ERROR		0x8000000000000002
#define TDVMCALL_UNSUPPORTED		0x8000000000000003

#endif
