/* SPDX-License-Identifier: Apache-2.0 */
/* floe stop: ends what is running, by asking the holder, who answers when all of it is gone. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/holder_client.h"
#include "launcher/verbs.h"

enum { PATIENCE_MS = 10000 };

struct request {
	const char *env; /* NULL = not by environment */
	uint64_t pid;    /* 0 = not by process */
	int signal;      /* 0 = the holder's choice */
	bool all;
};

static void print_help(void)
{
	(void)fputs("Usage: floe stop ENV | --pid N | --all  [--signal S]\n\n"
		    "Ends what runs in an environment, one launch, or everything, and waits until it is\n"
		    "gone. Nothing that was written is lost.\n\n"
		    "  --pid N         the launch with this process, as floe ps shows it\n"
		    "  --all           everything\n"
		    "  -s, --signal S  send this signal, by name or number (default: TERM)\n",
		    stdout);
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || *ret == 0 || *ret > max ? -1 : 0;
}

static int parse_signal(const char *text, int *ret)
{
	uint64_t number;

	if (parse_number(text, (uint64_t)SIGRTMAX, &number) == 0) {
		*ret = (int)number;
		return 0;
	}
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && !strcasecmp(name, text)) {
			*ret = i;
			return 0;
		}
	}
	return -1;
}

static int parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "all", no_argument, NULL, 'a' },
		{ "signal", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		if (c == 'h') {
			print_help();
			return 0;
		}
		if (c == 'a') {
			r->all = true;
		} else if (c == 'p' && parse_number(optarg, INT32_MAX, &r->pid) < 0) {
			log_error("--pid %s: not a process number", optarg);
			return 125;
		} else if (c == 's' && parse_signal(optarg, &r->signal) < 0) {
			log_error("--signal %s: no such signal", optarg);
			return 125;
		} else if (c != 'p' && c != 's') {
			return 125;
		}
	}
	if (optind < argc)
		r->env = argv[optind++];
	if (optind < argc || (r->env != NULL) + (r->pid != 0) + r->all != 1) {
		log_error("stop: name one environment, or --pid N, or --all (floe stop --help)");
		return 125;
	}
	if (r->env && !path_is_plain_name(r->env)) {
		log_error("\"%s\" cannot be the name of an environment", r->env);
		return 125;
	}
	return -1;
}

static int send_request(int sock, const struct request *r, struct err *e)
{
	auto_wire_out struct wire_out ask = WIRE_OUT_INIT;

	if (wire_put_str(&ask, "type", "stop", e) < 0 ||
	    (r->env && wire_put_str(&ask, "env", r->env, e) < 0) ||
	    (r->pid && wire_put_u64(&ask, "pid", r->pid, e) < 0) ||
	    (r->signal && wire_put_u64(&ask, "signal", (uint64_t)r->signal, e) < 0))
		return -1;
	return wire_send(sock, &ask, e);
}

/* The answer comes when everything is gone; an application may take its time, or may not want to. */
static int wait_answer(int sock, struct wire_in *ret, struct err *e)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int n;

	if (poll(&p, 1, PATIENCE_MS) == 0)
		log_note("still waiting for it to end; --signal KILL does not ask");
	n = wire_recv(sock, ret, e);
	if (n == 0)
		return err_set(e, ERR_IO, "the holder went away");
	return n < 0 ? -1 : wire_error(ret, e);
}

static int stop(const struct request *r, struct err *e)
{
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int sock = -1;
	uint64_t count;

	if (launch_holder_connect(&sock, e) < 0) {
		if (e->code != ERR_NOTFOUND)
			return -1;
		log_note("nothing is running");
		return 0;
	}
	if (send_request(sock, r, e) < 0 || wait_answer(sock, &answer, e) < 0)
		return -1;
	count = wire_u64_or(&answer, "count", 0);
	if (count == 0)
		log_note("nothing is running%s%s", r->env ? " in " : "", r->env ? r->env : "");
	else
		log_detail("stopped %" PRIu64 " launches", count);
	return 0;
}

int cmd_stop(int argc, char **argv)
{
	struct request r = { 0 };
	int status = parse(argc, argv, &r);
	struct err e;

	if (status >= 0)
		return status;
	if (stop(&r, &e) < 0) {
		log_error("%s", e.msg);
		return err_exit_status(&e);
	}
	return 0;
}
