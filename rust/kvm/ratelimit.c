// SPDX-License-Identifier: GPL-2.0
/*
 * Rate limit of the module's messages. The state is set up by a macro, which
 * Rust cannot use.
 */
#include <linux/ratelimit.h>

bool tdx_sept_may_log(void);

bool tdx_sept_may_log(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&state);
}
