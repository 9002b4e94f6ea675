/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's environments: one union (holder_union.c) and one settings server each; see holder.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/holder.h"

/* Of one that keeps dying before it is ready. */
enum { SERVER_DEATHS_MAX = 3 };

static void environment_free(struct holder_environment *env)
{
	free(env->name);
	free(env->tree);
	free(env->run);
	free(env->home);
	free(env->mounted);
	fd_close(env->union_lock);
	fd_close(env->policy);
	launch_environment_close(env->disk);
	free(env);
}

static void remove_ephemeral(struct launch_environment *disk)
{
	struct launch_environment *whole = NULL;
	auto_free char *name = NULL;
	struct err e;

	name = mem_strdup(disk->name, &e);
	launch_environment_close(disk);
	if (name && launch_environment_open(name, LAUNCH_ENV_EXCLUSIVE, &whole, &e) == 0 &&
	    launch_environment_remove(whole, &e) < 0)
		log_detail("%s", e.msg);
}

void holder_environment_drop(struct holder *h, struct holder_environment *env)
{
	struct err e;

	for (struct holder_environment **at = &h->environments; *at; at = &(*at)->next)
		if (*at == env) {
			*at = env->next;
			break;
		}
	holder_union_end(env);
	launch_server_release(&env->server);
	if (env->run && path_remove_tree(AT_FDCWD, env->run, &e) < 0)
		log_detail("%s", e.msg);
	if (env->package)
		env->package->environments--;
	fd_close(env->union_lock);
	env->union_lock = -1;
	if (env->disk && (env->ephemeral || (!env->has_package && env->disk->is_new))) {
		remove_ephemeral(env->disk);
		env->disk = NULL;
	}
	environment_free(env);
}

void holder_environment_give_up(struct holder *h, struct holder_environment *env, const struct err *why)
{
	env->state = HOLDER_FAILED;
	env->err = *why;
	holder_clients_advance(h);
}

static int ask_render(struct holder_environment *env, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "type", "render", e) < 0 || wire_put_str(&m, "tree", env->tree, e) < 0 ||
	    wire_put_u64(&m, "is-idle", !env->launches, e) < 0 || wire_send(env->server.sock, &m, e) < 0)
		return -1;
	env->is_render_asked = true;
	return 0;
}

void holder_environment_check_ready(struct holder *h, struct holder_environment *env)
{
	struct err e;

	if (env->step != UNION_THERE)
		return;
	if (env->has_config && env->server_ready && !env->is_render_asked && ask_render(env, &e) < 0) {
		holder_environment_give_up(h, env, &e);
		return;
	}
	if (env->state == HOLDER_STARTING && (!env->has_config || (env->is_rendered && !env->configures))) {
		env->state = HOLDER_READY;
		holder_clients_advance(h);
	}
}

/* ---- settings -------------------------------------------------------------------------------- */

static int send_configure(struct holder_environment *env, struct err *e)
{
	static const char *const fields[] = { "config", "key", "local" };
	const struct holder_package *p = env->package;
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct wire_field f;

	if (wire_put_str(&m, "type", "configure", e) < 0)
		return -1;
	for (size_t pos = 0; wire_next(&p->opened, &pos, &f);)
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			if (wire_is_called(&f, fields[i]) && wire_put(&m, fields[i], f.value, f.len, e) < 0)
				return -1;
	if (wire_put_str(&m, "package-root", p->mount.point, e) < 0 ||
	    wire_put_str(&m, "upper", env->disk->upper, e) < 0 || wire_put_str(&m, "name", p->name, e) < 0 ||
	    wire_put_str(&m, "version", p->version, e) < 0 ||
	    wire_put_u64(&m, "has-defaults", p->opened.nfds > 0, e) < 0 ||
	    wire_put_u64(&m, "has-policy", env->policy >= 0, e) < 0)
		return -1;
	if ((p->opened.nfds && wire_put_fd(&m, p->opened.fds[0], e) < 0) ||
	    (env->policy >= 0 && wire_put_fd(&m, env->policy, e) < 0) ||
	    wire_send(env->server.sock, &m, e) < 0)
		return -1;
	env->configures++;
	return 0;
}

