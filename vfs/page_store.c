/* SPDX-License-Identifier: Apache-2.0 */
/* See page_store.h. The child does nothing but recv, writev and send: it was forked from a process with
 * threads. It leaves when the socket's other end is gone. libc only. */
#include "vfs/page_store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

struct page_store {
	uint8_t *room; /* shared with the child */
	int sock;
	pid_t child;
	bool is_broken;
};

struct page_order {
	uint64_t ino, off;
	uint32_t len;
};

static int store(int fuse_fd, const struct page_order *order, uint8_t *data)
{
	struct fuse_notify_store_out where = { .nodeid = order->ino,
					       .offset = order->off,
					       .size = order->len };
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + sizeof(where) + order->len),
					.error = FUSE_NOTIFY_STORE };
	struct iovec iov[] = { { &head, sizeof(head) }, { &where, sizeof(where) }, { data, order->len } };

	return writev(fuse_fd, iov, 3) < 0 ? errno : 0;
}

static void child_main(int sock, int fuse_fd, uint8_t *room)
{
	struct page_order order;

	(void)prctl(PR_SET_NAME, "floe-page-store");
	(void)dup2(sock, 0);
	(void)dup2(fuse_fd, 1);
	(void)close_range(2, ~0U, 0);
	while (recv(0, &order, sizeof(order), 0) == (ssize_t)sizeof(order)) {
		int sys = order.len <= PAGE_STORE_MAX ? store(1, &order, room) : EINVAL;

		if (send(0, &sys, sizeof(sys), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* dup2 onto 0 and 1 must not hit what it still needs. */
static int lift(int *fd, struct err *e)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, 3);

	if (high < 0)
		return err_sys(e, errno, "duplicate a descriptor");
	fd_close(*fd);
	*fd = high;
	return 0;
}

int page_store_open(int fuse_fd, struct page_store **ret, struct err *e)
{
	auto_free struct page_store *s = mem_alloc(1, sizeof(*s), e);
	auto_fd int mine = -1, its = -1;
	int pair[2];

	if (!s)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	mine = pair[0];
	its = pair[1];
	if (fuse_fd < 3 || lift(&mine, e) < 0 || lift(&its, e) < 0)
		return fuse_fd < 3 ? err_set(e, ERR_USAGE, "descriptors 0 to 2 are for other things") : -1;
	s->room = mmap(NULL, PAGE_STORE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->room == MAP_FAILED)
		return err_sys(e, errno, "map memory");
	s->child = fork();
	if (s->child == 0)
		child_main(its, fuse_fd, s->room);
	if (s->child < 0) {
		int sys = errno;

		(void)munmap(s->room, PAGE_STORE_MAX);
		return err_sys(e, sys, "fork");
	}
	s->sock = fd_steal(&mine);
	*ret = mem_steal(s);
	return 0;
}

uint8_t *page_store_room(struct page_store *s)
{
	return s->room;
}

int page_store_put(struct page_store *s, uint64_t ino, uint64_t off, size_t len,
		   bool (*is_cancelled)(void *arg), void *arg)
{
	struct page_order order = { .ino = ino, .off = off, .len = (uint32_t)len };
	struct pollfd p = { .fd = s->sock, .events = POLLIN };
	int sys;

	if (s->is_broken || send(s->sock, &order, sizeof(order), MSG_NOSIGNAL) < 0)
		return EPIPE;
	while (poll(&p, 1, 100) <= 0)
		if (is_cancelled(arg)) {
			s->is_broken = true; /* its answer would be taken for another's */
			return EPIPE;
		}
	if (recv(s->sock, &sys, sizeof(sys), 0) != (ssize_t)sizeof(sys)) {
		s->is_broken = true;
		return EPIPE;
	}
	return sys;
}

void page_store_close(struct page_store *s)
{
	if (!s)
		return;
	fd_close(s->sock);
	(void)kill(s->child, SIGKILL);
	/* A moment for the usual case; one that waits in the kernel is left to whoever adopts it. */
	for (int i = 0; i < 20 && waitpid(s->child, NULL, WNOHANG) == 0; i++)
		(void)usleep(1000);
	(void)munmap(s->room, PAGE_STORE_MAX);
	free(s);
}
