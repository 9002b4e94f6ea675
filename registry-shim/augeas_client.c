/* SPDX-License-Identifier: Apache-2.0 */
/* Asking floe-augeas; see augeas_client.h. */
#include "registry-shim/augeas_client.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "base/wire.h"

struct helper {
	pid_t pid; /* 0 = none */
	int sock;
};

/* The one that nobody is asking at the moment. */
static struct {
	struct sync_mutex mutex;
	struct helper idle; /* guarded by mutex */
} kept = { .mutex = { PTHREAD_MUTEX_INITIALIZER } };

static struct helper take_kept(struct helper instead)
{
	struct helper h;

	sync_lock(&kept.mutex);
	h = kept.idle;
	kept.idle = instead;
	sync_unlock(&kept.mutex);
	return h;
}

/* It leaves when our end closes, or is dead already. Returns what it died of, 0 = nothing. */
static int end(struct helper *h)
{
	int status = 0;

	if (h->pid == 0)
		return 0;
	fd_close(h->sock);
	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int start(struct helper *ret, struct err *e)
{
	auto_free char *path = path_of_install("libexec/floe/floe-augeas", e);
	char *argv[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	int pair[2], r;
	pid_t pid;

	if (!path)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "socketpair");
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, pair[1], AUGEAS_SERVER_FD);
		if (r == 0)
			r = posix_spawn(&pid, path, &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	fd_close(pair[1]);
	if (r != 0) {
		fd_close(pair[0]);
		return err_sys(e, r, "%s", path);
	}
	*ret = (struct helper){ pid, pair[0] };
	return 0;
}

/* ---- one request ---------------------------------------------------------------------------- */

/* Caller closes; -1 on failure. */
static int pack(const char *text, size_t len, const struct buf *changes, struct err *e)
{
	auto_fd int fd = memfd_create("floe-augeas", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	if (fd_write_all(fd, text, len, e) < 0)
		return -1;
	if (changes &&
	    (fd_write_all(fd, "", 1, e) < 0 || fd_write_all(fd, changes->data, changes->len, e) < 0))
		return -1;
	return fd_steal(&fd);
}

static int send_request(const struct helper *h, const char *module, int fd, bool is_change, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "what", is_change ? "change" : "keys", e) < 0 ||
	    wire_put_str(&m, "module", module, e) < 0 || wire_put_fd(&m, fd, e) < 0)
		return -1;
	return wire_send(h->sock, &m, e);
}

/* 0 when it closed without an answer. */
static int take_reply(const struct helper *h, struct buf *ret, size_t *ret_at, int *ret_result, struct err *e)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	auto_fd int fd = -1;
	struct err broken;

	if (wire_recv(h->sock, &m, &broken) <= 0)
		return 0;
	*ret_at = wire_u64_or(&m, "at", 0);
	*ret_result = wire_error(&m, e);
	if (*ret_result < 0)
		return 1;
	fd = wire_steal_fd(&m, 0);
	if (fd < 0)
		*ret_result = err_set(e, ERR_FORMAT, "floe-augeas answers nonsense");
	else if (lseek(fd, 0, SEEK_SET) < 0)
		*ret_result = err_sys(e, errno, "floe-augeas");
	else
		*ret_result = fd_read_to_end(fd, ret, e);
	return 1;
}

static int tell_death(int signal, struct err *e)
{
	if (signal == SIGXCPU)
		return err_set(e, ERR_LIMIT, "Augeas needs more than %d seconds for it", AUGEAS_TIME_S);
	if (signal == SIGABRT || signal == SIGSEGV || signal == SIGBUS)
		return err_set(e, ERR_LIMIT, "Augeas needs more memory for it than it may have, or broke");
	return err_set(e, ERR_LIMIT, "Augeas ended before it was done");
}

int augeas_ask(const char *module, const char *text, size_t len, const struct buf *changes, struct buf *ret,
	       size_t *ret_at, struct err *e)
{
	auto_fd int fd = pack(text, len, changes, e);
	struct helper h = take_kept((struct helper){ 0 }), old;
	int result = 0;

	if (fd < 0 || (h.pid == 0 && start(&h, e) < 0)) {
		(void)end(&h);
		return -1;
	}
	/* One that was kept may have been ended by someone meanwhile. */
	if (send_request(&h, module, fd, changes, e) < 0) {
		(void)end(&h);
		if (start(&h, e) < 0)
			return -1;
		if (send_request(&h, module, fd, changes, e) < 0) {
			(void)end(&h);
			return -1;
		}
	}
	if (!take_reply(&h, ret, ret_at, &result, e))
		return tell_death(end(&h), e);
	/* One that has used up its memory does not get it back. */
	old = result < 0 && e->code == ERR_LIMIT ? h : take_kept(h);
	(void)end(&old);
	return result;
}
