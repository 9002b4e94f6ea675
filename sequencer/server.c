/* SPDX-License-Identifier: Apache-2.0 */
/* Servers for one run; see server.h. */
#include "sequencer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/server_protocol.h"

/* A process group of its own keeps Ctrl-C away: the server must outlive what stands on it. */
static _Noreturn void become(const char *path, char *const argv[], const char *cache_home, int sock)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpgid(0, 0);
	if ((cache_home && setenv("XDG_CACHE_HOME", cache_home, 1) < 0) ||
	    (sock == LAUNCH_SERVER_FD ? fcntl(sock, F_SETFD, 0) < 0 : dup2(sock, LAUNCH_SERVER_FD) < 0))
		_exit(125);
	(void)execv(path, argv);
	_exit(127);
}

int seq_server_start(char *const argv[], const char *cache_home, struct seq_server *ret, struct err *e)
{
	auto_free char *relative = mem_printf(e, "libexec/floe/%s", argv[0]);
	auto_free char *path = relative ? path_of_install(relative, e) : NULL;
	int pair[2];
	pid_t pid;

	if (!path)
		return -1;
	if (access(path, X_OK) < 0)
		return err_sys(e, errno, "%s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	pid = fork();
	if (pid == 0)
		become(path, argv, cache_home, pair[1]);
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return err_sys(e, errno, "cannot start %s", argv[0]);
	}
	*ret = (struct seq_server){ .pid = pid, .sock = pair[0] };
	return 0;
}

void seq_server_stop(struct seq_server *s)
{
	fd_close(s->sock);
	s->sock = -1;
	if (s->pid > 0) {
		/* It only serves what nobody looks at any more: no reason to wait for its manners. */
		(void)kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	s->pid = 0;
}

int seq_server_receive(const struct seq_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	for (;;) {
		auto_wire_in struct wire_in m = WIRE_IN_INIT;
		int got = wire_recv(s->sock, &m, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_IO, "a server of floe's ended unexpectedly");
		if (wire_error(&m, e) < 0)
			return -1;
		if (!wire_is(&m, "type", type))
			continue;
		*ret = m;
		m = (struct wire_in)WIRE_IN_INIT;
		return 0;
	}
}

int seq_server_ask(const struct seq_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "type", type, e) < 0 || wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, type, ret, e);
}

int seq_server_serve(const struct seq_server *s, int fuse_fd, uid_t uid, gid_t gid, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int fd = fuse_fd;

	if (wire_put_str(&m, "type", "serve", e) < 0 || wire_put_u64(&m, "uid", uid, e) < 0 ||
	    wire_put_u64(&m, "gid", gid, e) < 0 || wire_put_fd(&m, fd, e) < 0 ||
	    wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, "serving", &answer, e);
}
