/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to the holder, starting it when there is none; see holder_client.h. */
#include "launcher/holder_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/holder_address.h"

int launch_holder_connect_at(const char *path, int *ret_sock, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	auto_fd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return err_sys(e, errno, "socket");
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ERR_LIMIT,
			       "%s: path too long for a socket; set XDG_RUNTIME_DIR to a shorter one", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(e, ERR_NOTFOUND, "nothing of floe is running");
		return err_sys(e, errno, "%s", path);
	}
	*ret_sock = fd_steal(&sock);
	return 0;
}

/* The holder answers on this pipe: nothing and end of file when it serves, an error otherwise. */
static int start_holder(struct err *e)
{
	auto_free char *program = path_of_install("libexec/floe/floe-holder", e);
	struct err said;
	int pipe_fds[2];
	ssize_t n;
	pid_t pid;

	if (!program)
		return -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	pid = fork();
	if (pid < 0) {
		fd_close(pipe_fds[0]);
		fd_close(pipe_fds[1]);
		return err_sys(e, errno, "cannot start the holder");
	}
	if (pid == 0) {
		/* Twice, so that the holder is nobody's child; descriptor 3 is its pipe. */
		if (fork() != 0)
			_exit(0);
		if (pipe_fds[1] == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(pipe_fds[1], 3) < 0)
			_exit(125);
		execl(program, "floe-holder", (char *)NULL);
		(void)err_sys(&said, errno, "cannot run %s", program);
		(void)!write(3, &said, sizeof(said));
		_exit(125);
	}
	fd_close(pipe_fds[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	do
		n = read(pipe_fds[0], &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	fd_close(pipe_fds[0]);
	if (n == (ssize_t)sizeof(said)) {
		*e = said;
		return -1;
	}
	return 0;
}

int launch_holder_connect(bool start, int *ret_sock, struct err *e)
{
	struct holder_address a = { 0 };
	int rc;

	if (holder_address_find(start, &a, e) < 0)
		return -1;
	rc = launch_holder_connect_at(a.socket, ret_sock, e);
	/* A holder that is leaving may refuse once or twice; its successor will not. */
	for (int attempt = 0; rc < 0 && start && e->code == ERR_NOTFOUND && attempt < 5; attempt++) {
		rc = start_holder(e);
		if (rc == 0)
			rc = launch_holder_connect_at(a.socket, ret_sock, e);
	}
	holder_address_fini(&a);
	return rc;
}

int launch_holder_ask(int sock, const struct wire_out *m, struct wire_in *ret, struct err *e)
{
	int n;

	if (wire_send(sock, m, e) < 0)
		return -1;
	n = wire_recv(sock, ret, e);
	if (n == 0)
		return err_set(e, ERR_IO, "the holder went away");
	if (n < 0)
		return -1;
	if (wire_error(ret, e) < 0) {
		wire_in_fini(ret);
		return -1;
	}
	return 0;
}