/* The policy that came with a launch is the environment's from here on. */
static int take_policy(struct holder_environment *env, const struct wire_in *request, struct err *e)
{
	int fd = -1;

	if (wire_u64_or(request, "has-policy", 0) && request->nfds) {
		fd = fcntl(request->fds[0], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_sys(e, errno, "policy");
	}
	fd_close(env->policy);
	env->policy = fd;
	return 0;
}

/* Another launch in an environment that is there: policy, and what the host's own files say, may have
 * changed. It goes on when the settings server has looked. */
static int look_again(struct holder_environment *env, const struct wire_in *request, struct err *e)
{
	if (take_policy(env, request, e) < 0)
		return -1;
	if (!env->has_package || env->server.sock < 0)
		return 0; /* none, or one that is about to be replaced and configured */
	if (send_configure(env, e) < 0)
		return -1;
	env->state = HOLDER_STARTING;
	return 0;
}

/* What to show follows when the package has told. */
static int start_registry(struct holder_environment *env, struct err *e)
{
	const char *argv[] = {
		"floe-environment-server", "--registry", env->disk->registry, "--run", env->run, NULL
	};

	return launch_server_start(argv, NULL, &env->server, e);
}

/* One that has just died gets a successor, which is told then. */
static int configure_registry(struct holder_environment *env, struct err *e)
{
	if (env->server.pid <= 0 && start_registry(env, e) < 0)
		return -1;
	if (env->server.sock < 0)
		return 0;
	env->configures = 0;
	return send_configure(env, e) < 0 && e->sys != EPIPE && e->sys != ECONNRESET ? -1 : 0;
}

void holder_environment_message(struct holder *h, struct holder_environment *env)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct err e = { 0 };
	int n = wire_recv(env->server.sock, &m, &e);

	if (n == 0) {
		fd_close(env->server.sock);
		env->server.sock = -1;
		return;
	}
	if (!env->has_package) {
		launch_server_stop(&env->server);
		return;
	}
	if (n > 0 && (wire_is(&m, "type", "rendered") || wire_is(&m, "type", "harvested"))) {
		/* One file that cannot be saved or shown is no reason to keep the application from running.
		 */
		if (wire_error(&m, &e) < 0)
			log_note("settings of environment %s: %s", env->name, e.msg);
		env->is_rendered |= wire_is(&m, "type", "rendered");
	} else if (n < 0 || wire_error(&m, &e) < 0) {
		holder_environment_give_up(h, env, &e);
		return;
	} else if (wire_is(&m, "type", "ready") && --env->configures == 0) {
		env->server_ready = true;
	}
	holder_environment_check_ready(h, env);
}

void holder_environment_server_died(struct holder *h, struct holder_environment *env)
{
	struct err e;

	launch_server_release(&env->server);
	env->server_ready = env->is_render_asked = false;
	/* Begun early, it may not be needed at all. */
	if (env->state == HOLDER_FAILED || !env->has_package)
		return;
	if (env->state == HOLDER_STARTING && ++env->server_deaths > SERVER_DEATHS_MAX) {
		(void)err_set(&e, ERR_IO, "the settings server of environment %s died while starting",
			      env->name);
		holder_environment_give_up(h, env, &e);
	} else if (configure_registry(env, &e) < 0) {
		if (env->state == HOLDER_READY)
			log_detail("%s", e.msg);
		else
			holder_environment_give_up(h, env, &e);
	}
}

void holder_environment_launch_ended(struct holder *h, struct holder_environment *env)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	env->launches--;
	env->idle_since_ms = sync_now_ms();
	if (env->server.sock >= 0 &&
	    (wire_put_str(&m, "type", "harvest", &e) < 0 ||
	     wire_put_u64(&m, "is-idle", !env->launches, &e) < 0 || wire_send(env->server.sock, &m, &e) < 0))
		log_detail("%s", e.msg);
	if (!env->launches && (env->ephemeral || env->state == HOLDER_FAILED))
		holder_environment_drop(h, env);
}

