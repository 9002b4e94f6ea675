/* SPDX-License-Identifier: Apache-2.0 */
/* `floe run`; see run.h. Asks the holder for a tree, joins its namespaces, plans, and runs. */
#include "launcher/run.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/engine.h"
#include "launcher/holder_client.h"
#include "launcher/plan.h"
#include "launcher/reference.h"
#include "launcher/run_network.h"
#include "launcher/sandbox.h"
#include "launcher/settings_client.h"
#include "registry-shim/policy.h"
#include "streaming/dial.h"
#include "streaming/source.h"

static const char help[] =
	"usage: floe run [OPTIONS] REF [OPTIONS] [--] [ARGUMENTS]\n"
	"Runs an application from a package without installing it. REF is a path, a URL, or NAME[@VERSION] "
	"of "
	"a\n"
	"subscribed repository (floe add). What it writes stays in an environment; ARGUMENTS are the\n"
	"application's.\n"
	"\n"
	"  --env NAME           environment to run in (default: the package's name)\n"
	"  --ephemeral          a fresh environment that is removed at the end\n"
	"  --command CMD        command of the package, or a path inside (default: the package's main "
	"command)\n"
	"  --share PATH[:ro]    show the host's PATH itself: writes go to the host (:ro: none)\n"
	"  --private PATH       keep writes to PATH in the environment, also inside a shared directory\n"
	"  --hide PATH          do not show the host's PATH at all\n"
	"  --policy FILE        settings that are given or locked, beside those of /etc/floe/policy.d\n"
	"  --net host|none      the network (default: host)\n"
	"  --engine ENGINE      how package, host and environment are put together: auto, overlay or fuse; "
	"kept\n"
	"                       for the environment (default: what it was, at first auto: overlay where it "
	"works)\n"
	"  --mirror URL         where the same package is, too; may be given several times\n"
	"  --offline            never ask the network\n"
	"  --on-loss wait|fail:SECONDS\n"
	"                       when the network goes: wait and say so (default), or fail reads that bring\n"
	"                       nothing for so long\n"
	"  --trust-once         accept an unknown signer this time\n"
	"  --dry-run            print the plan instead of running it\n"
	"  -q, -v               say less, say more\n"
	"\n"
	"Exit status: the application's own; 125 floe failed before it started, 126 refused (trust or "
	"policy, or not\n"
	"executable), 127 no such command. A signal that ends the application ends floe the same way.\n";

struct options {
	char *ref; /* in our command line: blotted once it is understood */
	const char *env, *command, *engine;
	struct launch_found package;
	bool ephemeral, offline, trust_once, no_network, dry_run;
	uint64_t fail_after_s;
	struct run_network network;
	bool is_at_command;      /* what fails from here on is about the command itself */
	struct launch_plan plan; /* --share, --private, --hide */
	struct buf policy;       /* packed files of --policy */
	char **args;
};

