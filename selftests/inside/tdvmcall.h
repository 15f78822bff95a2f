/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of tdvmcall.c is to ask about, and the device that it finds: it answers with the complement of what was last written. */
enum {
	ASK_PORTS,
	ASK_PORT_INSTRUCTIONS,
	ASK_MEMORY_MAPPED,
	ASK_CPUIDS,
	ASK_MSRS,
	ASK_CONVERSIONS,
	ASK_REFUSED_CONVERSIONS,
	ASK_INFORMATION,
	ASK_ATTESTATION,
	ASK_UNKNOWN,
};

#define DEVICE_PORT	0x510
#define DEVICE_GPA	0x40000000

/* Of the test. */
#define INFO_R11	0x1111
#define NOTIFY_VECTOR	0x55

/* What the host answers, one after the other, when it is asked for a quote, and when it is told of a vector. */
#define HOST_STATUSES	TDVMCALL_SUCCESS, TDVMCALL_RETRY, TDVMCALL_INVALID_OPERAND, TDVMCALL_UNSUPPORTED
