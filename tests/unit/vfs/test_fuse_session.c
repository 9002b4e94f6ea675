/* SPDX-License-Identifier: Apache-2.0 */
/* A session with the test as its kernel, at the other end of a socket: what it adds to libfuse. */
#define FUSE_USE_VERSION 314
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/fuse_session.h"

enum { TMPFILE = 51, STATX = 52, FLAG = 1 << 28, FLAG_NOT_OFFERED = 1 << 27 };

struct message {
	struct fuse_in_header in;
	char body[512];
};

static struct {
	struct vfs_fuse_session *session;
	int kernel; /* the other end */
	pthread_t thread;
	int result;
	atomic_int kills, resent, raws, servings;
	atomic_bool hold;
	uint8_t init[1024];
	size_t init_len;
} t;

/* ---- the file system */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want = 0;
}

static void note(fuse_req_t req)
{
	atomic_store(&t.kills, vfs_fuse_kills_suid(req));
	atomic_store(&t.resent, vfs_fuse_is_resent(req));
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR };

	(void)fi;
	note(req);
	(void)fuse_reply_attr(req, &st, 0);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	(void)st;
	(void)set;
	on_getattr(req, ino, fi);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)ino;
	(void)data;
	(void)off;
	(void)fi;
	note(req);
	(void)fuse_reply_write(req, size);
}

/* Each thread sets its umask and finds it as it was, whatever the others set meanwhile. */
static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	mode_t mine = mode & 0777;

	(void)parent;
	(void)name;
	(void)umask(mine);
	while (atomic_load(&t.hold))
		(void)poll(NULL, 0, 1);
	(void)fuse_reply_err(req, umask(mine) == mine ? EEXIST : EIO);
}

static bool on_raw(struct vfs_fuse_session *s, void *owner, const struct vfs_fuse_raw *r)
{
	assert_ptr_equal(owner, &t);
	atomic_fetch_add(&t.raws, 1);
	if (r->in->opcode != TMPFILE)
		return false;
	assert_int_equal(vfs_fuse_raw_reply(s, r, 0, r->body, r->body_len), 0);
	return true;
}

static void on_serving(void *arg, const uint8_t *init, size_t init_len)
{
	(void)arg;
	assert_in_range(init_len, 1, sizeof(t.init));
	memcpy(t.init, init, init_len);
	t.init_len = init_len;
	atomic_fetch_add(&t.servings, 1);
}

static const struct fuse_lowlevel_ops ops = {
	.init = on_init,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.write = on_write,
	.mkdir = on_mkdir,
};

/* ---- the kernel */

static void ask(uint64_t unique, uint32_t opcode, const void *body, size_t len)
{
	struct message m = { .in = { .opcode = opcode, .unique = unique, .nodeid = 1 } };

	assert_in_range(len, 0, sizeof(m.body));
	if (len)
		memcpy(m.body, body, len);
	m.in.len = (uint32_t)(sizeof(m.in) + len);
	assert_int_equal(send(t.kernel, &m, m.in.len, 0), m.in.len);
}

/* The length of what follows the header. */
static size_t answer(struct fuse_out_header *out, void *body, size_t cap)
{
	struct pollfd fd = { .fd = t.kernel, .events = POLLIN };
	char buf[1024];
	ssize_t n;

	assert_int_equal(poll(&fd, 1, 10000), 1);
	n = recv(t.kernel, buf, sizeof(buf), 0);
	assert_true(n >= (ssize_t)sizeof(*out));
	memcpy(out, buf, sizeof(*out));
	assert_int_equal(out->len, n);
	n -= (ssize_t)sizeof(*out);
	if (body)
		memcpy(body, buf + sizeof(*out), (size_t)n < cap ? (size_t)n : cap);
	return (size_t)n;
}

static void *run(void *arg)
{
	struct err e;

	(void)arg;
	t.result = vfs_fuse_session_run(t.session, &e);
	return NULL;
}

static void start(const uint8_t *init, size_t init_len)
{
	struct vfs_fuse_session_opt opt = {
		.ops = &ops,
		.owner = &t,
		.takeover_init = init,
		.takeover_init_len = init_len,
		.on_serving = on_serving,
		.init_flags = FLAG | FLAG_NOT_OFFERED,
		.on_raw = on_raw,
		.own_umask = true,
		.is_quick = true,
	};
	int pair[2];
	struct err e;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	t.kernel = pair[0];
	atomic_store(&t.servings, 0);
	assert_int_equal(vfs_fuse_session_open(pair[1], &opt, &t.session, &e), 0);
	assert_int_equal(pthread_create(&t.thread, NULL, run, NULL), 0);
}

static void end(void)
{
	vfs_fuse_session_stop(t.session);
	assert_int_equal(pthread_join(t.thread, NULL), 0);
	assert_int_equal(t.result, 0);
	vfs_fuse_session_close(t.session);
	(void)close(t.kernel);
}

