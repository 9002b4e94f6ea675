/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's packages: one server and one mount each; see holder.h and holder_mount.h. A mount is given up
 * also when the package cannot be opened again. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/holder.h"
#include "launcher/server_protocol.h"
#include "streaming/source.h"

enum {
	ASK_MS = 1000,
	FRESH_MS = 2000,  /* an answer of the source's counts for so long */
	ANSWER_MS = 1000, /* and is waited for so long */
};

static void package_free(struct holder_package *p)
{
	holder_mount_fini(&p->mount);
	free(p->source);
	free(p->shown);
	free(p->identity);
	free(p->wanted);
	free(p->root);
	free(p->stalled);
	for (size_t i = 0; p->variables[i]; i++)
		free(p->variables[i]);
	free(p->name);
	free(p->version);
	free(p->command);
	wire_in_fini(&p->opened);
	free(p);
}

void holder_package_drop(struct holder *h, struct holder_package *p)
{
	for (struct holder_package **at = &h->packages; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	package_free(p);
}

static void give_up(struct holder *h, struct holder_package *p, const struct err *why)
{
	p->state = HOLDER_FAILED;
	p->err = *why;
	holder_mount_give_up(&p->mount);
	holder_clients_advance(h);
}

size_t holder_package_args(const struct holder_package *p, const char *argv[HOLDER_PACKAGE_ARGS_MAX],
			   char seconds[HOLDER_SECONDS_MAX])
{
	size_t n = 0;

	argv[n++] = "--source";
	argv[n++] = p->shown;
	argv[n++] = "--addresses-in-environment";
	if (p->trust_once)
		argv[n++] = "--trust-once";
	if (p->offline)
		argv[n++] = "--offline";
	if (p->fail_after_s) {
		(void)snprintf(seconds, HOLDER_SECONDS_MAX, "%llu", (unsigned long long)p->fail_after_s);
		argv[n++] = "--fail-after";
		argv[n++] = seconds;
	}
	if (p->wanted) {
		argv[n++] = "--wanted-root";
		argv[n++] = p->wanted;
	}
	if (p->start_length[0]) {
		argv[n++] = "--start-length";
		argv[n++] = p->start_length;
	}
	return n;
}

/* `dialled`: -1 = none. */
static int start_server(struct holder_package *p, int dialled, struct err *e)
{
	const char *argv[1 + HOLDER_PACKAGE_ARGS_MAX + 2] = { "floe-package-server" };
	const struct launch_server_opt opt = { .variables = (const char *const *)p->variables,
					       .dialled = dialled >= 0 ? &dialled : NULL };
	char seconds[HOLDER_SECONDS_MAX];
	size_t n = 1 + holder_package_args(p, argv + 1, seconds);

	if (dialled >= 0)
		argv[n++] = "--dialled";
	argv[n] = NULL;
	if (launch_server_start(argv, &opt, &p->mount.server, e) < 0)
		return -1;
	holder_package_tell_launch(p->mount.server.sock, p->command);
	return 0;
}

void holder_package_tell_launch(int server_sock, const char *command)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	if (server_sock >= 0 && wire_put_str(&m, "type", "launch", &ignored) == 0 &&
	    (!command || wire_put_str(&m, "command", command, &ignored) == 0))
		(void)!wire_send(server_sock, &m, &ignored);
}

/* ---- wanting --------------------------------------------------------------------------------- */

/* When the user's keys were last changed: whoever is trusted or revoked now decides, not who was. */
static char *trust_stamp(struct err *e)
{
	static const char *const lists[] = { "keys/trusted", "keys/revoked" };
	auto_free char *config = path_config_dir(false, e);
	struct stat st[2] = { 0 };

	if (!config)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		auto_free char *path = path_join(config, lists[i], e);

		if (!path)
			return NULL;
		if (stat(path, &st[i]) < 0)
			st[i].st_mtim = (struct timespec){ 0 };
	}
	return mem_printf(e, "%lld.%09ld:%lld.%09ld", (long long)st[0].st_mtim.tv_sec, st[0].st_mtim.tv_nsec,
			  (long long)st[1].st_mtim.tv_sec, st[1].st_mtim.tv_nsec);
}

