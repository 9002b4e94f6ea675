/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's environments: one union and one settings server each; see holder.h.
 *
 * The union is assembled by a child that shares our mount namespace: it touches FUSE mounts, so it
 * may have to wait for a server, and we must not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/holder.h"
#include "launcher/holder_client.h"
#include "registry-shim/shim_paths.h"
#include "vfs/union.h"

enum { UNION_LOCK_S = 10, LOCK_TEXT_MAX = 4096 };

static void environment_free(struct holder_environment *env)
{
	free(env->name);
	free(env->tree);
	free(env->run);
	free(env->home);
	fd_close(env->union_lock);
	fd_close(env->assembler_report);
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
	if (env->assembler > 0)
		(void)kill(env->assembler, SIGKILL);
	launch_server_release(&env->server);
	if (env->tree) {
		if (vfs_union_unmount(env->tree, &e) < 0)
			log_detail("%s", e.msg);
		(void)rmdir(env->tree);
	}
	if (env->run && path_remove_tree(AT_FDCWD, env->run, &e) < 0)
		log_detail("%s", e.msg);
	if (env->package)
		env->package->environments--;
	fd_close(env->union_lock);
	env->union_lock = -1;
	if (env->ephemeral && env->disk) {
		remove_ephemeral(env->disk);
		env->disk = NULL;
	}
	environment_free(env);
}

static void give_up(struct holder *h, struct holder_environment *env, const struct err *why)
{
	env->state = HOLDER_FAILED;
	env->err = *why;
	holder_clients_advance(h);
}

/* ---- the union ------------------------------------------------------------------------------- */

