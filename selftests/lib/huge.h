/* SPDX-License-Identifier: GPL-2.0 */
/* Huge pages of private memory, for as long as a test lasts. KVM's own S-EPT operations make none: they cannot split them. */
#ifndef HUGE_H
#define HUGE_H

#include "fixture.h"
#include "huge_parameter.h"

static void huge_pages_on(struct __test_metadata *_metadata, FIXTURE_DATA(tdx) *self)
{
	self->undo = huge_pages_off;
	ASSERT_EQ(0, write_file(HUGE_PARAMETER, "Y"));
}

#endif
