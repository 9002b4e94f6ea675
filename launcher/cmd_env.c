/* SPDX-License-Identifier: Apache-2.0 */
/* floe env: options and questions; what there is to see is in cmd_env_list.c and cmd_env_diff.c.
 *
 * Resetting and removing need the environment for themselves: the holder is asked to let go of it first, and
 * the exclusive lock is the proof that nobody uses it. */
#include "launcher/cmd_env.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher/engine.h"
#include "launcher/holder_list.h"
#include "launcher/verbs.h"

static void print_help(void)
{
	(void)fputs("Usage: floe env list [--json]\n"
		    "       floe env show NAME... [--json]\n"
		    "       floe env diff NAME... [--json]\n"
		    "       floe env set NAME... --engine auto|overlay|fuse\n"
		    "       floe env reset NAME... [--files] [--settings] [--yes]\n"
		    "       floe env remove NAME... [--yes]\n\n"
		    "An environment keeps what applications have written: files and settings.\n\n"
		    "  list    all environments\n"
		    "  show    all about one\n"
		    "  diff    what was changed in it: A added, M modified, m only attributes, D deleted\n"
		    "  set     how package, host and environment are put together from the next launch on\n"
		    "  reset   back to nothing written; --files or --settings: only these\n"
		    "  remove  the environment and all it keeps\n\n"
		    "  --json     for programs\n"
		    "  -y, --yes  do not ask\n",
		    stdout);
}

static int report(struct err *e)
{
	log_error("%s", e->msg);
	return err_exit_status(e);
}

/* Asks only on a terminal: a script has said what it wants. */
static bool confirm(const struct cmd_env_opt *opt, const char *name, const char *what)
{
	char answer[16];

	if (opt->yes || !isatty(STDIN_FILENO))
		return true;
	(void)fprintf(stderr, "floe: %s of environment %s will be lost. Go on? [y/N] ", what, name);
	(void)fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y'))
		return true;
	log_note("environment %s is left as it is", name);
	return false;
}

static int open_alone(const char *name, struct launch_environment **ret, struct err *e)
{
	struct launch_environment *env = NULL;

	/* Whether there is such a thing at all is said before anyone is asked. */
	if (launch_environment_open(name, LAUNCH_ENV_SHARED, &env, e) < 0 && e->code == ERR_NOTFOUND)
		return -1;
	launch_environment_close(env);
	if (launch_holder_drop(name, e) < 0)
		return -1;
	return launch_environment_open(name, LAUNCH_ENV_EXCLUSIVE, ret, e);
}

static int reset_one(const struct cmd_env_opt *opt, const char *name)
{
	bool both = opt->files == opt->settings;
	auto_environment struct launch_environment *env = NULL;
	struct err e;

	if (open_alone(name, &env, &e) < 0)
		return report(&e);
	if (!confirm(opt, name, both ? "all files and settings" : opt->files ? "all files" : "all settings"))
		return 125;
	if (launch_environment_reset(env, both || opt->files, both || opt->settings, &e) < 0)
		return report(&e);
	return 0;
}

static int set_one(const char *name, enum launch_engine engine)
{
	auto_environment struct launch_environment *env = NULL;
	struct err e;

	if (open_alone(name, &env, &e) < 0 || launch_engine_check(env, engine, &e) < 0 ||
	    launch_environment_set_engine(env, launch_engine_name(engine), &e) < 0)
		return report(&e);
	return 0;
}

int cmd_env_set(const struct cmd_env_opt *opt, char **names)
{
	enum launch_engine engine;
	int status = 0, one;
	struct err e;

	if (!opt->engine) {
		log_error("env set: say what: --engine auto, overlay or fuse");
		return 125;
	}
	if (launch_engine_parse(opt->engine, &engine, &e) < 0)
		return report(&e);
	for (; *names; names++)
		if ((one = set_one(*names, engine)))
			status = one;
	return status;
}

static int remove_one(const struct cmd_env_opt *opt, const char *name)
{
	struct launch_environment *env = NULL;
	struct err e;

	if (open_alone(name, &env, &e) < 0)
		return report(&e);
	if (!confirm(opt, name, "all files and settings")) {
		launch_environment_close(env);
		return 125;
	}
	return launch_environment_remove(env, &e) < 0 ? report(&e) : 0;
}

int cmd_env_reset(const struct cmd_env_opt *opt, char **names)
{
	int status = 0, one;

	for (; *names; names++)
		if ((one = reset_one(opt, *names)))
			status = one;
	return status;
}

int cmd_env_remove(const struct cmd_env_opt *opt, char **names)
{
	int status = 0, one;

	for (; *names; names++)
		if ((one = remove_one(opt, *names)))
			status = one;
	return status;
}

static int parse(int argc, char **argv, struct cmd_env_opt *opt)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "yes", no_argument, NULL, 'y' },
		{ "files", no_argument, NULL, 'f' },
		{ "settings", no_argument, NULL, 's' },
		{ "engine", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "yh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			opt->json = true;
			break;
		case 'y':
			opt->yes = true;
			break;
		case 'f':
			opt->files = true;
			break;
		case 's':
			opt->settings = true;
			break;
		case 'e':
			opt->engine = optarg;
			break;
		case 'h':
			print_help();
			return 0;
		default:
			log_note("see floe env --help");
			return 125;
		}
	}
	return -1;
}

int cmd_env(int argc, char **argv)
{
	static const struct {
		const char *what;
		int (*run)(const struct cmd_env_opt *opt, char **names);
	} verbs[] = {
		{ "show", cmd_env_show },   { "diff", cmd_env_diff },     { "set", cmd_env_set },
		{ "reset", cmd_env_reset }, { "remove", cmd_env_remove },
	};
	struct cmd_env_opt opt = { 0 };
	int status = parse(argc, argv, &opt);
	const char *what;
	char **names;

	if (status >= 0)
		return status;
	if (optind == argc) {
		log_error("env: say what: list, show, diff, set, reset or remove (floe env --help)");
		return 125;
	}
	what = argv[optind];
	names = argv + optind + 1;
	if (!strcmp(what, "list") && !*names)
		return cmd_env_list(&opt);
	if (!strcmp(what, "list")) {
		log_error("env list takes no names; see floe env show %s", *names);
		return 125;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(what, verbs[i].what)) {
			if (*names)
				return verbs[i].run(&opt, names);
			log_error("env %s: which environment? floe env list shows them", what);
			return 125;
		}
	log_error("env: \"%s\" is none of list, show, diff, set, reset, remove", what);
	return 125;
}