enum {
	OPT_ENV = 256,
	OPT_EPHEMERAL,
	OPT_COMMAND,
	OPT_SHARE,
	OPT_PRIVATE,
	OPT_HIDE,
	OPT_POLICY,
	OPT_NET,
	OPT_ENGINE,
	OPT_MIRROR,
	OPT_OFFLINE,
	OPT_ON_LOSS,
	OPT_TRUST_ONCE,
	OPT_DRY_RUN,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "env", required_argument, NULL, OPT_ENV },
	{ "ephemeral", no_argument, NULL, OPT_EPHEMERAL },
	{ "command", required_argument, NULL, OPT_COMMAND },
	{ "share", required_argument, NULL, OPT_SHARE },
	{ "private", required_argument, NULL, OPT_PRIVATE },
	{ "hide", required_argument, NULL, OPT_HIDE },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "net", required_argument, NULL, OPT_NET },
	{ "engine", required_argument, NULL, OPT_ENGINE },
	{ "mirror", required_argument, NULL, OPT_MIRROR },
	{ "offline", no_argument, NULL, OPT_OFFLINE },
	{ "on-loss", required_argument, NULL, OPT_ON_LOSS },
	{ "trust-once", no_argument, NULL, OPT_TRUST_ONCE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int add_share(struct options *o, const char *text, struct err *e)
{
	size_t len = strlen(text);
	bool read_only = len > 3 && !strcmp(text + len - 3, ":ro");
	auto_free char *path = mem_strndup(text, read_only ? len - 3 : len, e);

	if (!path)
		return -1;
	return launch_plan_rule(&o->plan, path, read_only ? LAUNCH_DIRECT_READ_ONLY : LAUNCH_DIRECT,
				LAUNCH_RULE_OPTION, e);
}

static int parse_on_loss(struct options *o, const char *text, struct err *e)
{
	char *end;

	if (!strcmp(text, "wait"))
		return 0;
	if (!strncmp(text, "fail:", 5)) {
		o->fail_after_s = strtoull(text + 5, &end, 10);
		if (end != text + 5 && !*end && o->fail_after_s > 0 && o->fail_after_s <= 86400)
			return 0;
	}
	return err_set(e, ERR_USAGE, "--on-loss %s: give wait, or fail: and a number of seconds", text);
}

static int take_option(struct options *o, int opt, struct err *e)
{
	enum launch_engine engine;

	switch (opt) {
	case OPT_ENV:
		o->env = optarg;
		if (!path_is_plain_name(optarg))
			return err_set(e, ERR_USAGE, "--env %s: not a name (letters, digits and ._+@- only)",
				       optarg);
		return 0;
	case OPT_EPHEMERAL:
		o->ephemeral = true;
		return 0;
	case OPT_COMMAND:
		o->command = optarg;
		return 0;
	case OPT_SHARE:
		return add_share(o, optarg, e);
	case OPT_PRIVATE:
		return launch_plan_rule(&o->plan, optarg, LAUNCH_PRIVATE, LAUNCH_RULE_OPTION, e);
	case OPT_HIDE:
		return launch_plan_rule(&o->plan, optarg, LAUNCH_HIDDEN, LAUNCH_RULE_OPTION, e);
	case OPT_POLICY:
		return reg_policy_pack_file(optarg, &o->policy, e);
	case OPT_NET:
		o->no_network = !strcmp(optarg, "none");
		if (!o->no_network && strcmp(optarg, "host") != 0)
			return err_set(e, ERR_USAGE, "--net %s: give host or none", optarg);
		return 0;
	case OPT_ENGINE:
		o->engine = optarg;
		return launch_engine_parse(optarg, &engine, e) < 0 ? err_wrap(e, "--engine") : 0;
	case OPT_MIRROR:
		return run_network_mirror(&o->network, optarg, e);
	case OPT_OFFLINE:
		o->offline = true;
		return 0;
	case OPT_ON_LOSS:
		return parse_on_loss(o, optarg, e);
	case OPT_TRUST_ONCE:
		o->trust_once = true;
		return 0;
	case OPT_DRY_RUN:
		o->dry_run = true;
		return 0;
	case 'q':
		log_setup("floe", LOG_QUIET);
		return 0;
	case 'v':
		log_setup("floe", LOG_VERBOSE);
		return 0;
	default:
		return err_set(e, ERR_USAGE,
			       "see floe run --help (the application's own options come behind --)");
	}
}

/* 1 = go on, 0 = help was printed. */
static int parse(int argc, char **argv, struct options *o, struct err *e)
{
	int opt;

	for (;;) {
		while ((opt = getopt_long(argc, argv, "+qv", long_options, NULL)) != -1) {
			if (opt == OPT_HELP) {
				(void)fputs(help, stdout);
				return 0;
			}
			if (take_option(o, opt, e) < 0)
				return -1;
		}
		if (o->ref || optind >= argc || !strcmp(argv[optind - 1], "--"))
			break;
		o->ref = argv[optind++];
	}
	if (!o->ref && optind < argc)
		o->ref = argv[optind++];
	if (!o->ref)
		return err_set(e, ERR_USAGE, "name a package: floe run PATH, URL or NAME");
	o->args = argv + optind;
	return 1;
}

/* ---- asking the holder ----------------------------------------------------------------------- */

/* The user's and the list's, one a line. */
static int put_mirrors(const struct options *o, struct wire_out *m, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(64 * 1024);
	const struct launch_found *package = &o->package;
	const char *lines;

	if (!o->network.mirror_count && !package->mirror_count)
		return 0;
	for (size_t i = 0; i < o->network.mirror_count; i++)
		if (buf_printf(&text, e, "%s\n", o->network.mirrors[i]) < 0)
			return -1;
	for (size_t i = 0; i < package->mirror_count; i++)
		if (buf_printf(&text, e, "%s\n", package->mirrors[i]) < 0)
			return -1;
	lines = buf_text(&text, e);
	return lines ? wire_put_str(m, "mirrors", lines, e) : -1;
}

/* The site's policy and --policy behind it, in a file of its own: it may be larger than a message. */
static int put_policy(const struct options *o, struct wire_out *m, int *ret_fd, struct err *e)
{
	auto_buf struct buf packed = BUF_INIT(REG_POLICY_TEXT_MAX);
	auto_fd int fd = -1;

	if (reg_policy_pack_dir(REG_POLICY_DIR, &packed, e) < 0 ||
	    buf_add(&packed, o->policy.data, o->policy.len, e) < 0)
		return -1;
	if (!packed.len)
		return 0;
	fd = memfd_create("floe-policy", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "policy");
	if (fd_write_all(fd, packed.data, packed.len, e) < 0 || wire_put_fd(m, fd, e) < 0 ||
	    wire_put_u64(m, "has-policy", 1, e) < 0)
		return -1;
	*ret_fd = fd_steal(&fd);
	return 0;
}

static int put_request(const struct options *o, const char *home, struct wire_out *m, struct err *e)
{
	const struct launch_found *package = &o->package;

	if (wire_put_str(m, "type", "launch", e) < 0 || wire_put_str(m, "source", package->source, e) < 0 ||
	    (package->root && wire_put_str(m, "root", package->root, e) < 0) ||
	    (package->start_len && wire_put_u64(m, "start", package->start_len, e) < 0) ||
	    (o->command && wire_put_str(m, "command", o->command, e) < 0) || put_mirrors(o, m, e) < 0 ||
	    wire_put_str(m, "home", home, e) < 0 || (o->env && wire_put_str(m, "env", o->env, e) < 0) ||
	    wire_put_u64(m, "ephemeral", o->ephemeral, e) < 0 ||
	    wire_put_u64(m, "offline", o->offline, e) < 0 ||
	    wire_put_u64(m, "trust-once", o->trust_once, e) < 0 ||
	    (o->engine && wire_put_str(m, "engine", o->engine, e) < 0) || run_network_put(m, e) < 0)
		return -1;
	return o->fail_after_s ? wire_put_u64(m, "fail-after", o->fail_after_s, e) : 0;
}

static void show_progress(const struct wire_in *m, bool *is_shown)
{
	struct wire_field f;

	if (!wire_find(m, "text", &f) || log_get_level() < LOG_NORMAL || !isatty(STDERR_FILENO))
		return;
	(void)fprintf(stderr, "\r\033[K%.*s", (int)f.len, (const char *)f.value);
	(void)fflush(stderr);
	*is_shown = true;
}

struct request {
	struct options *o;
	int dialled; /* -1 = not */
};

/* Who starts the holder knows that nothing is open: the source will be asked, so that the first round trip
 * can be under way while the processes that will do so are being started. Not for what may be here. */
static int dial(void *arg, struct wire_out *m, struct err *e)
{
	struct request *r = arg;

	if (r->o->offline || r->o->package.root)
		return 0;
	r->dialled = stream_dial_elsewhere(r->o->package.source);
	if (r->dialled < 0)
		return 0;
	return wire_put_fd(m, r->dialled, e) < 0 ? -1 : wire_put_u64(m, "has-dialled", 1, e);
}

/* What needs nothing of the package, while the holder sees to that. */
static int begin_plan(void *arg, struct err *e)
{
	const struct request *r = arg;
	struct launch_plan *plan = &r->o->plan;

	return launch_plan_defaults(plan, e) < 0 ? -1 : launch_plan_find_sockets(plan, e);
}

static int request_launch(struct options *o, const char *home, int *ret_sock, struct wire_in *ret,
			  struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_fd int policy = -1; /* borrowed by the message */
	bool is_shown = false;
	struct request r = { o, -1 };
	const struct launch_holder_steps steps = { dial, begin_plan, &r };
	int rc;

	if (put_request(o, home, &m, e) < 0 || put_policy(o, &m, &policy, e) < 0)
		return -1;
	rc = launch_holder_ask_started(&m, &steps, ret_sock, ret, e);
	fd_close(r.dialled);
	while (rc == 0 && wire_is(ret, "type", "progress")) {
		show_progress(ret, &is_shown);
		wire_in_fini(ret);
		rc = wire_recv(*ret_sock, ret, e);
		if (rc == 0)
			rc = err_set(e, ERR_IO, "the holder went away");
		else if (rc > 0)
			rc = wire_error(ret, e);
	}
	if (is_shown)
		(void)fputs("\r\033[K", stderr);
	return rc < 0 ? -1 : 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static int join_namespaces(struct wire_in *launched, struct err *e)
{
	auto_fd int mnt = wire_steal_fd(launched, 1), user = wire_steal_fd(launched, 2);

	if (user >= 0 && setns(user, CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "cannot join the user namespace");
	if (mnt < 0 || setns(mnt, CLONE_NEWNS) < 0)
		return err_sys(e, errno, "cannot join the mount namespace");
	return 0;
}

static int tell_started(int sock, pid_t init, char *const *argv, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "type", "started", e) < 0 || wire_put_u64(&m, "pid", (uint64_t)init, e) < 0 ||
	    wire_put_str(&m, "command", argv[0], e) < 0)
		return -1;
	return wire_send(sock, &m, e);
}

static int make_plan(struct options *o, const struct wire_in *launched, const struct wire_in *package,
		     struct err *e)
{
	struct launch_plan *p = &o->plan;
	auto_free char *env_name = wire_str(launched, "env", e);

	if (!env_name)
		return -1;
	o->is_at_command = true;
	if (launch_plan_command(p, package, o->command, o->args, e) < 0)
		return -1;
	o->is_at_command = false;
	if (launch_plan_environment(p, package, env_name, wire_u64_or(launched, "has-config", 0) != 0, e) < 0)
		return -1;
	return 0;
}

/* The command line's rules and the defaults are there already. */
static int complete_rules(struct launch_plan *p, const struct wire_in *package, struct err *e)
{
	if (launch_plan_package(p, package, e) < 0 || launch_plan_files(p, e) < 0)
		return -1;
	return launch_plan_resolve(p, e);
}

static void tell_unanswered(const struct wire_in *launched)
{
	struct err ignored;
	auto_free char *source = wire_str(launched, "unanswered", &ignored);

	if (source)
		log_note("%s does not answer: this is the version that is here", source);
}

static void tell_unseen(const struct wire_in *launched)
{
	struct err ignored;
	auto_free char *where = wire_str(launched, "unseen", &ignored);

	if (where)
		log_note("something was mounted in %s since this environment came into use: what is private "
			 "there shows it only when no application is left in the environment",
			 where);
}

static void print_plan(const struct options *o, const struct wire_in *launched)
{
	static const char *const fields[] = { "env", "root", "tree" };
	struct err ignored;
	auto_free char *engine = wire_str(launched, "engine", &ignored);
	auto_free char *why = wire_str(launched, "engine-why", &ignored);

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		auto_free char *value = wire_str(launched, fields[i], &ignored);

		(void)printf("%-9s %s\n", fields[i], value ? value : "");
	}
	(void)printf("%-9s %s (%s)\n", "engine", engine ? engine : "", why ? why : "");
	(void)printf("%-9s %s\n", "network", o->no_network ? "none" : "host");
	(void)printf("%-9s mount pid ipc uts%s%s\n", "separate", o->no_network ? " net" : "",
		     geteuid() ? " user" : "");
	launch_plan_print(&o->plan, stdout);
}

