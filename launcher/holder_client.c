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
#include "launcher/holder_protocol.h"

enum { ATTEMPTS = 6 };

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

/* Its first client is whoever starts it: descriptor 3 is the other end of *ret_sock. */
static int start_holder(int *ret_sock, struct err *e)
{
	auto_free char *program = path_of_install("libexec/floe/floe-holder", e);
	int pair[2];
	pid_t pid;

	if (!program)
		return -1;
	if (access(program, X_OK) < 0)
		return err_sys(e, errno, "cannot run %s", program);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	pid = fork();
	if (pid == 0) {
		/* Twice, so that the holder is nobody's child. */
		if (fork() != 0)
			_exit(0);
		if (pair[1] == HOLDER_FIRST_CLIENT_FD ? fcntl(pair[1], F_SETFD, 0) < 0
						      : dup2(pair[1], HOLDER_FIRST_CLIENT_FD) < 0)
			_exit(125);
		execl(program, "floe-holder", (char *)NULL);
		_exit(125);
	}
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return err_sys(e, errno, "cannot start the holder");
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*ret_sock = pair[0];
	return 0;
}

int launch_holder_connect(int *ret_sock, struct err *e)
{
	struct holder_address a = { 0 };
	int rc;

	if (holder_address_find(false, &a, e) < 0)
		return -1;
	rc = launch_holder_connect_at(a.socket, ret_sock, e);
	holder_address_fini(&a);
	return rc;
}

/* 1 = answered, 0 = the other side has gone without a word, -1 = error. */
static int ask(int sock, const struct wire_out *m, struct launch_holder_steps *steps, struct wire_in *ret,
	       struct err *e)
{
	int (*meanwhile)(void *, struct err *) = steps->meanwhile;
	int n;

	if (wire_send(sock, m, e) < 0)
		return e->sys == EPIPE || e->sys == ECONNRESET ? 0 : -1;
	steps->meanwhile = NULL;
	if (meanwhile && meanwhile(steps->arg, e) < 0)
		return -1;
	n = wire_recv(sock, ret, e);
	if (n <= 0)
		return n < 0 && e->sys != ECONNRESET ? -1 : 0;
	if (wire_error(ret, e) < 0) {
		wire_in_fini(ret);
		return -1;
	}
	return 1;
}

/* Of ask. */
static int outcome(int n, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_IO, "the holder went away");
	return n < 0 ? -1 : 0;
}

int launch_holder_ask(int sock, const struct wire_out *m, struct wire_in *ret, struct err *e)
{
	struct launch_holder_steps nothing = { 0 };

	return outcome(ask(sock, m, &nothing, ret, e), e);
}

static int start_with(struct launch_holder_steps *steps, struct wire_out *m, int *ret_sock, struct err *e)
{
	int (*starting)(void *, struct wire_out *, struct err *) = steps->starting;

	steps->starting = NULL;
	if (starting && starting(steps->arg, m, e) < 0)
		return -1;
	return start_holder(ret_sock, e);
}

int launch_holder_ask_started(struct wire_out *m, const struct launch_holder_steps *steps, int *ret_sock,
			      struct wire_in *ret, struct err *e)
{
	struct launch_holder_steps left = *steps;
	struct holder_address a = { 0 };
	int n = 0;

	if (holder_address_find(true, &a, e) < 0)
		return -1;
	/* One that is leaving refuses, and one that finds another serving leaves; the next try meets that. */
	for (int attempt = 0; n == 0 && attempt < ATTEMPTS; attempt++) {
		auto_fd int sock = -1;
		int rc = launch_holder_connect_at(a.socket, &sock, e);

		if (rc < 0 && e->code == ERR_NOTFOUND)
			rc = start_with(&left, m, &sock, e);
		n = rc < 0 ? -1 : ask(sock, m, &left, ret, e);
		if (n > 0)
			*ret_sock = fd_steal(&sock);
	}
	holder_address_fini(&a);
	return outcome(n, e);
}
