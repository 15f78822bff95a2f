// SPDX-License-Identifier: GPL-2.0
/* TDREPORT: what a TD can show of itself, against what went into it, worked out here. */
#include <sha512.h>

#include "fixture.h"
#include "inside.h"
#include "inside/report.h"

/* TDREPORT_STRUCT: where the parts are. */
enum {
	TCB_HASH	= 32,
	INFO_HASH	= 80,
	DATA		= 128,
	MAC		= 224,
	TCB		= 256,
	INFO		= 512,
	ATTRIBUTES	= INFO,
	XFAM		= 520,
	MRTD		= 528,
	RTMRS		= 720,
	END		= 1024,
};

#define TCB_SIZE	239
#define MAC_SIZE	32
#define HASH_SIZE	SHA384_DIGEST_LENGTH

static void to_hex(const __u8 *bytes, size_t size, char *hex)
{
	for (size_t i = 0; i < size; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
}

static void sha384(const __u8 *bytes, size_t size, __u8 *digest)
{
	SHA384_CTX sha;

	SHA384Init(&sha);
	SHA384Update(&sha, bytes, size);
	SHA384Final(digest, &sha);
}

static void expect_bytes(struct __test_metadata *_metadata, const __u8 *expected, const __u8 *found, const char *what)
{
	char expected_hex[2 * HASH_SIZE + 1], found_hex[2 * HASH_SIZE + 1];

	to_hex(expected, HASH_SIZE, expected_hex);
	to_hex(found, HASH_SIZE, found_hex);
	EXPECT_STREQ(expected_hex, found_hex) TH_LOG("%s", what);
}

static void expect_hash(struct __test_metadata *_metadata, const __u8 *bytes, size_t size, const __u8 *found, const char *what)
{
	__u8 digest[HASH_SIZE];

	sha384(bytes, size, digest);
	expect_bytes(_metadata, digest, found, what);
}

/* A run-time measurement after what the program did with it: each time it becomes the hash of itself and of the bytes. */
static void expect_rtmr(struct __test_metadata *_metadata, int rtmr, const __u8 *found)
{
	__u8 message[2 * HASH_SIZE] = { };
	char what[16];

	for (int i = 0; i < EXTENDS(rtmr); i++) {
		memset(message + HASH_SIZE, EXTEND_BYTE(rtmr, i), HASH_SIZE);
		sha384(message, sizeof(message), message);
	}
	snprintf(what, sizeof(what), "RTMR%d", rtmr);
	expect_bytes(_metadata, message, found, what);
}

TEST_F(tdx, report)
{
	__u8 report[END], zero[HASH_SIZE] = { };
	char mrtd[97], found[97];
	__u64 attributes, xfam;
	struct inside td;

	inside_start_with(_metadata, &td, "report", 1, REPORT_BYTE, SEPT_VE_DISABLE);
	inside_finish(_metadata, &td, 0);
	ASSERT_EQ(1, td.mailbox->value[0]);
	memcpy(report, (void *)td.mailbox->bytes, sizeof(report));

	EXPECT_EQ(0x81, report[0]) TH_LOG("of a TD");
	expect_hash(_metadata, report + TCB, TCB_SIZE, report + TCB_HASH, "hash of TEE_TCB_INFO");
	expect_hash(_metadata, report + INFO, END - INFO, report + INFO_HASH, "hash of TDINFO");
	for (int i = 0; i < 64; i++) {
		ASSERT_EQ(REPORT_BYTE, report[DATA + i]);
	}
	EXPECT_NE(0, memcmp(report + MAC, zero, MAC_SIZE)) TH_LOG("there is a MAC");
	memcpy(&attributes, report + ATTRIBUTES, sizeof(attributes));
	EXPECT_EQ(SEPT_VE_DISABLE, attributes);
	memcpy(&xfam, report + XFAM, sizeof(xfam));
	EXPECT_EQ(td.vm.caps->supported_xfam, xfam);

	mrtd_end(&td.mrtd, mrtd);
	to_hex(report + MRTD, HASH_SIZE, found);
	EXPECT_STREQ(mrtd, found) TH_LOG("MRTD of the program and its page below 4G");
	for (int rtmr = 0; rtmr < RTMRS_NR; rtmr++)
		expect_rtmr(_metadata, rtmr, report + RTMRS + rtmr * HASH_SIZE);
	inside_close(_metadata, &td);
}

/* The MAC is of this boot's key and of all that is before it. */
TEST_F(tdx, mac)
{
	const __u8 byte[] = { REPORT_BYTE, REPORT_BYTE, REPORT_BYTE + 1 };
	__u8 report[ARRAY_SIZE(byte)][END];
	struct inside td;

	for (int i = 0; i < ARRAY_SIZE(byte); i++) {
		inside_start(_metadata, &td, "report", 1, byte[i]);
		inside_finish(_metadata, &td, 0);
		memcpy(report[i], (void *)td.mailbox->bytes, END);
		inside_close(_metadata, &td);
	}
	EXPECT_EQ(0, memcmp(report[0], report[1], MAC)) TH_LOG("the same program has the same report");
	EXPECT_EQ(0, memcmp(report[0] + MAC, report[1] + MAC, MAC_SIZE)) TH_LOG("the key is made once for each boot");
	EXPECT_NE(0, memcmp(report[0] + MAC, report[2] + MAC, MAC_SIZE)) TH_LOG("other data have another MAC");
}

TEST_HARNESS_MAIN
