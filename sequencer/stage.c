/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of one launch; see stage.h. */
#include "sequencer/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/sandbox.h"
#include "vfs/union.h"

enum { TERMINAL_ROWS = 40, TERMINAL_COLUMNS = 120 };

static int make_directories(struct seq_stage *st, const char *run, struct err *e)
{
	const struct {
		char **dir;
		const char *name;
	} wanted[] = {
		{ &st->package_dir, "package" }, { &st->view_dir, "view" }, { &st->upper, "upper" },
		{ &st->work, "work" },           { &st->tree, "tree" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		*wanted[i].dir = path_join(run, wanted[i].name, e);
		if (!*wanted[i].dir || path_make_dirs(*wanted[i].dir, 0700, e) < 0)
			return -1;
	}
	return 0;
}

/* The user's own cache is left alone: what is measured here is of this package file only. */
static char *make_cache(const struct seq_stage_opt *o, struct err *e)
{
	auto_free char *cache = path_join(o->workspace->dir, "cache", e);

	return cache && path_make_dirs(cache, 0700, e) == 0 ? mem_steal(cache) : NULL;
}

static int mount_package(struct seq_stage *st, const struct seq_stage_opt *o, struct err *e)
{
	auto_free char *cache = make_cache(o, e);
	const struct launch_server_opt opt = { .cache_home = cache };
	auto_wire_in struct wire_in opened = WIRE_IN_INIT;
	const char *const argv[] = { "floe-package-server", "--source", o->package,
				     "--trust-once",        "--record", NULL };

	if (!cache || launch_server_start(argv, &opt, &st->package, e) < 0 ||
	    seq_server_receive(&st->package, "opened", &opened, e) < 0)
		return -1;
	return seq_server_serve(&st->package, st->package_dir, "floe-package", true, e);
}

static int mount_overlay(struct seq_stage *st, const struct seq_stage_opt *o, struct vfs_union_spec *spec,
			 struct err *e)
{
	const char *packages[1] = { st->package_dir };
	bool needs_view;
	int rc;

	spec->packages = packages;
	spec->package_count = 1;
	if (mount_package(st, o, e) < 0 || vfs_union_needs_host_view(spec, &needs_view, e) < 0)
		return -1;
	if (needs_view && seq_server_start_view(st->view_dir, geteuid() != 0, &st->host_view, e) < 0)
		return -1;
	spec->host_view = needs_view ? st->view_dir : NULL;
	rc = vfs_union_mount(spec, e);
	spec->packages = NULL;
	return rc;
}

static int mount_served(struct seq_stage *st, const struct seq_stage_opt *o, struct vfs_union_spec *spec,
			struct err *e)
{
	auto_free char *cache = make_cache(o, e), *own = path_join(st->upper, ".floe/run", e);
	const struct launch_server_opt opt = { .cache_home = cache, .writes_all = true };
	char root[PKG_DIGEST_HEX];
	const char *const argv[] = { "floe-union-server",
				     "--upper",
				     st->upper,
				     "--work",
				     st->work,
				     "--source",
				     o->package,
				     "--root-digest",
				     root,
				     "--trust-once",
				     "--record",
				     "--home",
				     st->home,
				     "--host",
				     "/",
				     geteuid() == 0 ? NULL : "--map-owners",
				     NULL };

	pkg_digest_hex(o->root, root);
	if (!cache || !own || path_make_dirs(own, 0755, e) < 0 ||
	    launch_server_start(argv, &opt, &st->package, e) < 0 ||
	    seq_server_serve(&st->package, st->tree, "floe", false, e) < 0)
		return -1;
	spec->is_served = true;
	return vfs_union_mount(spec, e);
}

int seq_stage_open(const struct seq_stage_opt *o, struct seq_stage *ret, struct err *e)
{
	struct seq_stage *st = ret;
	struct vfs_union_spec spec = { .own_mounts = o->workspace->dir };
	struct launch_engine_choice choice;
	pid_t parent = getppid();

	*st = (struct seq_stage){
		.package = LAUNCH_SERVER_NONE, .host_view = LAUNCH_SERVER_NONE, .terminal = -1, .lease = -1
	};
	st->home = path_home(e);
	if (!st->home || make_directories(st, o->run, e) < 0 ||
	    launch_namespaces_make(getuid(), getgid(), e) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return err_set(e, ERR_INTERRUPTED, "floe has ended");
	spec.upper = st->upper;
	spec.work = st->work;
	spec.target = st->tree;
	spec.home = st->home;
	launch_engine_choose_in(o->workspace->dir, o->engine, &choice);
	st->engine = choice.engine;
	return st->engine == LAUNCH_ENGINE_FUSE ? mount_served(st, o, &spec, e)
						: mount_overlay(st, o, &spec, e);
}

/* ---- the command ----------------------------------------------------------------------------------- */

static int add_variable(char **list, size_t *count, size_t cap, char *line, struct err *e)
{
	size_t n = line ? strcspn(line, "=") + 1 : 0;

	if (!line)
		return -1;
	for (size_t i = 0; i < *count; i++)
		if (!strncmp(list[i], line, n)) {
			list[i] = line;
			return 0;
		}
	if (*count + 1 >= cap)
		return err_set(e, ERR_LIMIT, "too many environment variables");
	list[(*count)++] = line;
	return 0;
}

/* The directories of the package's commands, each once, in front of the usual ones. */
static char *make_path(const struct seq_stage *st, const struct pkg_manifest *m, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	const char *text;

	if (buf_add_str(&b, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games:/usr/sbin:/sbin",
			e) < 0)
		return NULL;
	for (size_t i = 0; i < m->command_count; i++) {
		const char *path = m->commands[i].path, *slash = strrchr(path, '/');
		auto_free char *dir = NULL;

		if (!slash || slash == path)
			continue;
		dir = !strncmp(path, "@home/", 6)
			      ? mem_printf(e, ":%s/%.*s", st->home, (int)(slash - path - 6), path + 6)
			      : mem_printf(e, ":%.*s", (int)(slash - path), path);
		if (!dir)
			return NULL;
		text = buf_text(&b, e);
		if (!text || (!strstr(text, dir) && buf_add_str(&b, dir, e) < 0))
			return NULL;
	}
	text = buf_text(&b, e);
	return text ? mem_strdup(text, e) : NULL;
}

/* Settings are looked for where they are by default: in the home directory. */
static bool is_dropped(const char *variable)
{
	static const char *const dropped[] = { "LD_PRELOAD=", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=",
					       "XDG_STATE_HOME=", "XDG_CACHE_HOME=" };

	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (!strncmp(variable, dropped[i], strlen(dropped[i])))
			return true;
	return false;
}

/* Lives as long as the player; nothing in it is freed. */
static char **make_environment(const struct seq_stage *st, const struct pkg_manifest *m, struct err *e)
{
	const char *term = getenv("TERM");
	size_t count = 0, cap = m->env_count + 8;
	char **list;

	for (char **v = environ; v && *v; v++)
		cap++;
	list = mem_alloc(cap, sizeof(*list), e);
	if (!list)
		return NULL;
	for (char **v = environ; v && *v; v++)
		if (!is_dropped(*v) && add_variable(list, &count, cap, *v, e) < 0)
			return NULL;
	if (add_variable(list, &count, cap, mem_printf(e, "HOME=%s", st->home), e) < 0 ||
	    add_variable(list, &count, cap, make_path(st, m, e), e) < 0)
		return NULL;
	if ((!term || !*term || !strcmp(term, "dumb")) &&
	    add_variable(list, &count, cap, mem_strdup("TERM=xterm-256color", e), e) < 0)
		return NULL;
	for (size_t i = 0; i < m->env_count; i++)
		if (add_variable(list, &count, cap, mem_printf(e, "%s=%s", m->env[i].name, m->env[i].value),
				 e) < 0)
			return NULL;
	return list;
}

static int open_terminal(struct seq_stage *st, struct err *e)
{
	struct winsize size = { .ws_row = TERMINAL_ROWS, .ws_col = TERMINAL_COLUMNS };

	st->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (st->terminal < 0 || grantpt(st->terminal) < 0 || unlockpt(st->terminal) < 0 ||
	    ioctl(st->terminal, TIOCSWINSZ, &size) < 0)
		return err_sys(e, errno, "cannot make a terminal for the launch");
	return 0;
}

/* The player becomes the terminal's session leader; the command, its child's child, is in the foreground. */
static int take_terminal(const struct seq_stage *st, struct err *e)
{
	int slave;

	if (setsid() < 0)
		return err_sys(e, errno, "setsid");
	slave = ioctl(st->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "cannot take the launch's terminal");
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return err_sys(e, errno, "dup2");
	fd_close(slave);
	return 0;
}

static int run_command(const struct seq_stage *st, const struct pkg_manifest *m, char *const *argv, int lease,
		       struct launch_status *ret, struct err *e)
{
	char x11[] = "/tmp/.X11-unix";
	struct launch_bind bind = { .source = x11, .target = x11 };
	struct launch_sandbox box = {
		.tree = st->tree,
		.binds = &bind,
		.bind_count = access(x11, F_OK) == 0,
		.cwd = st->home,
		.argv = argv,
	};
	int events;
	pid_t init;

	box.envp = make_environment(st, m, e);
	if (!box.envp || take_terminal(st, e) < 0 || launch_sandbox_start(&box, lease, &init, &events, e) < 0)
		return -1;
	fd_close(lease);
	return launch_sandbox_wait(init, events, NULL, ret, e);
}

static _Noreturn void play(const struct seq_stage *st, const struct pkg_manifest *m, char *const *argv,
			   int lease)
{
	struct launch_status status;
	struct err e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	if (run_command(st, m, argv, lease, &status, &e) < 0) {
		(void)dprintf(2, "%s\n", e.msg);
		_exit(e.code == ERR_NOTFOUND ? 127 : 125);
	}
	_exit(status.is_signal ? 128 + status.code : status.code);
}

int seq_stage_play(struct seq_stage *st, const struct pkg_manifest *m, char *const *argv, struct err *e)
{
	int lease[2];

	if (open_terminal(st, e) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lease) < 0)
		return err_sys(e, errno, "socketpair");
	st->player = fork();
	if (st->player == 0) {
		fd_close(lease[0]);
		play(st, m, argv, lease[1]);
	}
	fd_close(lease[1]);
	st->lease = lease[0];
	if (st->player < 0) {
		st->player = 0;
		return err_sys(e, errno, "fork");
	}
	return 0;
}

void seq_stage_close(struct seq_stage *st)
{
	struct err ignored;

	if (st->player > 0) {
		(void)kill(st->player, SIGKILL);
		while (waitpid(st->player, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_close(st->lease);
	fd_close(st->terminal);
	if (st->tree && st->engine == LAUNCH_ENGINE_FUSE)
		seq_server_unmount(st->tree);
	else if (st->tree)
		(void)!vfs_union_unmount(st->tree, &ignored);
	if (st->view_dir)
		(void)umount2(st->view_dir, MNT_DETACH);
	if (st->package_dir)
		(void)umount2(st->package_dir, MNT_DETACH);
	launch_server_stop(&st->host_view);
	launch_server_stop(&st->package);
	free(st->package_dir);
	free(st->view_dir);
	free(st->upper);
	free(st->work);
	free(st->tree);
	free(st->home);
	*st = (struct seq_stage){ .terminal = -1, .lease = -1 };
}
