/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry: an environment's settings by key. Changes go into the hive; when the environment is active
 * its broker is told, so that applications see them at their next open. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/environment.h"
#include "launcher/json_output.h"
#include "launcher/settings_client.h"
#include "launcher/table.h"
#include "launcher/verbs.h"
#include "registry-shim/hive.h"

struct registry_opt {
	const char *env;
	bool json;
};

static void print_help(void)
{
	(void)fputs("Usage: floe registry list [FILE] [--env NAME] [--json]\n"
		    "       floe registry diff [FILE] [--env NAME] [--json]\n"
		    "       floe registry get KEY... [--env NAME] [--json]\n"
		    "       floe registry set KEY VALUE [--env NAME]\n"
		    "       floe registry unset KEY... [--env NAME]\n\n"
		    "Settings of an application, key by key: those that the package brings, and over them\n"
		    "those that were changed in the environment.\n\n"
		    "  list   all settings, with the layer that decides\n"
		    "  diff   what was changed in the environment\n"
		    "  get    the values of keys, one a line\n"
		    "  set    change a key; running applications see it when they next open the file\n"
		    "  unset  remove keys\n\n"
		    "  KEY         FILE:SECTION/NAME, as in config/mc/ini:Midnight-Commander/skin\n"
		    "  --env NAME  the environment; may be left out when there is only one\n"
		    "  --json      for programs\n",
		    stdout);
}

static int report(const struct err *e)
{
	log_error("%s", e->msg);
	return err_exit_status(e);
}

/* ---- environment and hive ------------------------------------------------------------------- */

/* --env, or the only environment there is. Caller frees. */
static char *choose_environment(const struct registry_opt *opt, struct err *e)
{
	auto_free char **names = NULL;
	auto_buf struct buf list = BUF_INIT(256);
	const char *text;

	if (opt->env)
		return mem_strdup(opt->env, e);
	if (launch_environment_names(&names, e) < 0)
		return NULL;
	if (!names[0]) {
		(void)err_set(e, ERR_NOTFOUND, "there is no environment yet: `floe run` makes one");
		return NULL;
	}
	if (!names[1])
		return mem_strdup(names[0], e);
	for (char **n = names; *n; n++)
		if (buf_printf(&list, e, " %s", *n) < 0)
			break;
	text = buf_text(&list, e);
	(void)err_set(e, ERR_USAGE, "say which environment: --env with one of%s", text ? text : " them");
	return NULL;
}

static int open_hive(const struct registry_opt *opt, struct launch_environment **ret_env,
		     struct reg_hive **ret, struct err *e)
{
	auto_free char *name = choose_environment(opt, e);

	if (!name || launch_environment_open(name, LAUNCH_ENV_SHARED, ret_env, e) < 0)
		return -1;
	return reg_hive_open((*ret_env)->registry, ret, e);
}

static void hive_close_ptr(struct reg_hive **h)
{
	reg_hive_close(*h);
}
#define auto_hive __attribute__((cleanup(hive_close_ptr)))

/* "file:key" into both; caller frees them. A key without section is one in front of all sections. */
static int split_key(const char *text, char **ret_file, char **ret_key, struct err *e)
{
	const char *colon = strchr(text, ':');
	char *file;

	if (!colon || colon == text || !colon[1])
		return err_set(e, ERR_USAGE, "'%s' is no key: write FILE:SECTION/NAME", text);
	file = mem_strndup(text, (size_t)(colon - text), e);
	if (!file)
		return -1;
	*ret_key = mem_printf(e, "%s%s", strchr(colon + 1, '/') ? "" : "/", colon + 1);
	if (!*ret_key) {
		free(file);
		return -1;
	}
	*ret_file = file;
	return 0;
}

/* Tells the environment's broker, if it has one. */
static int refresh(const char *env, struct err *e)
{
	if (launch_settings_ask(env, "refresh", e) < 0)
		return err_wrap(e, "the setting is changed, but running applications do not see it yet");
	return 0;
}

/* ---- get, set, unset ------------------------------------------------------------------------ */

static int get_one(struct reg_hive *h, const char *text, json_t *json, struct err *e)
{
	auto_free char *file = NULL, *key = NULL, *value = NULL;
	enum reg_layer layer;

	if (split_key(text, &file, &key, e) < 0 || reg_hive_get(h, file, key, &value, &layer, e) < 0)
		return -1;
	if (json)
		(void)json_object_set_new(json, text, launch_json_bytes(value));
	else
		(void)puts(value);
	return 0;
}

static int do_get(const struct registry_opt *opt, char **args)
{
	auto_environment struct launch_environment *env = NULL;
	auto_hive struct reg_hive *h = NULL;
	json_t *json = NULL;
	struct err e;

	if (open_hive(opt, &env, &h, &e) < 0)
		return report(&e);
	if (opt->json)
		json = json_object();
	for (; *args; args++)
		if (get_one(h, *args, json, &e) < 0) {
			json_decref(json);
			return report(&e);
		}
	return opt->json ? launch_json_print(json) : 0;
}

