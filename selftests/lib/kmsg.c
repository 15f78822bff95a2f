// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/syslog.h>
#include <time.h>
#include <unistd.h>

#include "kmsg.h"

#define EXPECT_BEGIN	"tdx_selftest: complaints expected from here: "
#define EXPECT_END	"tdx_selftest: complaints expected up to here: "

/* klogctl(): console off (and remember how it was), and on again as it was. */
#define CONSOLE_OFF	6
#define CONSOLE_ON	7

/* One record is at most this long (Documentation/ABI/testing/dev-kmsg). */
#define RECORD_SIZE	8192

struct record {
	unsigned long long seq;
	unsigned long long usecs;	/* since boot */
	int level;
	const char *text;
};

typedef void (*visit_t)(const struct record *record, void *arg);

/*
 * Records are "prefix,seq,timestamp,flags;text". 0, or -1 with errno: EPIPE if one was overwritten before it was read, @since or a
 * later one.
 */
static int for_each_record(unsigned long long since, visit_t visit, void *arg)
{
	char line[RECORD_SIZE];
	unsigned long long next = since;
	struct record record;
	unsigned int prefix;
	ssize_t got;
	char *text;
	int fd, err;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;

	for (;;) {
		got = read(fd, line, sizeof(line) - 1);
		/* Overwritten before it was read: the numbers show whether that matters. */
		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			break;
		line[got] = '\0';
		text = strchr(line, ';');
		if (!text || sscanf(line, "%u,%llu,%llu,", &prefix, &record.seq, &record.usecs) != 3)
			continue;
		if (record.seq > next) {
			errno = EPIPE;
			break;
		}
		if (record.seq == next)
			next++;
		*strchrnul(text, '\n') = '\0';
		record.level = LOG_PRI(prefix);
		record.text = text + 1;
		visit(&record, arg);
	}
	err = errno;
	close(fd);
	errno = err;
	return err == EAGAIN ? 0 : -1;
}

static void note_seq(const struct record *record, void *arg)
{
	*(unsigned long long *)arg = record->seq + 1;
}

/* The number that the next record will have; what was overwritten before does not matter. */
unsigned long long kmsg_now(void)
{
	unsigned long long now = 0;

	for_each_record(ULLONG_MAX, note_seq, &now);
	return now;
}

struct search {
	unsigned long long since;
	bool skip_marked, marked;
	bool booted;
	const char *const *expected;
	unsigned int said;	/* which of the expected, a bit each */
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
	/* The CPUID of Bochs' CPUs, each time that one comes online. */
	if (strstr(text, "Topology: leaf 0xb"))
		return false;
	if (level <= LOG_ERR && booted)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* Does @text contain something that @pattern matches? */
static bool contains(const char *text, const char *pattern)
{
	char around[RECORD_SIZE];

	snprintf(around, sizeof(around), "*%s*", pattern);
	return !fnmatch(around, text, 0);
}

static void look(const struct record *record, void *arg)
{
	struct search *search = arg;
	const char *text = record->text;

	if (strstr(text, EXPECT_BEGIN))
		search->marked = true;
	else if (strstr(text, EXPECT_END))
		search->marked = false;
	if (strstr(text, "as init process"))
		search->booted = true;

	if (record->seq < search->since || (search->skip_marked && search->marked) || !is_complaint(record->level, text, search->booted))
		return;
	for (int i = 0; search->expected && search->expected[i]; i++)
		if (contains(text, search->expected[i])) {
			search->said |= 1U << i;
			return;
		}
	if (!search->found++)
		snprintf(search->first, search->size, "%s", text);
}

/*
 * Compares the kernel's complaints since kmsg_now() gave @since with the NULL-terminated @expected texts: each complaint is to contain one
 * of them, and each of them is to be in one. How many are not, and in @first the text of one. -1 with errno if the log cannot be read.
 */
int kmsg_complaints(unsigned long long since, const char *const *expected, char *first, size_t size)
{
	struct search search = { .since = since, .booted = true, .expected = expected, .first = first, .size = size };

	*first = '\0';
	if (for_each_record(since, look, &search))
		return -1;
	for (int i = 0; expected && expected[i]; i++)
		if (!(search.said & 1U << i) && !search.found++)
			snprintf(first, size, "nothing of \"%s\"", expected[i]);
	return search.found;
}

/* How many complaints there are in all of the log, without what tests provoked. */
int kmsg_unexpected(char *first, size_t size)
{
	struct search search = { .skip_marked = true, .first = first, .size = size };

	*first = '\0';
	if (for_each_record(0, look, &search))
		return -1;
	return search.found;
}

struct recent {
	const char *text;
	unsigned long long since;
	int count;
};

static void count_recent(const struct record *record, void *arg)
{
	struct recent *recent = arg;

	recent->count += record->usecs >= recent->since && contains(record->text, recent->text);
}

/* How many records of the last @usecs contain @text, which may have wildcards; -1 with errno if the log cannot be read. */
static int recent(const char *text, unsigned long long usecs)
{
	struct recent recent = { .text = text };
	unsigned long long now_usecs;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_usecs = now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
	recent.since = now_usecs < usecs ? 0 : now_usecs - usecs;
	return for_each_record(ULLONG_MAX, count_recent, &recent) ? -1 : recent.count;
}

/*
 * Each of these is said ten times in five seconds and no more (DEFAULT_RATELIMIT_BURST); the clock of the log is a little ahead. A test leads to
 * two of a kind at most: returns as soon as those will be said.
 */
void kmsg_make_room(void)
{
	static const char *const limited[] = { "S-EPT * failed", "SEAMCALL TDH_* failed", "tdx_sept: *TD 0x" };

	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
		while (recent(limited[i], 6000000) > 8)
			usleep(100000);
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
