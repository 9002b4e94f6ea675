/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts a union without a holder, for tests, and runs a command in it:
 *
 *   union_mount --engine plain|overlay|fuse [--lower DIR]... [--frozen DIR]... [--package SOURCE]...
 *               [--cache DIR] [--fail-after SECONDS] [--upper DIR --work DIR] [--map-owners] [--root]
 *               [--kill-every MS] [--fds N] [--threads N] TARGET -- COMMAND...
 *
 * Layers are given topmost first; a frozen one is an upper that nobody writes any more. Packages (fuse only)
 * are opened whoever signed them, and not read ahead; without their server they are waited for, or not for
 * longer than --fail-after. The command runs with TARGET as its current directory, in a mount namespace (for
 * users other than root also a user namespace, with themselves or, --root, 0 as the only user) and a process
 * namespace that ends with this process. With --kill-every the server gets SIGKILL that often, now and then
 * while it is still starting, and another goes on at the same descriptor, as the holder's would.
 *
 * Exit status: the command's; 125 when something here failed; 126 when a server ended by itself; 77 when this
 * build has no such engine. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/package.h"
#include "tests/tools/own_namespaces.h"
#include "vfs/cow_union.h"
#include "vfs/fuse_mount.h"
#include "vfs/overlay.h"

enum engine { ENGINE_PLAIN, ENGINE_OVERLAY, ENGINE_FUSE };
enum { LAYERS_MAX = 8, INIT_MAX = 1024, FAILED = 125, SERVER_DIED = 126 };

enum layer_kind { LAYER_HOST, LAYER_FROZEN, LAYER_PACKAGE };
struct layer {
	char *path; /* of a package: its source */
	enum layer_kind kind;
};

static struct {
	enum engine engine;
	struct layer layers[LAYERS_MAX];
	size_t layer_count;
	char *upper, *work, *target, *cache;
	bool map_owners, is_root;
	unsigned kill_every_ms, fds, threads, fail_after_s;
	char **command;
} opt;

/* What the keeper of the file system has. */
static struct {
	int fuse_fd, table, serving_pipe[2];
	struct {
		uint32_t len;
		uint8_t bytes[INIT_MAX];
	} init;
	pid_t server, command;
	bool is_serving;
	unsigned kills, deaths;
} keeper = { .fuse_fd = -1, .table = -1, .serving_pipe = { -1, -1 } };

