/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry export, import: what an environment changed and locked, as lines of setting_line.h, sorted:
 *
 *   set FILE:KEY = VALUE    unset FILE:KEY    lock FILE:KEY [= VALUE]
 *   removed FILE            the application removed the whole file
 *   text FILE = LINE\n      once for every line of a file that is kept as a whole
 *
 * What is imported is one transaction. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "launcher/cmd_registry.h"
#include "registry-shim/hive_text.h"
#include "registry-shim/setting_line.h"

enum { TEXT_MAX = 256 * 1024 * 1024, FILE_TEXT_MAX = 16 * 1024 * 1024 };

/* ---- export --------------------------------------------------------------------------------- */

/* Sorted by what stands behind the word, so that all about one key stands together; then in this order. */
enum rank { RANK_REMOVED, RANK_TEXT, RANK_SET, RANK_LOCK };

struct line {
	char *name; /* FILE, or FILE:KEY */
	char *text; /* whole lines; both owned */
	enum rank rank;
};

struct lines {
	struct line *list;
	size_t count;
	char **only; /* names of files; empty = all */
};

static void lines_fini(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->list[i].name);
		free(l->list[i].text);
	}
	free(l->list);
}

static bool is_wanted(const struct lines *l, const char *file)
{
	if (!*l->only)
		return true;
	for (char **only = l->only; *only; only++)
		if (!strcmp(*only, file))
			return true;
	return false;
}

static int add_line(struct lines *l, enum rank rank, const char *file, const char *key, struct buf *text,
		    struct err *e)
{
	auto_free char *name = mem_printf(e, "%s%s%s", file, key ? ":" : "", key ? key : "");
	auto_free char *copy = name && buf_text(text, e) ? mem_strdup((char *)text->data, e) : NULL;

	if (!copy)
		return -1;
	if (l->count % 256 == 0) {
		struct line *list = mem_grow(l->list, l->count + 256, sizeof(*list), e);

		if (!list)
			return -1;
		l->list = list;
	}
	l->list[l->count++] = (struct line){ mem_steal(name), mem_steal(copy), rank };
	return 0;
}

static int export_setting(void *arg, const struct reg_setting *s, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(8 * REG_VALUE_MAX);
	const char *word = s->layer == REG_LOCK ? "lock" : s->value ? "set" : "unset";
	struct lines *l = arg;

	if (!is_wanted(l, s->file))
		return 0;
	if (reg_line_add(&text, word, s->file, s->key, s->value, e) < 0)
		return -1;
	return add_line(l, s->layer == REG_LOCK ? RANK_LOCK : RANK_SET, s->file, s->key, &text, e);
}

static int add_text_lines(struct buf *out, const char *file, const char *text, size_t len, struct err *e)
{
	size_t at = 0;

	do { /* an empty text is one empty line */
		const char *feed = len ? memchr(text + at, '\n', len - at) : NULL;
		size_t part = feed ? (size_t)(feed - text) + 1 - at : len - at;
		auto_free char *line = mem_strndup(len ? text + at : "", part, e);

		if (!line || reg_line_add(out, "text", file, NULL, line, e) < 0)
			return -1;
		at += part;
	} while (at < len);
	return 0;
}

static int export_text(void *arg, const char *file, enum reg_layer layer, enum reg_text_kind kind,
		       const char *text, size_t len, struct err *e)
{
	auto_buf struct buf out = BUF_INIT(TEXT_MAX);
	struct lines *l = arg;

	if (layer != REG_USER || !is_wanted(l, file))
		return 0;
	if (kind == REG_TEXT_REMOVED)
		return reg_line_add(&out, "removed", file, NULL, NULL, e) < 0
			       ? -1
			       : add_line(l, RANK_REMOVED, file, NULL, &out, e);
	if (kind != REG_TEXT_OPAQUE)
		return 0;
	if (len && memchr(text, 0, len)) {
		log_note("%s has bytes that no line of text can have: it is left out", file);
		return 0;
	}
	if (add_text_lines(&out, file, text, len, e) < 0)
		return -1;
	return add_line(l, RANK_TEXT, file, NULL, &out, e);
}