/* value NULL = unset */
static int change(const struct registry_opt *opt, char **keys, size_t count, const char *value)
{
	auto_environment struct launch_environment *env = NULL;
	auto_hive struct reg_hive *h = NULL;
	struct err e;

	if (open_hive(opt, &env, &h, &e) < 0)
		return report(&e);
	for (size_t i = 0; i < count; i++) {
		auto_free char *file = NULL, *key = NULL, *old = NULL;
		struct reg_change c = { .value = value };
		enum reg_layer layer;
		size_t changed;

		if (split_key(keys[i], &file, &key, &e) < 0)
			return report(&e);
		c.key = key;
		if (!value && reg_hive_get(h, file, key, &old, &layer, &e) < 0)
			return report(&e);
		if (reg_hive_apply(h, file, &c, 1, &changed, &e) < 0)
			return report(&e);
	}
	if (refresh(env->name, &e) < 0)
		return report(&e);
	return 0;
}

static int do_set(const struct registry_opt *opt, char **args, int count)
{
	if (count != 2) {
		log_error("floe registry set KEY VALUE");
		return 125;
	}
	if (strpbrk(args[1], "\n\r")) {
		log_error("a value is one line");
		return 125;
	}
	return change(opt, args, 1, args[1]);
}

/* ---- list, diff ----------------------------------------------------------------------------- */

struct listing {
	struct launch_table table;
	json_t *json; /* an array, or NULL */
	bool is_diff;
};

static const char *layer_name(const struct reg_setting *s)
{
	return s->layer == REG_USER ? "user" : "package";
}

static int list_json(struct listing *l, const struct reg_setting *s, struct err *e)
{
	json_t *row = json_pack("{s:o, s:o, s:o, s:s}", "file", launch_json_bytes(s->file), "key",
				launch_json_bytes(s->key), "value",
				s->value ? launch_json_bytes(s->value) : json_null(), "layer", layer_name(s));

	if (row && l->is_diff)
		(void)json_object_set_new(row, "below", s->below ? launch_json_bytes(s->below) : json_null());
	return json_array_append_new(l->json, row) < 0 ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static int list_one(void *arg, const struct reg_setting *s, struct err *e)
{
	struct listing *l = arg;

	if (!l->is_diff && !s->value)
		return 0; /* deleted: not there */
	if (l->json)
		return list_json(l, s, e);
	if (l->is_diff) {
		auto_free char *key = mem_printf(e, "%s:%s", s->file, s->key);
		auto_free char *text = key ? launch_table_escape(key, e) : NULL;
		auto_free char *old = text ? launch_table_escape(s->below ? s->below : "(none)", e) : NULL;
		auto_free char *now = old ? launch_table_escape(s->value ? s->value : "(deleted)", e) : NULL;

		if (!now)
			return -1;
		(void)printf("%s: %s -> %s\n", text, old, now);
		return 0;
	}
	if (launch_table_addf(&l->table, e, "%s:%s", s->file, s->key) < 0 ||
	    launch_table_add(&l->table, s->value, e) < 0)
		return -1;
	return launch_table_add(&l->table, layer_name(s), e);
}

/* A file that is kept as a whole is one row. */
static int list_opaque(void *arg, const struct reg_setting *s, struct err *e)
{
	struct listing *l = arg;

	if (l->json)
		return json_array_append_new(l->json,
					     json_pack("{s:o, s:b, s:s}", "file", launch_json_bytes(s->file),
						       "opaque", 1, "layer", layer_name(s))) < 0
			       ? err_set(e, ERR_NOMEM, "out of memory")
			       : 0;
	if (launch_table_add(&l->table, s->file, e) < 0 ||
	    launch_table_add(&l->table, "(no known format: kept as a whole)", e) < 0)
		return -1;
	return launch_table_add(&l->table, layer_name(s), e);
}

static int do_list(const struct registry_opt *opt, const char *file, bool is_diff)
{
	static const char *const heads[] = { "KEY", "VALUE", "LAYER" };
	auto_environment struct launch_environment *env = NULL;
	auto_hive struct reg_hive *h = NULL;
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads), .is_diff = is_diff };
	struct err e;
	int r;

	if (open_hive(opt, &env, &h, &e) < 0)
		return report(&e);
	if (opt->json)
		l.json = json_array();
	r = reg_hive_each(h, file, is_diff, list_one, &l, &e);
	if (r == 0 && !is_diff && !file)
		r = reg_hive_each_opaque(h, list_opaque, &l, &e);
	if (r < 0) {
		json_decref(l.json);
		launch_table_fini(&l.table);
		return report(&e);
	}
	if (l.table.count)
		launch_table_print(&l.table);
	launch_table_fini(&l.table);
	return opt->json ? launch_json_print(l.json) : 0;
}

static int run(const struct registry_opt *opt, char **args, int count)
{
	const char *what = args[0];

	args++;
	count--;
	if (!strcmp(what, "list") && count <= 1)
		return do_list(opt, args[0], false);
	if (!strcmp(what, "diff") && count <= 1)
		return do_list(opt, args[0], true);
	if (!strcmp(what, "get") && count)
		return do_get(opt, args);
	if (!strcmp(what, "set"))
		return do_set(opt, args, count);
	if (!strcmp(what, "unset") && count)
		return change(opt, args, (size_t)count, NULL);
	log_error("floe registry list|diff|get|set|unset: see floe registry --help");
	return 125;
}

int cmd_registry(int argc, char **argv)
{
	static const struct option options[] = { { "env", required_argument, NULL, 'e' },
						 { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	struct registry_opt opt = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			print_help();
			return 0;
		case 'e':
			opt.env = optarg;
			break;
		case 'j':
			opt.json = true;
			break;
		default:
			return 125;
		}
	}
	if (optind == argc) {
		log_error("floe registry list|diff|get|set|unset: see floe registry --help");
		return 125;
	}
	return run(&opt, argv + optind, argc - optind);
}
