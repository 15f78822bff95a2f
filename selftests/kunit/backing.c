// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of every kind that may back a TD, for the KUnit tests of tdx_sept. Those speak of page frame numbers only: what there is behind them,
 * and that nobody has touched it, is looked at here. Built in, for mm/ exports little of what it takes.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/huge_mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/ramfs.h>
#include <linux/swap.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <asm/tdx.h>
#include <asm/tdx_sept.h>

#include "backing.h"

#define LARGE		PTRS_PER_PTE		/* pages of a large page */
#define LARGE_ORDER	(PMD_SHIFT - PAGE_SHIFT)

/* What is in use: there is one of each kind at a time. */
struct taken {
	u64 pfn;
	u64 nr;
};

/* One folio of the page allocator, with one reference. */
static int folio_take(struct taken *taken)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, LARGE_ORDER);

	if (!folio)
		return -ENOMEM;
	*taken = (struct taken) { folio_pfn(folio), LARGE };
	return 0;
}

static bool folio_intact(const struct taken *taken)
{
	struct folio *folio = pfn_folio(taken->pfn);

	return folio_order(folio) == LARGE_ORDER && folio_ref_count(folio) == 1;
}

static void folio_give(const struct taken *taken)
{
	folio_put(pfn_folio(taken->pfn));
}

/* A folio of a file, whose pages can become folios of their own. */
static struct vfsmount *test_mount;
static struct inode *test_inode;
static bool file_is_split;

static struct folio *file_add_folio(struct address_space *mapping)
{
	struct folio *folio = folio_alloc(GFP_KERNEL | __GFP_ZERO, LARGE_ORDER);

	if (!folio)
		return NULL;
	if (filemap_add_folio(mapping, folio, 0, GFP_KERNEL)) {
		folio_put(folio);
		return NULL;
	}
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	return folio;
}

static void file_close(void)
{
	iput(test_inode);
	kern_unmount(test_mount);
}

static int file_take(struct taken *taken)
{
	struct file_system_type *ramfs = get_fs_type("ramfs");
	struct folio *folio;

	test_mount = kern_mount(ramfs);
	put_filesystem(ramfs);
	if (IS_ERR(test_mount))
		return PTR_ERR(test_mount);
	test_inode = ramfs_get_inode(test_mount->mnt_sb, NULL, S_IFREG | 0600, 0);
	if (!test_inode) {
		kern_unmount(test_mount);
		return -ENOMEM;
	}

	i_size_write(test_inode, PMD_SIZE);
	mapping_set_large_folios(test_inode->i_mapping);
	folio = file_add_folio(test_inode->i_mapping);
	if (!folio) {
		file_close();
		return -ENOMEM;
	}
	file_is_split = false;
	*taken = (struct taken) { folio_pfn(folio), LARGE };
	return 0;
}

/* The page cache has a reference to each page, and file_take() has one that stayed with the first page. */
static bool file_intact(const struct taken *taken)
{
	int i;

	if (!file_is_split)
		return folio_order(pfn_folio(taken->pfn)) == LARGE_ORDER &&
		       folio_ref_count(pfn_folio(taken->pfn)) == LARGE + 1;

	for (i = 0; i < LARGE; i++) {
		struct folio *folio = pfn_folio(taken->pfn + i);

		if (folio_pfn(folio) != taken->pfn + i || folio_test_large(folio) ||
		    folio_ref_count(folio) != (i ? 1 : 2))
			return false;
	}
	return true;
}

static int file_split(const struct taken *taken)
{
	struct folio *folio = pfn_folio(taken->pfn);
	int ret;

	/* A CPU that has yet to put the folio on a list holds a reference. */
	lru_add_drain_all();

	folio_lock(folio);
	ret = split_folio(folio);
	folio_unlock(folio);
	file_is_split = !ret;
	return ret;
}

static void file_give(const struct taken *taken)
{
	folio_put(pfn_folio(taken->pfn));
	file_close();
}

/* Tail pages of an allocation that is no compound page: nobody counts references to them. */
static int tails_take(struct taken *taken)
{
	struct page *page = alloc_pages(GFP_KERNEL, LARGE_ORDER + 1);

	if (!page)
		return -ENOMEM;
	*taken = (struct taken) { page_to_pfn(page) + LARGE, LARGE };
	return 0;
}

static bool tails_intact(const struct taken *taken)
{
	int i;

	for (i = 0; i < LARGE; i++) {
		struct page *page = pfn_to_page(taken->pfn + i);

		if (page_ref_count(page) || PageCompound(page))
			return false;
	}
	return true;
}

static void tails_give(const struct taken *taken)
{
	__free_pages(pfn_to_page(taken->pfn - LARGE), LARGE_ORDER + 1);
}

/* Contiguous pages, each a folio of its own. */
static int many_take(struct taken *taken)
{
	struct page *page = alloc_contig_pages(2 * LARGE, GFP_KERNEL, numa_mem_id(), NULL);

	if (!page)
		return -ENOMEM;
	*taken = (struct taken) { page_to_pfn(page), 2 * LARGE };
	return 0;
}

