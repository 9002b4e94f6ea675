/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's first process; see init.h. */
#include "launcher/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "launcher/confine.h"
#include "launcher/sandbox_root.h"

struct init {
	int events; /* -1 once the outer process has gone or needs nothing more */
	int lease;
	int signals;
	int report; /* the application's word on its exec; -1 when that is settled */
	pid_t main_pid;
	bool main_ended;
	int patience_ms; /* until everything is killed; -1 while nobody asked us to end */
};

enum { STOP_PATIENCE_MS = 2000 };

static void send_event(const struct init *in, const struct launch_event *ev)
{
	if (in->events >= 0)
		(void)!send(in->events, ev, sizeof(*ev), MSG_NOSIGNAL);
}

static void tell(const struct init *in, enum launch_event_kind kind, int value)
{
	const struct launch_event ev = { .kind = kind, .value = value };

	send_event(in, &ev);
}

static _Noreturn void fail(int events, const struct err *why, int status)
{
	struct launch_event ev = { .kind = LAUNCH_EVENT_FAILED, .value = status, .err = *why };

	(void)!send(events, &ev, sizeof(ev), MSG_NOSIGNAL);
	_exit(status);
}

static _Noreturn void end_everything(void)
{
	(void)kill(-1, SIGKILL);
	_exit(128 + SIGKILL);
}

/* ---- the application ------------------------------------------------------------------------- */

/* Like execvp, with the sandbox's own PATH. Returns the errno. */
static int exec_searching(char *const *argv, char *const *envp)
{
	const char *path = "/usr/local/bin:/usr/bin:/bin";
	int seen = ENOENT;

	if (strchr(argv[0], '/')) {
		(void)execve(argv[0], argv, envp);
		return errno;
	}
	for (char *const *v = envp; *v; v++)
		if (!strncmp(*v, "PATH=", 5))
			path = *v + 5;
	while (*path) {
		const char *end = strchrnul(path, ':');
		struct err ignored;
		auto_free char *full = mem_printf(&ignored, "%.*s/%s", (int)(end - path), path, argv[0]);

		if (full && end > path) {
			(void)execve(full, argv, envp);
			if (errno != ENOENT && errno != ENOTDIR)
				seen = errno;
		}
		path = *end ? end + 1 : end;
	}
	return seen;
}

static _Noreturn void run_application(const struct launch_sandbox *s, int report, const sigset_t *mask)
{
	struct err e;
	int sys;

	if (launch_confine_application(s, &e) == 0) {
		(void)sigprocmask(SIG_SETMASK, mask, NULL);
		sys = exec_searching(s->argv, s->envp);
		if (sys == ENOENT)
			(void)err_set(&e, ERR_NOTFOUND, "%s: no such command", s->argv[0]);
		else
			(void)err_sys(&e, sys, "cannot run %s", s->argv[0]);
	}
	(void)!write(report, &e, sizeof(e));
	_exit(e.code == ERR_NOTFOUND ? 127 : e.code == ERR_DENIED ? 126 : 125);
}

/* Starts the application. Whether its exec succeeded comes through the report pipe, which closes by
 * itself then: an exec may wait for the network, and signals must get through meanwhile. */
static void start_main(struct init *in, const struct launch_sandbox *s, const sigset_t *mask)
{
	struct err e;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		(void)err_sys(&e, errno, "pipe");
		fail(in->events, &e, 125);
	}
	in->main_pid = fork();
	if (in->main_pid < 0) {
		(void)err_sys(&e, errno, "cannot start the application");
		fail(in->events, &e, 125);
	}
	if (in->main_pid == 0)
		run_application(s, pipe_fds[1], mask);
	(void)close(pipe_fds[1]);
	in->report = pipe_fds[0];
	tell(in, LAUNCH_EVENT_RUNNING, 0);
}

/* True when the application could not be executed; the reason has gone out then. */
static bool read_report(struct init *in)
{
	struct launch_event ev = { .kind = LAUNCH_EVENT_FAILED };
	ssize_t n;

	if (in->report < 0)
		return false;
	n = read(in->report, &ev.err, sizeof(ev.err));
	if (n < 0)
		return false;
	fd_close(in->report);
	in->report = -1;
	if (n != (ssize_t)sizeof(ev.err))
		return false;
	send_event(in, &ev);
	return true;
}

/* ---- reaping and signals --------------------------------------------------------------------- */

