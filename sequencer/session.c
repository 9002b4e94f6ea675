/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions; see session.h.
 *
 *   parent: waits on a pipe ── child: namespaces, server, union ── sandbox init ── installer
 *
 * The child does everything that changes a process for ever, and sends one `outcome`. When either dies
 * the sandbox's init notices (its lease closes) and takes everything inside along; the mounts go with the
 * child's mount namespace. */
#include "sequencer/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/engine_probe.h"
#include "sequencer/child.h"
#include "sequencer/pretend.h"
#include "sequencer/server.h"
#include "sequencer/session_env.h"
#include "vfs/union.h"

struct outcome {
	bool failed;
	struct err err;
	struct launch_status status;
};

/* What the child works with; its strings are freed by its exit. */
struct stage {
	const struct seq_session *session;
	char *view, *tree, *upper, *work;
	struct launch_server server; /* of the host view, or of the whole union */
	struct launch_engine_choice engine;
	bool is_real_root;
};

static int make_stage(const struct seq_session *s, struct stage *ret, struct err *e)
{
	const struct seq_workspace *w = s->workspace;

	*ret = (struct stage){ .session = s, .server = LAUNCH_SERVER_NONE, .is_real_root = geteuid() == 0 };
	ret->view = seq_workspace_subdir(w, "view", e);
	ret->tree = ret->view ? seq_workspace_subdir(w, "tree", e) : NULL;
	ret->upper = ret->tree ? seq_workspace_subdir(w, "upper", e) : NULL;
	ret->work = ret->upper ? seq_workspace_subdir(w, "work", e) : NULL;
	if (!ret->work)
		return -1;
	/* The installer's root directory: servants that it runs as other users must get through. */
	return chmod(ret->upper, 0755) < 0 ? err_sys(e, errno, "%s", ret->upper) : 0;
}

static int serve_union(struct stage *st, struct err *e)
{
	const struct launch_server_opt opt = { .writes_all = true };
	const char *const argv[] = { "floe-union-server",
				     "--upper",
				     st->upper,
				     "--work",
				     st->work,
				     "--host",
				     "/",
				     st->is_real_root ? NULL : "--map-owners",
				     NULL };
	/* Where floe's own things are mounted. */
	auto_free char *own = path_join(st->upper, ".floe/run", e);

	if (!own || path_make_dirs(own, 0755, e) < 0 || launch_server_start(argv, &opt, &st->server, e) < 0)
		return -1;
	return seq_server_serve(&st->server, st->tree, "floe", false, e);
}

static int mount_union(struct stage *st, struct err *e)
{
	const bool is_served = st->engine.engine == LAUNCH_ENGINE_FUSE;
	struct vfs_union_spec spec = {
		.is_served = is_served,
		.upper = st->upper,
		.work = st->work,
		.target = st->tree,
		.home = SEQ_SESSION_HOME,
		.host_view = st->view,
		.own_mounts = st->session->workspace->dir,
		.all_through_host_view = !st->is_real_root,
	};

	struct err why;

	if (is_served)
		return serve_union(st, e) < 0 ? -1 : vfs_union_mount(&spec, e);
	if (seq_server_start_view(st->view, !st->is_real_root, &st->server, e) < 0)
		return -1;
	if (vfs_union_mount(&spec, &why) == 0)
		return 0;
	/* What was said to work does not: the next run tries again. */
	launch_probe_forget(st->session->workspace->dir);
	return err_set(e, why.code, "%.400s; --engine fuse does without overlayfs", why.msg);
}

static void unmount_union(struct stage *st)
{
	if (st->engine.engine == LAUNCH_ENGINE_FUSE)
		seq_server_unmount(st->tree);
	else
		(void)umount2(st->tree, MNT_DETACH);
	(void)umount2(st->view, MNT_DETACH);
	launch_server_stop(&st->server);
}

/* A path inside the tree, which nothing has had the chance to fill with links of its own yet. */
static char *inside(const struct stage *st, const char *path, struct err *e)
{
	return path_join(st->tree, path, e);
}

static int write_inside(const struct stage *st, const char *path, const char *text, mode_t mode,
			struct err *e)
{
	auto_free char *where = inside(st, path, e);
	auto_fd int fd = -1;

	if (!where)
		return -1;
	(void)unlink(where);
	fd = open(where, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fchmod(fd, mode) < 0)
		return err_sys(e, errno, "%s", path);
	return fd_write_all(fd, text, strlen(text), e);
}

/* The service manager and the system bus must be out of reach, or an installer would talk to the host's. What
 * name resolution needs of systemd is put back. */
