/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry list, diff, search. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_registry.h"
#include "registry-shim/hive_declared.h"
#include "registry-shim/hive_text.h"
#include "registry-shim/lens.h"

struct listing {
	struct launch_table table;
	json_t *json; /* an array, or NULL */
	bool is_diff, keys_only;
	struct reg_hive *hive;
	const char *file; /* list: only this one; NULL = all */
	const char *env;  /* search: of the rows */
	const char *text; /* search: what they contain; NULL = all */
};

static int list_json(struct listing *l, const struct reg_setting *s, struct err *e)
{
	json_t *row = json_pack("{s:o, s:o, s:o, s:s}", "file", launch_json_bytes(s->file), "key",
				launch_json_bytes(s->key), "value", launch_json_bytes_or_null(s->value),
				"layer", reg_layer_name(s->layer));

	if (row && l->is_diff)
		(void)json_object_set_new(row, "below", launch_json_bytes_or_null(s->below));
	if (row && l->env)
		(void)json_object_set_new(row, "environment", json_string(l->env));
	return launch_json_append(l->json, row, e);
}

static int print_change(const struct reg_setting *s, struct err *e)
{
	auto_free char *key = mem_printf(e, "%s:%s", s->file, s->key);
	auto_free char *text = key ? launch_table_escape(key, e) : NULL;
	auto_free char *old = text ? launch_table_escape(s->below ? s->below : "(none)", e) : NULL;
	auto_free char *now = old ? launch_table_escape(s->value ? s->value : "(deleted)", e) : NULL;

	if (!now)
		return -1;
	(void)printf("%s: %s -> %s%s\n", text, old, now, s->layer == REG_LOCK ? " (locked)" : "");
	return 0;
}

static bool is_wanted(const struct listing *l, const struct reg_setting *s)
{
	if (!l->is_diff && !s->value)
		return false; /* deleted: not there */
	return !l->text || strcasestr(s->file, l->text) || strcasestr(s->key, l->text) ||
	       (s->value && strcasestr(s->value, l->text));
}

static int list_one(void *arg, const struct reg_setting *s, struct err *e)
{
	struct listing *l = arg;

	if (!is_wanted(l, s))
		return 0;
	if (l->json)
		return list_json(l, s, e);
	if (l->keys_only) {
		(void)printf("%s:%s\n", s->file, s->key);
		return 0;
	}
	if (l->is_diff)
		return print_change(s, e);
	if ((l->env && launch_table_add(&l->table, l->env, e) < 0) ||
	    launch_table_addf(&l->table, e, "%s:%s", s->file, s->key) < 0 ||
	    launch_table_add(&l->table, s->value, e) < 0)
		return -1;
	return launch_table_add(&l->table, reg_layer_name(s->layer), e);
}

/* A row about a whole file. */
static int add_file(struct listing *l, const char *file, const char *text, const char *layer, struct err *e)
{
	if (launch_table_add(&l->table, file, e) < 0 || launch_table_addf(&l->table, e, "(%s)", text) < 0)
		return -1;
	return launch_table_add(&l->table, layer, e);
}

/* Why a text that is kept as a whole has no keys. Caller frees. */
static char *reason(struct reg_hive *h, const char *file, const char *text, size_t len, struct err *e)
{
	const struct reg_lens *lens;
	auto_free char *name = NULL;
	struct reg_doc *doc = NULL;
	struct err why;

	if (reg_hive_declared_lens(h, file, &name, e) < 0)
		return NULL;
	lens = name ? reg_lens_find(name) : NULL;
	if (!lens)
		return mem_strdup("no known format", e);
	if (reg_doc_parse(lens, text, len, &doc, &why) < 0)
		return mem_printf(e, "not of the kind %s: %s", name, why.msg);
	reg_doc_free(doc);
	return mem_printf(e, "of the kind %s from its next change on", name);
}

