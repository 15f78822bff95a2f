/* SPDX-License-Identifier: GPL-2.0 */
/* What enter.c does for rust/tests/enter.rs, which declares the same to Rust. */
#ifndef ENTER_H
#define ENTER_H

#include <linux/types.h>

void tdx_enter_stay(bool stay);	/* on this CPU */
void tdx_enter_check(u64 tdvpr, u64 gpa, u64 xfam, bool keeps_rbp);

#endif
