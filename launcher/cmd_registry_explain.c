/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry explain, history: which layer decides, and what was changed by whom. */
#include <stdio.h>
#include <string.h>

#include "launcher/cmd_registry.h"
#include "registry-shim/hive_history.h"
#include "registry-shim/setting_line.h"

/* ---- explain -------------------------------------------------------------------------------- */

struct explanation {
	struct launch_table *table;
	json_t *layers; /* NULL = for people */
};

static int explain_layer(void *arg, const struct reg_setting *s, struct err *e)
{
	struct explanation *x = arg;
	char time[32];

	if (x->layers)
		return launch_json_append(x->layers,
					  json_pack("{s:s, s:o, s:o, s:I}", "layer", reg_layer_name(s->layer),
						    "value", launch_json_bytes_or_null(s->value), "from",
						    launch_json_bytes(s->origin), "since_ms",
						    (json_int_t)s->time_ms),
					  e);
	launch_table_time(s->time_ms / 1000, time);
	if (launch_table_add(x->table, x->table->count ? "" : "decides", e) < 0 ||
	    launch_table_add(x->table, reg_layer_name(s->layer), e) < 0 ||
	    launch_table_add(x->table, s->value ? s->value : "(not there)", e) < 0 ||
	    launch_table_add(x->table, *s->origin ? s->origin : "(not known)", e) < 0)
		return -1;
	return launch_table_add(x->table, *time ? time : "(not known)", e);
}

static int explain_one(struct reg_hive *h, const char *text, json_t *json, struct err *e)
{
	static const char *const heads[] = { "", "LAYER", "VALUE", "FROM", "SINCE" };
	auto_launch_table struct launch_table table = LAUNCH_TABLE_INIT(heads);
	struct explanation x = { .table = &table, .layers = json ? json_array() : NULL };
	auto_free char *file = NULL, *key = NULL, *shown = NULL;
	int rc;

	if (reg_key_split(text, &file, &key, e) < 0)
		return -1;
	rc = reg_hive_each_layer(h, file, key, explain_layer, &x, e);
	if (json) {
		(void)json_object_set_new(json, text, x.layers);
		return rc;
	}
	if (rc == 0 && !table.count)
		return err_set(e, ERR_NOTFOUND, "%s: no layer has such a setting", text);
	shown = rc == 0 ? launch_table_escape(text, e) : NULL;
	if (!shown)
		return -1;
	(void)printf("%s\n", shown);
	launch_table_print(&table);
	return 0;
}

int cmd_registry_explain(const struct cmd_registry_opt *opt, char **args, int count)
{
	(void)count;
	return cmd_registry_each_key(opt, args, explain_one);
}

/* ---- history -------------------------------------------------------------------------------- */

struct log {
	struct launch_table table;
	json_t *json;
};

static int log_json(struct log *l, const struct reg_event *v, struct err *e)
{
	return launch_json_append(
		l->json,
		json_pack("{s:I, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I}", "time_ms",
			  (json_int_t)v->time_ms, "what", reg_what_name(v->what), "file",
			  launch_json_bytes(v->file), "key", launch_json_bytes(v->key), "layer",
			  reg_layer_name(v->layer), "old", launch_json_bytes_or_null(v->old_value), "new",
			  launch_json_bytes_or_null(v->new_value), "program", launch_json_bytes(v->program),
			  "pid", (json_int_t)v->pid, "count", (json_int_t)v->count),
		e);
}

static int log_one(void *arg, const struct reg_event *v, struct err *e)
{
	struct log *l = arg;
	const char *none = *v->key ? "(none)" : "";
	char time[32];
	int r;

	if (l->json)
		return log_json(l, v, e);
	launch_table_time(v->time_ms / 1000, time);
	r = launch_table_add(&l->table, time, e);
	if (r == 0 && v->count > 1)
		r = launch_table_addf(&l->table, e, "%s %llu times", reg_what_name(v->what),
				      (unsigned long long)v->count);
	else if (r == 0)
		r = launch_table_add(&l->table, reg_what_name(v->what), e);
	if (r == 0)
		r = launch_table_addf(&l->table, e, "%s%s%s", v->file, *v->key ? ":" : "", v->key);
	if (r < 0 || launch_table_add(&l->table, v->old_value ? v->old_value : none, e) < 0 ||
	    launch_table_add(&l->table, v->new_value ? v->new_value : none, e) < 0)
		return -1;
	return v->pid ? launch_table_addf(&l->table, e, "%s (%ld)", v->program, v->pid)
		      : launch_table_add(&l->table, v->program, e);
}

int cmd_registry_history(const struct cmd_registry_opt *opt, char **args, int count)
{
	static const char *const heads[] = { "TIME", "WHAT", "KEY", "OLD", "NEW", "BY" };
	struct log l = { .table = LAUNCH_TABLE_INIT(heads) };
	auto_free char *file = NULL, *key = NULL;
	auto_cmd_registry r = { 0 };
	struct err e;
	int rc = 0;

	if (count && strchr(args[0], ':'))
		rc = reg_key_split(args[0], &file, &key, &e);
	else if (count)
		rc = (file = mem_strdup(args[0], &e)) ? 0 : -1;
	if (rc < 0 || cmd_registry_open(opt, &r, &e) < 0)
		return cmd_registry_report(&e);
	if (opt->json)
		l.json = json_array();
	rc = reg_hive_each_event(r.hive, file, key, opt->limit, log_one, &l, &e);
	return cmd_registry_end(opt, &l.table, l.json, rc, &e);
}
