/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's poll loop; see broker_serve.h. */
#include "registry-shim/broker_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"

enum { CONTROL, LISTEN, WATCH, CLIENTS, POLLED = CLIENTS + BROKER_CLIENTS_MAX };

struct service {
	struct broker *broker;
	struct pollfd fds[POLLED]; /* [CLIENTS...) are owned; -1 = free */
	uint64_t heard[POLLED];    /* when a client was last heard of, in turns of the loop */
	uint64_t turn;
};

/* The directory's own path may be longer than a socket's name can be, so it is named by descriptor. */
static int listen_in(int run_fd, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, errno, "socket");
	(void)unlinkat(run_fd, "registry.sock", 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/registry.sock", run_fd);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 128) < 0)
		return err_sys(e, errno, "registry.sock");
	return fd_steal(&fd);
}

static void drop_client(struct service *s, size_t i)
{
	fd_close(s->fds[i].fd);
	s->fds[i].fd = -1;
}

static void accept_client(struct service *s)
{
	int fd = accept4(s->fds[LISTEN].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t slot = CLIENTS;

	if (fd < 0)
		return;
	for (size_t i = CLIENTS; i < POLLED && s->fds[slot].fd >= 0; i++)
		if (s->fds[i].fd < 0 || s->heard[i] < s->heard[slot])
			slot = i;
	drop_client(s, slot);
	s->fds[slot].fd = fd;
	s->fds[slot].revents = 0;
	s->heard[slot] = s->turn;
}

/* As this process sees it; 0 = from elsewhere. */
static long client_pid(int fd)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ? 0 : (long)who.pid;
}

static void serve_client(struct service *s, size_t i)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	auto_wire_out struct wire_out reply = WIRE_OUT_INIT;
	struct err e;

	s->heard[i] = s->turn;
	crash_note(CRASH_SETTINGS, i);
	if (wire_recv(s->fds[i].fd, &m, &e) <= 0 ||
	    broker_answer(s->broker, client_pid(s->fds[i].fd), &m, &reply, &e) < 0 ||
	    wire_send(s->fds[i].fd, &reply, &e) < 0)
		drop_client(s, i);
}

/* 1 = go on, 0 = the holder has left, -1 = error. */
static int serve_control(struct service *s, broker_control_fn *on_control, struct err *e)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	int r = wire_recv(s->fds[CONTROL].fd, &m, e);

	if (r <= 0)
		return r;
	crash_note(CRASH_CONTROL, 0);
	return on_control(s->broker, &m, s->fds[CONTROL].fd, e) < 0 ? -1 : 1;
}

static int serve(struct service *s, broker_control_fn *on_control, struct err *e)
{
	for (;; s->turn++) {
		s->fds[WATCH].fd = broker_watch_fd(s->broker);
		if (poll(s->fds, POLLED, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "poll");
		}
		/* Clients first: what an application has saved counts before the holder's harvest. */
		for (size_t i = CLIENTS; i < POLLED; i++)
			if (s->fds[i].fd >= 0 && s->fds[i].revents)
				serve_client(s, i);
		if (s->fds[WATCH].revents)
			broker_noticed(s->broker);
		if (s->fds[LISTEN].revents)
			accept_client(s);
		if (s->fds[CONTROL].revents) {
			int r = serve_control(s, on_control, e);

			if (r <= 0)
				return r;
		}
	}
}

int broker_serve(struct broker *b, int control, broker_control_fn *on_control, struct err *e)
{
	struct service s = { .broker = b };
	auto_fd int listener = listen_in(broker_run_fd(b), e);
	struct reg_saved saved;
	struct err last;
	int r;

	if (listener < 0)
		return -1;
	for (size_t i = 0; i < POLLED; i++)
		s.fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	s.fds[CONTROL].fd = control;
	s.fds[LISTEN].fd = listener;
	r = serve(&s, on_control, e);
	for (size_t i = CLIENTS; i < POLLED; i++)
		drop_client(&s, i);
	(void)unlinkat(broker_run_fd(b), "registry.sock", 0);
	if (broker_harvest(b, true, &saved, &last) < 0 && r == 0) {
		*e = last;
		r = -1;
	}
	return r;
}
