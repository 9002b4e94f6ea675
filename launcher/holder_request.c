/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask of the holder; see holder_protocol.h and holder.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/holder.h"

static void answer_error(struct holder_client *c, const struct err *why)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	(void)(wire_put_err(&m, why, &e) == 0 && wire_send(c->sock, &m, &e) == 0);
	c->kind = CLIENT_DONE;
}

static void answer_simple(struct holder_client *c, const char *type, const char *field, uint64_t value)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	(void)(wire_put_str(&m, "type", type, &e) == 0 &&
	       (!field || wire_put_u64(&m, field, value, &e) == 0) && wire_send(c->sock, &m, &e) == 0);
	c->kind = CLIENT_DONE;
}

void holder_clients_tell(struct holder *h, const struct holder_package *p, const char *text)
{
	for (struct holder_client *c = h->clients; c; c = c->next) {
		auto_wire_out struct wire_out m = WIRE_OUT_INIT;
		struct err e;

		if (c->kind == CLIENT_WAITING && c->package == p &&
		    wire_put_str(&m, "type", "progress", &e) == 0 && wire_put_str(&m, "text", text, &e) == 0)
			(void)!wire_send(c->sock, &m, &e);
	}
}

/* Whoever does not read what he is sent has gone, but for processes that he left. */
static void send_stall(const struct holder_client *c, const char *why)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct pollfd room = { .fd = c->sock, .events = POLLOUT };
	struct err e;

	if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) &&
	    wire_put_str(&m, "type", "stall", &e) == 0 &&
	    wire_put_u64(&m, "is-stalled", why != NULL, &e) == 0 &&
	    wire_put_str(&m, "text", why ? why : "", &e) == 0)
		(void)!wire_send(c->sock, &m, &e);
}

void holder_clients_stall(struct holder *h, struct holder_package *p, const char *why)
{
	struct err ignored;

	free(p->stalled);
	p->stalled = why ? mem_strdup(why, &ignored) : NULL;
	for (struct holder_client *c = h->clients; c; c = c->next)
		if (c->kind == CLIENT_LAUNCH && c->environment && c->environment->package == p)
			send_stall(c, why);
}

/* ---- launch ---------------------------------------------------------------------------------- */

static int put_launched(const struct holder *h, const struct holder_environment *env, struct wire_out *m,
			struct err *e)
{
	char where[256];

	/* For the first launch it is being made, or has just been. */
	if (env->has_launched && holder_host_has_new(h, env, where) &&
	    wire_put_str(m, "unseen", where, e) < 0)
		return -1;
	if (env->package->is_unanswered && wire_put_str(m, "unanswered", env->package->shown, e) < 0)
		return -1;
	if (wire_put_str(m, "type", "launched", e) < 0 ||
	    wire_put_str(m, "root", env->package->root, e) < 0 || wire_put_str(m, "env", env->name, e) < 0 ||
	    wire_put_str(m, "tree", env->tree, e) < 0 ||
	    wire_put_str(m, "engine", launch_engine_name(env->engine.engine), e) < 0 ||
	    wire_put_str(m, "engine-why", env->engine.why, e) < 0 ||
	    wire_put_u64(m, "has-config", env->has_config, e) < 0 ||
	    wire_put(m, "filter", h->filter, h->filter_len, e) < 0 ||
	    wire_put(m, "package", env->package->opened.data, env->package->opened.len, e) < 0)
		return -1;
	if (wire_put_fd(m, env->union_lock, e) < 0 || wire_put_fd(m, h->mnt_ns, e) < 0)
		return -1;
	return h->user_ns < 0 ? 0 : wire_put_fd(m, h->user_ns, e);
}

