/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry: an environment's settings by key. Changes go into the hive; when the environment is active
 * its broker is told, so that applications see them at their next open. */
#include "launcher/cmd_registry.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher/settings_client.h"
#include "launcher/verbs.h"

enum { HISTORY_LIMIT = 100 };

static const char help[] =
	"Usage: floe registry list|diff [FILE] [--keys]\n"
	"       floe registry get KEY...\n"
	"       floe registry set KEY VALUE [KEY VALUE]...\n"
	"       floe registry unset KEY...\n"
	"       floe registry lock KEY [VALUE]\n"
	"       floe registry unlock KEY...\n"
	"       floe registry explain KEY...\n"
	"       floe registry history [KEY|FILE] [--limit N]\n"
	"       floe registry search TEXT\n"
	"       floe registry export [FILE]... [-o OUT]\n"
	"       floe registry import IN [--dry-run]\n\n"
	"Settings of an application, key by key. What counts, lowest first: package, site policy,\n"
	"the host's own file, what was changed in the environment (user), locks, the site's locks.\n\n"
	"  list     all settings, with the layer that decides\n"
	"  diff     what was changed and locked in the environment\n"
	"  get      the values of keys, one a line\n"
	"  set      change keys, all or none; running applications see it when they next open the file\n"
	"  unset    remove keys, all or none\n"
	"  lock     keep applications from changing a key (to VALUE, else as it is now)\n"
	"  unlock   let them again\n"
	"  explain  which layer decides a key, where its value comes from, and since when\n"
	"  history  what was changed, when and by which program, and what locks refused\n"
	"  search   keys and values that contain TEXT, in all environments or in one\n"
	"  export   what was changed and locked, as text (sorted, one key a line)\n"
	"  import   make the changes of such a text, all or none; - is standard input\n\n"
	"  KEY         FILE:SECTION/NAME, as in config/mc/ini:Midnight-Commander/skin;\n"
	"              FILE:NAME at the top of a file, as in config/htop/htoprc:tree_view\n"
	"  --env NAME  the environment; may be left out when there is only one\n"
	"  --keys      only the keys, one a line\n"
	"  --limit N   at most so many (the newest) changes (default: 100)\n"
	"  --dry-run   say what an import would change\n"
	"  -o OUT      write to a file\n"
	"  --json      for programs\n";

int cmd_registry_report(const struct err *e)
{
	log_error("%s", e->msg);
	return err_exit_status(e);
}

int cmd_registry_end(const struct cmd_registry_opt *opt, struct launch_table *rows, json_t *json, int result,
		     const struct err *e)
{
	if (rows && result == 0 && rows->count)
		launch_table_print(rows);
	if (rows)
		launch_table_fini(rows);
	if (result < 0) {
		json_decref(json);
		return cmd_registry_report(e);
	}
	return opt->json ? launch_json_print(json) : 0;
}

/* ---- environment and hive ------------------------------------------------------------------- */

/* --env, or the only environment there is. Caller frees. */
static char *choose_environment(const struct cmd_registry_opt *opt, struct err *e)
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

int cmd_registry_open(const struct cmd_registry_opt *opt, struct cmd_registry *ret, struct err *e)
{
	auto_free char *name = choose_environment(opt, e);
	auto_cmd_registry r = { 0 };

	if (!name || launch_environment_open(name, LAUNCH_ENV_SHARED, &r.env, e) < 0 ||
	    reg_hive_open(r.env->registry, &r.hive, e) < 0)
		return -1;
	reg_hive_set_author(r.hive, "floe registry", getpid());
	*ret = r;
	r = (struct cmd_registry){ 0 };
	return 0;
}

void cmd_registry_fini(struct cmd_registry *r)
{
	reg_hive_close(r->hive);
	launch_environment_close(r->env);
}

int cmd_registry_refresh(const char *env, struct err *e)
{
	if (launch_settings_refresh(env, e) < 0)
		return err_wrap(e, "the setting is changed, but running applications do not see it yet");
	return 0;
}

