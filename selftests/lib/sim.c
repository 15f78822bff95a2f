// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

int records_for_each(const char *path, sim_visit_t visit, void *arg)
{
	char record[1024];
	FILE *stream;

	stream = fopen(path, "re");
	if (!stream)
		return -1;
	while (fgets(record, sizeof(record), stream)) {
		*strchrnul(record, '\n') = '\0';
		visit(record, arg);
	}
	fclose(stream);
	return 0;
}

int sim_for_each(const char *file, sim_visit_t visit, void *arg)
{
	char path[128];

	snprintf(path, sizeof(path), SIM_DIR "%s", file);
	return records_for_each(path, visit, arg);
}

static const char *find_value(const char *record, const char *key)
{
	size_t length = strlen(key);

	for (const char *word = record; word; word = strchr(word, ' ')) {
		word += *word == ' ';
		if (!strncmp(word, key, length) && word[length] == '=')
			return word + length + 1;
	}
	return NULL;
}

void sim_text(const char *record, const char *key, char *value, size_t size)
{
	const char *found = find_value(record, key);

	snprintf(value, size, "%.*s", found ? (int)strcspn(found, " ") : 0, found ? found : "");
}

__u64 sim_number(const char *record, const char *key)
{
	const char *found = find_value(record, key);

	return found ? strtoull(found, NULL, 0) : 0;
}

/* Who issued a call: the backend by tdx_seamcall(), or the TDX core's tdh_*()? */
bool sim_from_backend(const char *record)
{
	char caller[16];

	sim_text(record, "caller", caller, sizeof(caller));
	return !strcmp(caller, "backend");
}

static void note_calls(const char *record, void *arg)
{
	struct sim_calls *calls = arg;
	struct sim_call *call = &calls->call[calls->nr];

	if (calls->nr == sizeof(calls->call) / sizeof(calls->call[0]))
		return;
	calls->nr++;
	sim_text(record, "leaf", call->leaf, sizeof(call->leaf));
	call->backend = sim_from_backend(record);
	call->failed = sim_number(record, "failed");
	call->ok = sim_number(record, "calls") - call->failed;
}

int sim_calls(struct sim_calls *calls)
{
	calls->nr = 0;
	return sim_for_each("calls", note_calls, calls);
}

struct sim_call sim_calls_of(const struct sim_calls *calls, const char *leaf, bool backend)
{
	for (int i = 0; i < calls->nr; i++)
		if (calls->call[i].backend == backend && !strcmp(calls->call[i].leaf, leaf))
			return calls->call[i];
	return (struct sim_call) { .backend = backend };
}

struct sim_call sim_calls_since(const struct sim_calls *before, const char *leaf, bool backend)
{
	struct sim_call was = sim_calls_of(before, leaf, backend), is;
	struct sim_calls now;

	if (sim_calls(&now))
		return (struct sim_call) { };
	is = sim_calls_of(&now, leaf, backend);
	is.ok -= was.ok;
	is.failed -= was.failed;
	return is;
}

struct answer_count {
	const char *leaf;
	__u32 class;
	__u64 count;
};

static void count_answer(const char *record, void *arg)
{
	struct answer_count *answer = arg;
	char leaf[32];

	sim_text(record, "leaf", leaf, sizeof(leaf));
	if (!strcmp(leaf, answer->leaf) && sim_number(record, "status") >> 32 == answer->class)
		answer->count += sim_number(record, "count");
}

__u64 sim_answers(const char *leaf, __u32 class)
{
	struct answer_count answer = { .leaf = leaf, .class = class };

	sim_for_each("statuses", count_answer, &answer);
	return answer.count;
}

struct td_list {
	struct sim_td *tds;
	int nr, max;
};

static void note_td(const char *record, void *arg)
{
	struct td_list *list = arg;
	struct sim_td *td;

	if (list->nr == list->max)
		return;
	td = &list->tds[list->nr++];
	td->tdr_pfn = sim_number(record, "td") >> 12;
	td->hkid = sim_number(record, "hkid");
	td->vcpus = sim_number(record, "vcpus");
	sim_text(record, "op_state", td->op_state, sizeof(td->op_state));
	sim_text(record, "mrtd", td->mrtd, sizeof(td->mrtd));
}

/* The number of TDs, at most @max; -1 with errno if the simulator does not tell. */
int sim_tds(struct sim_td *tds, int max)
{
	struct td_list list = { .tds = tds, .max = max };

	return sim_for_each("tds", note_td, &list) ? -1 : list.nr;
}

struct page_search {
	__u64 tdr_pfn, gpa, end;
	struct sim_pages *pages;
};

