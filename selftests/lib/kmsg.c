// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/syslog.h>
#include <unistd.h>

#include "kmsg.h"

#define EXPECT_BEGIN	"tdx_selftest: complaints expected from here: "
#define EXPECT_END	"tdx_selftest: complaints expected up to here: "

/* klogctl(): console off (and remember how it was), and on again as it was. */
#define CONSOLE_OFF	6
#define CONSOLE_ON	7

/* One record is at most this long (Documentation/ABI/testing/dev-kmsg). */
#define RECORD_SIZE	8192

typedef void (*visit_t)(unsigned long long seq, int level, const char *text, void *arg);

/* Records are "prefix,seq,timestamp,flags;text". */
static int for_each_record(visit_t visit, void *arg)
{
	char record[RECORD_SIZE];
	unsigned long long seq;
	unsigned int prefix;
	ssize_t got;
	char *text;
	int fd;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;

	for (;;) {
		got = read(fd, record, sizeof(record) - 1);
		/* Overwritten before it was read: the next read goes on with what is there. */
		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			break;
		record[got] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u,%llu,", &prefix, &seq) != 2)
			continue;
		*strchrnul(text, '\n') = '\0';
		visit(seq, LOG_PRI(prefix), text + 1, arg);
	}
	close(fd);
	return 0;
}

static void note_seq(unsigned long long seq, int level, const char *text, void *arg)
{
	*(unsigned long long *)arg = seq + 1;
}

/* The number that the next record will have. */
unsigned long long kmsg_now(void)
{
	unsigned long long now = 0;

	for_each_record(note_seq, &now);
	return now;
}

struct search {
	unsigned long long since;
	bool skip_marked, marked;
	bool booted;
	const char *const *expected;
	int found;
	char *first;
	size_t size;
};

/* Errors; and whatever the level, for some are printed at KERN_DEFAULT, these words. While it boots the kernel also finds errors of the firmware's. */
static bool is_complaint(int level, const char *text, bool booted)
{
	static const char *const words[] = { "WARNING:", "BUG:", "Oops", "cut here", "leaked", "INFO: task", "INFO: rcu", "possible circular" };

	if (!strncmp(text, "tdx_selftest:", strlen("tdx_selftest:")))
		return false;
	if (level <= LOG_ERR && booted)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

static void look(unsigned long long seq, int level, const char *text, void *arg)
{
	struct search *search = arg;

	if (strstr(text, EXPECT_BEGIN))
		search->marked = true;
	else if (strstr(text, EXPECT_END))
		search->marked = false;
	if (strstr(text, "as init process"))
		search->booted = true;

	if (seq < search->since || (search->skip_marked && search->marked) || !is_complaint(level, text, search->booted))
		return;
	for (const char *const *expected = search->expected; expected && *expected; expected++)
		if (strstr(text, *expected))
			return;
	if (!search->found++)
		snprintf(search->first, search->size, "%s", text);
}

/*
 * How many complaints the kernel has made since kmsg_now() gave @since, and the text of the first, other than those that contain one of
 * the NULL-terminated @expected texts. -1 with errno if the log cannot be read.
 */
int kmsg_complaints(unsigned long long since, const char *const *expected, char *first, size_t size)
{
	struct search search = { .since = since, .booted = true, .expected = expected, .first = first, .size = size };

	*first = '\0';
	if (for_each_record(look, &search))
		return -1;
	return search.found;
}

/* The same for all of the log, without what tests provoked. */
int kmsg_unexpected(char *first, size_t size)
{
	struct search search = { .skip_marked = true, .first = first, .size = size };

	*first = '\0';
	if (for_each_record(look, &search))
		return -1;
	return search.found;
}

static void say(const char *text, const char *name)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	dprintf(fd, "<%d>%s%s\n", LOG_CRIT, text, name);
	close(fd);
}

void kmsg_expect_begin(const char *name)
{
	say(EXPECT_BEGIN, name);
	klogctl(CONSOLE_OFF, NULL, 0);
}

void kmsg_expect_end(const char *name)
{
	klogctl(CONSOLE_ON, NULL, 0);
	say(EXPECT_END, name);
}