/* The caller's from now on; -1 = none. */
static int steal_dialled(struct wire_in *request)
{
	return wire_u64_or(request, "has-dialled", 0)
		       ? wire_steal_fd(request, wire_u64_or(request, "has-policy", 0) != 0)
		       : -1;
}

/* What makes the same source another package: a file that was replaced, keys that were changed. */
static char *identity_of(const char *source, struct err *e)
{
	auto_free char *trust = trust_stamp(e);
	struct stat st;

	if (!trust || *source != '/')
		return mem_steal(trust);
	if (stat(source, &st) < 0) {
		(void)err_sys(e, errno, "%s", source);
		return NULL;
	}
	return mem_printf(e, "%s:%llu:%llu:%lld:%lld.%09ld", trust, (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
			  st.st_mtim.tv_nsec);
}

/* Is it, or will it be, the package with that root? */
static bool has_root(const struct holder_package *p, const char *wanted)
{
	const char *root = p->root ? p->root : p->wanted;

	return !wanted || (root && !strcmp(root, wanted));
}

static struct holder_package *find(struct holder *h, const char *source, const char *identity,
				   const char *wanted)
{
	for (struct holder_package *p = h->packages; p; p = p->next)
		if (!strcmp(p->source, source) && !strcmp(p->identity, identity) && has_root(p, wanted) &&
		    p->state != HOLDER_FAILED && !p->is_outdated)
			return p;
	return NULL;
}

static bool is_wanted(const struct holder *h, const struct holder_package *p)
{
	for (const struct holder_client *c = h->clients; c; c = c->next)
		if (c->package == p)
			return true;
	return p->environments > 0;
}

void holder_packages_sweep(struct holder *h)
{
	struct holder_package *next;

	for (struct holder_package *p = h->packages; p; p = next) {
		next = p->next;
		if (p->state != HOLDER_STARTING && !is_wanted(h, p))
			holder_package_drop(h, p);
	}
}

static bool is_in_use(const struct holder *h, const struct holder_package *p)
{
	for (const struct holder_client *c = h->clients; c; c = c->next)
		if (c->package == p || (c->environment && c->environment->package == p))
			return true;
	return false;
}

/* Nothing runs of it, and a URL may have another package by now. What was opened a moment ago, or by its
 * digest, is what is wanted; what was opened without the network is not once that may be used. */
static void look_afresh(struct holder_package *p, const struct wire_in *request)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	bool offline = wire_u64_or(request, "offline", 0) != 0;
	uint64_t now = sync_now_ms();
	struct err ignored;

	p->is_outdated = !offline && (p->offline || p->is_replaced);
	if (p->is_outdated || p->state != HOLDER_READY || offline || p->wanted || *p->source == '/' ||
	    p->mount.server.sock < 0 || p->is_asking || (p->answered_ms && now - p->answered_ms < FRESH_MS))
		return;
	p->is_asking = wire_put_str(&m, "type", "ask", &ignored) == 0 &&
		       wire_send(p->mount.server.sock, &m, &ignored) == 0;
	p->asked_ms = now;
}

bool holder_package_is_awaited(const struct holder_package *p)
{
	return p->is_asking && !p->is_silent;
}

uint64_t holder_packages_overdue(struct holder *h)
{
	uint64_t now = sync_now_ms(), next_ms = UINT64_MAX;
	bool is_overdue = false;

	for (struct holder_package *p = h->packages; p; p = p->next) {
		if (!holder_package_is_awaited(p))
			continue;
		if (now - p->asked_ms >= ANSWER_MS)
			p->is_silent = p->is_unanswered = is_overdue = true;
		else if (ANSWER_MS - (now - p->asked_ms) < next_ms)
			next_ms = ANSWER_MS - (now - p->asked_ms);
	}
	if (is_overdue)
		holder_clients_advance(h);
	return next_ms;
}

