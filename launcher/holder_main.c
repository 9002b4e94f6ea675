/* SPDX-License-Identifier: Apache-2.0 */
/* floe-holder: the per-user process that keeps namespaces, mounts and servers alive between launches.
 *
 * Started by holder_client.c, whose connection it inherits (holder_protocol.h): that request is begun before
 * what else there is to prepare, so that the network works meanwhile. It never parses a package and never
 * touches the network. It leaves after 15 idle minutes (FLOE_IDLE_SECONDS), on SIGTERM, or when asked, and
 * takes every mount and server with it: its mount namespace ends when it and all inits are gone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/crash_report.h"
#include "launcher/filter.h"
#include "launcher/holder.h"
#include "launcher/holder_client.h"
#include "launcher/holder_protocol.h"
#include "launcher/sandbox.h"

enum { IDLE_S = 15 * 60, CLIENTS_MAX = 512, LAST_WORDS_MS = 2500, LEAVING_S = 10 };

/* ---- start and end --------------------------------------------------------------------------- */

static int listen_at(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	auto_fd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ERR_LIMIT,
			       "%s: path too long for a socket; set XDG_RUNTIME_DIR to a shorter one", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	(void)unlink(path); /* of a holder that was killed: we have the lock */
	if (sock < 0 || bind(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0600) < 0 ||
	    listen(sock, 64) < 0)
		return err_sys(e, errno, "%s", path);
	*ret = fd_steal(&sock);
	return 0;
}

static int open_namespaces(struct holder *h, struct err *e)
{
	h->mnt_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (geteuid() != 0)
		h->user_ns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	if (h->mnt_ns < 0 || (geteuid() != 0 && h->user_ns < 0))
		return err_sys(e, errno, "/proc/self/ns");
	return 0;
}

