/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from the application to the broker; see shim.h, and broker.h for the messages.
 *
 * A fresh connection each: nothing to keep across fork, exec, or a program that closes every descriptor.
 * Messages are those of base/wire.h, spelled out here since nothing but libc is linked. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

enum { TIMEOUT_S = 5, NAME_MAX = 256 }; /* what put() and send_request() have room for */

static size_t put(unsigned char *m, size_t at, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	m[at] = (unsigned char)name_len;
	m[at + 1] = 0;
	m[at + 2] = (unsigned char)value_len; /* values here are below 256 bytes */
	m[at + 3] = m[at + 4] = m[at + 5] = 0;
	memcpy(m + at + 6, name, name_len);
	memcpy(m + at + 6 + name_len, value, value_len);
	return at + 6 + name_len + value_len;
}

static bool send_request(int sock, const char *type, const char *name, int fd)
{
	unsigned char bytes[32 + 16 + NAME_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	iov.iov_len = put(bytes, put(bytes, 0, "type", type), "name", name);
	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = ctl.bytes;
		m.msg_controllen = sizeof(ctl.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = syscall(SYS_sendmsg, sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

static bool receive_done(int sock)
{
	/* The answer's first field is type=done or type=failed; the rest is for people. */
	static const unsigned char done[] = { 4, 0, 4, 0, 0, 0, 't', 'y', 'p', 'e', 'd', 'o', 'n', 'e' };
	unsigned char bytes[1024];
	ssize_t n;

	do
		n = sys_read(sock, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	return n >= (ssize_t)sizeof(done) && !memcmp(bytes, done, sizeof(done));
}

bool shim_ask(const char *type, const char *name, int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	int saved = errno, sock, r;
	bool is_done = false;

	if (strlen(shim_socket_path()) >= sizeof(a.sun_path) || strlen(name) >= NAME_MAX)
		return false;
	strcpy(a.sun_path, shim_socket_path());
	sock = (int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock >= 0) {
		(void)syscall(SYS_setsockopt, sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		(void)syscall(SYS_setsockopt, sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		do
			r = (int)syscall(SYS_connect, sock, &a, sizeof(a));
		while (r < 0 && errno == EINTR);
		is_done = r == 0 && send_request(sock, type, name, fd) && receive_done(sock);
		sys_close(sock);
	}
	errno = saved;
	return is_done;
}