static void die(const char *what)
{
	fprintf(stderr, "union_mount: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}

static void die_of(const struct err *e)
{
	fprintf(stderr, "union_mount: %s\n", e->msg);
	exit(FAILED);
}

/* ---- namespaces ---------------------------------------------------------------------------- */

static void enter_namespaces(void)
{
	const char *what;

	if (own_namespaces_enter(opt.is_root ? 0 : geteuid(), opt.is_root ? 0 : getegid(), &what) < 0)
		die(what);
}

/* ---- the server ---------------------------------------------------------------------------- */

static void tell_serving(void *arg, const uint8_t *init, size_t len)
{
	(void)arg;
	if (len > INIT_MAX)
		return;
	keeper.init.len = (uint32_t)len;
	memcpy(keeper.init.bytes, init, len);
	if (write(keeper.serving_pipe[1], &keeper.init, sizeof(keeper.init)) < 0)
		_exit(FAILED);
}

static struct {
	struct stream_package *at[LAYERS_MAX];
	size_t count;
	struct stream_cache *cache;
} packages;

static struct cow_layer *open_package(const char *source)
{
	struct stream_package_opt o = { .no_prefetch = true, .fail_after_s = opt.fail_after_s };
	struct stream_package **p = &packages.at[packages.count++];
	struct cow_layer *l = NULL;
	struct err e;

	if (opt.cache && !packages.cache && stream_cache_open(opt.cache, &packages.cache, &e) < 0)
		die_of(&e);
	o.cache = packages.cache;
	if (stream_package_open(source, &o, p, &e) < 0 || cow_layer_package_open(*p, NULL, &l, &e) < 0)
		die_of(&e);
	return l;
}

static void close_packages(void)
{
	for (size_t i = 0; i < packages.count; i++)
		stream_package_close(packages.at[i]);
	stream_cache_close(packages.cache);
}

/* Those of directories are numbered from below, so that they stay the same when one comes on top. */
static struct cow_layer *open_directory(size_t i)
{
	bool is_frozen = opt.layers[i].kind == LAYER_FROZEN;
	int fd = open(opt.layers[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cow_layer *l;
	struct err e;
	char key[32];

	if (fd < 0)
		die(opt.layers[i].path);
	(void)snprintf(key, sizeof(key), is_frozen ? "frozen:%zu" : "host:%zu", opt.layer_count - i);
	if (cow_layer_dir_open(fd, is_frozen, key, &l, &e) < 0)
		die_of(&e);
	return l;
}

static void open_layers(struct cow_layer **ret)
{
	for (size_t i = 0; i < opt.layer_count; i++)
		ret[i] = opt.layers[i].kind == LAYER_PACKAGE ? open_package(opt.layers[i].path)
							     : open_directory(i);
}

static int serve(void)
{
	struct cow_layer *layers[LAYERS_MAX];
	struct cow_union_opt o = {
		.upper = opt.upper,
		.work = opt.work,
		.layers = layers,
		.layer_count = opt.layer_count,
		.map_owners = opt.map_owners,
		.uid = getuid(),
		.gid = getgid(),
		.threads = opt.threads,
		.fds_max = opt.fds,
		.table = keeper.table,
		.takeover_init = keeper.init.len ? keeper.init.bytes : NULL,
		.takeover_init_len = keeper.init.len,
		.on_serving = tell_serving,
	};
	uint8_t init[INIT_MAX];
	struct cow_union *u;
	struct err e;

	memcpy(init, keeper.init.bytes, sizeof(init));
	if (o.takeover_init)
		o.takeover_init = init;
	open_layers(layers);
	if (cow_union_open(keeper.fuse_fd, &o, &u, &e) < 0)
		die_of(&e);
	if (cow_union_run(u, &e) < 0)
		die_of(&e);
	cow_union_close(u);
	for (size_t i = 0; i < opt.layer_count; i++)
		cow_layer_close(layers[i]);
	close_packages();
	return 0;
}

static void unblock_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
}

static void start_server(void)
{
	keeper.is_serving = false;
	keeper.server = fork();
	if (keeper.server < 0)
		die("fork");
	if (keeper.server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "union-server");
		unblock_signals();
		fd_close(keeper.serving_pipe[0]);
		exit(serve());
	}
}

/* ---- mounts -------------------------------------------------------------------------------- */

static void mount_overlay(void)
{
	struct vfs_overlay l = {
		.count = opt.layer_count, .upper = opt.upper, .work = opt.work, .target = opt.target
	};
	struct err e;

	for (size_t i = 0; i < opt.layer_count; i++) {
		if (opt.layers[i].kind == LAYER_PACKAGE) {
			errno = ENOTSUP;
			die("a package as a layer of this engine");
		}
		l.lower[i] = opt.layers[i].path;
	}
	if (vfs_overlay_mount(&l, &e) < 0)
		die_of(&e);
}

static void mount_fuse(void)
{
	struct err e;

	keeper.table = memfd_create("table", MFD_CLOEXEC);
	if (keeper.table < 0 || pipe2(keeper.serving_pipe, O_CLOEXEC) < 0)
		die("table");
	if (vfs_fuse_mount(opt.target, "floe", opt.upper == NULL, &keeper.fuse_fd, &e) < 0)
		die_of(&e);
	start_server();
}

static bool is_ended(pid_t pid, unsigned wait_ms)
{
	for (unsigned ms = 0;; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return true;
		if (ms >= wait_ms)
			return false;
		(void)usleep(10000);
	}
}

static void unmount(void)
{
	if (opt.engine == ENGINE_PLAIN)
		return;
	for (int i = 0; umount2(opt.target, i < 100 ? 0 : MNT_DETACH) < 0 && errno == EBUSY && i < 100; i++)
		(void)usleep(20000); /* the last processes of the command are on their way out */
	fd_close(keeper.fuse_fd);
	if (keeper.server > 0 && !is_ended(keeper.server, 20000)) {
		fprintf(stderr, "union_mount: the server does not end\n");
		keeper.deaths++;
		(void)kill(keeper.server, SIGKILL);
		(void)is_ended(keeper.server, 5000);
	}
}

/* ---- the command --------------------------------------------------------------------------- */

/* First process of a process namespace: all others end with it. */
static int be_init(void)
{
	pid_t pid, got;
	int status;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	unblock_signals();
	pid = fork();
	if (pid < 0)
		return FAILED;
	if (pid == 0) {
		if (chdir(opt.target) < 0)
			die(opt.target);
		execvp(opt.command[0], opt.command);
		die(opt.command[0]);
	}
	do
		got = wait(&status);
	while (got != pid && (got >= 0 || errno == EINTR));
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void start_command(void)
{
	long pid = syscall(SYS_clone, (long)(CLONE_NEWPID | SIGCHLD), 0L, 0L, 0L, 0L);

	if (pid < 0)
		die("clone");
	if (pid == 0)
		_exit(be_init());
	keeper.command = (pid_t)pid;
}

/* True, with the status, when the command has ended. */
static bool reap(int *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == keeper.command) {
			*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
			return true;
		}
		if (pid != keeper.server)
			continue;
		keeper.server = 0;
		if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
			fprintf(stderr, "union_mount: the server ended by itself (%s %d)\n",
				WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
			if (++keeper.deaths > 20 || keeper.init.len == 0) {
				fprintf(stderr, "union_mount: giving up\n");
				(void)kill(keeper.command, SIGKILL);
				fd_close(fd_steal(&keeper.fuse_fd));
				continue;
			}
		}
		start_server();
	}
	return false;
}

static int next_kill_ms(uint64_t at_ms)
{
	uint64_t now = sync_now_ms();

	if (!opt.kill_every_ms || keeper.init.len == 0)
		return -1;
	if (!keeper.is_serving && keeper.kills % 8 != 7)
		return -1; /* let it start */
	return now >= at_ms ? 0 : (int)(at_ms - now);
}

static int wait_for_command(int signals)
{
	struct pollfd p[2] = { { .fd = signals, .events = POLLIN },
			       { .fd = keeper.serving_pipe[0], .events = POLLIN } };
	uint64_t kill_at_ms = 0;
	struct signalfd_siginfo info;
	int status = FAILED;

	for (;;) {
		int n = poll(p, 2, next_kill_ms(kill_at_ms));

		if (n < 0 && errno != EINTR)
			die("poll");
		if (n == 0 && keeper.server > 0) {
			(void)kill(keeper.server, SIGKILL);
			keeper.kills++;
			kill_at_ms = sync_now_ms() + opt.kill_every_ms;
		}
		if (n > 0 && (p[1].revents & POLLIN) &&
		    read(p[1].fd, &keeper.init, sizeof(keeper.init)) == sizeof(keeper.init)) {
			keeper.is_serving = true;
			kill_at_ms = sync_now_ms() + opt.kill_every_ms;
		}
		if (n <= 0 || !(p[0].revents & POLLIN) || read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo == SIGCHLD && reap(&status))
			return status;
		if (info.ssi_signo != SIGCHLD)
			(void)kill(keeper.command, SIGKILL);
	}
}

/* ---- options ------------------------------------------------------------------------------- */

static void usage(void)
{
	fprintf(stderr,
		"usage: union_mount --engine plain|overlay|fuse [--lower DIR]... [--frozen DIR]...\n"
		"       [--package SOURCE]... [--cache DIR] [--fail-after SECONDS] [--upper DIR --work DIR]\n"
		"       [--map-owners] [--root] [--kill-every MS] [--fds N] [--threads N] TARGET -- "
		"COMMAND...\n");
	exit(FAILED);
}

static char *whole_path(const char *path)
{
	char *whole = path ? realpath(path, NULL) : NULL;

	if (!whole)
		die(path ? path : "a path is missing");
	return whole;
}

static void take_engine(const char *name)
{
	static const char *const names[] = { "plain", "overlay", "fuse" };

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0) {
			opt.engine = (enum engine)i;
			return;
		}
	usage();
}