static int cut_off_services(const struct stage *st, struct err *e)
{
	static const char *const away[] = { "run/systemd", "run/dbus", "run/udev", "run/initctl" };
	auto_free char *resolve = inside(st, "run/systemd/resolve", e);

	for (size_t i = 0; i < ARRAY_LEN(away); i++) {
		auto_free char *where = inside(st, away[i], e);

		if (!where)
			return -1;
		while (umount2(where, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (rmdir(where) < 0 && unlink(where) < 0 && errno != ENOENT)
			return err_sys(e, errno, "cannot take /%s away from the installer", away[i]);
	}
	if (!resolve)
		return -1;
	if (access("/run/systemd/resolve", F_OK) == 0) {
		if (path_make_dirs(resolve, 0755, e) < 0)
			return -1;
		if (mount("/run/systemd/resolve", resolve, NULL, MS_BIND, NULL) < 0)
			return err_sys(e, errno, "cannot show /run/systemd/resolve");
	}
	return 0;
}

static int furnish(const struct stage *st, struct err *e)
{
	auto_free char *sbin = inside(st, "usr/sbin", e), *home = inside(st, SEQ_SESSION_HOME, e);

	if (!sbin || !home || path_make_dirs(sbin, 0755, e) < 0 || path_make_dirs(home, 0700, e) < 0)
		return -1;
	if (write_inside(st, SEQ_SESSION_POLICY, seq_session_policy, 0755, e) < 0 ||
	    write_inside(st, SEQ_SESSION_APT, seq_session_apt, 0644, e) < 0)
		return -1;
	return cut_off_services(st, e);
}

/* ---- running ------------------------------------------------------------------------------------- */

/* Ends the init and with it what the installer left running, kindly at first. */
static void end_all(pid_t init)
{
	(void)kill(init, SIGTERM);
	while (waitpid(init, NULL, 0) < 0 && errno == EINTR)
		;
}

static int run_inside(const struct stage *st, char *const *envp, struct launch_status *ret, struct err *e)
{
	auto_free char *cwd = getcwd(NULL, 0);
	auto_free void *filter = NULL;
	char root_path[] = "/", sys[] = "/sys";
	struct launch_bind binds[] = {
		{ .target = st->session->workspace->dir, .hide = true },
		{ .source = sys, .target = sys, .read_only = true },
	};
	struct launch_sandbox box = {
		.tree = st->tree,
		.binds = binds,
		.bind_count = st->is_real_root ? 2 : 1,
		.cwd = cwd ? cwd : root_path,
		.argv = st->session->installer,
		.envp = envp,
		.pretend_root = true,
	};
	int lease[2], events;
	pid_t init;
	int rc;

	if (seq_pretend_filter(st->is_real_root, &filter, &box.filter_len, e) < 0)
		return -1;
	box.filter = filter;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lease) < 0)
		return err_sys(e, errno, "socketpair");
	rc = launch_sandbox_start(&box, lease[1], &init, &events, e);
	fd_close(lease[1]);
	if (rc == 0) {
		rc = launch_sandbox_wait(init, events, NULL, ret, e);
		if (rc < 0) /* as a shell says it */
			ret->code = e->code == ERR_NOTFOUND ? 127 : e->code == ERR_DENIED ? 126 : 0;
		end_all(init);
	}
	fd_close(lease[0]);
	return rc;
}

static int run_stage(struct stage *st, pid_t parent, struct launch_status *ret, struct err *e)
{
	auto_free char **envp = seq_session_environment(e);

	if (!envp || launch_namespaces_make(0, 0, e) < 0)
		return -1;
	/* Identity changes clear this: only now does it hold. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return err_set(e, ERR_INTERRUPTED, "floe has ended");
	launch_engine_choose_in(st->session->workspace->dir, st->session->engine, &st->engine);
	log_detail("engine %s: %s", launch_engine_name(st->engine.engine), st->engine.why);
	if (mount_union(st, e) < 0 || furnish(st, e) < 0)
		return -1;
	return run_inside(st, envp, ret, e);
}

static _Noreturn void perform(struct stage *st, pid_t parent, const struct seq_child *self)
{
	struct outcome out = { 0 };

	/* Until the installer runs, an interrupt simply ends us, and with us every mount. */
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	out.failed = run_stage(st, parent, &out.status, &out.err) < 0;
	unmount_union(st);
	seq_child_report(self, &out, sizeof(out));
}

int seq_session_run(const struct seq_session *s, struct launch_status *ret, struct err *e)
{
	struct seq_child child;
	struct outcome out;
	struct stage st;
	pid_t parent = getpid();
	int rc = make_stage(s, &st, e);

	if (rc == 0)
		rc = seq_child_fork(&child, e);
	if (rc > 0)
		perform(&st, parent, &child);
	if (rc == 0)
		rc = seq_child_wait(&child, &out, sizeof(out), s->cancel, e);
	free(st.view);
	free(st.tree);
	free(st.upper);
	free(st.work);
	if (rc < 0)
		return err_wrap(e, "session");
	*ret = out.status;
	if (out.failed)
		*e = out.err;
	return out.failed ? -1 : 0;
}

const char *const *seq_session_paths(void)
{
	static const char *const paths[] = { SEQ_SESSION_POLICY, NULL };

	return paths;
}
