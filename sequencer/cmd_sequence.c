/* SPDX-License-Identifier: Apache-2.0 */
/* floe sequence: makes a package of what an installer does, or of a directory. Options only; the work is in
 * sequence.c. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "launcher/verbs.h"
#include "sequencer/filter.h"
#include "sequencer/sequence.h"

enum { LIST_MAX = 256, EXIT_FAILED = 125, EXIT_INTERRUPTED = 130 };

static const char usage[] =
	"Usage: floe sequence -o OUT.floe [OPTIONS] -- INSTALLER [ARGUMENT]...\n"
	"       floe sequence -o OUT.floe --from-dir DIR --prefix /opt/x [OPTIONS]\n"
	"\n"
	"Makes a package of what INSTALLER does, run as root (pretended, for ordinary users) in a session\n"
	"that changes nothing on this system; or of a directory, as if it stood at the prefix.\n"
	"\n"
	"  -o, --output FILE        the package to write\n"
	"      --name NAME          what it is called (default: found out)\n"
	"      --version VERSION    its version (default: found out)\n"
	"      --summary TEXT       one line on what it is\n"
	"      --command NAME=PATH  a command that it offers; repeatable (default: found out)\n"
	"      --launch COMMAND     run this once, to learn what starting it needs; repeatable\n"
	"      --profile FILE       what launches elsewhere needed (floe cache profile); repeatable\n"
	"      --launch-seconds N   at most so long (default: 30)\n"
	"      --engine ENGINE      auto, overlay or fuse: what makes the session's union (default: auto)\n"
	"      --config PATH[:LENS] a configuration file to keep as keys; repeatable\n"
	"      --env NAME=VALUE     an environment variable for its programs; repeatable\n"
	"      --path POLICY:PATH   private, direct or hidden: how its programs see the host's PATH; "
	"repeatable\n"
	"      --local RULE:PATH    merge or override: whether the host's settings in the configuration "
	"files\n"
	"                           of PATH (PATH:SECTION for a part) count; repeatable\n"
	"      --rules FILE         what to leave out (default: --print-rules shows it)\n"
	"      --print-rules        show the rules that come with floe\n"
	"      --report FILE        write the full report there (JSON when it ends in .json)\n"
	"      --json               the summary on standard output as JSON\n"
	"      --key NAME           sign with this key (default: \"default\", made on first use)\n"
	"      --level N            compression, 1 to 22 (default: 19)\n"
	"      --keep DIR           work in DIR and keep it: DIR/upper is what the installer wrote\n"
	"      --keep-going         make a package even when the installer fails\n"
	"      --from-dir DIR       package a directory instead of running an installer\n"
	"      --prefix PATH        where the directory stands in the package\n"
	"  -q, --quiet              no summary, no progress\n"
	"  -v, --verbose            every path that is left out, too\n"
	"      --help               this text\n"
	"\n"
	"Exit status: 0; the installer's own when it fails; 125 when floe fails; 130 when interrupted.\n";

enum option_id {
	OPT_NAME = 256,
	OPT_VERSION,
	OPT_SUMMARY,
	OPT_COMMAND,
	OPT_LAUNCH,
	OPT_PROFILE,
	OPT_LAUNCH_SECONDS,
	OPT_ENGINE,
	OPT_CONFIG,
	OPT_ENV,
	OPT_PATH,
	OPT_LOCAL,
	OPT_RULES,
	OPT_PRINT_RULES,
	OPT_REPORT,
	OPT_JSON,
	OPT_KEY,
	OPT_LEVEL,
	OPT_KEEP,
	OPT_KEEP_GOING,
	OPT_FROM_DIR,
	OPT_PREFIX,
	OPT_HELP,
};

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "version", required_argument, NULL, OPT_VERSION },
	{ "summary", required_argument, NULL, OPT_SUMMARY },
	{ "command", required_argument, NULL, OPT_COMMAND },
	{ "launch", required_argument, NULL, OPT_LAUNCH },
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "launch-seconds", required_argument, NULL, OPT_LAUNCH_SECONDS },
	{ "engine", required_argument, NULL, OPT_ENGINE },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "local", required_argument, NULL, OPT_LOCAL },
	{ "rules", required_argument, NULL, OPT_RULES },
	{ "print-rules", no_argument, NULL, OPT_PRINT_RULES },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "level", required_argument, NULL, OPT_LEVEL },
	{ "keep", required_argument, NULL, OPT_KEEP },
	{ "keep-going", no_argument, NULL, OPT_KEEP_GOING },
	{ "from-dir", required_argument, NULL, OPT_FROM_DIR },
	{ "prefix", required_argument, NULL, OPT_PREFIX },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static volatile bool interrupted;

static void on_signal(int signo)
{
	(void)signo;
	interrupted = true;
}

static void listen_for_interrupts(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* Room for every repeatable option; filled in the order given. */
struct lists {
	char *commands[LIST_MAX], *launches[LIST_MAX], *profiles[LIST_MAX], *configs[LIST_MAX];
	char *envs[LIST_MAX], *paths[LIST_MAX], *locals[LIST_MAX];
};

