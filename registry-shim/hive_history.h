/* SPDX-License-Identifier: Apache-2.0 */
/* What was changed, when and by whom: the newest REG_HISTORY_MAX changes that applications and people made in
 * an environment, and what locks refused. What package and policy bring is not in it (reg_hive_each_layer has
 * the time of that). The same refusal again and again is one event with a count. As hive.h for threads and
 * blocking. */
#ifndef FLOE_REG_HIVE_HISTORY_H
#define FLOE_REG_HIVE_HISTORY_H

#include "registry-shim/hive.h"

/* Longer values are kept up to here, with "..." behind. */
enum { REG_HISTORY_MAX = 10 * 1000, REG_HISTORY_VALUE_MAX = 512 };

enum reg_what {
	REG_WHAT_CHANGED, /* the user layer; a value of NULL is "not there" */
	REG_WHAT_LOCKED,
	REG_WHAT_UNLOCKED,
	REG_WHAT_REFUSED, /* an application tried; old_value stayed */
	REG_WHAT_TEXT,    /* a file that is kept as a whole was written; key "" */
};
/* "changed", "locked", "unlocked", "refused", "written". Static storage. */
const char *reg_what_name(enum reg_what what);

struct reg_event {
	int64_t time_ms;     /* wall clock; of the last one when there were several */
	uint64_t count;      /* how often; more than 1 for refusals only */
	const char *program; /* borrowed, as all */
	long pid;            /* 0 = not known */
	const char *file, *key;
	enum reg_layer layer;
	enum reg_what what;
	const char *old_value, *new_value;
};
typedef int reg_event_fn(void *arg, const struct reg_event *event, struct err *e);
/* The newest `max` events, oldest first; of one file, of one key, or of all (NULL). */
int reg_hive_each_event(struct reg_hive *h, const char *file, const char *key, size_t max, reg_event_fn *fn,
			void *arg, struct err *e) FLOE_MUST_USE;
/* How many keys (and whole files) locks have kept since then (wall clock). */
int reg_hive_count_refused(struct reg_hive *h, int64_t since_ms, uint64_t *ret, struct err *e) FLOE_MUST_USE;
/* Notes that an application's write of a whole file was refused: its keys are locked and it no longer was
 * a file of its kind. */
int reg_hive_note_refused_text(struct reg_hive *h, const char *file, struct err *e) FLOE_MUST_USE;

#endif
