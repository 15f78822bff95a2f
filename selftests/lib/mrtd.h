/* SPDX-License-Identifier: GPL-2.0 */
/* MRTD, the measurement of a TD's initial memory, worked out from what the host put into the TD (TDX ABI: TDH.MEM.PAGE.ADD, TDH.MR.EXTEND). */
#ifndef MRTD_H
#define MRTD_H

#include <sys/types.h>
#include <stdint.h>
#include <sha512.h>
#include <stdbool.h>
#include <linux/types.h>

struct mrtd {
	SHA384_CTX sha;
};

void mrtd_begin(struct mrtd *mrtd);
void mrtd_add_page(struct mrtd *mrtd, __u64 gpa, const void *page, bool measured);
void mrtd_end(struct mrtd *mrtd, char hex[97]);

#endif