static void launched(struct holder *h, struct holder_client *c)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;
	auto_free char *command = wire_str(&c->request, "command", &e);

	/* Its reads come through the union's server, when there is one. */
	holder_package_tell_launch(c->environment->served.server.sock, command);
	if (put_launched(h, c->environment, &m, &e) < 0 || wire_send(c->sock, &m, &e) < 0) {
		answer_error(c, &e);
		return;
	}
	c->kind = CLIENT_LAUNCH;
	c->package = NULL;
	c->started_s = (int64_t)time(NULL);
	c->environment->launches++;
	c->environment->has_launched = true;
	if (c->environment->package->stalled)
		send_stall(c, c->environment->package->stalled);
}

/* False: there is none, and the client knows. */
static bool want_package(struct holder *h, struct holder_client *c)
{
	struct err e;

	c->package = NULL;
	if (holder_package_want(h, &c->request, &c->package, &e) == 0)
		return true;
	c->package = NULL;
	answer_error(c, &e);
	return false;
}

/* What it waited for is not its any more. */
static void disappoint(struct holder *h, struct holder_client *c, const struct err *why)
{
	struct holder_environment *env = c->environment;

	answer_error(c, why);
	c->environment = NULL;
	c->package = NULL;
	if (env)
		holder_environment_release(h, env);
}

static void advance(struct holder *h, struct holder_client *c)
{
	struct err e;
	bool is_open;

	if (c->package->is_outdated && !want_package(h, c))
		return;
	is_open = c->package->state == HOLDER_READY;
	if (c->package->state == HOLDER_FAILED) {
		e = c->package->err;
		disappoint(h, c, &e);
		return;
	}
	if (holder_package_is_awaited(c->package))
		return;
	if (!c->environment && (is_open || holder_environment_is_named(&c->request)) &&
	    holder_environment_want(h, &c->request, c->package, &c->environment, &e) < 0) {
		c->environment = NULL;
		if (is_open)
			disappoint(h, c, &e);
	}
	/* What cannot be begun early, as in an environment that is just being left, may be possible later. */
	if (!c->environment)
		return;
	if (is_open && holder_environment_take_package(h, c->environment, &e) < 0) {
		disappoint(h, c, &e);
		return;
	}
	if (c->environment->state == HOLDER_READY) {
		launched(h, c);
	} else if (c->environment->state == HOLDER_FAILED) {
		e = c->environment->err;
		disappoint(h, c, &e);
	}
}

void holder_clients_advance(struct holder *h)
{
	for (struct holder_client *c = h->clients; c; c = c->next)
		if (c->kind == CLIENT_WAITING)
			advance(h, c);
}

static void on_launch(struct holder *h, struct holder_client *c)
{
	struct err e;

	if (h->leaving) {
		(void)err_set(&e, ERR_BUSY, "floe is just stopping: try again");
		answer_error(c, &e);
		return;
	}
	if (!want_package(h, c))
		return;
	c->kind = CLIENT_WAITING;
	advance(h, c);
}

/* ---- list ------------------------------------------------------------------------------------ */

static int row_of_launch(const struct holder_client *c, struct wire_out *m, struct err *e)
{
	const struct holder_environment *env = c->environment;

	if (wire_put_str(m, "type", "row", e) < 0 || wire_put_str(m, "kind", "launch", e) < 0 ||
	    wire_put_u64(m, "pid", (uint64_t)c->pid, e) < 0 || wire_put_str(m, "env", env->name, e) < 0 ||
	    wire_put_str(m, "name", env->package->name, e) < 0 ||
	    wire_put_str(m, "version", env->package->version, e) < 0 ||
	    wire_put_str(m, "source", env->package->shown, e) < 0 ||
	    wire_put_str(m, "command", c->command ? c->command : "", e) < 0)
		return -1;
	return wire_put_u64(m, "started-s", (uint64_t)c->started_s, e);
}

