/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: reading, changing, locking them, and whole layers; see hive.h. */
#include "registry-shim/hive.h"

#include <limits.h>
#include <string.h>

#include "registry-shim/hive_db.h"

const char *reg_layer_name(enum reg_layer layer)
{
	switch (layer) {
	case REG_PACKAGE:
		return "package";
	case REG_SITE:
		return "site";
	case REG_LOCAL:
		return "local";
	case REG_USER:
		return "user";
	case REG_LOCK:
		return "lock";
	case REG_SITE_LOCK:
		return "site lock";
	}
	return "unknown";
}

/* ---- one key -------------------------------------------------------------------------------- */

struct found {
	char *value; /* NULL = nothing, or a tombstone */
	char *origin;
	int layer; /* -1 = none has the key */
};

static void found_fini(struct found *f)
{
	free(f->value);
	free(f->origin);
}
#define auto_found __attribute__((cleanup(found_fini))) struct found

enum { ANY_LAYER = INT_MAX };

/* The highest layer below `below` that has the key. */
static int lookup(struct reg_hive *h, const char *file, const char *key, int below, struct found *ret,
		  struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_BELOW, file, key, e);
	int step, r = 0;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, below);
	step = sqlite3_step(s);
	ret->layer = -1;
	if (step == SQLITE_ROW) {
		ret->layer = sqlite3_column_int(s, 1);
		ret->origin = hive_column(s, 2, e);
		if (sqlite3_column_type(s, 0) != SQLITE_NULL)
			ret->value = hive_column(s, 0, e);
		r = ret->origin && (ret->value || sqlite3_column_type(s, 0) == SQLITE_NULL) ? 0 : -1;
	} else if (step != SQLITE_DONE) {
		r = hive_error(h, e);
	}
	sqlite3_reset(s);
	return r;
}

int reg_hive_get(struct reg_hive *h, const char *file, const char *key, char **ret, enum reg_layer *ret_layer,
		 struct err *e)
{
	auto_found top = { 0 };

	if (lookup(h, file, key, ANY_LAYER, &top, e) < 0)
		return -1;
	if (!top.value)
		return err_set(e, ERR_NOTFOUND, "%s:%s: no such setting", file, key);
	*ret = mem_steal(top.value);
	*ret_layer = (enum reg_layer)top.layer;
	return 0;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int put(struct reg_hive *h, const char *file, const char *key, enum reg_layer layer, const char *value,
	       const char *origin, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_PUT, file, key, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	hive_bind(s, 4, value);
	sqlite3_bind_int64(s, 5, hive_now_ms());
	hive_bind(s, 6, origin);
	return hive_run(h, s, e);
}

static int drop(struct reg_hive *h, const char *file, const char *key, enum reg_layer layer, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_DROP, file, key, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	return hive_run(h, s, e);
}

static int is_locked_error(const char *file, const char *key, const struct found *top, struct err *e)
{
	if (top->layer == REG_SITE_LOCK)
		return err_set(e, ERR_DENIED, "%s:%s is locked by the administrator (%s)", file, key,
			       top->origin);
	return err_set(e, ERR_DENIED, "%s:%s is locked: `floe registry unlock` lets it be changed", file,
		       key);
}

/* ---- changes -------------------------------------------------------------------------------- */

static int apply_one(struct reg_hive *h, const char *file, const struct reg_change *c, bool is_application,
		     struct reg_saved *saved, struct err *e)
{
	auto_found top = { 0 }, below = { 0 };

	if (hive_check_names(file, c->key, c->value, e) < 0 ||
	    lookup(h, file, c->key, ANY_LAYER, &top, e) < 0)
		return -1;
	if (top.layer > REG_USER) {
		if (is_same(top.value, c->value))
			return 0;
		if (!is_application)
			return is_locked_error(file, c->key, &top, e);
		saved->refused++;
		return hive_note(h, REG_WHAT_REFUSED, file, c->key, (enum reg_layer)top.layer, top.value,
				 c->value, e);
	}
	if (lookup(h, file, c->key, REG_USER, &below, e) < 0)
		return -1;
	if (!is_same(top.value, c->value)) {
		saved->changed++;
		if (hive_note(h, REG_WHAT_CHANGED, file, c->key, REG_USER, top.value, c->value, e) < 0)
			return -1;
	}
	if (is_same(below.value, c->value))
		return drop(h, file, c->key, REG_USER, e);
	return is_same(top.value, c->value) ? 0 : put(h, file, c->key, REG_USER, c->value, h->program, e);
}

int hive_apply_all(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   bool is_application, struct reg_saved *saved, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (apply_one(h, file, &changes[i], is_application, saved, e) < 0)
			return -1;
	return 0;
}

int reg_hive_apply(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   size_t *ret_changed, struct err *e)
{
	struct reg_saved saved = { 0 };

	if (reg_hive_begin(h, e) < 0 ||
	    reg_hive_end(h, hive_apply_all(h, file, changes, count, false, &saved, e), e) < 0)
		return -1;
	*ret_changed = saved.changed;
	return 0;
}

/* ---- locks ---------------------------------------------------------------------------------- */

static int lock_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	auto_found top = { 0 };

