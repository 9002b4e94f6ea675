/* SPDX-License-Identifier: Apache-2.0 */
/* After a server was killed its successor has its node table and the upper, each as it was at that moment:
 * renames are ended in the table as they were on the disk, or on the disk where that took two steps; orphans
 * and times of directories are put in order. */
#ifndef FLOE_VFS_COW_TAKEOVER_H
#define FLOE_VFS_COW_TAKEOVER_H

#include "vfs/cow_state.h"

/* Before the first request; blocks on the disk. What cannot be read stays as it is. */
void cow_take_over(struct cow_union *u);

#endif