static void add_layer(char *path, enum layer_kind kind)
{
	if (opt.layer_count == LAYERS_MAX || !path)
		usage();
	opt.layers[opt.layer_count++] =
		(struct layer){ kind == LAYER_PACKAGE ? path : whole_path(path), kind };
}

static unsigned number(const char *text)
{
	return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void take_options(char **arg)
{
	for (; *arg && strncmp(*arg, "--", 2) == 0; arg++) {
		const char *name = *arg + 2;

		if (strcmp(name, "map-owners") == 0)
			opt.map_owners = true;
		else if (strcmp(name, "root") == 0)
			opt.is_root = true;
		else if (strcmp(name, "engine") == 0)
			take_engine(*++arg);
		else if (strcmp(name, "lower") == 0)
			add_layer(*++arg, LAYER_HOST);
		else if (strcmp(name, "frozen") == 0)
			add_layer(*++arg, LAYER_FROZEN);
		else if (strcmp(name, "package") == 0)
			add_layer(*++arg, LAYER_PACKAGE);
		else if (strcmp(name, "cache") == 0)
			opt.cache = *++arg;
		else if (strcmp(name, "fail-after") == 0)
			opt.fail_after_s = number(*++arg);
		else if (strcmp(name, "upper") == 0)
			opt.upper = whole_path(*++arg);
		else if (strcmp(name, "work") == 0)
			opt.work = whole_path(*++arg);
		else if (strcmp(name, "kill-every") == 0)
			opt.kill_every_ms = number(*++arg);
		else if (strcmp(name, "fds") == 0)
			opt.fds = number(*++arg);
		else if (strcmp(name, "threads") == 0)
			opt.threads = number(*++arg);
		else
			usage();
		if (!*arg)
			usage();
	}
	if (!*arg || !arg[1] || strcmp(arg[1], "--") != 0 || !arg[2])
		usage();
	opt.target = whole_path(*arg);
	opt.command = arg + 2;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int signals, status;

	(void)argc;
	take_options(argv + 1);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd");
	enter_namespaces();
	if (opt.engine == ENGINE_OVERLAY)
		mount_overlay();
	else if (opt.engine == ENGINE_FUSE)
		mount_fuse();
	start_command();
	status = wait_for_command(signals);
	unmount();
	if (opt.kill_every_ms)
		fprintf(stderr, "union_mount: %u kills\n", keeper.kills);
	return status == 0 && keeper.deaths ? SERVER_DIED : status;
}
