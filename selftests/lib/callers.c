// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "callers.h"
#include "files.h"
#include "sim.h"

/* The VM has no memory above 4 GiB. What is above in an address is a KeyID. */
#define MAX_PFN		(1ULL << 20)
/* Pages of the largest page that a call gives. */
#define MAX_PAGES	(1ULL << 9)

enum effect {
	MAKES_TD,
	CHANGES,	/* the S-EPT of the TD whose TDR is in @tdr */
	GIVES,		/* so, and gives the TD the page in @page */
	RETURNS,	/* the page in @page, for good */
};

static const struct leaf {
	const char *name;
	enum effect effect;
	const char *tdr, *page;
	bool sized;		/* the page is as large as the level in RCX says */
} leaves[] = {
	{ "TDH.MNG.CREATE",		MAKES_TD, .tdr = "rcx" },
	{ "TDH.MEM.SEPT.ADD",		GIVES, .tdr = "rdx", .page = "r8" },
	{ "TDH.MEM.PAGE.ADD",		GIVES, .tdr = "rdx", .page = "r8" },
	{ "TDH.MEM.PAGE.AUG",		GIVES, .tdr = "rdx", .page = "r8", .sized = true },
	{ "TDH.MEM.PAGE.DEMOTE",	GIVES, .tdr = "rdx", .page = "r8" },
	{ "TDH.MEM.RANGE.BLOCK",	CHANGES, .tdr = "rdx" },
	{ "TDH.MEM.TRACK",		CHANGES, .tdr = "rcx" },
	{ "TDH.MEM.PAGE.REMOVE",	CHANGES, .tdr = "rdx" },
	{ "TDH.PHYMEM.PAGE.WBINVD",	RETURNS, .page = "rcx" },
	{ "TDH.PHYMEM.PAGE.RECLAIM",	RETURNS, .page = "rcx" },
};

struct search {
	struct td_callers *tds;
	int nr;
	__u64 next;		/* sequence number of the next call, if the log has no gap */
	int *holder;		/* by PFN: 1 + the TD that holds the page by its S-EPT, 0 for none */
	int error;
};

static __u64 pfn(const char *record, const char *key)
{
	return (sim_number(record, key) >> 12) % MAX_PFN;
}

static void add_td(struct search *search, __u64 tdr_pfn)
{
	struct td_callers *tds = realloc(search->tds, (search->nr + 1) * sizeof(*tds));

	if (!tds) {
		search->error = ENOMEM;
		return;
	}
	tds[search->nr++] = (struct td_callers) { .tdr_pfn = tdr_pfn };
	search->tds = tds;
}

/* The last TD with that TDR, -1 if there is none: a TDR's page may have been that of others before. */
static int find_td(const struct search *search, __u64 tdr_pfn)
{
	int i = search->nr - 1;

	while (i >= 0 && search->tds[i].tdr_pfn != tdr_pfn)
		i--;
	return i;
}

static void count(struct td_callers *td, const char *record)
{
	if (sim_from_backend(record))
		td->backend++;
	else
		td->core++;
}

/* NULL for one that has nothing to do with who keeps an S-EPT. */
static const struct leaf *find_leaf(const char *record)
{
	char name[32];

	sim_text(record, "leaf", name, sizeof(name));
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (!strcmp(name, leaves[i].name))
			return &leaves[i];
	return NULL;
}

static void note_call(struct search *search, const struct leaf *leaf, const char *record)
{
	bool done = !(sim_number(record, "status") >> 63);
	int *holder = leaf->page ? &search->holder[pfn(record, leaf->page)] : NULL;
	int td;

	if (leaf->effect == MAKES_TD) {
		if (done)
			add_td(search, pfn(record, leaf->tdr));
		return;
	}
	td = leaf->effect == RETURNS ? *holder - 1 : find_td(search, pfn(record, leaf->tdr));
	/* A control page of a TD is no matter of the S-EPT. */
	if (td < 0)
		return;
	count(&search->tds[td], record);
	if (leaf->effect == GIVES && done) {
		int nr = leaf->sized ? 1 << 9 * (sim_number(record, "rcx") & 7) : 1;

		for (int i = 0; i < nr; i++)
			holder[i] = td + 1;
		search->tds[td].held += nr;
	} else if (leaf->effect == RETURNS && done) {
		*holder = 0;
		search->tds[td].held--;
	}
}

static void look(const char *record, void *arg)
{
	struct search *search = arg;
	const struct leaf *leaf;

	/* The first line is about the log. */
	if (!strncmp(record, "records=", strlen("records="))) {
		search->next = sim_number(record, "first");
		return;
	}
	if (sim_number(record, "seq") != search->next++) {
		search->error = ENOBUFS;
		return;
	}

	leaf = find_leaf(record);
	if (leaf)
		note_call(search, leaf, record);
}

int callers_forget(void)
{
	return write_file(SIM_DIR "log", "clear");
}

int callers_of_tds(struct td_callers **tds)
{
	struct search search = { .holder = calloc(MAX_PFN + MAX_PAGES, sizeof(int)) };

	if (!search.holder)
		return -1;
	if (sim_for_each("log", look, &search))
		search.error = errno;
	free(search.holder);
	if (search.error) {
		free(search.tds);
		errno = search.error;
		return -1;
	}
	*tds = search.tds;
	return search.nr;
}