static __u64 min(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static __u64 max(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

static void count_pages(const char *record, void *arg)
{
	struct page_search *search = arg;
	struct sim_pages *pages = search->pages;
	__u64 gpa = sim_number(record, "gpa");
	__u64 start = max(gpa, search->gpa);
	__u64 end = min(gpa + sim_number(record, "size"), search->end);
	unsigned int level = sim_number(record, "level");
	char state[32];

	if (sim_number(record, "td") >> 12 != search->tdr_pfn || start >= end || level > 4)
		return;

	sim_text(record, "state", state, sizeof(state));
	if (!strncmp(state, "NL_", 3)) {
		if (!pages->tables[level]++)
			pages->first_table_pfn[level] = sim_number(record, "pfn");
		return;
	}

	pages->leaves[level] += (end - start) >> (12 + 9 * level);
	if (!strcmp(state, "MAPPED")) {
		pages->mapped += (end - start) >> 12;
	} else if (!strcmp(state, "PENDING")) {
		pages->pending += (end - start) >> 12;
	} else {
		pages->blocked += (end - start) >> 12;
	}
}

int sim_pages(__u64 tdr_pfn, __u64 gpa, __u64 size, struct sim_pages *pages)
{
	struct page_search search = { .tdr_pfn = tdr_pfn, .gpa = gpa, .end = gpa + size, .pages = pages };

	*pages = (struct sim_pages) { };
	return sim_for_each("sept", count_pages, &search);
}

struct pfn_search {
	__u64 tdr_pfn, gpa, pfn;
};

static void find_pfn(const char *record, void *arg)
{
	struct pfn_search *search = arg;
	__u64 start = sim_number(record, "gpa");
	char state[32];

	sim_text(record, "state", state, sizeof(state));
	if (sim_number(record, "td") >> 12 == search->tdr_pfn && strncmp(state, "NL_", 3) &&
	    start <= search->gpa && search->gpa < start + sim_number(record, "size"))
		search->pfn = sim_number(record, "pfn") + ((search->gpa - start) >> 12);
}

/* The page that is mapped at @gpa, 0 if none is. */
__u64 sim_pfn(__u64 tdr_pfn, __u64 gpa)
{
	struct pfn_search search = { .tdr_pfn = tdr_pfn, .gpa = gpa };

	sim_for_each("sept", find_pfn, &search);
	return search.pfn;
}

struct text {
	char *text;
	size_t size, used;
	int nr;
};

static void add_text(struct text *text, const char *record)
{
	if (text->used < text->size)
		text->used += snprintf(text->text + text->used, text->size - text->used, "%s[%s]", text->nr ? " " : "", record);
	text->nr++;
}

/* Sums by type. Pages that TDX does not have, or that are reserved areas of the TDMRs, are no TD's. */
static void note_page_type(const char *record, void *arg)
{
	char type[32];

	sim_text(record, "type", type, sizeof(type));
	if (sim_number(record, "pages") && strcmp(type, "PT_NDA") && strcmp(type, "PT_RSVD"))
		add_text(arg, record);
}

/* KeyIDs in use. One is the TDX module's own until the next boot. */
static void note_keyid(const char *record, void *arg)
{
	char state[32];

	sim_text(record, "state", state, sizeof(state));
	if (strcmp(state, "HKID_RESERVED"))
		add_text(arg, record);
}

int sim_leftovers(char *text, size_t size)
{
	struct text list = { .text = text, .size = size };

	*text = '\0';
	if (sim_for_each("pamt", note_page_type, &list) || sim_for_each("keyids", note_keyid, &list))
		return -1;
	return list.nr;
}

struct type_count {
	const char *type;
	unsigned int level;	/* for count_listed() */
	__u64 count;
};

static void count_type(const char *record, void *arg)
{
	struct type_count *count = arg;
	char type[32];

	sim_text(record, "type", type, sizeof(type));
	if (!strcmp(type, count->type))
		count->count += sim_number(record, "pages");
}

__u64 sim_pamt_pages(const char *type)
{
	struct type_count count = { .type = type };

	sim_for_each("pamt", count_type, &count);
	return count.count;
}

/* The records of single pages have the type after the page's own words, and no word "pages". */
static void count_listed(const char *record, void *arg)
{
	struct type_count *count = arg;
	char type[32];

	sim_text(record, "type", type, sizeof(type));
	if (!strncmp(record, "page=", strlen("page=")) && !strcmp(type, count->type) && sim_number(record, "level") == count->level)
		count->count++;
}

__u64 sim_pamt_pages_at(const char *type, unsigned int level)
{
	struct type_count count = { .type = type, .level = level };

	sim_for_each("pamt", count_listed, &count);
	return count.count;
}
