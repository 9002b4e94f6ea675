/* SPDX-License-Identifier: Apache-2.0 */
/* From an environment on disk to its mounted union, step by step; see holder.h.
 *
 *   LOCKING     nobody else may have this upper mounted: two unions on one are undefined
 *   (choice)    of the engine, which looks into the upper
 *   PREPARING   overlay engine, while the package is being opened: all that is not the package's
 *   WAITING     until it is; who has prepared waits, too, and then assembles the rest
 *   SERVING     fuse engine only: a server opens layers and upper and answers for the mount
 *   ASSEMBLING  what lies above and around is mounted (vfs/union.h)
 *
 * Locking and assembling may have to wait, for another holder or for a server of a FUSE mount, and we must
 * not: a child does it that shares our mount namespace. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/engine_probe.h"
#include "launcher/holder.h"
#include "launcher/holder_client.h"
#include "registry-shim/shim_paths.h"
#include "vfs/mount_point.h"
#include "vfs/union.h"

enum { UNION_LOCK_S = 10, LOCK_TEXT_MAX = 4096 };

static int next_step(struct holder *h, struct holder_environment *env, struct err *e) FLOE_MUST_USE;

/* ---- the worker ------------------------------------------------------------------------------ */

/* All that the worker does; it talks to the holder over `sock`. */
typedef void union_work_fn(const struct holder *h, const struct holder_environment *env, int sock);

/* Done, or why not: what holder_union_report gets. */
static void say(int sock, int rc, const struct err *why)
{
	const struct err none = { 0 };

	(void)!send(sock, rc < 0 ? why : &none, sizeof(none), MSG_NOSIGNAL);
}

/* What tells servers and the kernel that the holder has let go of them must not live on in a child that waits
 * for them. */
static void keep_only(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)low - 1, 0);
	if (high > low + 1)
		(void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	(void)close_range((unsigned)high + 1, ~0U, 0);
}

static int start_worker(struct holder *h, struct holder_environment *env, union_work_fn *work, struct err *e)
{
	int pair[2];
	sigset_t none;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	env->worker = fork();
	if (env->worker == 0) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		keep_only(pair[1], env->union_lock);
		work(h, env, pair[1]);
		_exit(0);
	}
	fd_close(pair[1]);
	env->worker_sock = pair[0];
	if (env->worker < 0)
		return err_sys(e, errno, "fork");
	return 0;
}

static void give_up(struct holder *h, struct holder_environment *env, const struct err *why)
{
	struct err e = *why;

	if ((env->step == UNION_ASSEMBLING || env->step == UNION_PREPARING) &&
	    env->engine.engine == LAUNCH_ENGINE_OVERLAY) {
		/* What was said to work does not: the next launch tries again. */
		launch_probe_forget(env->disk->dir);
		if (why->sys)
			(void)err_set(&e, why->code, "%.400s; --engine fuse does without overlayfs",
				      why->msg);
		if (h->host_view.point && !h->host_view.init)
			(void)err_wrap(&e, "the host view does not start");
	}
	holder_mount_give_up(&env->served);
	holder_environment_give_up(h, env, &e);
}

static void release_worker(struct holder_environment *env)
{
	fd_close(env->worker_sock);
	env->worker_sock = -1;
	env->worker = 0;
}

void holder_union_report(struct holder *h, struct holder_environment *env)
{
	struct err said = { 0 };
	ssize_t n = read(env->worker_sock, &said, sizeof(said));

	if (n != (ssize_t)sizeof(said))
		(void)err_set(&said, ERR_IO, "the process that assembles environment %s died", env->name);
	/* Who has prepared stays, for the rest. */
	if (said.code != ERR_NONE || env->step != UNION_PREPARING || env->state == HOLDER_FAILED)
		release_worker(env);
	if (env->state == HOLDER_FAILED)
		return;
	if (said.code != ERR_NONE || next_step(h, env, &said) < 0)
		give_up(h, env, &said);
}

/* ---- locking --------------------------------------------------------------------------------- */

/* Asks the holder that has this environment's union (another runtime directory, the same data directory) to
 * let go of it. Its socket's path is in the lock; ours means that we are just letting go. Whatever comes of
 * it shows in the lock itself. */
static int ask_owner(const struct holder *h, const struct holder_environment *env, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int sock = -1;
	char path[LOCK_TEXT_MAX];
	ssize_t n = pread(env->union_lock, path, sizeof(path) - 1, 0);

	if (n <= 0)
		return 0;
	path[n] = 0;
	if (!strcmp(path, h->address.socket))
		return 0;
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
	const struct sigaction interrupt = { .sa_handler = on_alarm }; /* no SA_RESTART */

	if (ask_owner(h, env, e) < 0)
		return err_wrap(e, "environment %s is held by another session", env->name);
	(void)sigaction(SIGALRM, &interrupt, NULL);
	(void)alarm(UNION_LOCK_S);
	if (flock(env->union_lock, LOCK_EX) < 0)
		return err_set(e, ERR_BUSY,
			       "environment %s is still being used by programs of an earlier floe: try again "
			       "in a moment",
			       env->name);
	return 0;
}