/* What is not known to be current runs all the same: the network may just be away. */
static void tell_expired(const struct launch_found *package)
{
	if (package->expires_s && package->expires_s <= (int64_t)time(NULL))
		log_note("the list of %s has expired, there may be newer versions: floe update",
			 package->repository);
}

static uint64_t wall_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What programs without the shim have saved is in the registry when we return; if not, the holder has it
 * done. Says when locks have kept settings. */
static void harvest_settings(const struct options *o, const struct wire_in *launched, uint64_t since_ms)
{
	struct err e;
	auto_free char *env = wire_str(launched, "env", &e);
	uint64_t refused = 0;

	if (!wire_u64_or(launched, "has-config", 0) || !env)
		return;
	if (launch_settings_harvest(env, since_ms, &refused, &e) < 0)
		log_detail("%s", e.msg);
	if (refused && o->ephemeral)
		log_note("%" PRIu64 " locked setting%s put back", refused, refused == 1 ? " was" : "s were");
	else if (refused)
		log_note("%" PRIu64 " locked setting%s put back: floe registry history --env %s", refused,
			 refused == 1 ? " was" : "s were", env);
}

static int run(struct options *o, struct launch_status *ret, struct err *e)
{
	auto_free char *home = path_home(e);
	auto_free char *tree = NULL;
	auto_wire_in struct wire_in launched = WIRE_IN_INIT, package = WIRE_IN_INIT;
	auto_fd int sock = -1;
	struct launch_sandbox s = { 0 };
	struct launch_watch watch;
	struct wire_field filter, description;
	uint64_t started_ms = wall_clock_ms();
	pid_t init;
	int events;

	if (!home || request_launch(o, home, &sock, &launched, e) < 0)
		return -1;
	tree = wire_str(&launched, "tree", e);
	if (!tree)
		return -1;
	if (!wire_find(&launched, "package", &description) || !wire_find(&launched, "filter", &filter))
		return err_set(e, ERR_FORMAT, "the holder's answer lacks the package's description");
	if (wire_parse(description.value, description.len, &package, e) < 0 ||
	    complete_rules(&o->plan, &package, e) < 0 || make_plan(o, &launched, &package, e) < 0)
		return -1;
	if (o->dry_run) {
		print_plan(o, &launched);
		*ret = (struct launch_status){ 0 };
		return 0;
	}
	tell_unseen(&launched);
	tell_unanswered(&launched);
	if (join_namespaces(&launched, e) < 0)
		return -1;
	s = (struct launch_sandbox){ .tree = tree,
				     .binds = o->plan.binds,
				     .bind_count = o->plan.bind_count,
				     .cwd = o->plan.cwd,
				     .argv = o->plan.argv,
				     .envp = o->plan.envp,
				     .no_network = o->no_network,
				     .filter = filter.value,
				     .filter_len = filter.len };
	if (launch_sandbox_start(&s, sock, &init, &events, e) < 0 ||
	    tell_started(sock, init, o->plan.argv, e) < 0)
		return -1;
	o->is_at_command = true;
	watch = run_network_watch(&o->network, sock);
	if (launch_sandbox_wait(init, events, &watch, ret, e) < 0)
		return -1;
	harvest_settings(o, &launched, started_ms);
	return 0;
}

