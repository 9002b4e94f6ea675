/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's texts and saves; see hive_text.h. */
#include "registry-shim/hive_text.h"

#include <string.h>

#include "base/hash.h"
#include "registry-shim/hive_db.h"

struct text_row {
	char *body;
	size_t len;
	enum reg_text_kind kind; /* REG_TEXT_NONE: no row */
	int64_t base;            /* of the user's: digest of the package's text when it was saved */
};

static void text_row_fini(struct text_row *t)
{
	free(t->body);
}
#define auto_text_row __attribute__((cleanup(text_row_fini))) struct text_row

/* Tells texts of one file apart, nothing more. */
static int64_t digest(const char *text, size_t len)
{
	return (int64_t)hash_bytes(HASH_SEED, text, len);
}

static int read_text(struct reg_hive *h, const char *file, enum reg_layer layer, struct text_row *ret,
		     struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_TEXT, file, NULL, e);
	int step, r = 0;

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		const char *body = sqlite3_column_blob(s, 1);

		ret->kind = (enum reg_text_kind)sqlite3_column_int(s, 0);
		ret->len = (size_t)sqlite3_column_bytes(s, 1);
		ret->base = sqlite3_column_int64(s, 2);
		ret->body = mem_alloc(ret->len + 1, 1, e);
		if (ret->body && ret->len)
			memcpy(ret->body, body, ret->len);
		r = ret->body ? 0 : -1;
	} else if (step != SQLITE_DONE) {
		r = hive_error(h, e);
	}
	sqlite3_reset(s);
	return r;
}

static int put_text(struct reg_hive *h, const char *file, enum reg_layer layer, const struct reg_save *t,
		    int64_t base, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_PUT_TEXT, file, NULL, e);

	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, (int)layer);
	sqlite3_bind_int(s, 4, (int)t->kind);
	sqlite3_bind_blob64(s, 5, t->len ? t->text : "", t->len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, base);
	return hive_run(h, s, e);
}

int reg_hive_template(struct reg_hive *h, const char *file, char **ret, size_t *ret_len,
		      enum reg_text_kind *ret_kind, struct err *e)
{
	auto_text_row user = { 0 }, package = { 0 };
	struct text_row *t = &user;

	if (read_text(h, file, REG_USER, &user, e) < 0 || read_text(h, file, REG_PACKAGE, &package, e) < 0)
		return -1;
	if (user.kind == REG_TEXT_NONE)
		t = &package;
	else if (user.kind == REG_TEXT_KEYS && package.kind == REG_TEXT_KEYS &&
		 user.base != digest(package.body, package.len))
		t = &package;
	if (user.kind == REG_TEXT_REMOVED && package.kind == REG_TEXT_KEYS) {
		t = &package;
		t->kind = REG_TEXT_REMOVED;
	}
	if (t->kind == REG_TEXT_NONE)
		return err_set(e, ERR_NOTFOUND, "%s: nothing has been written", file);
	*ret = mem_steal(t->body);
	*ret_len = t->len;
	*ret_kind = t->kind;
	return 0;
}

/* A file that is kept as a whole has no keys whose changes the history could show. */
static int note_text(struct reg_hive *h, const char *file, const struct reg_save *save, struct err *e)
{
	auto_text_row old = { 0 };

	if (save->kind != REG_TEXT_OPAQUE)
		return 0;
	if (read_text(h, file, REG_USER, &old, e) < 0)
		return -1;
	if (old.kind == REG_TEXT_OPAQUE && old.len == save->len && !memcmp(old.body, save->text, old.len))
		return 0;
	return hive_note(h, REG_WHAT_TEXT, file, "", REG_USER, NULL, NULL, e);
}

static int save_all(struct reg_hive *h, const char *file, const struct reg_save *save,
		    struct reg_saved *saved, struct err *e)
{
	auto_text_row package = { 0 };

	if (hive_check_names(file, NULL, NULL, e) < 0 || read_text(h, file, REG_PACKAGE, &package, e) < 0 ||
	    hive_apply_all(h, file, save->changes, save->count, true, saved, e) < 0 ||
	    note_text(h, file, save, e) < 0)
		return -1;
	return put_text(h, file, REG_USER, save, package.body ? digest(package.body, package.len) : 0, e);
}

int reg_hive_save(struct reg_hive *h, const char *file, const struct reg_save *save, struct reg_saved *ret,
		  struct err *e)
{
	struct reg_saved saved = { 0 };

	if (reg_hive_begin(h, e) < 0 || reg_hive_end(h, save_all(h, file, save, &saved, e), e) < 0)
		return -1;
	*ret = saved;
	return 0;
}

int reg_hive_set_default_text(struct reg_hive *h, const char *file, const char *text, size_t len,
			      enum reg_text_kind kind, struct err *e)
{
	auto_text_row old = { 0 };
	struct reg_save save = { .text = text, .len = len, .kind = kind };
	sqlite3_stmt *s;

	if (hive_check_names(file, NULL, NULL, e) < 0 || read_text(h, file, REG_PACKAGE, &old, e) < 0)
		return -1;
	if (text ? old.kind == kind && old.len == len && !memcmp(old.body, text, len)
		 : old.kind == REG_TEXT_NONE)
		return 0;
	if (text)
		return put_text(h, file, REG_PACKAGE, &save, 0, e);
	s = hive_statement(h, HIVE_DROP_TEXT, file, NULL, e);
	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, REG_PACKAGE);
	return hive_run(h, s, e);
}

int reg_hive_each_text(struct reg_hive *h, reg_text_fn *fn, void *arg, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int step = SQLITE_DONE, r = 0;

	/* Of a text that the user's layer has, the package's does not count. */
	if (sqlite3_prepare_v2(h->db,
			       "SELECT file, max(layer), body, kind FROM text GROUP BY file ORDER BY file",
			       -1, &s, NULL) != SQLITE_OK)
		return hive_error(h, e);
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		r = fn(arg, (const char *)sqlite3_column_text(s, 0), (enum reg_layer)sqlite3_column_int(s, 1),
		       (enum reg_text_kind)sqlite3_column_int(s, 3), sqlite3_column_blob(s, 2),
		       (size_t)sqlite3_column_bytes(s, 2), e);
	if (r == 0 && step != SQLITE_DONE)
		r = hive_error(h, e);
	sqlite3_finalize(s);
	return r;
}
