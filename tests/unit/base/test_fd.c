/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transfers, atomic replacement, descriptor passing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "tests/unit/cmocka_all.h"

static char scratch[] = "/tmp/floe-test-fd-XXXXXX";
static int scratch_fd = -1;

static int make_scratch(void **state)
{
	(void)state;
	if (!mkdtemp(scratch))
		return -1;
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scratch_fd < 0 ? -1 : 0;
}

static int drop_scratch(void **state)
{
	struct err e;

	(void)state;
	fd_close(scratch_fd);
	return path_remove_tree(AT_FDCWD, scratch, &e);
}

static int count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static int count_entries(void)
{
	DIR *d = opendir(scratch);
	int n = -2;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void reads_exactly_or_says_how_far_it_came(void **state)
{
	int p[2];
	char got[8];
	struct err e;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(p[1], "abcdef", 6, &e), 0);
	assert_int_equal(fd_read_exact(p[0], got, 4, &e), 0);
	assert_memory_equal(got, "abcd", 4);
	fd_close(p[1]);
	assert_int_equal(fd_read_exact(p[0], got, 4, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "ended after 2 of 4 bytes");
	fd_close(p[0]);
}

static void reads_and_writes_at_offsets(void **state)
{
	auto_fd int fd = openat(scratch_fd, "offsets", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char got[4];
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fd_pwrite_all(fd, "wxyz", 4, 100, &e), 0);
	assert_int_equal(fd_pread_exact(fd, got, 4, 100, &e), 0);
	assert_memory_equal(got, "wxyz", 4);
	assert_int_equal(fd_pread_exact(fd, got, 4, 98, &e), 0);
	assert_memory_equal(got, "\0\0wx", 4);
	assert_int_equal(fd_pread_exact(fd, got, 4, 102, &e), -1);
}

static void reads_to_the_end_but_not_past_the_maximum(void **state)
{
	auto_buf struct buf exact = BUF_INIT(200000), tight = BUF_INIT(199999), none = BUF_INIT(10);
	auto_free char *text = NULL;
	struct err e;

	(void)state;
	text = mem_alloc(200000, 1, &e);
	memset(text, 'q', 200000);
	assert_int_equal(fd_write_file(scratch_fd, "long", text, 200000, 0600, &e), 0);
	assert_int_equal(fd_read_file(scratch_fd, "long", &exact, &e), 0);
	assert_int_equal(exact.len, 200000);
	assert_int_equal(fd_read_file(scratch_fd, "long", &tight, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(fd_read_file(scratch_fd, "missing", &none, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
}

static void replaces_files_whole(void **state)
{
	auto_buf struct buf b = BUF_INIT(100);
	struct stat st;
	struct err e;
	int before = count_entries();

	(void)state;
	assert_int_equal(fd_write_file(scratch_fd, "atomic", "old", 3, 0640, &e), 0);
	assert_int_equal(fd_write_file(scratch_fd, "atomic", "newer", 5, 0600, &e), 0);
	assert_int_equal(fd_read_file(scratch_fd, "atomic", &b, &e), 0);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "newer", 5);
	assert_int_equal(fstatat(scratch_fd, "atomic", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_entries(), before + 1);
}

/* A write that fails in the middle leaves the old content and no temporary file. */
static void keeps_the_old_file_when_the_write_fails(void **state)
{
	struct rlimit limit = { .rlim_cur = 10, .rlim_max = RLIM_INFINITY }, was;
	auto_buf struct buf b = BUF_INIT(100);
	char many[64] = { 0 };
	struct err e;
	int before, rc;

	(void)state;
	assert_int_equal(fd_write_file(scratch_fd, "kept", "old", 3, 0600, &e), 0);
	before = count_entries();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit.rlim_max = was.rlim_max;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rc = fd_write_file(scratch_fd, "kept", many, sizeof(many), 0600, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(fd_read_file(scratch_fd, "kept", &b, &e), 0);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "old", 3);
	assert_int_equal(count_entries(), before);
}

static void says_which_directory_is_missing(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(fd_write_file(scratch_fd, "no/such/dir", "x", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "no/such/dir"));
}

static void passes_descriptors(void **state)
{
	int s[2], sent[2], got[4], before = count_open();
	size_t count = 4;
	char text[16], one;
	struct err e;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(pipe2(sent, O_CLOEXEC), 0);
	assert_int_equal(fd_send(s[0], "hello", 5, sent, 2, &e), 0);
	assert_int_equal(fd_recv(s[1], text, sizeof(text), got, &count, &e), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(count, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_write_all(got[1], "!", 1, &e), 0);
	assert_int_equal(fd_read_exact(sent[0], &one, 1, &e), 0);
	assert_int_equal(one, '!');
	fd_close(s[0]);
	count = 4;
	assert_int_equal(fd_recv(s[1], text, sizeof(text), got, &count, &e), 0);
	fd_close(s[1]);
	for (int i = 0; i < 2; i++) {
		fd_close(sent[i]);
		fd_close(got[i]);
	}
	assert_int_equal(count_open(), before);
}

static void closes_descriptors_that_it_refuses(void **state)
{
	int s[2], sent[3], got[1], before;
	size_t count = 1;
	char text[4];
	struct err e;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	for (int i = 0; i < 3; i++)
		sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = count_open();
	assert_int_equal(fd_send(s[0], "abc", 3, sent, 3, &e), 0);
	assert_int_equal(fd_recv(s[1], text, sizeof(text), got, &count, &e), -1); /* room for one only */
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(count_open(), before);
	assert_int_equal(fd_send(s[0], "abcdefgh", 8, sent, 1, &e), 0);
	count = 1;
	assert_int_equal(fd_recv(s[1], text, sizeof(text), got, &count, &e), -1); /* message too long */
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(count_open(), before);
	assert_int_equal(fd_send(s[0], "abc", 3, sent, FD_PASS_MAX + 1, &e), -1);
	for (int i = 0; i < 3; i++)
		fd_close(sent[i]);
	fd_close(s[0]);
	fd_close(s[1]);
}

static void writing_to_nobody_is_an_error_not_a_signal(void **state)
{
	static const int kind[] = { SOCK_SEQPACKET, SOCK_STREAM };
	struct err e;
	int s[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
		assert_int_equal(socketpair(AF_UNIX, kind[i] | SOCK_CLOEXEC, 0, s), 0);
		fd_close(s[1]);
		assert_int_equal(fd_send(s[0], "x", 1, NULL, 0, &e), -1);
		assert_int_equal(e.sys, EPIPE);
		fd_close(s[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_exactly_or_says_how_far_it_came),
		cmocka_unit_test(reads_and_writes_at_offsets),
		cmocka_unit_test(reads_to_the_end_but_not_past_the_maximum),
		cmocka_unit_test(replaces_files_whole),
		cmocka_unit_test(keeps_the_old_file_when_the_write_fails),
		cmocka_unit_test(says_which_directory_is_missing),
		cmocka_unit_test(passes_descriptors),
		cmocka_unit_test(closes_descriptors_that_it_refuses),
		cmocka_unit_test(writing_to_nobody_is_an_error_not_a_signal),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