static int make_stage(struct holder *h, struct err *e)
{
	/* One that was leaving has removed it. */
	if (path_make_dirs(h->address.stage, 0700, e) < 0)
		return -1;
	if (mount("floe", h->address.stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=4m") < 0 ||
	    mount(NULL, h->address.stage, NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "cannot mount the stage at %s", h->address.stage);
	return 0;
}

static int listen_for_signals(struct holder *h, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signal_fd < 0 ? err_sys(e, errno, "signalfd") : 0;
}

static void on_alarm(int signal_no)
{
	(void)signal_no; /* flock ends with EINTR */
}

/* 1 = ours, 0 = another holder serves, -1 = error. One that is just leaving lets go of it when all of its is
 * gone. */
static int take_lock(struct holder *h, struct err *e)
{
	const struct sigaction interrupt = { .sa_handler = on_alarm }; /* no SA_RESTART */
	struct err ignored;

	h->lock_fd = open(h->address.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock_fd < 0)
		return err_sys(e, errno, "%s", h->address.lock);
	(void)sigaction(SIGALRM, &interrupt, NULL);
	for (int i = 0; i < LEAVING_S; i++) {
		auto_fd int sock = -1;

		if (flock(h->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return 1;
		if (launch_holder_connect_at(h->address.socket, &sock, &ignored) == 0)
			return 0;
		(void)alarm(1);
		if (flock(h->lock_fd, LOCK_EX) < 0 && errno != EINTR)
			return err_sys(e, errno, "%s", h->address.lock);
		(void)alarm(0);
	}
	return err_set(e, ERR_BUSY, "floe is still stopping: try again in a moment");
}

/* 1 = serving, 0 = another holder is, -1 = error. */
static int start(struct holder *h, struct err *e)
{
	const char *idle = getenv("FLOE_IDLE_SECONDS");
	int rc;

	h->idle_ms = (uint64_t)(idle && atoi(idle) > 0 ? atoi(idle) : IDLE_S) * 1000;
	h->idle_since_ms = sync_now_ms();
	if (holder_address_find(true, &h->address, e) < 0)
		return -1;
	rc = take_lock(h, e);
	if (rc <= 0)
		return rc;
	/* Whoever comes from here on waits to be accepted. */
	if (listen_at(h->address.socket, &h->listen_fd, e) < 0 || listen_for_signals(h, e) < 0 ||
	    launch_namespaces_make(geteuid(), getegid(), e) < 0 || open_namespaces(h, e) < 0 ||
	    make_stage(h, e) < 0)
		return -1;
	return 1;
}

/* Asks every launch to end, and gives them the time that their inits give them, and a little more. */
static void end_launches(struct holder *h)
{
	uint64_t end_ms = sync_now_ms() + LAST_WORDS_MS;
	struct holder_client *c;

	for (c = h->clients; c; c = c->next)
		if (c->kind == CLIENT_LAUNCH && c->pid > 0)
			(void)kill(c->pid, SIGTERM);
	for (c = h->clients; c; c = c->next) {
		struct pollfd closed = { .fd = c->sock, .events = POLLRDHUP };
		uint64_t now_ms = sync_now_ms();

		if (c->kind == CLIENT_LAUNCH && c->pid > 0)
			(void)poll(&closed, 1, now_ms < end_ms ? (int)(end_ms - now_ms) : 0);
	}
}

static void finish(struct holder *h)
{
	struct err e;

	/* Who waits to be accepted turns to the next holder. */
	(void)unlink(h->address.socket);
	fd_close(h->listen_fd);
	end_launches(h);
	while (h->environments)
		holder_environment_drop(h, h->environments);
	while (h->packages)
		holder_package_drop(h, h->packages);
	holder_mount_fini(&h->host_view);
	(void)umount2(h->address.stage, MNT_DETACH);
	(void)rmdir(h->address.stage);
	if (path_remove_tree(AT_FDCWD, h->address.envs, &e) < 0)
		log_detail("%s", e.msg);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Takes the connection over. NULL: it is closed. */
static struct holder_client *add_client(struct holder *h, int sock)
{
	struct err ignored;
	struct holder_client *c = mem_alloc(1, sizeof(*c), &ignored);

	if (!c) {
		fd_close(sock);
		return NULL;
	}
	c->sock = sock;
	c->next = h->clients;
	h->clients = c;
	return c;
}

static void accept_client(struct holder *h)
{
	struct holder_client *c;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	size_t count = 0;
	int sock = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (sock < 0)
		return;
	for (c = h->clients; c; c = c->next)
		count++;
	if (count >= CLIENTS_MAX || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != geteuid()) {
		fd_close(sock);
		return;
	}
	(void)add_client(h, sock);
}

static void forget_done_clients(struct holder *h)
{
	struct holder_client **at = &h->clients;

	while (*at) {
		struct holder_client *c = *at;

		if (c->kind != CLIENT_DONE) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		fd_close(c->sock);
		wire_in_fini(&c->request);
		free(c->command);
		free(c->stop_environment);
		free(c);
	}
}

static void on_child(struct holder *h, pid_t pid)
{
	for (struct holder_package *p = h->packages; p; p = p->next)
		if (p->mount.server.pid == pid) {
			holder_package_server_died(h, p);
			return;
		}
	for (struct holder_environment *env = h->environments; env; env = env->next)
		if (env->server.pid == pid) {
			holder_environment_server_died(h, env);
			return;
		} else if (env->served.server.pid == pid) {
			holder_union_server_died(h, env);
			return;
		}
	if (h->host_view.server.pid == pid)
		holder_host_view_server_died(h);
}

static void on_signals(struct holder *h)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	while (read(h->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			h->leaving = true;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		launch_crash_reaped(pid, status);
		on_child(h, pid);
	}
}

static int poll_timeout(struct holder *h)
{
	uint64_t overdue_ms = holder_packages_overdue(h), due_ms = holder_environments_expire(h);
	uint64_t now = sync_now_ms(), spent;
	unsigned launches = 0;

	if (overdue_ms < due_ms)
		due_ms = overdue_ms;
	for (struct holder_environment *env = h->environments; env; env = env->next)
		launches += env->launches;
	if (h->clients) {
		h->idle_since_ms = now;
	} else {
		spent = now - h->idle_since_ms;
		h->leaving = spent >= h->idle_ms || (h->host_view_err.code != ERR_NONE && !launches);
		if (!h->leaving && h->idle_ms - spent < due_ms)
			due_ms = h->idle_ms - spent;
	}
	if (h->leaving)
		return 0;
	return due_ms > INT_MAX ? -1 : (int)due_ms + 1;
}

/* What one entry of the poll set stands for. */
struct watch {
	enum {
		WATCH_PACKAGE,
		WATCH_ENV_SERVER,
		WATCH_ENV_REPORT,
		WATCH_UNION,
		WATCH_HOST_VIEW,
		WATCH_CLIENT
	} kind;
	void *of;
};

struct poll_set {
	struct pollfd fds[2 + 4 * CLIENTS_MAX];
	struct watch watch[2 + 4 * CLIENTS_MAX];
	size_t count;
};

static void watch(struct poll_set *s, int fd, int kind, void *of)
{
	if (fd < 0 || s->count == ARRAY_LEN(s->fds))
		return;
	s->fds[s->count] = (struct pollfd){ .fd = fd, .events = POLLIN };
	s->watch[s->count].kind = kind;
	s->watch[s->count].of = of;
	s->count++;
}

static void fill(const struct holder *h, struct poll_set *s)
{
	s->count = 0;
	watch(s, h->signal_fd, 0, NULL);
	watch(s, h->listen_fd, 0, NULL);
	watch(s, h->host_view.server.sock, WATCH_HOST_VIEW, NULL);
	for (struct holder_package *p = h->packages; p; p = p->next)
		watch(s, p->mount.server.sock, WATCH_PACKAGE, p);
	for (struct holder_environment *env = h->environments; env; env = env->next) {
		watch(s, env->server.sock, WATCH_ENV_SERVER, env);
		watch(s, env->served.server.sock, WATCH_UNION, env);
		watch(s, env->worker_sock, WATCH_ENV_REPORT, env);
	}
	for (struct holder_client *c = h->clients; c; c = c->next)
		watch(s, c->sock, WATCH_CLIENT, c);
}

/* Handles one event; the lists may change by it, so that the set is made anew afterwards. */
static void dispatch(struct holder *h, const struct watch *w)
{
	switch (w->kind) {
	case WATCH_PACKAGE:
		holder_package_message(h, w->of);
		return;
	case WATCH_ENV_SERVER:
		holder_environment_message(h, w->of);
		return;
	case WATCH_ENV_REPORT:
		holder_union_report(h, w->of);
		return;
	case WATCH_UNION:
		holder_union_message(h, w->of);
		return;
	case WATCH_HOST_VIEW:
		holder_host_view_message(h);
		return;
	case WATCH_CLIENT:
		holder_client_message(h, w->of);
		return;
	}
}

static void loop(struct holder *h)
{
	static struct poll_set set;

	while (!h->leaving) {
		size_t i;

		fill(h, &set);
		if (poll(set.fds, set.count, poll_timeout(h)) < 0 && errno != EINTR)
			return;
		/* Words before deaths: a server that says why it leaves is heard before its SIGCHLD. */
		for (i = 2; i < set.count && !set.fds[i].revents; i++)
			;
		if (i < set.count)
			dispatch(h, &set.watch[i]);
		else if (set.fds[1].revents)
			accept_client(h);
		else if (set.fds[0].revents)
			on_signals(h);
		forget_done_clients(h);
	}
}

/* Nothing of the first caller's terminal, pipes or files may stay open here or in a server. */
static int let_go_of_caller(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	return close_range(HOLDER_FIRST_CLIENT_FD + 1, ~0U, 0);
}

static bool has_first_client(void)
{
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(HOLDER_FIRST_CLIENT_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET)
		return true;
	log_error("this program is started by floe run, not by hand");
	return false;
}

static void tell_error(int sock, const struct err *why)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	(void)(wire_put_err(&m, why, &ignored) == 0 && wire_send(sock, &m, &ignored) == 0);
}

/* Its package's server is on its way when the rest is made ready, which no launch can do without. */
static int serve_first_client(struct holder *h, struct err *e)
{
	struct holder_client *c = add_client(h, HOLDER_FIRST_CLIENT_FD);
	int rc;

	if (c)
		holder_client_message(h, c);
	rc = holder_host_view_want(h, e);
	if (rc == 0)
		rc = launch_filter_application(&h->filter, &h->filter_len, e);
	if (rc < 0 && c && c->kind != CLIENT_DONE)
		tell_error(c->sock, e);
	forget_done_clients(h);
	return rc;
}

int main(int argc, char **argv)
{
	struct holder h = { .listen_fd = -1,
			    .lock_fd = -1,
			    .signal_fd = -1,
			    .mnt_ns = -1,
			    .user_ns = -1,
			    .host_view = HOLDER_MOUNT_NONE };
	struct err e;
	int rc;

	if (argc == 3 && !strcmp(argv[1], "--crash-report"))
		return launch_crash_of_parent("floe-holder", argv[2]);
	if (!has_first_client())
		return 125;
	(void)setsid();
	(void)umask(022);
	if (let_go_of_caller() < 0)
		return 125;
	if (chdir("/") < 0)
		return 125;
	(void)fcntl(HOLDER_FIRST_CLIENT_FD, F_SETFD, FD_CLOEXEC);
	log_setup("floe-holder", LOG_VERBOSE);
	launch_crash_watch_self("floe-holder");
	rc = start(&h, &e);
	if (rc < 0)
		tell_error(HOLDER_FIRST_CLIENT_FD, &e);
	if (rc > 0)
		(void)prctl(PR_SET_NAME, "floe-holder");
	if (rc > 0 && serve_first_client(&h, &e) < 0)
		rc = -1;
	if (rc > 0)
		loop(&h);
	/* Without the lock, what is there is another's. What is mounted goes with our namespace anyway. */
	if (rc != 0 && h.listen_fd >= 0)
		finish(&h);
	return rc < 0 ? 125 : 0;
}