static int take_variables(struct holder_package *p, const struct wire_in *request, struct err *e)
{
	auto_free char *mirrors = NULL;
	struct wire_field f;
	size_t pos = 0, n = 0;

	p->variables[n++] = mem_printf(e, "%s=%s", LAUNCH_SERVER_SOURCE_VARIABLE, p->source);
	if (!p->variables[0] || wire_str_or_none(request, "mirrors", &mirrors, e) < 0)
		return -1;
	p->variables[n] = mem_printf(e, "%s=%s", LAUNCH_SERVER_MIRRORS_VARIABLE, mirrors ? mirrors : "");
	if (!p->variables[n++])
		return -1;
	while (wire_next(request, &pos, &f)) {
		if (!wire_is_called(&f, "variable"))
			continue;
		if (n == HOLDER_VARIABLES_MAX)
			return err_set(e, ERR_LIMIT, "too many variables");
		p->variables[n] = mem_strndup((const char *)f.value, f.len, e);
		if (!p->variables[n++])
			return -1;
	}
	return 0;
}

int holder_package_want(struct holder *h, struct wire_in *request, struct holder_package **ret, struct err *e)
{
	static unsigned serial;
	/* Whoever does not need it must not keep it open. */
	auto_fd int dialled = steal_dialled(request);
	auto_free char *source = wire_str(request, "source", e);
	auto_free char *identity = source ? identity_of(source, e) : NULL;
	bool trust_once = wire_u64_or(request, "trust-once", 0) != 0;
	auto_free char *wanted = NULL, *shown = NULL, *command = NULL;
	struct holder_package *p;
	uint64_t start_len = wire_u64_or(request, "start", 0);

	if (!identity || wire_str_or_none(request, "root", &wanted, e) < 0 ||
	    wire_str_or_none(request, "command", &command, e) < 0)
		return -1;
	shown = stream_source_for_people(source, e);
	if (!shown)
		return -1;
	p = find(h, source, identity, wanted);
	if (p && !is_in_use(h, p))
		look_afresh(p, request);
	if (!p || p->is_outdated)
		holder_packages_sweep(h);
	if (p && !p->is_outdated) {
		if (p->trust_once && !trust_once)
			return err_set(e, ERR_TRUST,
				       "%s runs now because of --trust-once: say it again, or trust its key "
				       "(floe info shows it)",
				       shown);
		free(p->command);
		p->command = mem_steal(command);
		holder_package_tell_launch(p->mount.server.sock, p->command);
		*ret = p;
		return 0;
	}
	p = mem_alloc(1, sizeof(*p), e);
	if (!p)
		return -1;
	*p = (struct holder_package){ .mount = HOLDER_MOUNT_NONE, .trust_once = trust_once };
	p->offline = wire_u64_or(request, "offline", 0) != 0;
	p->fail_after_s = wire_u64_or(request, "fail-after", 0);
	p->source = mem_steal(source);
	p->shown = mem_steal(shown);
	p->identity = mem_steal(identity);
	p->wanted = mem_steal(wanted);
	p->command = mem_steal(command);
	if (start_len)
		(void)snprintf(p->start_length, sizeof(p->start_length), "%llu",
			       (unsigned long long)start_len);
	p->mount.point = mem_printf(e, "%s/package-%u", h->address.stage, ++serial);
	if (!p->mount.point || take_variables(p, request, e) < 0 || start_server(p, dialled, e) < 0) {
		package_free(p);
		return -1;
	}
	p->next = h->packages;
	h->packages = p;
	*ret = p;
	return 0;
}

/* ---- what the server says -------------------------------------------------------------------- */

/* The first "opened" is kept for the launches; later ones come from servers that took over. */
static int on_opened(struct holder_package *p, struct wire_in *m, struct err *e)
{
	auto_free char *root = wire_str(m, "root", e);

	if (!root)
		return -1;
	if (p->root) {
		if (strcmp(root, p->root) != 0)
			return err_set(e, ERR_CHANGED, "%s was replaced while in use", p->shown);
		return holder_mount_serve(&p->mount, -1, e);
	}
	p->name = wire_str(m, "name", e);
	p->version = p->name ? wire_str(m, "version", e) : NULL;
	if (!p->version)
		return -1;
	if (!path_is_plain_name(p->name))
		return err_set(e, ERR_FORMAT, "%s: the package's name is not one", p->shown);
	if (holder_mount_make(&p->mount, p->name, false, false, e) < 0)
		return -1;
	p->root = mem_steal(root);
	p->is_unanswered = !p->offline && wire_u64_or(m, "is-offline", 0) != 0;
	p->answered_ms = p->is_unanswered ? 0 : sync_now_ms();
	p->opened = *m;
	*m = (struct wire_in)WIRE_IN_INIT;
	return holder_mount_serve(&p->mount, -1, e);
}