static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (int)x->rank - (int)y->rank;
}

static int write_out(const struct lines *l, const char *path, struct err *e)
{
	FILE *out = path ? fopen(path, "we") : stdout;
	int failed;

	if (!out)
		return err_sys(e, errno, "%s", path);
	for (size_t i = 0; i < l->count; i++)
		(void)fputs(l->list[i].text, out);
	failed = ferror(out) | (path ? fclose(out) : fflush(out));
	return failed ? err_sys(e, errno, "%s", path ? path : "standard output") : 0;
}

int cmd_registry_export(const struct cmd_registry_opt *opt, char **args, int count)
{
	__attribute__((cleanup(lines_fini))) struct lines lines = { .only = args };
	auto_cmd_registry r = { 0 };
	struct err e;

	(void)count;
	if (cmd_registry_open(opt, &r, &e) < 0 ||
	    reg_hive_each_in(r.hive, REG_USER, export_setting, &lines, &e) < 0 ||
	    reg_hive_each_in(r.hive, REG_LOCK, export_setting, &lines, &e) < 0 ||
	    reg_hive_each_text(r.hive, export_text, &lines, &e) < 0)
		return cmd_registry_report(&e);
	if (lines.count)
		qsort(lines.list, lines.count, sizeof(*lines.list), by_name);
	return write_out(&lines, opt->output, &e) < 0 ? cmd_registry_report(&e) : 0;
}

/* ---- import --------------------------------------------------------------------------------- */

struct import {
	struct reg_hive *hive;
	bool is_dry;
	json_t *json; /* what changes, or NULL */
	size_t changed;
	struct buf text; /* of the file that "text" lines are about */
	char *text_file;
};

static int tell(struct import *in, const char *file, const char *key, const char *old, const char *now,
		struct err *e)
{
	auto_free char *name = NULL, *from = NULL, *to = NULL;

	if (old && now ? !strcmp(old, now) : old == now)
		return 0;
	in->changed++;
	if (in->json)
		return launch_json_append(in->json,
					  json_pack("{s:o, s:o, s:o, s:o}", "file", launch_json_bytes(file),
						    "key", launch_json_bytes(key), "old",
						    launch_json_bytes_or_null(old), "new",
						    launch_json_bytes_or_null(now)),
					  e);
	if (!in->is_dry)
		return 0;
	name = launch_table_escape(key, e);
	from = name ? launch_table_escape(old ? old : "(none)", e) : NULL;
	to = from ? launch_table_escape(now ? now : "(none)", e) : NULL;
	if (!to)
		return -1;
	(void)printf("%s:%s: %s -> %s\n", file, name, from, to);
	return 0;
}

static int import_key(struct import *in, const struct reg_line *l, struct err *e)
{
	struct reg_change c = { l->key, l->value };
	auto_free char *old = NULL, *now = NULL;
	size_t changed;
	int r;

	if (cmd_registry_value(in->hive, l->file, l->key, &old, e) < 0)
		return -1;
	r = !strcmp(l->word, "lock") ? reg_hive_lock(in->hive, l->file, l->key, l->value, e)
				     : reg_hive_apply(in->hive, l->file, &c, 1, &changed, e);
	if (r < 0 || cmd_registry_value(in->hive, l->file, l->key, &now, e) < 0)
		return -1;
	return tell(in, l->file, l->key, old, now, e);
}

/* The text that was gathered is its file's. */
static int end_text(struct import *in, struct err *e)
{
	struct reg_save save = { .kind = REG_TEXT_OPAQUE, .len = in->text.len };
	struct reg_saved saved;
	int r;

	if (!in->text_file)
		return 0;
	save.text = buf_text(&in->text, e);
	r = save.text ? reg_hive_save(in->hive, in->text_file, &save, &saved, e) : -1;
	free(mem_steal(in->text_file));
	buf_reset(&in->text);
	return r;
}

static int import_text(struct import *in, const struct reg_line *l, struct err *e)
{
	if (in->text_file && strcmp(in->text_file, l->file) != 0 && end_text(in, e) < 0)
		return -1;
	if (!in->text_file && !(in->text_file = mem_strdup(l->file, e)))
		return -1;
	return buf_add_str(&in->text, l->value, e);
}