uint64_t holder_environments_expire(struct holder *h)
{
	uint64_t now = sync_now_ms(), next_ms = UINT64_MAX;
	struct holder_environment *next;

	for (struct holder_environment *env = h->environments; env; env = next) {
		uint64_t idle = now - env->idle_since_ms;
		bool is_wanted = env->launches > 0 || env->state == HOLDER_STARTING;

		next = env->next;
		for (struct holder_client *c = h->clients; c; c = c->next)
			is_wanted |= c->environment == env;
		if (is_wanted)
			continue;
		if (idle >= h->idle_ms) {
			holder_environment_drop(h, env);
			holder_packages_sweep(h);
		} else if (h->idle_ms - idle < next_ms) {
			next_ms = h->idle_ms - idle;
		}
	}
	return next_ms;
}

/* ---- wanting --------------------------------------------------------------------------------- */

static struct holder_environment *find(struct holder *h, const char *name)
{
	for (struct holder_environment *env = h->environments; env; env = env->next)
		if (!strcmp(env->name, name))
			return env;
	return NULL;
}

/* The request's word, or what was asked for earlier. */
static int want_engine(struct holder_environment *env, const struct wire_in *request, struct err *e)
{
	auto_free char *text = NULL;
	struct wire_field f;

	env->is_engine_asked = wire_find(request, "engine", &f);
	text = env->is_engine_asked ? wire_str(request, "engine", e) : mem_strdup(env->disk->engine, e);
	if (!text)
		return -1;
	if (launch_engine_parse(text, &env->wanted, e) < 0)
		return err_wrap(e, "environment %s", env->name);
	return 0;
}

static int take_package(struct holder_environment *env, struct err *e)
{
	const struct holder_package *p = env->package;
	struct wire_field f;

	env->has_package = true;
	/* Nobody reads it of one that goes with its launch. */
	if (!env->ephemeral &&
	    launch_environment_note(env->disk, p->name, p->version, p->root, p->source, e) < 0)
		return -1;
	env->has_config = wire_find(&p->opened, "config", &f);
	if (env->has_config)
		return configure_registry(env, e);
	if (env->server.pid > 0)
		launch_server_stop(&env->server);
	return 0;
}

/* Is a settings server likely to be wanted, of a package that has not told yet? */
static bool may_have_config(const struct holder_environment *env)
{
	return env->ephemeral || access(env->disk->registry, F_OK) == 0;
}

static int prepare(struct holder *h, struct holder_environment *env, const struct wire_in *request,
		   struct err *e)
{
	static unsigned serial;

	if (launch_environment_make(env->name, &env->disk, e) < 0 || want_engine(env, request, e) < 0)
		return -1;
	/* Another name each time: what is being unmounted may still be there. */
	env->tree = mem_printf(e, "%s/tree-%s-%u", h->address.stage, env->name, ++serial);
	env->run = path_join(h->address.envs, env->name, e);
	if (!env->tree || !env->run || path_make_dirs(env->tree, 0700, e) < 0 ||
	    path_make_dirs(env->run, 0700, e) < 0 || holder_host_prepare(h, env, e) < 0)
		return -1;
	if (take_policy(env, request, e) < 0)
		return -1;
	if (env->package->state == HOLDER_READY ? take_package(env, e) < 0
						: may_have_config(env) && start_registry(env, e) < 0)
		return -1;
	return holder_union_start(h, env, e);
}

int holder_environment_take_package(struct holder *h, struct holder_environment *env, struct err *e)
{
	if (env->has_package || env->state == HOLDER_FAILED)
		return 0;
	if (take_package(env, e) == 0 && holder_union_take_package(h, env, e) == 0)
		return 0;
	env->state = HOLDER_FAILED;
	env->err = *e;
	return -1;
}

void holder_environment_release(struct holder *h, struct holder_environment *env)
{
	for (const struct holder_client *c = h->clients; c; c = c->next)
		if (c->environment == env)
			return;
	if (!env->has_package && !env->launches)
		holder_environment_drop(h, env);
}