static int bind_own(const struct holder_environment *env, struct err *e)
{
	auto_free char *library = path_of_install("lib/floe/libfloe-shim.so", e);
	auto_free char *run = path_join(env->tree, REG_SHIM_RUN, e);
	auto_free char *target = path_join(env->tree, REG_SHIM_LIBRARY, e);
	auto_fd int made = -1;

	if (!library || !run || !target)
		return -1;
	if (!env->has_config)
		return 0;
	made = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (made < 0)
		return err_sys(e, errno, "%s", target);
	if (mount(library, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, errno, "cannot show %s", library);
	if (mount(env->run, run, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, errno, "cannot show %s", env->run);
	return 0;
}

/* Asks the holder that has this environment's union (another runtime directory, the same data directory) to
 * let go of it. Its socket's path is in the lock. Whatever comes of it shows in the lock itself. */
static int ask_owner(const struct holder_environment *env, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int sock = -1;
	char path[LOCK_TEXT_MAX];
	ssize_t n = pread(env->union_lock, path, sizeof(path) - 1, 0);

	if (n <= 0)
		return 0;
	path[n] = 0;
	if (launch_holder_connect_at(path, &sock, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	if (wire_put_str(&m, "type", "drop", e) < 0 || wire_put_str(&m, "env", env->name, e) < 0)
		return -1;
	return launch_holder_ask(sock, &m, &answer, e);
}

static void on_alarm(int signal_no)
{
	(void)signal_no; /* flock ends with EINTR */
}

/* Launches of a holder that was killed are being ended by their inits right now: worth a moment's wait. */
static int lock_union(const struct holder *h, const struct holder_environment *env, struct err *e)
{
	const char *socket_path = h->address.socket;
	const struct sigaction interrupt = { .sa_handler = on_alarm }; /* no SA_RESTART */

	if (flock(env->union_lock, LOCK_EX | LOCK_NB) < 0) {
		if (ask_owner(env, e) < 0)
			return err_wrap(e, "environment %s is held by another session", env->name);
		(void)sigaction(SIGALRM, &interrupt, NULL);
		(void)alarm(UNION_LOCK_S);
		if (flock(env->union_lock, LOCK_EX) < 0)
			return err_set(
				e, ERR_BUSY,
				"environment %s is still being used by programs of an earlier floe: try "
				"again in a moment",
				env->name);
		(void)alarm(0);
	}
	if (ftruncate(env->union_lock, 0) < 0 ||
	    pwrite(env->union_lock, socket_path, strlen(socket_path), 0) < 0)
		return err_sys(e, errno, "cannot note who holds environment %s", env->name);
	return 0;
}

static int assemble(const struct holder *h, const struct holder_environment *env, struct err *e)
{
	const char *packages[1] = { env->package->mount };
	struct vfs_union_spec spec = {
		.packages = packages,
		.package_count = 1,
		.upper = env->disk->upper,
		.work = env->disk->work,
		.target = env->tree,
		.home = env->home,
		.host_view = h->host_view_mount,
		.own_mounts = h->address.stage,
	};

	if (lock_union(h, env, e) < 0)
		return -1;
	if (vfs_union_mount(&spec, e) < 0)
		return err_wrap(e, "environment %s", env->name);
	return bind_own(env, e);
}

static int start_assembler(struct holder *h, struct holder_environment *env, struct err *e)
{
	int pipe_fds[2];
	struct err said = { 0 };
	sigset_t none;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	env->assembler = fork();
	if (env->assembler == 0) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)!assemble(h, env, &said);
		(void)!write(pipe_fds[1], &said, sizeof(said));
		_exit(0);
	}
	fd_close(pipe_fds[1]);
	env->assembler_report = pipe_fds[0];
	if (env->assembler < 0)
		return err_sys(e, errno, "fork");
	return 0;
}

static void check_ready(struct holder *h, struct holder_environment *env)
{
	if (env->state == HOLDER_STARTING && env->is_assembled && (!env->has_config || env->server_ready)) {
		env->state = HOLDER_READY;
		holder_clients_advance(h);
	}
}

void holder_environment_report(struct holder *h, struct holder_environment *env)
{
	struct err said = { 0 };
	ssize_t n = read(env->assembler_report, &said, sizeof(said));

	fd_close(env->assembler_report);
	env->assembler_report = -1;
	env->assembler = 0;
	if (n != (ssize_t)sizeof(said))
		(void)err_set(&said, ERR_IO, "the process that assembles environment %s died", env->name);
	if (said.code != ERR_NONE) {
		give_up(h, env, &said);
		return;
	}
	env->is_assembled = true;
	check_ready(h, env);
}

/* ---- settings -------------------------------------------------------------------------------- */

static int send_configure(struct holder_environment *env, struct err *e)
{
	const struct wire_in *opened = &env->package->opened;
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct wire_field f;
	size_t pos = 0;

	if (wire_put_str(&m, "type", "configure", e) < 0)
		return -1;
	while (wire_next(opened, &pos, &f)) {
		if (f.name_len == 6 && !memcmp(f.name, "config", 6)) {
			if (wire_put(&m, "config", f.value, f.len, e) < 0)
				return -1;
		} else if (f.name_len == 3 && !memcmp(f.name, "key", 3)) {
			if (wire_put(&m, "key", f.value, f.len, e) < 0)
				return -1;
		}
	}
	if (wire_put_str(&m, "package-root", env->package->mount, e) < 0)
		return -1;
	if (opened->nfds && wire_put_fd(&m, opened->fds[0], e) < 0)
		return -1;
	return wire_send(env->server.sock, &m, e);
}

static int start_registry(struct holder_environment *env, struct err *e)
{
	const char *argv[] = {
		"floe-environment-server", "--registry", env->disk->registry, "--run", env->run, NULL
	};

	if (launch_server_start(argv, NULL, &env->server, e) < 0)
		return -1;
	return send_configure(env, e);
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
	if (n < 0 || wire_error(&m, &e) < 0) {
		give_up(h, env, &e);
		return;
	}
	if (wire_is(&m, "type", "ready")) {
		env->server_ready = true;
		check_ready(h, env);
	}
}

void holder_environment_server_died(struct holder *h, struct holder_environment *env)
{
	struct err e;

	launch_server_release(&env->server);
	if (env->state == HOLDER_FAILED)
		return;
	if (!env->server_ready) {
		(void)err_set(&e, ERR_IO, "the settings server of environment %s died while starting",
			      env->name);
		give_up(h, env, &e);
	} else if (start_registry(env, &e) < 0) {
		log_detail("%s", e.msg);
	}
}

void holder_environment_launch_ended(struct holder *h, struct holder_environment *env)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	env->launches--;
	env->idle_since_ms = sync_now_ms();
	if (env->server.sock >= 0 &&
	    (wire_put_str(&m, "type", "harvest", &e) < 0 || wire_send(env->server.sock, &m, &e) < 0))
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

static int prepare(struct holder *h, struct holder_environment *env, struct err *e)
{
	struct wire_field f;
	auto_free char *lock = NULL;

	if (launch_environment_make(env->name, &env->disk, e) < 0 ||
	    launch_environment_note(env->disk, env->package->name, env->package->version, env->package->root,
				    env->package->source, e) < 0)
		return -1;
	env->tree = mem_printf(e, "%s/tree-%s", h->address.stage, env->name);
	env->run = path_join(h->address.envs, env->name, e);
	lock = path_join(env->disk->dir, "union.lock", e);
	if (!env->tree || !env->run || !lock || path_make_dirs(env->tree, 0700, e) < 0 ||
	    path_make_dirs(env->run, 0700, e) < 0)
		return -1;
	env->union_lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (env->union_lock < 0)
		return err_sys(e, errno, "%s", lock);
	env->has_config = wire_find(&env->package->opened, "config", &f);
	if (env->has_config && start_registry(env, e) < 0)
		return -1;
	return start_assembler(h, env, e);
}

/* An environment that exists but cannot serve this request as it is: out of the way, or an error. */
static int clear_way(struct holder *h, struct holder_environment *env, const struct holder_package *p,
		     struct err *e)
{
	if (env->state != HOLDER_FAILED && env->package == p)
		return 1;
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
		name = mem_printf(e, "%.40s.tmp-%ld-%u", p->name, (long)getpid(), ++serial);
	else
		name = mem_strdup(p->name, e);
	if (!name)
		return -1;
	env = find(h, name);
	rc = env ? clear_way(h, env, p, e) : 0;
	if (rc < 0)
		return -1;
	if (rc > 0) {
		*ret = env;
		return 0;
	}
	env = mem_alloc(1, sizeof(*env), e);
	if (!env)
		return -1;
	*env = (struct holder_environment){ .server = { .sock = -1 },
					    .union_lock = -1,
					    .assembler_report = -1 };
	env->ephemeral = ephemeral;
	env->name = mem_steal(name);
	env->home = mem_steal(home);
	env->package = p;
	env->idle_since_ms = sync_now_ms();
	p->environments++;
	env->next = h->environments;
	h->environments = env;
	if (prepare(h, env, e) < 0) {
		holder_environment_drop(h, env);
		return -1;
	}
	*ret = env;
	return 0;
}