static void tell_end(struct init *in, int status, bool is_last)
{
	bool is_killed = WIFSIGNALED(status);
	const struct launch_event ev = { .kind = is_killed ? LAUNCH_EVENT_KILLED : LAUNCH_EVENT_EXITED,
					 .value = is_killed ? WTERMSIG(status) : WEXITSTATUS(status),
					 .is_last = is_last };

	send_event(in, &ev);
}

/* False when no child is left. */
static bool reap(struct init *in)
{
	bool has_ended = false;
	int status, end = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid != in->main_pid)
			continue;
		if (WIFSTOPPED(status)) {
			tell(in, LAUNCH_EVENT_STOPPED, WSTOPSIG(status));
			continue;
		}
		in->main_ended = true;
		has_ended = !read_report(in);
		end = status;
	}
	if (has_ended)
		tell_end(in, end, pid < 0);
	return pid == 0;
}

static void obey(struct init *in)
{
	struct launch_event ev;
	ssize_t n = recv(in->events, &ev, sizeof(ev), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		if (!in->main_ended)
			end_everything();
		fd_close(in->events);
		in->events = -1;
		return;
	}
	if (n != (ssize_t)sizeof(ev) || in->main_ended)
		return;
	if (ev.kind == LAUNCH_EVENT_SIGNAL) {
		(void)kill(in->main_pid, ev.value);
	} else if (ev.kind == LAUNCH_EVENT_CONTINUE) {
		(void)reap(in);
		(void)kill(in->main_pid, SIGCONT);
		tell(in, LAUNCH_EVENT_MARK, 0);
	}
}

/* The holder never writes on the lease after the launch: readable means that it has gone. */
static void watch_lease(struct init *in)
{
	char byte;
	ssize_t n = recv(in->lease, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	end_everything();
}

/* SIGTERM to the init (from outside, floe stop) asks everything inside to end, and after a while insists. */
static void read_signals(struct init *in)
{
	struct signalfd_siginfo info;

	while (read(in->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM && in->patience_ms < 0) {
			(void)kill(-1, SIGTERM);
			(void)kill(-1, SIGCONT);
			in->patience_ms = STOP_PATIENCE_MS;
		}
}

static _Noreturn void loop(struct init *in)
{
	while (reap(in)) {
		struct pollfd p[] = {
			{ .fd = in->signals, .events = POLLIN },
			{ .fd = in->events, .events = POLLIN },
			{ .fd = in->lease, .events = POLLIN },
			{ .fd = in->report, .events = POLLIN },
		};

		uint64_t before_ms = sync_now_ms();
		int n = poll(p, ARRAY_LEN(p), in->patience_ms);

		if (n == 0 || (n < 0 && errno != EINTR))
			end_everything();
		if (in->patience_ms > 0) {
			uint64_t spent_ms = sync_now_ms() - before_ms;

			in->patience_ms =
				spent_ms < (uint64_t)in->patience_ms ? in->patience_ms - (int)spent_ms : 0;
		}
		if (p[0].revents)
			read_signals(in);
		if (p[1].revents)
			obey(in);
		if (p[2].revents)
			watch_lease(in);
		/* A failed exec is reported when its process is reaped; success needs only the closing. */
		if (p[3].revents & POLLIN)
			in->main_ended = read_report(in) || in->main_ended;
		else if (p[3].revents)
			(void)read_report(in);
	}
	_exit(0);
}

void launch_init_main(const struct launch_sandbox *s, int events, int lease_fd, const sigset_t *original_mask)
{
	struct init in = { .events = events, .lease = lease_fd, .report = -1, .patience_ms = -1 };
	sigset_t listen;
	struct err e;

	(void)prctl(PR_SET_NAME, "floe-init");
	(void)sigemptyset(&listen);
	(void)sigaddset(&listen, SIGCHLD);
	(void)sigaddset(&listen, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &listen, NULL);
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || launch_sandbox_root(s, &e) < 0 ||
	    launch_confine_init(s, &e) < 0)
		fail(events, &e, 125);
	in.signals = signalfd(-1, &listen, SFD_CLOEXEC | SFD_NONBLOCK);
	if (in.signals < 0) {
		(void)err_sys(&e, errno, "signalfd");
		fail(events, &e, 125);
	}
	start_main(&in, s, original_mask);
	loop(&in);
}
