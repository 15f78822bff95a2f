/* SPDX-License-Identifier: GPL-2.0 */
/* What backing.c does for rust/tests/backing.rs, which declares the same to Rust. */
#ifndef BACKING_H
#define BACKING_H

#include <linux/types.h>

enum tdx_backing {
	TDX_BACKING_FOLIO,	/* a large folio */
	TDX_BACKING_FILE,	/* a large folio in the page cache */
	TDX_BACKING_TAILS,	/* pages whose references are not counted */
	TDX_BACKING_MANY,	/* contiguous folios of one page each */
	TDX_BACKING_PFNS,	/* memory without struct page and direct map */
};

/* All are contiguous and begin with a 2 MiB page. */
int tdx_backing_take(enum tdx_backing kind, u64 *pfn, u64 *nr);
bool tdx_backing_intact(enum tdx_backing kind);	/* what the kernel knows of it is as it has to be */
void tdx_backing_give(enum tdx_backing kind);

int tdx_backing_split(void);
bool tdx_backing_words(u64 word, bool write);
bool tdx_backing_is_reset(void);
u64 tdx_backing_pamt(void);
void tdx_backing_skip(void);

#endif
