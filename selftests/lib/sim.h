/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the simulated TDX module shows in debugfs. Its files have one record a line, words "key=value"; all of them are read from the
 * pages that the host donated, except `calls`, `statuses` and `log`, which the simulator writes down.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define SIM_DIR		"/sys/kernel/debug/tdx_sim/"

/* Calls visit() for each record of a file; -1 with errno if there is no such file. */
typedef void (*sim_visit_t)(const char *record, void *arg);
int sim_for_each(const char *file, sim_visit_t visit, void *arg);
/* The same for any file of such records, each of which may have other words before. */
int records_for_each(const char *path, sim_visit_t visit, void *arg);

/* A word of a record. A key that is missing gives an empty string, or 0. */
void sim_text(const char *record, const char *key, char *value, size_t size);
__u64 sim_number(const char *record, const char *key);
bool sim_from_backend(const char *record);

/* SEAMCALLs so far, by leaf and by who issued them. */
struct sim_call {
	char leaf[32];
	bool backend;		/* from tdx_seamcall(), else from the TDX core's tdh_*() */
	__u64 ok, failed;
};

struct sim_calls {
	int nr;
	struct sim_call call[160];
};

int sim_calls(struct sim_calls *calls);
struct sim_call sim_calls_of(const struct sim_calls *calls, const char *leaf, bool backend);
struct sim_call sim_calls_since(const struct sim_calls *before, const char *leaf, bool backend);

/* How often a leaf has answered with a status of this class (bits 63:32), other than success. */
__u64 sim_answers(const char *leaf, __u32 class);

/* TDs that exist, found by their roots in the PAMT. */
struct sim_td {
	__u64 tdr_pfn;
	unsigned int hkid, vcpus;
	char op_state[32];
	char mrtd[97];
};

int sim_tds(struct sim_td *tds, int max);

/*
 * 4K pages of a range by state of their S-EPT entries, entries that map pages by their level, and S-EPT pages by level of the entry that
 * points to them.
 */
struct sim_pages {
	__u64 mapped, pending, blocked;
	__u64 leaves[5];
	__u64 tables[5];
	__u64 first_table_pfn[5];
};

int sim_pages(__u64 tdr_pfn, __u64 gpa, __u64 size, struct sim_pages *pages);
__u64 sim_pfn(__u64 tdr_pfn, __u64 gpa);

/* What TDX holds, found by a walk over all of the PAMT and all KeyIDs: 0 if nothing, else a text says what. */
int sim_leftovers(char *text, size_t size);

/* Pages of one PAMT type, "PT_REG" say; and those of them that the PAMT has as pages of a level. */
__u64 sim_pamt_pages(const char *type);
__u64 sim_pamt_pages_at(const char *type, unsigned int level);

#endif