static int import_line(struct import *in, const struct reg_line *l, bool is_lock_turn, struct err *e)
{
	bool is_set = !strcmp(l->word, "set"), is_unset = !strcmp(l->word, "unset");
	bool is_lock = !strcmp(l->word, "lock"), is_text = !strcmp(l->word, "text");
	struct reg_save removed = { .kind = REG_TEXT_REMOVED };
	struct reg_saved saved;

	if (!is_set && !is_unset && !is_lock && !is_text && strcmp(l->word, "removed") != 0)
		return err_set(e, ERR_FORMAT, "\"%.80s\" is none of set, unset, lock, text and removed",
			       l->word);
	if ((is_set || is_unset || is_lock) != !!l->key)
		return err_set(e, ERR_FORMAT, "%s: %s", l->file,
			       l->key ? "a file has no key here" : "write FILE:SECTION/NAME or FILE:NAME");
	if ((is_set || is_text) && !l->value)
		return err_set(e, ERR_FORMAT, "%s: \"= VALUE\" is missing", l->word);
	if ((is_unset || (!is_lock && !is_set && !is_text)) && l->value)
		return err_set(e, ERR_FORMAT, "%s has no value", l->word);
	if (is_lock != is_lock_turn)
		return 0;
	if (is_text)
		return import_text(in, l, e);
	return l->key ? import_key(in, l, e) : reg_hive_save(in->hive, l->file, &removed, &saved, e);
}

/* Locks last: a text may set what it locks. */
static int import_all(struct import *in, const char *text, const char *name, bool is_lock_turn, struct err *e)
{
	size_t number = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		auto_free char *line = mem_strndup(text, len, e);
		auto_reg_line l = { 0 };

		number++;
		if (!line)
			return -1;
		if (reg_line_parse(line, &l, e) < 0 || (l.word && import_line(in, &l, is_lock_turn, e) < 0))
			return err_wrap(e, "%s:%zu", name, number);
		text += len + (text[len] == '\n');
	}
	return end_text(in, e);
}

static int read_in(const char *path, struct buf *ret, struct err *e)
{
	int r = strcmp(path, "-") != 0 ? fd_read_file(AT_FDCWD, path, ret, e)
				       : fd_read_to_end(STDIN_FILENO, ret, e);

	if (r < 0)
		return -1;
	if (ret->len && memchr(ret->data, 0, ret->len))
		return err_set(e, ERR_FORMAT, "%s: a NUL byte: this is no text", path);
	return buf_text(ret, e) ? 0 : -1;
}

static int import(const struct cmd_registry_opt *opt, const char *path, struct import *in, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	auto_cmd_registry r = { 0 };
	int done;

	if (read_in(path, &text, e) < 0 || cmd_registry_open(opt, &r, e) < 0 || reg_hive_begin(r.hive, e) < 0)
		return -1;
	in->hive = r.hive;
	done = import_all(in, (char *)text.data, path, false, e);
	if (done == 0)
		done = import_all(in, (char *)text.data, path, true, e);
	if (done == 0 && opt->dry_run) {
		struct err ignored;

		(void)reg_hive_end(r.hive, -1, &ignored);
		return 0;
	}
	if (reg_hive_end(r.hive, done, e) < 0)
		return -1;
	return cmd_registry_refresh(r.env->name, e);
}

int cmd_registry_import(const struct cmd_registry_opt *opt, char **args, int count)
{
	struct import in = { .is_dry = opt->dry_run, .text = BUF_INIT(FILE_TEXT_MAX) };
	struct err e;
	int r;

	(void)count;
	if (opt->json)
		in.json = json_array();
	r = import(opt, args[0], &in, &e);
	free(in.text_file);
	buf_fini(&in.text);
	if (r == 0 && !opt->json)
		log_note("%zu settings %s", in.changed, opt->dry_run ? "would change" : "changed");
	return cmd_registry_end(opt, NULL, in.json, r, &e);
}
