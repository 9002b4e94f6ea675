/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a sandbox and waiting for its main program; see sandbox.h and init.h. */
#include "launcher/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "launcher/init.h"

/* What a shell's child would react to by itself; the rest has its default effect on us. */
static const int followed[] = { SIGINT,  SIGQUIT, SIGTERM, SIGHUP,  SIGUSR1, SIGUSR2, SIGALRM,
				SIGPIPE, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH };

/* The mask that the application gets: what we had before we began to listen. */
static sigset_t original_mask;

static void block_followed(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(followed); i++)
		(void)sigaddset(&set, followed[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &original_mask);
}

int launch_sandbox_start(const struct launch_sandbox *s, int lease_fd, pid_t *ret_init, int *ret_events,
			 struct err *e)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
	struct launch_event ev;
	int pair[2];
	ssize_t n;
	pid_t pid;

	if (s->no_network)
		flags |= CLONE_NEWNET;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	block_followed();
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		fd_close(pair[0]);
		launch_init_main(s, pair[1], lease_fd, &original_mask);
	}
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return err_sys(e, errno, "cannot make the sandbox's namespaces");
	}
	do
		n = recv(pair[0], &ev, sizeof(ev), 0);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(ev) && ev.kind == LAUNCH_EVENT_RUNNING) {
		*ret_init = pid;
		*ret_events = pair[0];
		return 0;
	}
	fd_close(pair[0]);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(ev) && ev.kind == LAUNCH_EVENT_FAILED)
		*e = ev.err;
	else
		(void)err_set(e, ERR_IO, "the sandbox's first process died while starting");
	return -1;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct waiter {
	int events;
	struct err failure; /* code ERR_NONE unless the application could not be executed */
	unsigned marks_due; /* stops reported before as many MARKs are void */
	bool has_ended, is_last;
	struct launch_status status;
};

static void send_event(const struct waiter *w, enum launch_event_kind kind, int value)
{
	struct launch_event ev = { .kind = kind, .value = value };

	(void)!send(w->events, &ev, sizeof(ev), MSG_NOSIGNAL);
}

/* The shell shall see the signal that stopped the application. Ours are blocked for being followed. */
static void stop_by(int signal_no)
{
	sigset_t one;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal_no);
	(void)raise(signal_no);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stand still */
	if (signal_no != SIGSTOP)
		(void)sigprocmask(SIG_BLOCK, &one, NULL);
}

static void on_event(struct waiter *w)
{
	struct launch_event ev;
	ssize_t n = recv(w->events, &ev, sizeof(ev), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(ev)) { /* the init itself was killed */
		w->has_ended = true;
		w->status = (struct launch_status){ .is_signal = true, .code = SIGKILL };
		return;
	}
	switch (ev.kind) {
	case LAUNCH_EVENT_EXITED:
	case LAUNCH_EVENT_KILLED:
		w->has_ended = true;
		w->status.is_signal = ev.kind == LAUNCH_EVENT_KILLED;
		w->status.code = ev.value;
		w->is_last = ev.is_last;
		return;
	case LAUNCH_EVENT_FAILED:
		w->has_ended = true;
		w->failure = ev.err;
		return;
	case LAUNCH_EVENT_MARK:
		w->marks_due -= w->marks_due > 0;
		return;
	case LAUNCH_EVENT_STOPPED:
		if (w->marks_due)
			return;
		/* The application stopped: so do we, and whoever continues us continues it. */
		stop_by(ev.value);
		w->marks_due++;
		send_event(w, LAUNCH_EVENT_CONTINUE, 0);
		return;
	default:
		return;
	}
}

/* The terminal sends its signals to the whole process group: the application has had them already. */
static void on_signal(struct waiter *w, const struct signalfd_siginfo *info)
{
	switch (info->ssi_signo) {
	case SIGCONT:
	case SIGTTIN:
	case SIGTTOU:
	case SIGWINCH:
		return;
	case SIGTSTP:
	case SIGINT:
	case SIGQUIT:
	case SIGHUP:
		if (info->ssi_code == SI_KERNEL)
			return;
		break;
	default:
		break;
	}
	send_event(w, LAUNCH_EVENT_SIGNAL, (int)info->ssi_signo);
}

static int watch_due_ms(const struct launch_watch *watch)
{
	return watch ? watch->due_ms(watch->arg) : -1;
}

static void tend(struct launch_watch *watch, bool is_ready)
{
	if (!watch)
		return;
	if (is_ready && !watch->on_ready(watch->arg))
		watch->fd = -1;
	watch->on_due(watch->arg);
}

int launch_sandbox_wait(pid_t init, int events, struct launch_watch *watch, struct launch_status *ret,
			struct err *e)
{
	struct waiter w = { .events = events };
	sigset_t set;
	auto_fd int signals = -1;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(followed); i++)
		(void)sigaddset(&set, followed[i]);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_sys(e, errno, "signalfd");
	while (!w.has_ended) {
		struct pollfd p[3] = { { .fd = events, .events = POLLIN },
				       { .fd = signals, .events = POLLIN },
				       { .fd = watch ? watch->fd : -1, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(p, 3, watch_due_ms(watch)) < 0) {
			if (errno != EINTR)
				return err_sys(e, errno, "poll");
			continue;
		}
		while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			on_signal(&w, &info);
		if (p[0].revents)
			on_event(&w);
		tend(watch, p[2].revents != 0);
	}
	fd_close(events);
	/* It has the lease: whoever comes after us shall find the environment free. */
	while (waitpid(init, NULL, w.is_last ? 0 : WNOHANG) < 0 && errno == EINTR)
		;
	(void)sigprocmask(SIG_SETMASK, &original_mask, NULL);
	if (w.failure.code != ERR_NONE) {
		*e = w.failure;
		return -1;
	}
	*ret = w.status;
	return 0;
}
