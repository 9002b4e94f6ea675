/* SPDX-License-Identifier: Apache-2.0 */
/* open and truncate: flags, kinds and lengths. */
#include <sys/wait.h>

#include "tests/union/posix.h"

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	return fd < 0 ? fd : close(fd);
}

static void open_kinds(void)
{
	static const char *const dirs[] = { "sub", "merged", "made", "." };

	OK(mkdir("made", 0755));
	make_object(KIND_SOCKET, "socket");
	for (size_t i = 0; i < 4; i++) {
		WANT(dirs[i], try_open(dirs[i], O_RDONLY), 0);
		WANT(dirs[i], try_open(dirs[i], O_RDONLY | O_DIRECTORY), 0);
		WANT(dirs[i], try_open(dirs[i], O_WRONLY), EISDIR);
		WANT(dirs[i], try_open(dirs[i], O_RDWR), EISDIR);
		WANT(dirs[i], try_open(dirs[i], O_RDONLY | O_TRUNC), EISDIR);
		WANT(dirs[i], try_open(dirs[i], O_WRONLY | O_TRUNC), EISDIR);
		WANT(dirs[i], try_open(dirs[i], O_WRONLY | O_CREAT), EISDIR);
		WANT(dirs[i], try_open(dirs[i], O_RDONLY | O_CREAT | O_EXCL), EEXIST);
		WANT(dirs[i], truncate(dirs[i], 0), EISDIR);
	}
	WANT("file", try_open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
	WANT("fifo", try_open("fifo", O_RDONLY | O_DIRECTORY), ENOTDIR);
	WANT("link to a directory", try_open("dirlink", O_RDONLY | O_DIRECTORY), 0);
	WANT("link to a directory", try_open("dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
	WANT("symlink", try_open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	WANT("symlink", try_open("dangling", O_RDONLY | O_NOFOLLOW), ELOOP);
	WANT("symlink", try_open("link", O_WRONLY | O_CREAT | O_EXCL), EEXIST);
	WANT("symlink", try_open("dangling", O_WRONLY | O_CREAT | O_EXCL), EEXIST);
	WANT("symlink", try_open("link", O_PATH | O_NOFOLLOW), 0);
	WANT("dangling", try_open("dangling", O_RDONLY), ENOENT);
	WANT("dangling", try_open("dangling", O_WRONLY | O_CREAT), 0); /* makes what it leads to */
	expect_text("nowhere", "");
	WANT("socket", try_open("socket", O_RDONLY), ENXIO);
	WANT("socket", try_open("socket", O_RDWR), ENXIO);
	WANT("fifo", try_open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	WANT("fifo", try_open("fifo", O_RDONLY | O_NONBLOCK), 0);
	WANT("fifo", truncate("fifo", 0), EINVAL);
	WANT("socket", truncate("socket", 0), EINVAL);
}

static void *volatile nowhere = (void *)1;

static void open_modes(void)
{
	static const char *const paths[] = { "new", "file", "merged/both" };
	char c;

	write_text("new", "content\n");
	for (size_t i = 0; i < 3; i++) {
		int in = OK(open(paths[i], O_RDONLY)), out = OK(open(paths[i], O_WRONLY));

		WANT(paths[i], write(in, "x", 1), EBADF);
		WANT(paths[i], read(out, &c, 1), EBADF);
		WANT(paths[i], ftruncate(in, 0), EINVAL);
		WANT(paths[i], fallocate(in, 0, 0, 10), EBADF);
		WANT(paths[i], read(in, &c, 1), 0);
		WANT(paths[i], write(out, &c, 1), 0);
		WANT(paths[i], lseek(in, -1, SEEK_SET), EINVAL);
		WANT(paths[i], pread(in, &c, 1, -1), EINVAL);
		WANT(paths[i], read(in, nowhere, 1), EFAULT);
		WANT(paths[i], write(out, nowhere, 1), EFAULT);
		WANT(paths[i], ftruncate(out, -1), EINVAL);
		WANT(paths[i], fchmod(in, 0600), 0);
		OK(close(in));
		OK(close(out));
		WANT(paths[i], write(out, "x", 1), EBADF);
	}
	WANT("created", try_open("excl", O_RDWR | O_CREAT | O_EXCL), 0);
	WANT("created", try_open("excl", O_RDWR | O_CREAT | O_EXCL), EEXIST);
	WANT("created", try_open("file", O_RDWR | O_CREAT | O_EXCL), EEXIST);
	OK(unlink("file"));
	WANT("deleted", try_open("file", O_RDWR), ENOENT);
	WANT("deleted", try_open("file", O_RDWR | O_CREAT | O_EXCL), 0);
	EQUAL(stat_of("file").st_size, 0);
	/* the mode counts for the next one to open it, not for its maker */
	c = 'x';
	int fd = OK(open("readonly", O_RDWR | O_CREAT, 0400));
	WANT("read-only file's maker", write(fd, &c, 1), 0);
	WANT("read-only file's maker", pread(fd, &c, 1, 0), 0);
	WANT("read-only file's maker", ftruncate(fd, 100), 0);
}

static void open_appends(void)
{
	int fd = OK(open("file", O_RDWR | O_APPEND));

	EQUAL(OK(pwrite(fd, "1", 1, 0)), 1); /* Linux: to the end nevertheless */
	expect_text("file", "lower file\n1");
	EQUAL(OK(lseek(fd, 0, SEEK_SET)), 0);
	EQUAL(OK(write(fd, "2", 1)), 1);
	expect_text("file", "lower file\n12");
	OK(truncate("file", 5));
	EQUAL(OK(write(fd, "3", 1)), 1);
	expect_text("file", "lower3");
	EQUAL(OK(fcntl(fd, F_SETFL, 0)), 0);
	EQUAL(OK(pwrite(fd, "L", 1, 0)), 1);
	expect_text("file", "Lower3");
}

static void truncate_lengths(void)
{
	static const off_t lengths[] = { 0, 1, 4095, 4096, 4097, 0, 123456, 200000, 7, 1048577, 5 };
	static const char *const paths[] = { "new", "data", "merged/low1" };

	make_object(KIND_FILE, "new");
	for (size_t i = 0; i < 3; i++) {
		int fd = OK(open(paths[i], O_RDWR));

		for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
			WANT(paths[i], j % 2 ? truncate(paths[i], lengths[j]) : ftruncate(fd, lengths[j]), 0);
			case_expect(stat_of(paths[i]).st_size == lengths[j], "%s: length", paths[i]);
			case_expect(lseek(fd, 0, SEEK_END) == lengths[j], "%s: end", paths[i]);
			if (lengths[j] > 5) {
				char c = 'x';

				case_expect(pread(fd, &c, 1, lengths[j] - 1) == 1, "%s: last byte", paths[i]);
				case_expect(c == 0 || (j && lengths[j] < lengths[j - 1]),
					    "%s: last byte is %d", paths[i], c);
			}
		}
		WANT(paths[i], truncate(paths[i], -1), EINVAL);
		WANT(paths[i], truncate(paths[i], INT64_MAX), EFBIG);
		EQUAL(stat_of(paths[i]).st_size, 5);
		OK(close(fd));
	}
}

static void programs_are_busy(void)
{
	static const char *const paths[] = { "exe", "copied" };

	OK(link("exe", "copied"));
	OK(rename("copied", "sub/copied"));
	OK(rename("sub/copied", "copied"));
	for (size_t i = 0; i < 2; i++) {
		int input, fd;
		pid_t pid = run_program(paths[i], &input);

		WANT(paths[i], try_open(paths[i], O_WRONLY), ETXTBSY);
		WANT(paths[i], try_open(paths[i], O_RDWR), ETXTBSY);
		WANT(paths[i], try_open(paths[i], O_RDONLY | O_TRUNC), ETXTBSY);
		WANT(paths[i], truncate(paths[i], 0), ETXTBSY);
		WANT(paths[i], try_open(paths[i], O_RDONLY), 0);
		OK(close(input));
		OK(waitpid(pid, NULL, 0));
		fd = OK(open(paths[i], O_RDWR));
		WANT(paths[i], execl(paths[i], paths[i], (char *)NULL), ETXTBSY);
		OK(close(fd));
	}
}

static void limits_of_size(void)
{
	int fd = OK(open("file", O_RDWR));

	WANT("beyond", pwrite(fd, "x", 1, INT64_MAX), EINVAL);
	WANT("beyond", pwrite(fd, "x", 1, (off_t)1 << 62), EFBIG);
	WANT("beyond", fallocate(fd, 0, INT64_MAX - 5, 100), EFBIG);
	WANT("nothing", fallocate(fd, 0, 0, 0), EINVAL);
	WANT("negative", fallocate(fd, 0, -1, 10), EINVAL);
	WANT("flags", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	WANT("far", pwrite(fd, "x", 1, (off_t)1 << 40), 0);
	EQUAL(stat_fd(fd).st_size, ((off_t)1 << 40) + 1);
	CHECK(stat_fd(fd).st_blocks < 1000);
	expect_text("sub/a", "a\n");
}

const struct test_case posix_open[] = {
	{ "open_kinds", open_kinds, NULL },
	{ "open_modes", open_modes, NULL },
	{ "open_appends", open_appends, NULL },
	{ "truncate_lengths", truncate_lengths, NULL },
	{ "programs_are_busy", programs_are_busy, NULL },
	{ "limits_of_size", limits_of_size, NULL },
	{ NULL, NULL, NULL },
};