static int on_serving(struct holder *h, struct holder_package *p, const struct wire_in *m, struct err *e)
{
	if (holder_mount_served(&p->mount, m, e) < 0)
		return -1;
	p->state = HOLDER_READY;
	holder_clients_advance(h);
	return 0;
}

void holder_package_news(struct holder *h, struct holder_package *p, const struct wire_in *m)
{
	auto_free char *text = NULL;
	bool is_stall = wire_is(m, "type", "stall");
	struct err ignored;

	if (!is_stall && !wire_is(m, "type", "progress"))
		return;
	text = wire_str(m, "text", &ignored);
	holder_clients_tell(h, p, text ? text : "");
	if (is_stall)
		holder_clients_stall(h, p, wire_u64_or(m, "is-stalled", 0) ? text ? text : "" : NULL);
}

/* Launches that have waited get the new one; where one no longer has, the next ones do. */
static void take_verdict(struct holder_package *p, const struct wire_in *m)
{
	bool is_replaced = wire_u64_or(m, "is-replaced", 0) != 0;

	p->is_asking = false;
	p->is_unanswered = wire_u64_or(m, "is-unknown", 0) != 0;
	if (p->is_unanswered)
		return;
	p->is_outdated = is_replaced && !p->is_silent;
	p->is_replaced = is_replaced;
	p->is_silent = false;
	p->answered_ms = sync_now_ms();
}

static void hear_aside(struct holder *h, struct holder_package *p, const struct wire_in *m)
{
	if (wire_is(m, "type", "verdict"))
		take_verdict(p, m);
	else
		holder_package_news(h, p, m);
}

void holder_package_message(struct holder *h, struct holder_package *p)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct err e = { 0 };
	int n = holder_mount_hear(&p->mount, &m, &e);

	if (n == 0)
		return;
	if (n > 0) {
		if (wire_is(&m, "type", "opened"))
			n = on_opened(p, &m, &e);
		else if (wire_is(&m, "type", "serving"))
			n = on_serving(h, p, &m, &e);
		else
			hear_aside(h, p, &m);
		if (wire_is(&m, "type", "verdict"))
			holder_clients_advance(h); /* the package may be gone afterwards */
		if (n >= 0)
			return;
	}
	give_up(h, p, &e);
}

void holder_package_server_died(struct holder *h, struct holder_package *p)
{
	struct err e;
	int rc;

	p->is_asking = false;
	if (p->state == HOLDER_FAILED) {
		launch_server_release(&p->mount.server);
		return;
	}
	if (p->state == HOLDER_STARTING)
		rc = holder_mount_remake(&p->mount, p->name ? p->name : p->shown, &e);
	else
		rc = holder_mount_outlives(&p->mount, p->shown, &e);
	if (rc < 0 || start_server(p, -1, &e) < 0)
		give_up(h, p, &e);
	else
		holder_clients_advance(h);
}

int holder_package_ask(struct holder *h, struct holder_package *p, const char *type, struct wire_in *ret,
		       struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct pollfd ready = { .fd = p->mount.server.sock, .events = POLLIN };
	int n;

	if (p->state != HOLDER_READY || p->mount.server.sock < 0)
		return err_set(e, ERR_BUSY, "the package server is starting");
	if (wire_put_str(&m, "type", type, e) < 0 || wire_send(p->mount.server.sock, &m, e) < 0)
		return -1;
	do {
		do
			n = poll(&ready, 1, ASK_MS);
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return err_set(e, ERR_BUSY, "the package server does not answer");
		n = wire_recv(p->mount.server.sock, ret, e);
		if (n <= 0)
			return n < 0 ? -1 : err_set(e, ERR_IO, "the package server has gone");
		if (wire_is(ret, "type", type))
			return 0;
		hear_aside(h, p, ret);
		wire_in_fini(ret);
	} while (true);
}
