/* SPDX-License-Identifier: Apache-2.0 */
/* See fuse_session.h. The loop is ours rather than libfuse's so that threads can be got out of read(2)
 * without pthread_cancel, and so that nothing but INIT is read before INIT has been answered. */
#define FUSE_USE_VERSION 314
#include "vfs/fuse_session.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/mem.h"
#include "base/sync.h"
#include "vfs/fuse_crew.h"

enum {
	THREADS_DEFAULT = 64,
	REQUEST_DEFAULT = 16 * 1024, /* names, and attributes' values as a rule */
	OPCODES = 64,                /* higher ones are counted together as number 0 */
	INIT_MAX = 1024,
	NOTIFY_RESEND = 7, /* FUSE_NOTIFY_RESEND; newer than some kernel headers */
	FIRST_RAW = 51,    /* FUSE_TMPFILE; libfuse 3.14 ends with the one before */
};
static const uint64_t unique_resend = UINT64_C(1) << 63; /* FUSE_UNIQUE_RESEND, likewise */

/* What libfuse does not pass on of the request in work. */
static _Thread_local struct {
	uint64_t unique;
	bool is_resent, kills_suid;
	pid_t pid; /* who waits; 0 = nobody, or no request */
} current;

struct vfs_fuse_session {
	struct fuse_session *raw;
	struct fuse_crew *crew;
	struct vfs_fuse_session_opt opt;
	uint8_t init[INIT_MAX];
	size_t init_len;
	bool is_takeover;
	bool is_init_read;       /* these two: only the first thread, before any other exists */
	atomic_bool is_serving;  /* INIT has been answered */
	atomic_bool is_stopping; /* threads leave */
	atomic_uint_fast64_t counts[OPCODES];

	struct sync_mutex lock;
	struct err failure; /* guarded by lock; code ERR_NONE = none */
};

static void fail(struct vfs_fuse_session *s, const struct err *why)
{
	sync_lock(&s->lock);
	if (s->failure.code == ERR_NONE)
		s->failure = *why;
	sync_unlock(&s->lock);
	vfs_fuse_session_stop(s);
}

/* ---- input and output ---------------------------------------------------------------------- */

static void count(struct vfs_fuse_session *s, const void *request, size_t len)
{
	struct fuse_in_header in;

	if (len < sizeof(in))
		return;
	memcpy(&in, request, sizeof(in));
	crash_note(in.opcode, in.nodeid);
	atomic_fetch_add_explicit(&s->counts[in.opcode < OPCODES ? in.opcode : 0], 1, memory_order_relaxed);
}

/* The first request of a connection is INIT; its bytes are what a later server needs. */
static ssize_t read_init(struct vfs_fuse_session *s, int fd, void *buf, size_t cap)
{
	struct fuse_in_header in;
	ssize_t n;

	if (s->is_takeover) {
		if (s->init_len > cap) {
			errno = EIO;
			return -1;
		}
		memcpy(buf, s->init, s->init_len);
		s->is_init_read = true;
		return (ssize_t)s->init_len;
	}
	n = read(fd, buf, cap);
	if (n < (ssize_t)sizeof(in))
		return n;
	memcpy(&in, buf, sizeof(in));
	if (in.opcode == FUSE_INIT && (size_t)n <= sizeof(s->init)) {
		memcpy(s->init, buf, (size_t)n);
		s->init_len = (size_t)n;
		s->is_init_read = true;
	}
	return n;
}

/* A server that is killed while the kernel copies a request to it would make that request fail with EIO, were
 * a page of the buffer not there yet: getting one fails once a process is being killed. What is there is
 * written to without asking. */
static void have_pages(const struct vfs_fuse_session *s, void *buf, size_t cap)
{
	static _Thread_local void *known;

	if (known == buf)
		return;
	memset(buf, 0, cap < s->opt.request_max ? cap : s->opt.request_max);
	known = buf;
}

static ssize_t io_read(int fd, void *buf, size_t cap, void *userdata)
{
	struct vfs_fuse_session *s = userdata;
	ssize_t n;

	have_pages(s, buf, cap);

	if (!s->is_init_read)
		return read_init(s, fd, buf, cap);
	n = read(fd, buf, cap);
	if (n > 0)
		count(s, buf, (size_t)n);
	return n;
}

static void ask_to_resend(struct vfs_fuse_session *s, int fd)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = NOTIFY_RESEND, .unique = 0 };
	struct err why;

	if (write(fd, &out, sizeof(out)) >= 0)
		return;
	if (errno == EINVAL)
		(void)err_set(&why, ERR_UNSUPPORTED,
			      "taking over a file system from a server that died needs Linux 6.9");
	else
		(void)err_sys(&why, errno, "taking over a file system");
	fail(s, &why);
}

