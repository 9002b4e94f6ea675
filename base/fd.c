/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors; see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

int fd_read_exact(int fd, void *data, size_t len, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read");
		if (n == 0)
			return err_set(e, ERR_IO, "ended after %zu of %zu bytes", got, len);
		got += (size_t)n;
	}
	return 0;
}

int fd_pread_exact(int fd, void *data, size_t len, uint64_t off, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read");
		if (n == 0)
			return err_set(e, ERR_IO, "ended after %zu of %zu bytes", got, len);
		got += (size_t)n;
	}
	return 0;
}

int fd_write_all(int fd, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t off, struct err *e)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "write");
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_to_end(int fd, struct buf *ret, struct err *e)
{
	enum { STEP = 64 * 1024 };

	for (;;) {
		size_t room = ret->max - ret->len;
		uint8_t probe;
		ssize_t n;

		if (room > STEP)
			room = STEP;
		if (room == 0) {
			n = read(fd, &probe, 1);
			if (n == 0)
				return 0;
			if (n > 0)
				return err_set(e, ERR_LIMIT, "more than %zu bytes", ret->max);
		} else {
			if (buf_reserve(ret, room, e) < 0)
				return -1;
			n = read(fd, ret->data + ret->len, room);
			if (n == 0)
				return 0;
			if (n > 0)
				ret->len += (size_t)n;
		}
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "read");
	}
}

int fd_read_file(int dirfd, const char *path, struct buf *ret, struct err *e)
{
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fd_read_to_end(fd, ret, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

static int sync_parent(int dirfd, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir =
		slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), e) : mem_strdup(".", e);
	auto_fd int fd = -1;

	if (!dir)
		return -1;
	fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, errno, "%s", dir);
	return 0;
}

int fd_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode, struct err *e)
{
	auto_free char *tmp = mem_printf(e, "%s.tmp-%ld", path, (long)getpid());
	auto_fd int fd = -1;

	if (!tmp)
		return -1;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "%s", tmp);
	if (fd_write_all(fd, data, len, e) < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return err_wrap(e, "%s", tmp);
	}
	if (fsync(fd) < 0 || renameat(dirfd, tmp, dirfd, path) < 0) {
		int sys = errno;

		(void)unlinkat(dirfd, tmp, 0);
		return err_sys(e, sys, "%s", path);
	}
	return sync_parent(dirfd, path, e);
}

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > FD_PASS_MAX)
		return err_set(e, ERR_LIMIT, "cannot pass %zu descriptors at once", nfds);
	if (nfds) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		msg.msg_control = ctl.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "send");
	if ((size_t)n < len) /* a stream took part of it: the descriptors went with the first byte */
		return fd_write_all(sock, (const char *)data + n, len - (size_t)n, e);
	return 0;
}

static size_t take_fds(struct msghdr *msg, int *fds, size_t room)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++, count++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < room)
				fds[count] = fd;
			else
				fd_close(fd);
		}
	}
	return count;
}

ssize_t fd_recv(int sock, void *data, size_t cap, int *fds, size_t *nfds, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = data, .iov_len = cap };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t room = nfds ? *nfds : 0, count;
	ssize_t n;

	msg.msg_control = ctl.bytes;
	msg.msg_controllen = sizeof(ctl.bytes);
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "receive");
	count = take_fds(&msg, fds, room);
	if (count > room || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < count && i < room; i++)
			fd_close(fds[i]);
		return err_set(e, ERR_LIMIT, "message larger than %zu bytes or %zu descriptors", cap, room);
	}
	if (nfds)
		*nfds = count;
	return n;
}
