/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's list of declared files; see hive_declared.h. */
#include "registry-shim/hive_declared.h"

#include <string.h>

#include "registry-shim/hive_db.h"

int reg_hive_each_declared(struct reg_hive *h, reg_declared_fn *fn, void *arg, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int step = SQLITE_DONE, r = 0;

	if (sqlite3_prepare_v2(h->db, "SELECT file, lens, note FROM declared ORDER BY file", -1, &s, NULL) !=
	    SQLITE_OK)
		return hive_error(h, e);
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct reg_declared d = { (const char *)sqlite3_column_text(s, 0),
					  (const char *)sqlite3_column_text(s, 1),
					  (const char *)sqlite3_column_text(s, 2) };

		r = fn(arg, &d, e);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = hive_error(h, e);
	sqlite3_finalize(s);
	return r;
}

int reg_hive_declared_lens(struct reg_hive *h, const char *file, char **ret, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_DECLARED, file, NULL, e);
	char *lens = NULL;
	int step, r = 0;

	if (!s)
		return -1;
	step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		lens = hive_column(s, 0, e);
		r = lens ? 0 : -1;
	} else if (step != SQLITE_DONE) {
		r = hive_error(h, e);
	}
	sqlite3_reset(s);
	if (r == 0)
		*ret = lens;
	return r;
}

struct comparison {
	const struct reg_declared *list;
	size_t count, rows, same;
};

static int compare(void *arg, const struct reg_declared *d, struct err *e)
{
	struct comparison *c = arg;

	(void)e;
	c->rows++;
	for (size_t i = 0; i < c->count; i++)
		if (!strcmp(c->list[i].file, d->file)) {
			c->same += !strcmp(c->list[i].lens, d->lens) && !strcmp(c->list[i].note, d->note);
			break;
		}
	return 0;
}

static int replace(struct reg_hive *h, const struct reg_declared *list, size_t count, struct err *e)
{
	if (hive_exec(h, "DELETE FROM declared", e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		sqlite3_stmt *s = hive_statement(h, HIVE_DECLARE, list[i].file, list[i].lens, e);

		if (!s)
			return -1;
		hive_bind(s, 3, list[i].note);
		if (hive_run(h, s, e) < 0)
			return -1;
	}
	return 0;
}

int reg_hive_set_declared(struct reg_hive *h, const struct reg_declared *list, size_t count, struct err *e)
{
	struct comparison c = { .list = list, .count = count };

	if (reg_hive_each_declared(h, compare, &c, e) < 0)
		return -1;
	if (c.rows == count && c.same == count) /* as at the usual start */
		return 0;
	return reg_hive_begin(h, e) < 0 ? -1 : reg_hive_end(h, replace(h, list, count, e), e);
}