static void add_init_flags(struct vfs_fuse_session *s, const struct iovec *body)
{
	struct fuse_in_header header;
	struct fuse_init_in in = { .flags = 0 };
	struct fuse_init_out *out = body->iov_base;

	if (s->init_len < sizeof(header) + offsetof(struct fuse_init_in, flags) + sizeof(in.flags) ||
	    body->iov_len < offsetof(struct fuse_init_out, flags) + sizeof(out->flags))
		return;
	memcpy(&in.flags, s->init + sizeof(header) + offsetof(struct fuse_init_in, flags), sizeof(in.flags));
	out->flags |= s->opt.init_flags & in.flags;
}

static ssize_t answer_init(struct vfs_fuse_session *s, int fd, struct iovec *iov, int iov_count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	ssize_t n = 0;

	if (!out->error && iov_count > 1)
		add_init_flags(s, &iov[1]);
	if (s->is_takeover)
		for (int i = 0; i < iov_count; i++)
			n += (ssize_t)iov[i].iov_len;
	else
		n = writev(fd, iov, iov_count);
	if (n < 0 || out->error)
		return n;
	if (s->is_takeover)
		ask_to_resend(s, fd);
	atomic_store(&s->is_serving, true);
	fuse_crew_allow(s->crew);
	if (s->opt.on_serving && !atomic_load(&s->is_stopping))
		s->opt.on_serving(s->opt.on_serving_arg, s->init, s->init_len);
	return n;
}

static ssize_t io_writev(int fd, struct iovec *iov, int iov_count, void *userdata)
{
	struct vfs_fuse_session *s = userdata;
	struct fuse_in_header in;

	if (atomic_load(&s->is_serving) || !s->is_init_read || iov_count < 1)
		return writev(fd, iov, iov_count);
	memcpy(&in, s->init, sizeof(in));
	if (((const struct fuse_out_header *)iov[0].iov_base)->unique != in.unique)
		return writev(fd, iov, iov_count);
	return answer_init(s, fd, iov, iov_count);
}

/* ---- requests ------------------------------------------------------------------------------ */

static bool says_kill_suid(const struct fuse_in_header *in, const void *body, size_t len)
{
	if (in->opcode == FUSE_WRITE && len >= sizeof(struct fuse_write_in))
		return ((const struct fuse_write_in *)body)->write_flags & FUSE_WRITE_KILL_SUIDGID;
	if (in->opcode == FUSE_SETATTR && len >= sizeof(struct fuse_setattr_in))
		return ((const struct fuse_setattr_in *)body)->valid & FATTR_KILL_SUIDGID;
	if (in->opcode == FUSE_CREATE && len >= sizeof(struct fuse_create_in))
		return ((const struct fuse_create_in *)body)->open_flags & FUSE_OPEN_KILL_SUIDGID;
	return false;
}

static void handle(struct vfs_fuse_session *s, const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem; /* malloc'ed: aligned for any of them */
	struct vfs_fuse_raw raw = { .in = in };

	if (buf->size >= sizeof(*in)) {
		raw.body = in + 1;
		raw.body_len = buf->size - sizeof(*in);
		current.unique = in->unique & ~unique_resend;
		current.is_resent = in->unique & unique_resend;
		current.pid = (pid_t)in->pid;
		current.kills_suid = says_kill_suid(in, raw.body, raw.body_len);
		if (s->opt.on_raw && in->opcode >= FIRST_RAW && in->opcode < CUSE_INIT &&
		    atomic_load(&s->is_serving) && s->opt.on_raw(s, s->opt.owner, &raw))
			return;
	}
	fuse_session_process_buf(s->raw, buf);
}

int vfs_fuse_raw_reply(struct vfs_fuse_session *s, const struct vfs_fuse_raw *r, int sys, const void *data,
		       size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + (sys ? 0 : len)),
		.error = -sys,
		.unique = r->in->unique,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)(uintptr_t)data, len } };

	return writev(fuse_session_fd(s->raw), iov, sys ? 1 : 2) < 0 ? errno : 0;
}

bool vfs_fuse_is_resent(const struct fuse_req *req)
{
	(void)req;
	return current.is_resent;
}

uint64_t vfs_fuse_unique(const struct fuse_req *req)
{
	(void)req;
	return current.unique;
}

bool vfs_fuse_kills_suid(const struct fuse_req *req)
{
	(void)req;
	return current.kills_suid;
}

/* ---- serving ------------------------------------------------------------------------------- */

/* The thread that waits for the answer; 0: none, or none that is known here. */
static uint32_t client_of(const struct fuse_buf *buf)
{
	return buf->size < sizeof(struct fuse_in_header) ? 0 : ((const struct fuse_in_header *)buf->mem)->pid;
}

static void serve(void *arg)
{
	struct vfs_fuse_session *s = arg;
	struct fuse_buf buf = { .mem = NULL };
	struct err why;

	if (s->opt.own_umask && unshare(CLONE_FS) < 0) {
		(void)err_sys(&why, errno, "give a thread a umask of its own");
		fail(s, &why);
	}
	while (!atomic_load(&s->is_stopping)) {
		int n = fuse_session_receive_buf(s->raw, &buf);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n < 0) {
			(void)err_sys(&why, -n, "read from /dev/fuse");
			fail(s, &why);
		}
		if (n <= 0)
			break;
		fuse_crew_leave(s->crew, client_of(&buf));
		handle(s, &buf);
		current.pid = 0;
		fuse_crew_return(s->crew);
	}
	free(buf.mem);
	vfs_fuse_session_stop(s);
}