static bool many_intact(const struct taken *taken)
{
	int i;

	for (i = 0; i < taken->nr; i++) {
		struct folio *folio = pfn_folio(taken->pfn + i);

		if (folio_pfn(folio) != taken->pfn + i || folio_test_large(folio) ||
		    folio_ref_count(folio) != 1)
			return false;
	}
	return true;
}

static void many_give(const struct taken *taken)
{
	free_contig_range(taken->pfn, taken->nr);
}

/* Memory that was set aside with tdx_pfn_memory=. */
static int pfns_take(struct taken *taken)
{
	u64 pfn, nr;

	if (!tdx_pfn_memory(&pfn, &nr))
		return -ENODEV;
	if (!request_mem_region(PFN_PHYS(pfn), PFN_PHYS(nr), "tdx_sept tests"))
		return -EBUSY;
	*taken = (struct taken) { pfn, nr };
	return 0;
}

static bool pfns_intact(const struct taken *taken)
{
	unsigned int level;
	u64 pfn;
	pte_t *pte;

	for (pfn = taken->pfn; pfn < taken->pfn + taken->nr; pfn++) {
		pte = lookup_address((unsigned long)__va(PFN_PHYS(pfn)), &level);
		if (pfn_valid(pfn) || (pte && pte_present(*pte)))
			return false;
	}
	return true;
}

static void pfns_give(const struct taken *taken)
{
	release_mem_region(PFN_PHYS(taken->pfn), PFN_PHYS(taken->nr));
}

static const struct {
	int (*take)(struct taken *taken);
	bool (*intact)(const struct taken *taken);
	void (*give)(const struct taken *taken);
} kinds[] = {
	[TDX_BACKING_FOLIO] = { folio_take, folio_intact, folio_give },
	[TDX_BACKING_FILE] = { file_take, file_intact, file_give },
	[TDX_BACKING_TAILS] = { tails_take, tails_intact, tails_give },
	[TDX_BACKING_MANY] = { many_take, many_intact, many_give },
	[TDX_BACKING_PFNS] = { pfns_take, pfns_intact, pfns_give },
};

static struct taken taken[ARRAY_SIZE(kinds)];

int tdx_backing_take(enum tdx_backing kind, u64 *pfn, u64 *nr)
{
	int ret = kinds[kind].take(&taken[kind]);

	*pfn = taken[kind].pfn;
	*nr = taken[kind].nr;
	return ret;
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_take, "tdx_sept");

bool tdx_backing_intact(enum tdx_backing kind)
{
	return kinds[kind].intact(&taken[kind]);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_intact, "tdx_sept");

void tdx_backing_give(enum tdx_backing kind)
{
	kinds[kind].give(&taken[kind]);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_give, "tdx_sept");

/* Makes folios of one page each of the folio of TDX_BACKING_FILE. */
int tdx_backing_split(void)
{
	return file_split(&taken[TDX_BACKING_FILE]);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_split, "tdx_sept");

/*
 * Writes, or with @write false reads, the first and the last word of each page of TDX_BACKING_PFNS. Returns whether all of them are @word.
 */
bool tdx_backing_words(u64 word, bool write)
{
	struct taken *pfns = &taken[TDX_BACKING_PFNS];
	const size_t last = PAGE_SIZE / sizeof(u64) - 1;
	u64 *words = memremap(PFN_PHYS(pfns->pfn), PFN_PHYS(LARGE), MEMREMAP_WB);
	bool all = true;
	int i;

	if (!words)
		return false;
	for (i = 0; i < LARGE; i++) {
		u64 *page = words + i * (last + 1);

		if (write) {
			page[0] = word;
			page[last] = word;
		}
		all &= page[0] == word && page[last] == word;
	}
	memunmap(words);
	return all;
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_words, "tdx_sept");

/* Whether the CPU wants memory reset that comes back from the TDX module, which leaves it zero. */
bool tdx_backing_is_reset(void)
{
	return boot_cpu_has_bug(X86_BUG_TDX_PW_MCE);
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_is_reset, "tdx_sept");

/* A page of RAM that TDX cannot convert for it is the TDX module's own: all of RAM from 1 MB on is in TDMRs. 0 if there is none. */
u64 tdx_backing_pamt(void)
{
	unsigned long start, end;
	int i;

	for_each_mem_pfn_range(i, MAX_NUMNODES, &start, &end, NULL) {
		for (start = max(start, PHYS_PFN(SZ_1M)); start < end; start++) {
			if (!tdx_pfns_convertible(start, 1))
				return start;
		}
	}
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_pamt, "tdx_sept");

void tdx_backing_skip(void)
{
	kunit_mark_skipped(kunit_get_current_test(), "no memory without struct page: boot with tdx_pfn_memory=");
}
EXPORT_SYMBOL_FOR_MODULES(tdx_backing_skip, "tdx_sept");