int cmd_registry_value(struct reg_hive *h, const char *file, const char *key, char **ret, struct err *e)
{
	enum reg_layer layer;

	if (reg_hive_get(h, file, key, ret, &layer, e) == 0)
		return 0;
	*ret = NULL;
	return e->code == ERR_NOTFOUND ? 0 : -1;
}

int cmd_registry_each_key(const struct cmd_registry_opt *opt, char **keys, cmd_registry_key_fn *fn)
{
	auto_cmd_registry r = { 0 };
	json_t *json = NULL;
	struct err e;
	int rc = 0;

	if (cmd_registry_open(opt, &r, &e) < 0)
		return cmd_registry_report(&e);
	if (opt->json)
		json = json_object();
	for (; rc == 0 && *keys; keys++)
		rc = fn(r.hive, *keys, json, &e);
	return cmd_registry_end(opt, NULL, json, rc, &e);
}

/* ---- the verb ------------------------------------------------------------------------------- */

struct action {
	const char *name;
	int (*run)(const struct cmd_registry_opt *opt, char **args, int count);
	int least, most; /* arguments; most -1 = any number */
	const char *usage;
};

static const struct action actions[] = {
	{ "list", cmd_registry_list, 0, 1, "[FILE]" },
	{ "diff", cmd_registry_diff, 0, 1, "[FILE]" },
	{ "get", cmd_registry_get, 1, -1, "KEY..." },
	{ "set", cmd_registry_set, 2, -1, "KEY VALUE [KEY VALUE]..." },
	{ "unset", cmd_registry_unset, 1, -1, "KEY..." },
	{ "lock", cmd_registry_lock, 1, 2, "KEY [VALUE]" },
	{ "unlock", cmd_registry_unlock, 1, -1, "KEY..." },
	{ "explain", cmd_registry_explain, 1, -1, "KEY..." },
	{ "history", cmd_registry_history, 0, 1, "[KEY|FILE]" },
	{ "search", cmd_registry_search, 1, 1, "TEXT" },
	{ "export", cmd_registry_export, 0, -1, "[FILE]..." },
	{ "import", cmd_registry_import, 1, 1, "IN" },
};

static int run(const struct cmd_registry_opt *opt, char **args, int count)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		const struct action *a = &actions[i];

		if (strcmp(args[0], a->name) != 0)
			continue;
		if (count - 1 < a->least || (a->most >= 0 && count - 1 > a->most)) {
			log_error("floe registry %s %s%s", a->name, a->usage,
				  strstr(a->usage, "KEY") ? " (a KEY is FILE:SECTION/NAME, one argument)"
							  : "");
			return 125;
		}
		return a->run(opt, args + 1, count - 1);
	}
	log_error("floe registry knows no \"%s\": see floe registry --help", args[0]);
	return 125;
}

static int take_limit(const char *text, size_t *ret)
{
	char *end;

	*ret = strtoul(text, &end, 10);
	if (end != text && !*end && *ret > 0)
		return 0;
	log_error("--limit %s: give a number", text);
	return -1;
}

int cmd_registry(int argc, char **argv)
{
	static const struct option options[] = {
		{ "env", required_argument, NULL, 'e' },    { "json", no_argument, NULL, 'j' },
		{ "keys", no_argument, NULL, 'k' },         { "limit", required_argument, NULL, 'l' },
		{ "dry-run", no_argument, NULL, 'd' },      { "help", no_argument, NULL, 'h' },
		{ "output", required_argument, NULL, 'o' }, { 0 },
	};
	struct cmd_registry_opt opt = { .limit = HISTORY_LIMIT };
	int c;

	while ((c = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			(void)fputs(help, stdout);
			return 0;
		case 'e':
			opt.env = optarg;
			break;
		case 'j':
			opt.json = true;
			break;
		case 'k':
			opt.keys_only = true;
			break;
		case 'd':
			opt.dry_run = true;
			break;
		case 'o':
			opt.output = optarg;
			break;
		case 'l':
			if (take_limit(optarg, &opt.limit) == 0)
				break;
			return 125;
		default:
			return 125;
		}
	}
	if (optind == argc) {
		log_error("floe registry needs to know what to do: see floe registry --help");
		return 125;
	}
	return run(&opt, argv + optind, argc - optind);
}
