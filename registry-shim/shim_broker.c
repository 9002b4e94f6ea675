/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from the application to the broker; see shim.h, and broker.h for the messages.
 *
 * A fresh connection each: nothing to keep across fork, exec, or a program that closes every descriptor.
 * Messages are those of base/wire.h, spelled out here since nothing but libc is linked. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

enum { TIMEOUT_S = 30, NAME_MAX = 256 }; /* what put() and send_request() have room for */

static uint64_t started_ns;

void shim_note_start(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) == 0)
		started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t put(unsigned char *m, size_t at, const char *name, const void *value, size_t value_len)
{
	size_t name_len = strlen(name);

	m[at] = (unsigned char)name_len;
	m[at + 1] = 0;
	m[at + 2] = (unsigned char)value_len; /* values here are below 256 bytes */
	m[at + 3] = m[at + 4] = m[at + 5] = 0;
	memcpy(m + at + 6, name, name_len);
	memcpy(m + at + 6 + name_len, value, value_len);
	return at + 6 + name_len + value_len;
}

static size_t put_text(unsigned char *m, size_t at, const char *name, const char *value)
{
	return put(m, at, name, value, strlen(value));
}

static size_t put_number(unsigned char *m, size_t at, const char *name, uint64_t value)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(value >> 8 * i);
	return put(m, at, name, bytes, sizeof(bytes));
}

static bool send_request(int sock, const char *type, const char *name, int fd)
{
	unsigned char bytes[64 + 16 + NAME_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	iov.iov_len = put_text(bytes, put_text(bytes, 0, "type", type), "name", name);
	iov.iov_len = put_number(bytes, iov.iov_len, "started-ns", started_ns);
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