static void do_nothing(int sig)
{
	(void)sig;
}

int vfs_fuse_session_run(struct vfs_fuse_session *s, struct err *e)
{
	struct sigaction act = { .sa_handler = do_nothing };
	sigset_t set;

	(void)sigemptyset(&act.sa_mask);
	(void)sigaction(SIGUSR1, &act, NULL); /* without SA_RESTART */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);

	if (fuse_crew_run(s->crew, e) < 0)
		return -1;
	if (s->failure.code != ERR_NONE) {
		*e = s->failure;
		return -1;
	}
	return 0;
}

bool vfs_fuse_session_is_stopping(struct vfs_fuse_session *s)
{
	return atomic_load(&s->is_stopping);
}

pid_t vfs_fuse_current_pid(void)
{
	return current.pid;
}

void vfs_fuse_session_stop(struct vfs_fuse_session *s)
{
	fuse_session_exit(s->raw);
	atomic_store(&s->is_stopping, true);
	fuse_crew_end(s->crew);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int take_init(struct vfs_fuse_session *s, struct err *e)
{
	struct fuse_in_header in;

	if (!s->opt.takeover_init)
		return 0;
	if (s->opt.takeover_init_len < sizeof(in) || s->opt.takeover_init_len > sizeof(s->init))
		return err_set(e, ERR_FORMAT, "recorded INIT request of %zu bytes makes no sense",
			       s->opt.takeover_init_len);
	memcpy(&in, s->opt.takeover_init, sizeof(in));
	if (in.opcode != FUSE_INIT || in.len != s->opt.takeover_init_len)
		return err_set(e, ERR_FORMAT, "recorded INIT request is not one");
	memcpy(s->init, s->opt.takeover_init, s->opt.takeover_init_len);
	s->init_len = s->opt.takeover_init_len;
	s->is_takeover = true;
	s->opt.takeover_init = NULL;
	return 0;
}

int vfs_fuse_session_open(int fuse_fd, const struct vfs_fuse_session_opt *opt, struct vfs_fuse_session **ret,
			  struct err *e)
{
	static const struct fuse_custom_io io = { .writev = io_writev, .read = io_read };
	char program[] = "floe";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct vfs_fuse_session *s = mem_alloc(1, sizeof(*s), e);
	struct fuse_crew_opt crew;
	int r;

	if (!s)
		return -1;
	sync_mutex_init(&s->lock);
	s->opt = *opt;
	if (s->opt.request_max == 0)
		s->opt.request_max = REQUEST_DEFAULT;
	if (s->opt.threads == 0)
		s->opt.threads = THREADS_DEFAULT;
	crew = (struct fuse_crew_opt){
		.serve = serve, .arg = s, .threads = s->opt.threads, .is_quick = s->opt.is_quick
	};
	if (take_init(s, e) < 0 || fuse_crew_open(&crew, &s->crew, e) < 0) {
		vfs_fuse_session_close(s);
		return -1;
	}
	s->raw = fuse_session_new(&args, opt->ops, sizeof(*opt->ops), s);
	fuse_opt_free_args(&args); /* libfuse has made its own copy */
	if (!s->raw) {
		vfs_fuse_session_close(s);
		return err_set(e, ERR_NOMEM, "libfuse makes no session");
	}
	r = fuse_session_custom_io(s->raw, &io, fuse_fd);
	if (r < 0) {
		vfs_fuse_session_close(s);
		return err_sys(e, -r, "libfuse does not take the descriptor");
	}
	*ret = s;
	return 0;
}

void vfs_fuse_session_close(struct vfs_fuse_session *s)
{
	if (!s)
		return;
	if (s->raw)
		fuse_session_destroy(s->raw); /* closes the descriptor */
	fuse_crew_close(s->crew);
	sync_mutex_fini(&s->lock);
	free(s);
}

void *vfs_fuse_session_owner(struct fuse_req *req)
{
	return ((struct vfs_fuse_session *)fuse_req_userdata(req))->opt.owner;
}

uint64_t vfs_fuse_session_count(struct vfs_fuse_session *s, unsigned opcode)
{
	return atomic_load_explicit(&s->counts[opcode < OPCODES ? opcode : 0], memory_order_relaxed);
}

uint64_t vfs_fuse_session_operations(struct vfs_fuse_session *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OPCODES; i++)
		if (i != FUSE_INIT && i != FUSE_FORGET && i != FUSE_BATCH_FORGET && i != FUSE_INTERRUPT)
			sum += vfs_fuse_session_count(s, i);
	return sum;
}
