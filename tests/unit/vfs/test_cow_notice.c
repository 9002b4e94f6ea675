/* SPDX-License-Identifier: Apache-2.0 */
/* Notices: what the kernel is sent, and that nobody waits longer than they said. */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/sync.h"
#include "vfs/cow_notice.h"

struct message {
	struct fuse_out_header head;
	struct fuse_notify_inval_inode_out body;
};

static void expect_notice(int fd, uint64_t id)
{
	struct message m;

	assert_int_equal(read(fd, &m, sizeof(m)), sizeof(m));
	assert_int_equal(m.head.len, sizeof(m));
	assert_int_equal(m.head.error, FUSE_NOTIFY_INVAL_INODE);
	assert_true(m.head.unique == 0 && m.body.ino == id);
	assert_true(m.body.off == 0 && m.body.len == 0); /* all of it */
}

static void test_content(void **state)
{
	struct cow_notices *n;
	struct pollfd fd = { .events = POLLIN };
	int pipe_fds[2];
	struct err e;

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	fd.fd = pipe_fds[0];
	assert_int_equal(cow_notices_open(pipe_fds[1], &n, &e), 0);
	for (uint64_t id = 5; id < 5000; id += 7) {
		cow_notice_changed(n, id, 10000);
		assert_int_equal(poll(&fd, 1, 0), 1); /* it is there when the call returns */
		expect_notice(fd.fd, id);
	}
	assert_int_equal(poll(&fd, 1, 0), 0);
	cow_notices_close(n);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void test_wait_is_bounded(void **state)
{
	char filling[4096] = "";
	struct cow_notices *n;
	int pipe_fds[2], cap;
	uint64_t begin;
	struct err e;

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	cap = fcntl(pipe_fds[1], F_SETPIPE_SZ, sizeof(filling));
	assert_int_equal(cap, sizeof(filling));
	assert_int_equal(write(pipe_fds[1], filling, sizeof(filling)), sizeof(filling));
	assert_int_equal(cow_notices_open(pipe_fds[1], &n, &e), 0);
	begin = sync_now_ms();
	cow_notice_changed(n, 1, 20); /* under way */
	cow_notice_changed(n, 2, 20);
	cow_notice_changed(n, 2, 20); /* waits for the same one */
	cow_notice_changed(n, 1, 20); /* the one under way may be too early for this change */
	assert_in_range(sync_now_ms() - begin, 80, 5000);
	assert_int_equal(read(pipe_fds[0], filling, sizeof(filling)), sizeof(filling));
	expect_notice(pipe_fds[0], 1);
	expect_notice(pipe_fds[0], 2);
	expect_notice(pipe_fds[0], 1);
	cow_notice_changed(n, 3, 10000);
	expect_notice(pipe_fds[0], 3);
	cow_notices_close(n);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_wait_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