static uint32_t greet(void)
{
	struct fuse_init_in in = { .major = 7, .minor = 38, .max_readahead = 1 << 17, .flags = FLAG | 1 };
	struct fuse_init_out body = { .flags = 0 };
	struct fuse_out_header out;

	ask(2, FUSE_INIT, &in, sizeof(in));
	assert_in_range(answer(&out, &body, sizeof(body)), 24, sizeof(body));
	assert_int_equal(out.error, 0);
	for (int i = 0; i < 10000 && atomic_load(&t.servings) == 0; i++)
		(void)poll(NULL, 0, 1);
	return body.flags;
}

/* ---- tests */

static void test_init_flags(void **state)
{
	uint32_t flags;

	(void)state;
	start(NULL, 0);
	flags = greet();
	assert_true(flags & FLAG);
	assert_false(flags & FLAG_NOT_OFFERED);
	assert_int_equal(t.servings, 1);
	end();
}

static void ask_and_expect(uint64_t unique, uint32_t opcode, const void *body, size_t len, bool kills)
{
	struct fuse_out_header out;

	ask(unique, opcode, body, len);
	(void)answer(&out, NULL, 0);
	assert_int_equal(out.error, 0);
	assert_true(out.unique == unique);
	assert_int_equal(t.kills, kills);
	assert_int_equal(t.resent, unique >> 63);
}

static void test_what_libfuse_hides(void **state)
{
	const uint64_t resent = UINT64_C(1) << 63;
	struct fuse_getattr_in get = { .getattr_flags = 0 };
	struct fuse_setattr_in set = { .valid = FATTR_SIZE };
	struct {
		struct fuse_write_in in;
		char data[4];
	} put = { .in = { .size = 4, .write_flags = FUSE_WRITE_KILL_SUIDGID } };

	(void)state;
	start(NULL, 0);
	(void)greet();
	ask_and_expect(4, FUSE_SETATTR, &set, sizeof(set), false);
	set.valid |= FATTR_KILL_SUIDGID;
	ask_and_expect(6 | resent, FUSE_SETATTR, &set, sizeof(set), true);
	ask_and_expect(8, FUSE_GETATTR, &get, sizeof(get), false);
	ask_and_expect(10, FUSE_WRITE, &put, sizeof(put), true);
	put.in.write_flags = FUSE_WRITE_LOCKOWNER;
	ask_and_expect(12 | resent, FUSE_WRITE, &put, sizeof(put), false);
	end();
}

static void test_raw(void **state)
{
	struct fuse_out_header out;
	char body[8] = "";

	(void)state;
	atomic_store(&t.raws, 0);
	start(NULL, 0);
	(void)greet();
	ask(4, TMPFILE, "content", 8);
	assert_int_equal(answer(&out, body, sizeof(body)), 8);
	assert_true(out.unique == 4 && out.error == 0);
	assert_string_equal(body, "content");
	ask(6, STATX, "content", 8);
	assert_int_equal(answer(&out, NULL, 0), 0);
	assert_true(out.unique == 6 && out.error == -ENOSYS);
	assert_int_equal(t.raws, 2);
	end();
}

static void test_umask(void **state)
{
	struct {
		struct fuse_mkdir_in in;
		char name[2];
	} a = { .in = { .mode = 0111 }, .name = "a" }, b = { .in = { .mode = 0222 }, .name = "b" };
	struct fuse_out_header out;

	(void)state;
	start(NULL, 0);
	(void)greet();
	atomic_store(&t.hold, true);
	ask(4, FUSE_MKDIR, &a, sizeof(a.in) + 2);
	ask(6, FUSE_MKDIR, &b, sizeof(b.in) + 2);
	(void)poll(NULL, 0, 50);
	atomic_store(&t.hold, false);
	for (int i = 0; i < 2; i++) {
		(void)answer(&out, NULL, 0);
		assert_int_equal(out.error, -EEXIST);
	}
	end();
}

/* The successor gets no INIT, answers none, and asks for what is unanswered. */
static void test_takeover(void **state)
{
	struct fuse_getattr_in get = { .getattr_flags = 0 };
	struct fuse_out_header out;
	uint8_t init[sizeof(t.init)];
	size_t init_len;

	(void)state;
	start(NULL, 0);
	(void)greet();
	end();
	init_len = t.init_len;
	memcpy(init, t.init, init_len);
	start(init, init_len);
	assert_int_equal(answer(&out, NULL, 0), 0);
	assert_true(out.unique == 0 && out.error == 7); /* FUSE_NOTIFY_RESEND */
	ask_and_expect(4, FUSE_GETATTR, &get, sizeof(get), false);
	assert_int_equal(t.servings, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_flags), cmocka_unit_test(test_what_libfuse_hides),
		cmocka_unit_test(test_raw),        cmocka_unit_test(test_umask),
		cmocka_unit_test(test_takeover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