static int append(char **list, size_t *count, char *value, struct err *e)
{
	if (*count == LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: an option given more than %d times", value, LIST_MAX);
	list[(*count)++] = value;
	return 0;
}

static int take_number(const char *text, long min, long max, const char *option, long *ret, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || !*text || *end || n < min || n > max)
		return err_set(e, ERR_USAGE, "--%s %s: give a number from %ld to %ld", option, text, min,
			       max);
	*ret = n;
	return 0;
}

static int take_list_option(int id, char *value, struct seq_request *q, struct lists *l, struct err *e)
{
	switch (id) {
	case OPT_COMMAND:
		return append(l->commands, &q->command_count, value, e);
	case OPT_LAUNCH:
		return append(l->launches, &q->launch_count, value, e);
	case OPT_PROFILE:
		return append(l->profiles, &q->profile_count, value, e);
	case OPT_CONFIG:
		return append(l->configs, &q->config_count, value, e);
	case OPT_PATH:
		return append(l->paths, &q->path_count, value, e);
	case OPT_LOCAL:
		return append(l->locals, &q->local_count, value, e);
	default:
		return append(l->envs, &q->env_count, value, e);
	}
}

static int take_option(int id, char *value, struct seq_request *q, struct lists *l, struct err *e)
{
	long n;

	switch (id) {
	case 'o':
		q->out_path = value;
		return 0;
	case OPT_NAME:
		q->name = value;
		return 0;
	case OPT_VERSION:
		q->version = value;
		return 0;
	case OPT_SUMMARY:
		q->summary = value;
		return 0;
	case OPT_LAUNCH_SECONDS:
		if (take_number(value, 1, 86400, "launch-seconds", &n, e) < 0)
			return -1;
		q->launch_seconds = (unsigned)n;
		return 0;
	case OPT_LEVEL:
		if (take_number(value, 1, 22, "level", &n, e) < 0)
			return -1;
		q->level = (int)n;
		return 0;
	case OPT_ENGINE:
		return launch_engine_parse(value, &q->engine, e);
	case OPT_RULES:
		q->rules_path = value;
		return 0;
	case OPT_REPORT:
		q->report_path = value;
		return 0;
	case OPT_JSON:
		q->json = true;
		return 0;
	case OPT_KEY:
		q->key_name = value;
		return 0;
	case OPT_KEEP:
		q->keep_dir = value;
		return 0;
	case OPT_KEEP_GOING:
		q->keep_going = true;
		return 0;
	case OPT_FROM_DIR:
		q->from_dir = value;
		return 0;
	case OPT_PREFIX:
		q->prefix = value;
		return 0;
	default:
		return take_list_option(id, value, q, l, e);
	}
}

static int check(struct seq_request *q, struct err *e)
{
	if (!q->out_path)
		return err_set(e, ERR_USAGE, "-o OUT.floe is missing; floe sequence --help tells more");
	if (!q->installer && !q->from_dir)
		return err_set(e, ERR_USAGE, "nothing to sequence: give -- INSTALLER, or --from-dir DIR");
	if (q->installer && q->from_dir)
		return err_set(e, ERR_USAGE, "give either an installer or --from-dir, not both");
	if (q->from_dir && !q->prefix)
		return err_set(e, ERR_USAGE,
			       "--from-dir needs --prefix: where the directory stands in the package");
	if (!q->from_dir && q->prefix)
		return err_set(e, ERR_USAGE, "--prefix goes with --from-dir");
	return 0;
}

static int print_rules(void)
{
	auto_buf struct buf text = BUF_INIT(SEQ_RULES_TEXT_MAX);
	struct err e;
	auto_free char *path = seq_rules_default_path(&e);

	if (!path || fd_read_file(AT_FDCWD, path, &text, &e) < 0 ||
	    fd_write_all(STDOUT_FILENO, text.data, text.len, &e) < 0) {
		log_error("%s", e.msg);
		return EXIT_FAILED;
	}
	return 0;
}

int cmd_sequence(int argc, char **argv)
{
	struct lists l;
	struct seq_request q = { .commands = l.commands,
				 .launches = l.launches,
				 .profiles = l.profiles,
				 .configs = l.configs,
				 .envs = l.envs,
				 .paths = l.paths,
				 .locals = l.locals,
				 .cancel = &interrupted };
	enum log_level level = log_get_level();
	struct launch_status status;
	struct err e;
	int id;

	while ((id = getopt_long(argc, argv, "+o:qv", options, NULL)) != -1) {
		if (id == OPT_HELP)
			return fputs(usage, stdout) < 0 ? EXIT_FAILED : 0;
		if (id == OPT_PRINT_RULES)
			return print_rules();
		if (id == '?')
			return EXIT_FAILED;
		if (id == 'q' || id == 'v') {
			level = id == 'q' ? LOG_QUIET : LOG_VERBOSE;
		} else if (take_option(id, optarg, &q, &l, &e) < 0) {
			log_error("%s", e.msg);
			return EXIT_FAILED;
		}
	}
	log_setup("floe", level);
	if (optind < argc)
		q.installer = argv + optind;
	if (check(&q, &e) < 0) {
		log_error("%s", e.msg);
		return EXIT_FAILED;
	}
	listen_for_interrupts();
	if (seq_run(&q, &status, &e) == 0)
		return 0;
	log_error("%s", e.msg);
	if (interrupted)
		return EXIT_INTERRUPTED;
	if (status.is_signal)
		return 128 + status.code;
	return status.code ? status.code : err_exit_status(&e);
}