static void wait_for_lock(const struct holder *h, const struct holder_environment *env, int sock)
{
	struct err why;

	say(sock, lock_union(h, env, &why), &why);
}

static int note_owner(const struct holder *h, const struct holder_environment *env, struct err *e)
{
	const char *path = h->address.socket;

	if (ftruncate(env->union_lock, 0) < 0 || pwrite(env->union_lock, path, strlen(path), 0) < 0)
		return err_sys(e, errno, "cannot note who holds environment %s", env->name);
	return 0;
}

int holder_union_start(struct holder *h, struct holder_environment *env, struct err *e)
{
	auto_free char *lock = path_join(env->disk->dir, "union.lock", e);

	if (!lock)
		return -1;
	env->union_lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (env->union_lock < 0)
		return err_sys(e, errno, "%s", lock);
	if (flock(env->union_lock, LOCK_EX | LOCK_NB) < 0)
		return start_worker(h, env, wait_for_lock, e);
	return next_step(h, env, e);
}

/* ---- serving (fuse engine) ------------------------------------------------------------------- */

static int start_server(struct holder *h, struct holder_environment *env, struct err *e)
{
	const struct launch_server_opt opt = { .forget = h->address.stage,
					       .writes_all = true,
					       .variables = (const char *const *)env->package->variables };
	const char *argv[16 + HOLDER_PACKAGE_ARGS_MAX];
	char seconds[HOLDER_SECONDS_MAX];
	size_t n = 0;

	argv[n++] = "floe-union-server";
	argv[n++] = "--upper";
	argv[n++] = env->disk->upper;
	argv[n++] = "--work";
	argv[n++] = env->disk->work;
	n += holder_package_args(env->package, argv + n, seconds);
	argv[n++] = "--root-digest";
	argv[n++] = env->package->root;
	argv[n++] = "--home";
	argv[n++] = env->home;
	argv[n++] = "--host";
	argv[n++] = "/";
	if (geteuid() != 0)
		argv[n++] = "--map-owners";
	argv[n] = NULL;
	if (launch_server_start(argv, &opt, &env->served.server, e) < 0)
		return -1;
	return holder_mount_serve(&env->served, env->union_lock, e);
}

static int start_serving(struct holder *h, struct holder_environment *env, struct err *e)
{
	/* Where floe's own things will be mounted. A /.floe with nothing but the index of links in it is not
	 * shown (vfs/cow_upper.h). */
	auto_free char *own = path_join(env->disk->upper, ".floe/run", e);

	if (!own || path_make_dirs(own, 0755, e) < 0)
		return -1;
	env->served.point = mem_strdup(env->tree, e);
	if (!env->served.point || holder_mount_make(&env->served, env->name, true, true, e) < 0)
		return -1;
	return start_server(h, env, e);
}

void holder_union_message(struct holder *h, struct holder_environment *env)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct err e;
	int n = holder_mount_hear(&env->served, &m, &e);

	if (n == 0)
		return;
	if (n > 0 && wire_is(&m, "type", "serving")) {
		n = holder_mount_served(&env->served, &m, &e);
		if (n == 0 && env->step == UNION_SERVING)
			n = next_step(h, env, &e);
	} else if (n > 0) {
		holder_package_news(h, env->package, &m);
	}
	if (n < 0) {
		(void)err_wrap(&e, "environment %s", env->name);
		give_up(h, env, &e);
	}
}

void holder_union_server_died(struct holder *h, struct holder_environment *env)
{
	struct err e;
	int rc;

	if (env->state == HOLDER_FAILED) {
		launch_server_release(&env->served.server);
		return;
	}
	if (env->step == UNION_SERVING)
		rc = holder_mount_remake(&env->served, env->name, &e);
	else
		rc = holder_mount_outlives(&env->served, env->name, &e);
	if (rc < 0 || start_server(h, env, &e) < 0)
		give_up(h, env, &e);
}

/* ---- assembling ------------------------------------------------------------------------------ */