/* 1 when the union that is there (or being made) is what the request wants, 0 when not. */
static int has_engine(struct holder_environment *env, const struct wire_in *request, struct err *e)
{
	auto_free char *text = NULL;
	struct launch_engine_choice choice;
	enum launch_engine wanted;
	struct wire_field f;

	if (!wire_find(request, "engine", &f))
		return 1;
	text = wire_str(request, "engine", e);
	if (!text || launch_engine_parse(text, &wanted, e) < 0)
		return -1;
	if (env->step == UNION_LOCKING)
		return wanted == env->wanted;
	if (launch_engine_choose(env->disk, wanted, &choice, e) < 0)
		return -1;
	if (choice.engine != env->engine.engine)
		return 0;
	return launch_environment_set_engine(env->disk, text, e) < 0 ? -1 : 1;
}

/* A union that nobody uses is made anew when the host has mounted something that it would not show. */
static bool is_outdated(const struct holder *h, const struct holder_environment *env)
{
	char where[256];

	if (env->launches || env->state != HOLDER_READY)
		return false;
	for (const struct holder_client *c = h->clients; c; c = c->next)
		if (c->environment == env)
			return false;
	return holder_host_has_new(h, env, where);
}

/* 1 = it can serve this request as it is. 0 = it could not and is out of the way. */
static int clear_way(struct holder *h, struct holder_environment *env, const struct wire_in *request,
		     const struct holder_package *p, struct err *e)
{
	int same = has_engine(env, request, e);

	if (same < 0)
		return -1;
	if (env->state != HOLDER_FAILED && env->package == p && same && !is_outdated(h, env))
		return 1;
	if (env->launches && env->state == HOLDER_FAILED) {
		*e = env->err;
		return -1;
	}
	if (env->launches && env->package == p && !same)
		return err_set(e, ERR_BUSY, "environment %s is in use with the engine %s: floe stop %s",
			       env->name, launch_engine_name(env->engine.engine), env->name);
	if (env->launches)
		return err_set(e, ERR_BUSY,
			       "environment %s is in use by another package or version: floe stop %s",
			       env->name, env->name);
	for (struct holder_client *c = h->clients; c; c = c->next)
		if (c->environment == env)
			return err_set(e, ERR_BUSY,
				       "environment %s is just being prepared for another launch", env->name);
	holder_environment_drop(h, env);
	return 0;
}

bool holder_environment_is_named(const struct wire_in *request)
{
	struct wire_field f;

	return wire_find(request, "env", &f) || wire_u64_or(request, "ephemeral", 0) != 0;
}

int holder_environment_want(struct holder *h, const struct wire_in *request, struct holder_package *p,
			    struct holder_environment **ret, struct err *e)
{
	static unsigned serial;
	bool ephemeral = wire_u64_or(request, "ephemeral", 0) != 0;
	auto_free char *home = wire_str(request, "home", e);
	auto_free char *name = NULL;
	struct holder_environment *env;
	struct wire_field f;
	int rc;

	if (!home)
		return -1;
	if (wire_find(request, "env", &f))
		name = wire_str(request, "env", e);
	else if (ephemeral)
		name = mem_printf(e, "tmp-%ld-%u", (long)getpid(), ++serial);
	else
		name = mem_strdup(p->name, e);
	if (!name)
		return -1;
	env = find(h, name);
	rc = env ? clear_way(h, env, request, p, e) : 0;
	if (rc < 0)
		return -1;
	if (rc > 0) {
		if (look_again(env, request, e) < 0)
			return -1;
		*ret = env;
		return 0;
	}
	env = mem_alloc(1, sizeof(*env), e);
	if (!env)
		return -1;
	*env = (struct holder_environment){ .server = LAUNCH_SERVER_NONE,
					    .served = HOLDER_MOUNT_NONE,
					    .union_lock = -1,
					    .policy = -1,
					    .worker_sock = -1 };
	env->ephemeral = ephemeral;
	env->name = mem_steal(name);
	env->home = mem_steal(home);
	env->package = p;
	env->idle_since_ms = sync_now_ms();
	p->environments++;
	env->next = h->environments;
	h->environments = env;
	if (prepare(h, env, request, e) < 0) {
		holder_environment_drop(h, env);
		return -1;
	}
	*ret = env;
	return 0;
}
