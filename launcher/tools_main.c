/* SPDX-License-Identifier: Apache-2.0 */
/* floe-tools: every verb but `run` in one program. `floe` runs it as "floe-tools [-q|-v] VERB ...".
 *
 * It is apart from `floe` so that a launch does not load SQLite, curl and the like. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "launcher/verbs.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

static const struct verb verbs[] = {
	{ "info", cmd_info, "what a package is, who signed it, how large it is" },
	{ "ls", cmd_ls, "list the files of a package" },
	{ "verify", cmd_verify, "check every byte of a package" },
	{ "extract", cmd_extract, "write a package's files to a directory" },
	{ "sequence", cmd_sequence, "make a package of what an installer does" },
	{ "search", cmd_search, "look for packages in subscribed repositories" },
	{ "list", cmd_list, "subscribed repositories and their packages" },
	{ "update", cmd_update, "fetch the lists of repositories again" },
	{ "add", cmd_add, "subscribe to a repository" },
	{ "remove", cmd_remove, "end a subscription" },
	{ "repo", cmd_repo, "publish a directory of packages as a repository" },
	{ "serve", cmd_serve, "offer a directory of packages over HTTP" },
	{ "env", cmd_env, "list, show, compare, reset and remove environments" },
	{ "registry", cmd_registry, "read and change an environment's settings" },
	{ "cache", cmd_cache, "what is kept of packages on this machine" },
	{ "key", cmd_key, "make, list, trust and revoke signing keys" },
	{ "ps", cmd_ps, "what is running" },
	{ "stop", cmd_stop, "end what is running" },
	{ "doctor", cmd_doctor, "can floe run here, and if not, what to do" },
};

static void print_overview(FILE *out)
{
	(void)fputs("Usage: floe [-q|-v] VERB [ARGUMENTS]\n\n"
		    "Runs applications without installing them: streamed from one signed file, with\n"
		    "everything they write kept in an environment of their own.\n\n"
		    "  run        run an application of a package\n",
		    out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(out, "  %-9s  %s\n", verbs[i].name, verbs[i].summary);
	(void)fputs("\n"
		    "  -q, --quiet    say only what went wrong\n"
		    "  -v, --verbose  say more\n"
		    "  -h, --help     this text; floe VERB --help tells about a verb\n"
		    "  -V, --version  the version of floe\n",
		    out);
}

enum { NAME_MAX_COMPARED = 32 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be changed, added, left out or swapped with their neighbour (optimal string
 * alignment). */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_MAX_COMPARED + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > NAME_MAX_COMPARED || lb > NAME_MAX_COMPARED)
		return NAME_MAX_COMPARED;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			now[j] = least(before[j - 1] + (a[i - 1] != b[j - 1]),
				       least(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], earlier[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

static const char *nearest(const char *name)
{
	unsigned best = distance(name, "run");
	const char *found = "run";

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		unsigned d = distance(name, verbs[i].name);

		if (d < best) {
			best = d;
			found = verbs[i].name;
		}
	}
	return best <= 2 && best < strlen(name) ? found : NULL;
}

static int unknown_verb(const char *name)
{
	const char *near = nearest(name);

	if (near)
		log_error("\"%s\" is not a verb of floe; did you mean \"%s\"?", name, near);
	else
		log_error("\"%s\" is not a verb of floe; see floe --help", name);
	return 125;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* A reader that has left (floe ls | head) is no failure; a full disk is. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status;
	log_error("cannot write the output: %s", strerror(errno));
	return status ? status : 125;
}

static int dispatch(int argc, char **argv)
{
	const struct verb *verb;
	char help[] = "--help";

	if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
		(void)puts("floe " FLOE_VERSION);
		return 0;
	}
	if (!strcmp(argv[0], "help") && argc > 1 && find_verb(argv[1])) {
		char *ask[] = { argv[1], help, NULL };

		return find_verb(argv[1])->run(2, ask);
	}
	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h") || !strcmp(argv[0], "help")) {
		print_overview(stdout);
		return 0;
	}
	if (*argv[0] == '-') {
		log_error("%s is not an option of floe itself; see floe --help", argv[0]);
		return 125;
	}
	verb = find_verb(argv[0]);
	return verb ? verb->run(argc, argv) : unknown_verb(argv[0]);
}

static void pass_over(int signal_number)
{
	(void)signal_number;
}

int main(int argc, char **argv)
{
	enum log_level level = LOG_NORMAL;
	int i = 1;

	/* Output goes to pipes and sockets whose other end may leave: an error to be handled, not a death. By
	 * a handler, because what is ignored stays ignored in the programs that verbs start. */
	(void)signal(SIGPIPE, pass_over);
	for (; i < argc; i++) {
		if (!strcmp(argv[i], "-q") || !strcmp(argv[i], "--quiet"))
			level = LOG_QUIET;
		else if (!strcmp(argv[i], "-v") || !strcmp(argv[i], "--verbose"))
			level = LOG_VERBOSE;
		else
			break;
	}
	log_setup("floe", level);
	if (i == argc) {
		print_overview(stderr);
		return 125;
	}
	return finish(dispatch(argc - i, argv + i));
}
