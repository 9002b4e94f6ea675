/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts: what programs under the shim are writing, from open to close, each in a file of its own in
 * RUN/drafts/ (its name: shim_paths.h). A draft becomes the file in one step when it is complete; until then,
 * and when its program is killed before, the file and its keys stay what they were.
 *
 * Complete is what the process that opened it says it has closed ("closed"; a normal end says so as well). It
 * may have handed the descriptor on: those who find it when they start say that they have joined, and at
 * their end that they have left. So
 *
 *   - closed, and nobody has it open any more: it takes the file's place; but when one who joined never left,
 * he was killed, and it is thrown away;
 *   - closed, but somebody has it open: a copy is saved if anything is in it, and again when that somebody
 * has left it changed: a descriptor that some child keeps without knowing must not keep a save back;
 *   - synced: what is in it so far is saved;
 *   - nobody has it open, and not closed: its program was killed. Thrown away when no program runs any more;
 * of what was to be appended whole lines count.
 *
 * One that still holds the copy that it began as has nothing to save: what others saved meanwhile stays.
 *
 * Whether somebody has it open for writing the kernel says, which grants a read lease (fcntl(2)) only on a
 * file that nobody has: so the process that asks for drafts must ignore SIGIO.
 *
 * Appending: what was appended goes behind what the file holds at that time, so that of programs that append
 * at once every line stays. One thread; blocks on the disk. */
#ifndef FLOE_REG_BROKER_DRAFT_H
#define FLOE_REG_BROKER_DRAFT_H

#include "registry-shim/broker_file.h"

enum { BROKER_DRAFTS_MAX = 256, BROKER_DRAFT_WRITERS_MAX = 16 };

enum broker_draft_word { BROKER_DRAFT_CLOSED, BROKER_DRAFT_LEFT, BROKER_DRAFT_JOINED, BROKER_DRAFT_SYNCED };

/* What was saved of a draft already. */
struct draft_saved {
	bool is_any;
	uint64_t digest;
	size_t len;
};

/* What is known of drafts that go on. Beyond the limits it is forgotten: then what somebody was killed in the
 * middle of may count as complete. That one is closed is noted beside it, for the
 * broker after a crash, with what was saved of it. */
struct broker_draft {
	char *name;                            /* owned */
	long joined[BROKER_DRAFT_WRITERS_MAX]; /* processes; 0 = free */
	struct draft_saved saved;
};
struct broker_drafts {
	int dir;                                     /* owned; -1 = not open */
	struct broker_draft list[BROKER_DRAFTS_MAX]; /* name NULL = free */
};

int broker_drafts_open(struct broker_drafts *d, int run, struct err *e) FLOE_MUST_USE;
void broker_drafts_fini(struct broker_drafts *d);

/* The name in view/ that a draft's name is about; NULL when it is no draft's name. Borrowed. */
const char *broker_draft_file(const char *name);
/* A client's word about a draft of `f`. One that has gone is nothing to do. */
int broker_drafts_hear(struct broker_drafts *d, struct broker_file *f, struct reg_hive *h,
		       const struct broker_dirs *dirs, const char *name, enum broker_draft_word word,
		       struct reg_saved *ret, struct err *e) FLOE_MUST_USE;
/* Those of `f` that nobody has open any more; `is_idle`: no program runs that could still say something. */
int broker_drafts_harvest(struct broker_drafts *d, struct broker_file *f, struct reg_hive *h,
			  const struct broker_dirs *dirs, bool is_idle, struct reg_saved *ret,
			  struct err *e) FLOE_MUST_USE;

#endif