static int list_opaque(void *arg, const char *file, enum reg_layer layer, enum reg_text_kind kind,
		       const char *text, size_t len, struct err *e)
{
	auto_free char *why = NULL, *shown = NULL;
	struct listing *l = arg;

	if (kind != REG_TEXT_OPAQUE || (l->file && strcmp(l->file, file) != 0))
		return 0;
	why = reason(l->hive, file, len ? text : "", len, e);
	if (!why)
		return -1;
	if (l->json)
		return launch_json_append(l->json,
					  json_pack("{s:o, s:b, s:o, s:s}", "file", launch_json_bytes(file),
						    "opaque", 1, "why", launch_json_bytes(why), "layer",
						    reg_layer_name(layer)),
					  e);
	shown = mem_printf(e, "%s: kept as a whole", why);
	return shown ? add_file(l, file, shown, reg_layer_name(layer), e) : -1;
}

static int list_note(void *arg, const struct reg_declared *d, struct err *e)
{
	struct listing *l = arg;

	if (!*d->note || (l->file && strcmp(l->file, d->file) != 0))
		return 0;
	if (l->json)
		return launch_json_append(l->json,
					  json_pack("{s:o, s:o}", "file", launch_json_bytes(d->file), "note",
						    launch_json_bytes(d->note)),
					  e);
	return add_file(l, d->file, d->note, "", e);
}

static int do_list(const struct cmd_registry_opt *opt, const char *file, bool is_diff)
{
	static const char *const heads[] = { "KEY", "VALUE", "LAYER" };
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads),
			     .is_diff = is_diff,
			     .keys_only = opt->keys_only,
			     .file = file };
	auto_cmd_registry r = { 0 };
	struct err e;
	int rc;

	if (cmd_registry_open(opt, &r, &e) < 0)
		return cmd_registry_report(&e);
	if (opt->json)
		l.json = json_array();
	rc = reg_hive_each(r.hive, file, is_diff ? REG_EACH_CHANGED : REG_EACH_EFFECTIVE, list_one, &l, &e);
	l.hive = r.hive;
	if (rc == 0 && !is_diff && !l.keys_only)
		rc = reg_hive_each_text(r.hive, list_opaque, &l, &e);
	if (rc == 0 && !is_diff && !l.keys_only)
		rc = reg_hive_each_declared(r.hive, list_note, &l, &e);
	return cmd_registry_end(opt, &l.table, l.json, rc, &e);
}

int cmd_registry_list(const struct cmd_registry_opt *opt, char **args, int count)
{
	(void)count;
	return do_list(opt, args[0], false);
}

int cmd_registry_diff(const struct cmd_registry_opt *opt, char **args, int count)
{
	(void)count;
	return do_list(opt, args[0], true);
}

/* ---- search --------------------------------------------------------------------------------- */

static int search_in(struct listing *l, const char *name, struct err *e)
{
	struct cmd_registry_opt one = { .env = name };
	auto_cmd_registry r = { 0 };

	if (cmd_registry_open(&one, &r, e) < 0) {
		if (e->code != ERR_BUSY)
			return -1;
		log_note("%s", e->msg);
		return 0;
	}
	l->env = name;
	return reg_hive_each(r.hive, NULL, REG_EACH_EFFECTIVE, list_one, l, e);
}

int cmd_registry_search(const struct cmd_registry_opt *opt, char **args, int count)
{
	static const char *const heads[] = { "ENVIRONMENT", "KEY", "VALUE", "LAYER" };
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads),
			     .text = args[0],
			     .keys_only = opt->keys_only };
	auto_free char **names = NULL;
	struct err e;
	int rc = 0;

	(void)count;
	if (!opt->env && launch_environment_names(&names, &e) < 0)
		return cmd_registry_report(&e);
	if (opt->json)
		l.json = json_array();
	if (opt->env)
		rc = search_in(&l, opt->env, &e);
	for (char **n = names; rc == 0 && n && *n; n++)
		rc = search_in(&l, *n, &e);
	return cmd_registry_end(opt, &l.table, l.json, rc, &e);
}