static int row_of_package(struct holder *h, struct holder_package *p, struct wire_out *m, struct err *e)
{
	auto_wire_in struct wire_in stats = WIRE_IN_INIT;
	struct wire_field f;
	struct err ignored;
	size_t pos = 0;

	if (wire_put_str(m, "type", "row", e) < 0 || wire_put_str(m, "kind", "package", e) < 0 ||
	    wire_put_u64(m, "pid", (uint64_t)p->mount.server.pid, e) < 0 ||
	    wire_put_str(m, "name", p->name ? p->name : "", e) < 0 ||
	    wire_put_str(m, "version", p->version ? p->version : "", e) < 0 ||
	    wire_put_str(m, "root", p->root ? p->root : "", e) < 0 ||
	    wire_put_str(m, "source", p->shown, e) < 0 ||
	    wire_put_u64(m, "restarts", p->mount.restarts, e) < 0)
		return -1;
	if (holder_package_ask(h, p, "stats", &stats, &ignored) < 0)
		return 0;
	while (wire_next(&stats, &pos, &f)) {
		char name[65];

		memcpy(name, f.name, f.name_len);
		name[f.name_len] = 0;
		if (strcmp(name, "type") != 0 && wire_put(m, name, f.value, f.len, e) < 0)
			return -1;
	}
	return 0;
}

static int row_of_environment(const struct holder_environment *env, struct wire_out *m, struct err *e)
{
	if (wire_put_str(m, "type", "row", e) < 0 || wire_put_str(m, "kind", "environment", e) < 0 ||
	    wire_put_str(m, "name", env->name, e) < 0 ||
	    wire_put_str(m, "engine", launch_engine_name(env->engine.engine), e) < 0 ||
	    wire_put_str(m, "engine-why", env->engine.why, e) < 0 ||
	    wire_put_u64(m, "pid", (uint64_t)env->server.pid, e) < 0 ||
	    wire_put_u64(m, "union-pid", (uint64_t)env->served.server.pid, e) < 0 ||
	    wire_put_u64(m, "union-restarts", env->served.restarts, e) < 0)
		return -1;
	return wire_put_u64(m, "launches", env->launches, e);
}

static int send_row(struct holder_client *c, struct wire_out *m, int rc, struct err *e)
{
	if (rc == 0)
		rc = wire_send(c->sock, m, e);
	wire_out_fini(m);
	*m = (struct wire_out)WIRE_OUT_INIT;
	return rc;
}

static int send_rows(struct holder *h, struct holder_client *to, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	for (struct holder_client *c = h->clients; c; c = c->next)
		if (c->kind == CLIENT_LAUNCH && send_row(to, &m, row_of_launch(c, &m, e), e) < 0)
			return -1;
	for (struct holder_package *p = h->packages; p; p = p->next)
		if (p->state != HOLDER_FAILED && send_row(to, &m, row_of_package(h, p, &m, e), e) < 0)
			return -1;
	for (struct holder_environment *env = h->environments; env; env = env->next)
		if (send_row(to, &m, row_of_environment(env, &m, e), e) < 0)
			return -1;
	return 0;
}

static void on_list(struct holder *h, struct holder_client *c)
{
	struct err e;

	if (send_rows(h, c, &e) < 0) {
		answer_error(c, &e);
		return;
	}
	answer_simple(c, "end", "holder", (uint64_t)getpid());
	holder_clients_advance(h); /* a server may have said what they wait for */
}

/* ---- stop, drop, leave ----------------------------------------------------------------------- */

static bool is_meant(const struct holder_client *launch, const struct holder_client *stop)
{
	if (launch->kind != CLIENT_LAUNCH || launch->pid <= 0)
		return false;
	if (stop->stop_pid && launch->pid != stop->stop_pid)
		return false;
	return !stop->stop_environment || !strcmp(launch->environment->name, stop->stop_environment);
}

static void on_stop(struct holder *h, struct holder_client *c)
{
	int signal_no = (int)wire_u64_or(&c->request, "signal", SIGTERM);
	struct wire_field f;
	struct err e;

	if (signal_no != SIGKILL)
		signal_no = SIGTERM; /* the init passes it on, and insists after a while */
	c->stop_pid = (pid_t)wire_u64_or(&c->request, "pid", 0);
	if (wire_find(&c->request, "env", &f))
		c->stop_environment = wire_str(&c->request, "env", &e);
	for (struct holder_client *l = h->clients; l; l = l->next)
		if (is_meant(l, c) && kill(l->pid, signal_no) == 0)
			c->stop_count++;
	if (!c->stop_count)
		answer_simple(c, "stopped", "count", 0);
	else
		c->kind = CLIENT_STOPPING;
}

