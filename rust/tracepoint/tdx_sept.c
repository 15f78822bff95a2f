// SPDX-License-Identifier: GPL-2.0
/* Makes the tracepoint tdx_sept:seamcall, with a way to it for Rust. */
#define TRACE_SYSTEM tdx_sept
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "seamcall.h"