	if (hive_check_names(file, key, value, e) < 0 || lookup(h, file, key, ANY_LAYER, &top, e) < 0)
		return -1;
	if (top.layer == REG_SITE_LOCK)
		return is_locked_error(file, key, &top, e);
	if (top.layer == REG_LOCK && is_same(top.value, value))
		return 0;
	if (hive_note(h, REG_WHAT_LOCKED, file, key, REG_LOCK, top.value, value, e) < 0)
		return -1;
	return put(h, file, key, REG_LOCK, value, h->program, e);
}

int reg_hive_lock(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	return reg_hive_begin(h, e) < 0 ? -1 : reg_hive_end(h, lock_one(h, file, key, value, e), e);
}

static int unlock_one(struct reg_hive *h, const char *file, const char *key, struct err *e)
{
	auto_found top = { 0 }, below = { 0 };

	if (hive_check_names(file, key, NULL, e) < 0 || lookup(h, file, key, ANY_LAYER, &top, e) < 0 ||
	    lookup(h, file, key, REG_LOCK, &below, e) < 0)
		return -1;
	if (top.layer == REG_SITE_LOCK)
		return is_locked_error(file, key, &top, e);
	if (top.layer != REG_LOCK)
		return err_set(e, ERR_NOTFOUND, "%s:%s is not locked", file, key);
	if (hive_note(h, REG_WHAT_UNLOCKED, file, key, REG_LOCK, top.value, below.value, e) < 0)
		return -1;
	return drop(h, file, key, REG_LOCK, e);
}

int reg_hive_unlock(struct reg_hive *h, const char *file, const char *key, struct err *e)
{
	return reg_hive_begin(h, e) < 0 ? -1 : reg_hive_end(h, unlock_one(h, file, key, e), e);
}

int reg_hive_has_locks(struct reg_hive *h, const char *file, bool *ret, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_HAS_LOCKS, file, NULL, e);

	if (!s)
		return -1;
	if (sqlite3_step(s) != SQLITE_ROW)
		return hive_error(h, e);
	*ret = sqlite3_column_int(s, 0) != 0;
	sqlite3_reset(s);
	return 0;
}

/* ---- whole layers --------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct reg_layer_value *const *)a)->key,
		      (*(const struct reg_layer_value *const *)b)->key);
}

/* The usual start changes nothing: true when what is stored is exactly `sorted` (no key twice). */
static int is_layer_same(struct reg_hive *h, const char *file, enum reg_layer layer,
			 const struct reg_layer_value **sorted, size_t count, bool *ret, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_LAYER, file, NULL, e);
	size_t same = 0, rows = 0;
	int step;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		struct reg_layer_value row = { (const char *)sqlite3_column_text(s, 0),
					       (const char *)sqlite3_column_text(s, 1),
					       (const char *)sqlite3_column_text(s, 2) };
		const struct reg_layer_value *key = &row, **hit;

		hit = bsearch(&key, sorted, count, sizeof(*sorted), by_key);
		same += hit && is_same((*hit)->value, row.value) && is_same((*hit)->origin, row.origin);
		rows++;
	}
	sqlite3_reset(s);
	if (step != SQLITE_DONE)
		return hive_error(h, e);
	*ret = rows == count && same == count;
	return 0;
}

/* Rows that the new layer does not have go. */
static int drop_others(struct reg_hive *h, const char *file, enum reg_layer layer,
		       const struct reg_layer_value **sorted, size_t count, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_LAYER, file, NULL, e);
	int step = SQLITE_DONE, r = 0;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	/* SQLite allows for the row that a query has just returned to be deleted. */
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		auto_free char *name = hive_column(s, 0, e);
		struct reg_layer_value row = { name, NULL, NULL };
		const struct reg_layer_value *key = &row;

		if (!name)
			r = -1;
		else if (!bsearch(&key, sorted, count, sizeof(*sorted), by_key))
			r = drop(h, file, name, layer, e);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = hive_error(h, e);
	sqlite3_reset(s);
	return r;
}

static int replace_layer(struct reg_hive *h, const char *file, enum reg_layer layer,
			 const struct reg_layer_value **sorted, size_t count, struct err *e)
{
	if (drop_others(h, file, layer, sorted, count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (hive_check_names(file, sorted[i]->key, sorted[i]->value, e) < 0 ||
		    put(h, file, sorted[i]->key, layer, sorted[i]->value, sorted[i]->origin, e) < 0)
			return -1;
	return 0;
}

int reg_hive_set_layer(struct reg_hive *h, const char *file, enum reg_layer layer,
		       const struct reg_layer_value *values, size_t count, struct err *e)
{
	auto_free const struct reg_layer_value **sorted = mem_alloc(count, sizeof(*sorted), e);
	bool is_same_layer = false;

	if (!sorted || hive_check_names(file, NULL, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &values[i];
	qsort(sorted, count, sizeof(*sorted), by_key);
	if (is_layer_same(h, file, layer, sorted, count, &is_same_layer, e) < 0)
		return -1;
	if (is_same_layer)
		return 0;
	return reg_hive_begin(h, e) < 0 ? -1
					: reg_hive_end(h, replace_layer(h, file, layer, sorted, count, e), e);
}
