// SPDX-License-Identifier: GPL-2.0
/* Makes the tracepoint tdx_sim:seamcall, with a way to it for Rust. */
#define TRACE_SYSTEM tdx_sim
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "seamcall.h"
