/* SPDX-License-Identifier: Apache-2.0 */
/* See fuse_notify.h. The child does nothing but receive, writev and send: it was forked from a process with
 * threads. It leaves when the socket's other end is gone. libc only. */
#include "vfs/fuse_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

enum { TURN_MS = 20, END_US = 10000 };

struct fuse_notify {
	uint8_t *room; /* shared with the child */
	size_t room_cap;
	int sock;
	pid_t child;
	bool is_broken; /* the caller's */
};

struct order {
	uint32_t len, room_len;
	bool wants_answer;
	uint8_t message[FUSE_NOTIFY_MESSAGE_MAX];
};

/* What the server may do to files is not for this process. */
static void drop_power(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	(void)syscall(SYS_capset, &head, none);
}

/* A lock of this process, which ends with it: a predecessor's that waits in the kernel still has it. */
static void take_turn(void)
{
	struct flock turn = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct pollfd server = { .fd = 0 };

	while (fcntl(2, F_SETLK, &turn) < 0 && (errno == EAGAIN || errno == EACCES))
		if (poll(&server, 1, TURN_MS) > 0)
			_exit(0); /* it has ended */
}

/* What _attach sends: fuse_fd, and turn_fd when there is one, become 1 and 2. */
union attach_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(2 * sizeof(int))];
};

static struct msghdr attach_message(struct iovec *nothing, union attach_space *space, size_t count)
{
	return (struct msghdr){ .msg_iov = nothing,
				.msg_iovlen = 1,
				.msg_control = space->bytes,
				.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
}

/* Whether there is a turn to take. */
static bool await_files(void)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union attach_space space;
	struct msghdr m = attach_message(&iov, &space, 2);
	const struct cmsghdr *c;

	if (recvmsg(0, &m, 0) <= 0 || !(c = CMSG_FIRSTHDR(&m)) || c->cmsg_type != SCM_RIGHTS)
		_exit(0);
	/* The lowest free ones: 1, then 2. */
	return c->cmsg_len >= CMSG_LEN(2 * sizeof(int));
}

static void child_main(int sock, uint8_t *room, size_t room_cap)
{
	struct order order;

	(void)prctl(PR_SET_NAME, "floe-notify");
	(void)dup2(sock, 0);
	(void)close_range(1, ~0U, 0);
	drop_power();
	if (await_files())
		take_turn();
	while (recv(0, &order, sizeof(order), 0) >= (ssize_t)offsetof(struct order, message)) {
		struct iovec iov[] = { { order.message, order.len }, { room, order.room_len } };
		int sys = EINVAL;

		if (order.len <= sizeof(order.message) && order.room_len <= room_cap)
			sys = writev(1, iov, order.room_len ? 2 : 1) < 0 ? errno : 0;
		if (order.wants_answer && send(0, &sys, sizeof(sys), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static int start(struct fuse_notify *n, struct err *e)
{
	auto_fd int mine = -1, its = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	mine = pair[0];
	its = pair[1];
	n->child = fork();
	if (n->child == 0)
		child_main(its, n->room, n->room_cap);
	if (n->child < 0)
		return err_sys(e, errno, "fork");
	n->sock = fd_steal(&mine);
	return 0;
}

int fuse_notify_start(size_t room, struct fuse_notify **ret, struct err *e)
{
	auto_free struct fuse_notify *n = mem_alloc(1, sizeof(*n), e);

	if (!n)
		return -1;
	n->room_cap = room;
	if (room)
		n->room = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n->room == MAP_FAILED)
		return err_sys(e, errno, "map memory");
	if (start(n, e) < 0) {
		if (room)
			(void)munmap(n->room, room);
		return -1;
	}
	*ret = mem_steal(n);
	return 0;
}

int fuse_notify_attach(struct fuse_notify *n, int fuse_fd, int turn_fd, struct err *e)
{
	size_t count = turn_fd >= 0 ? 2 : 1;
	const int fds[2] = { fuse_fd, turn_fd };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union attach_space space = { 0 };
	struct msghdr m = attach_message(&iov, &space, count);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t sent;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	do
		sent = sendmsg(n->sock, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? err_sys(e, errno, "notices to the kernel") : 0;
}

int fuse_notify_open(int fuse_fd, int turn_fd, size_t room, struct fuse_notify **ret, struct err *e)
{
	struct fuse_notify *n;

	if (fuse_notify_start(room, &n, e) < 0)
		return -1;
	if (fuse_notify_attach(n, fuse_fd, turn_fd, e) < 0) {
		fuse_notify_close(n);
		return -1;
	}
	*ret = n;
	return 0;
}

uint8_t *fuse_notify_room(struct fuse_notify *n)
{
	return n->room;
}

static int send_order(struct fuse_notify *n, const void *message, size_t len, size_t room_len,
		      bool wants_answer)
{
	struct order order = { .len = (uint32_t)len,
			       .room_len = (uint32_t)room_len,
			       .wants_answer = wants_answer };
	ssize_t sent;

	if (len > sizeof(order.message))
		return EMSGSIZE;
	memcpy(order.message, message, len);
	do
		sent = send(n->sock, &order, offsetof(struct order, message) + len, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? EPIPE : 0;
}

void fuse_notify_send(struct fuse_notify *n, const void *message, size_t len)
{
	(void)send_order(n, message, len, 0, false);
}

int fuse_notify_call(struct fuse_notify *n, const void *message, size_t len, size_t room_len,
		     bool (*is_cancelled)(void *arg), void *arg)
{
	struct pollfd p = { .fd = n->sock, .events = POLLIN };
	int sys;

	if (n->is_broken || send_order(n, message, len, room_len, true) != 0)
		return EPIPE;
	while (poll(&p, 1, 100) <= 0)
		if (is_cancelled && is_cancelled(arg)) {
			n->is_broken = true; /* its answer would be taken for another's */
			return EPIPE;
		}
	if (recv(n->sock, &sys, sizeof(sys), 0) != (ssize_t)sizeof(sys)) {
		n->is_broken = true;
		return EPIPE;
	}
	return sys;
}

void fuse_notify_close(struct fuse_notify *n)
{
	if (!n)
		return;
	fd_close(n->sock);
	(void)kill(n->child, SIGKILL);
	/* A moment for the usual case; one that waits in the kernel is left to whoever adopts it. */
	for (useconds_t us = 50; us < END_US && waitpid(n->child, NULL, WNOHANG) == 0; us += us / 2)
		(void)usleep(us);
	if (n->room)
		(void)munmap(n->room, n->room_cap);
	free(n);
}