/* A launch has ended: whoever waits for the last of those he stopped gets his answer. */
static void stopped(struct holder *h)
{
	for (struct holder_client *c = h->clients; c; c = c->next) {
		bool is_left = false;

		if (c->kind != CLIENT_STOPPING)
			continue;
		for (struct holder_client *l = h->clients; l; l = l->next)
			is_left |= is_meant(l, c);
		if (!is_left)
			answer_simple(c, "stopped", "count", c->stop_count);
	}
}

static void on_drop(struct holder *h, struct holder_client *c)
{
	struct err e;
	auto_free char *name = wire_str(&c->request, "env", &e);

	if (!name) {
		answer_error(c, &e);
		return;
	}
	for (struct holder_environment *env = h->environments; env; env = env->next) {
		bool is_wanted = env->launches > 0;

		if (strcmp(env->name, name) != 0)
			continue;
		for (struct holder_client *w = h->clients; w; w = w->next)
			is_wanted |= w->environment == env;
		if (is_wanted) {
			(void)err_set(&e, ERR_BUSY, "environment %s is in use: floe stop %s", name, name);
			answer_error(c, &e);
			return;
		}
		holder_environment_drop(h, env);
		break;
	}
	answer_simple(c, "dropped", NULL, 0);
}

static void on_leave(struct holder *h, struct holder_client *c)
{
	struct err e;

	for (struct holder_environment *env = h->environments; env; env = env->next)
		if (env->launches && !wire_u64_or(&c->request, "force", 0)) {
			(void)err_set(&e, ERR_BUSY, "environment %s is in use: floe stop %s", env->name,
				      env->name);
			answer_error(c, &e);
			return;
		}
	h->leaving = true;
	answer_simple(c, "leaving", NULL, 0);
}

/* ---- one message ----------------------------------------------------------------------------- */

static void first_request(struct holder *h, struct holder_client *c)
{
	static const struct {
		const char *type;
		void (*run)(struct holder *, struct holder_client *);
	} verbs[] = {
		{ "launch", on_launch }, { "list", on_list },   { "stop", on_stop },
		{ "drop", on_drop },     { "leave", on_leave },
	};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (wire_is(&c->request, "type", verbs[i].type)) {
			verbs[i].run(h, c);
			return;
		}
	(void)err_set(&e, ERR_UNSUPPORTED,
		      "the running holder does not know this request (another version of floe?)");
	answer_error(c, &e);
}

static void on_started(struct holder_client *c, const struct wire_in *m)
{
	struct err e;

	if (c->pid || !wire_is(m, "type", "started"))
		return;
	c->pid = (pid_t)wire_u64_or(m, "pid", 0);
	c->command = wire_str(m, "command", &e);
}

void holder_client_message(struct holder *h, struct holder_client *c)
{
	struct wire_in m = WIRE_IN_INIT;
	struct err e;
	int n = wire_recv(c->sock, &m, &e);

	if (n > 0 && c->kind == CLIENT_NEW) {
		c->request = m;
		first_request(h, c);
		return;
	}
	if (n > 0) {
		if (c->kind == CLIENT_LAUNCH)
			on_started(c, &m);
		wire_in_fini(&m);
		return;
	}
	/* Closed: the last process of a launch has gone, or somebody lost patience. */
	if (c->kind == CLIENT_LAUNCH) {
		struct holder_environment *env = c->environment;

		c->kind = CLIENT_DONE;
		c->environment = NULL;
		holder_environment_launch_ended(h, env);
		stopped(h);
	} else if (c->environment) {
		struct holder_environment *env = c->environment;

		c->environment = NULL;
		holder_environment_release(h, env);
	}
	c->kind = CLIENT_DONE;
}
