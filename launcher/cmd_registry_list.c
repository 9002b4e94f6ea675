/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry list, diff, search. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_registry.h"
#include "registry-shim/hive_text.h"

struct listing {
	struct launch_table table;
	json_t *json; /* an array, or NULL */
	bool is_diff, keys_only;
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

/* A file that is kept as a whole is one row. */
static int list_opaque(void *arg, const char *file, enum reg_layer layer, enum reg_text_kind kind,
		       const char *text, size_t len, struct err *e)
{
	struct listing *l = arg;

	(void)text;
	(void)len;
	if (kind != REG_TEXT_OPAQUE || l->keys_only)
		return 0;
	if (l->json)
		return launch_json_append(l->json,
					  json_pack("{s:o, s:b, s:s}", "file", launch_json_bytes(file),
						    "opaque", 1, "layer", reg_layer_name(layer)),
					  e);
	if (launch_table_add(&l->table, file, e) < 0 ||
	    launch_table_add(&l->table, "(no known format: kept as a whole)", e) < 0)
		return -1;
	return launch_table_add(&l->table, reg_layer_name(layer), e);
}

static int do_list(const struct cmd_registry_opt *opt, const char *file, bool is_diff)
{
	static const char *const heads[] = { "KEY", "VALUE", "LAYER" };
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads),
			     .is_diff = is_diff,
			     .keys_only = opt->keys_only };
	auto_cmd_registry r = { 0 };
	struct err e;
	int rc;

	if (cmd_registry_open(opt, &r, &e) < 0)
		return cmd_registry_report(&e);
	if (opt->json)
		l.json = json_array();
	rc = reg_hive_each(r.hive, file, is_diff ? REG_EACH_CHANGED : REG_EACH_EFFECTIVE, list_one, &l, &e);
	if (rc == 0 && !is_diff && !file)
		rc = reg_hive_each_text(r.hive, list_opaque, &l, &e);
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
