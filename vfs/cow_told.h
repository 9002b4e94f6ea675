/* SPDX-License-Identifier: Apache-2.0 */
/* Which names the kernel has been told of lately, with attributes that it believes for long. A listing need
 * not tell it again: looking at an entry costs more than all else of it, and programs that look at every file
 * and then list the directory are many.
 *
 * A table of fixed size without a lock: of two names with one place the later stays. Wrong in either
 * direction it costs a look: the kernel asks for what it does not know. Any thread; never blocks. */
#ifndef FLOE_VFS_COW_TOLD_H
#define FLOE_VFS_COW_TOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { COW_TOLD_COUNT = 16384 };

struct cow_told { /* all zeros: nothing */
	atomic_uint_fast64_t at[COW_TOLD_COUNT];
};

void cow_told_note(struct cow_told *t, uint64_t parent, const char *name);
void cow_told_clear(struct cow_told *t);
/* In the last ten seconds. */
bool cow_told_lately(struct cow_told *t, uint64_t parent, const char *name);

#endif