static int bind_own(const struct holder_environment *env, bool has_config, struct err *e)
{
	auto_free char *library = path_of_install("lib/floe/libfloe-shim.so", e);
	auto_free char *run = path_join(env->tree, REG_SHIM_RUN, e);
	auto_free char *target = path_join(env->tree, REG_SHIM_LIBRARY, e);
	auto_fd int made = -1;

	if (!library || !run || !target)
		return -1;
	if (!has_config)
		return 0;
	made = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (made < 0)
		return err_sys(e, errno, "%s", target);
	if (mount(library, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, errno, "cannot show %s", library);
	return vfs_point_bind(env->run, run, 0, e);
}

static struct vfs_union_spec describe(const struct holder *h, const struct holder_environment *env)
{
	return (struct vfs_union_spec){
		.is_served = env->engine.engine == LAUNCH_ENGINE_FUSE,
		.upper = env->disk->upper,
		.work = env->disk->work,
		.target = env->tree,
		.home = env->home,
		.host_view = h->host_view.point,
		.own_mounts = h->address.stage,
	};
}

/* For the package: what a worker that has prepared waits for. */
struct go_on {
	bool has_config;
};

static void make_union(const struct holder *h, const struct holder_environment *env, int sock, bool waits)
{
	const char *packages[1] = { env->package->mount.point };
	struct vfs_union_spec spec = describe(h, env);
	struct go_on go = { env->has_config };
	struct vfs_union_begun *begun;
	struct err why;
	int rc;

	spec.packages = packages;
	spec.package_count = 1;
	rc = vfs_union_prepare(&spec, &begun, &why);
	if (rc == 0 && waits) {
		say(sock, 0, NULL);
		if (read(sock, &go, sizeof(go)) != (ssize_t)sizeof(go))
			return; /* the holder has gone: what is mounted goes with its namespace */
	}
	if (rc == 0)
		rc = vfs_union_complete(begun, &why);
	if (rc < 0)
		(void)err_wrap(&why, "environment %s", env->name);
	else
		rc = bind_own(env, go.has_config, &why);
	say(sock, rc, &why);
}

static void assemble(const struct holder *h, const struct holder_environment *env, int sock)
{
	make_union(h, env, sock, false);
}

static void prepare_and_complete(const struct holder *h, const struct holder_environment *env, int sock)
{
	make_union(h, env, sock, true);
}

static int go_on(struct holder_environment *env, struct err *e)
{
	const struct go_on go = { env->has_config };

	/* Should it have died, its end is told soon. */
	if (send(env->worker_sock, &go, sizeof(go), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_sys(e, errno, "environment %s", env->name);
	return 0;
}

/* ---- the steps ------------------------------------------------------------------------------- */

/* It works, so that it is what the next launches want, too. */
static int note_engine(struct holder_environment *env, struct err *e)
{
	if (!env->is_engine_asked)
		return 0;
	return launch_environment_set_engine(env->disk, launch_engine_name(env->wanted), e);
}

static int begin_union(struct holder *h, struct holder_environment *env, struct err *e)
{
	bool is_served = env->engine.engine == LAUNCH_ENGINE_FUSE;

	env->step = is_served ? UNION_SERVING : UNION_ASSEMBLING;
	if (is_served)
		return start_serving(h, env, e);
	return env->is_prepared ? go_on(env, e) : start_worker(h, env, assemble, e);
}

/* What comes after the step that has just been done. */
static int next_step(struct holder *h, struct holder_environment *env, struct err *e)
{
	switch (env->step) {
	case UNION_LOCKING:
		if (note_owner(h, env, e) < 0 ||
		    launch_engine_choose(env->disk, env->wanted, &env->engine, e) < 0)
			return -1;
		if (env->has_package)
			return begin_union(h, env, e);
		env->step = UNION_WAITING;
		if (env->engine.engine == LAUNCH_ENGINE_FUSE)
			return 0;
		env->step = UNION_PREPARING;
		return start_worker(h, env, prepare_and_complete, e);
	case UNION_PREPARING:
		env->is_prepared = true;
		env->step = UNION_WAITING;
		return env->has_package ? begin_union(h, env, e) : 0;
	case UNION_WAITING:
		return env->has_package ? begin_union(h, env, e) : 0;
	case UNION_SERVING:
		env->step = UNION_ASSEMBLING;
		return start_worker(h, env, assemble, e);
	case UNION_ASSEMBLING:
		if (note_engine(env, e) < 0)
			return -1;
		env->step = UNION_THERE;
		holder_environment_check_ready(h, env);
		return 0;
	case UNION_THERE:
		break;
	}
	return 0;
}

int holder_union_take_package(struct holder *h, struct holder_environment *env, struct err *e)
{
	return env->step == UNION_WAITING ? next_step(h, env, e) : 0;
}

void holder_union_end(struct holder_environment *env)
{
	struct err e;

	if (env->worker > 0)
		(void)kill(env->worker, SIGKILL);
	release_worker(env);
	if (env->served.point) {
		holder_mount_fini(&env->served);
	} else if (env->tree) {
		if (vfs_union_unmount(env->tree, &e) < 0)
			log_detail("%s", e.msg);
		(void)rmdir(env->tree);
	}
}