/* Ends like the application did, so that shells and makes see what they would have seen; its core is its own.
 */
static int end_by_signal(int signal_no)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(signal_no, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, signal_no);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(signal_no);
	return 128 + signal_no;
}

/* As env(1) has it: 127 when the command is not there, 126 when it may not be executed. */
static int exit_status(const struct options *o, const struct err *e)
{
	if (o->is_at_command && e->code == ERR_NOTFOUND)
		return 127;
	if (o->is_at_command && e->code == ERR_DENIED)
		return 126;
	return err_exit_status(e);
}

int launch_run(int argc, char **argv)
{
	struct options o = { .policy = BUF_INIT(REG_POLICY_TEXT_MAX) };
	struct launch_status status = { 0 };
	struct err e;
	int rc = parse(argc, argv, &o, &e);

	if (rc > 0 && launch_reference_resolve(o.ref, &o.package, &e) < 0)
		rc = -1;
	if (o.ref)
		stream_source_blot(o.ref);
	if (rc > 0) {
		tell_expired(&o.package);
		rc = run(&o, &status, &e);
	}
	launch_plan_fini(&o.plan);
	launch_found_fini(&o.package);
	run_network_fini(&o.network);
	buf_fini(&o.policy);
	if (rc < 0) {
		log_error("run: %s", e.msg);
		return exit_status(&o, &e);
	}
	if (status.is_signal)
		return end_by_signal(status.code);
	return status.code;
}
