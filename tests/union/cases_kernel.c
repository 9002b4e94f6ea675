/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel adds to files: locks, watches, programs, pipes and sockets. */
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/union/case_lists.h"

static void lock_conflict_flock(void)
{
	FAILS(flock(OK(open("file", O_RDONLY)), LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

static void locks_flock(void)
{
	int fd = OK(open("file", O_RDONLY));

	OK(flock(fd, LOCK_EX));
	in_child(lock_conflict_flock);
	append_text("file", "copied up\n");
	in_child(lock_conflict_flock);
	FAILS(flock(OK(open("file", O_RDWR)), LOCK_SH | LOCK_NB), EWOULDBLOCK);
	OK(flock(fd, LOCK_UN));
	OK(flock(OK(open("file", O_RDWR)), LOCK_EX | LOCK_NB));
}

static void lock_conflict_posix(void)
{
	int fd = OK(open("file", O_RDWR));
	struct flock l = { .l_type = F_WRLCK, .l_start = 3, .l_len = 2 };

	FAILS(fcntl(fd, F_SETLK, &l), EAGAIN);
	OK(fcntl(fd, F_GETLK, &l));
	EQUAL(l.l_type, F_WRLCK);
	EQUAL(l.l_pid, getppid());
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 100, .l_len = 2 };
	OK(fcntl(fd, F_SETLK, &l));
}

static void locks_posix(void)
{
	int fd = OK(open("file", O_RDWR));
	struct flock l = { .l_type = F_WRLCK, .l_start = 0, .l_len = 10 };

	OK(fcntl(fd, F_SETLK, &l));
	in_child(lock_conflict_posix);
	EQUAL(OK(write(fd, "x", 1)), 1);
	in_child(lock_conflict_posix);
}

static void locks_of_descriptions(void)
{
	int one = OK(open("file", O_RDWR)), two = OK(open("file", O_RDWR));
	struct flock l = { .l_type = F_WRLCK, .l_len = 10 };

	OK(fcntl(one, F_OFD_SETLK, &l));
	FAILS(fcntl(two, F_OFD_SETLK, &l), EAGAIN);
	EQUAL(OK(write(two, "x", 1)), 1);
	FAILS(fcntl(two, F_OFD_SETLK, &l), EAGAIN);
	OK(close(one));
	OK(fcntl(two, F_OFD_SETLK, &l));
}

static unsigned seen_events(int fd)
{
	char buf[8192] __attribute__((aligned(8)));
	unsigned mask = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 200) > 0) {
		ssize_t n = OK(read(fd, buf, sizeof(buf)));

		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			mask |= e->mask;
			at += sizeof(*e) + e->len;
		}
	}
	return mask;
}

static void watches(void)
{
	int fd = OK(inotify_init1(IN_CLOEXEC)), file = OK(inotify_init1(IN_CLOEXEC));
	unsigned mask;

	OK(inotify_add_watch(fd, "sub", IN_ALL_EVENTS));
	OK(inotify_add_watch(file, "sub/a", IN_ALL_EVENTS));
	append_text("sub/a", "more\n");
	write_text("sub/new", "x");
	OK(rename("sub/new", "sub/renamed"));
	OK(chmod("sub/b", 0640));
	OK(unlink("sub/c"));
	OK(mkdir("sub/made", 0755));
	mask = seen_events(fd);
	case_expect(mask & IN_MODIFY, "no IN_MODIFY");
	case_expect(mask & IN_CLOSE_WRITE, "no IN_CLOSE_WRITE");
	case_expect(mask & IN_CREATE, "no IN_CREATE");
	case_expect(mask & IN_MOVED_FROM, "no IN_MOVED_FROM");
	case_expect(mask & IN_MOVED_TO, "no IN_MOVED_TO");
	case_expect(mask & IN_ATTRIB, "no IN_ATTRIB");
	case_expect(mask & IN_DELETE, "no IN_DELETE");
	case_expect(mask & IN_ISDIR, "no IN_ISDIR");
	mask = seen_events(file);
	case_expect(mask & IN_MODIFY, "no IN_MODIFY of a file copied up under its watch");
	append_text("sub/a", "again\n");
	case_expect(seen_events(file) & IN_MODIFY, "no IN_MODIFY after the copy-up");
	OK(unlink("sub/a"));
	case_expect(seen_events(file) & (IN_DELETE_SELF | IN_ATTRIB), "no IN_DELETE_SELF");
}

static void busy_program(const char *path)
{
	int input, status, fd;
	pid_t pid = run_program(path, &input);

	fd = open(path, O_WRONLY);
	case_expect(fd < 0 && errno == ETXTBSY, "%s: open while it runs: %s", path,
		    fd < 0 ? strerror(errno) : "works");
	if (fd >= 0)
		OK(close(fd));
	case_expect(truncate(path, 0) < 0 && errno == ETXTBSY, "%s: truncate while it runs", path);
	OK(close(input));
	OK(waitpid(pid, &status, 0));
	case_expect(status == 0, "%s: status %d", path, status);
	fd = OK(open(path, O_WRONLY));
	pid = run_program(path, &input);
	OK(close(input));
	OK(waitpid(pid, &status, 0));
	case_expect(WIFEXITED(status) && WEXITSTATUS(status) == 127, "%s: runs while it is open for writing",
		    path);
	OK(close(fd));
}

static void busy_program_lower(void)
{
	busy_program("exe");
}

static void busy_program_upper(void)
{
	OK(chmod("exe", 0755)); /* copied up */
	OK(rename("exe", "sub/exe"));
	busy_program("sub/exe");
}

static void programs_run(void)
{
	int input, status;
	pid_t pid = run_program("exe", &input);

	OK(unlink("exe")); /* while it runs */
	OK(close(input));
	OK(waitpid(pid, &status, 0));
	EQUAL(status, 0);
	write_text("script", "#!/bin/sh\nexit 7\n");
	OK(chmod("script", 0755));
	pid = OK(fork());
	if (pid == 0) {
		(void)execl("./script", "./script", (char *)NULL);
		_exit(99);
	}
	OK(waitpid(pid, &status, 0));
	EQUAL(WEXITSTATUS(status), 7);
	FAILS(execl("./file", "./file", (char *)NULL), EACCES);
}

static void pipe_through(const char *path)
{
	int in = OK(open(path, O_RDONLY | O_NONBLOCK)), out = OK(open(path, O_WRONLY));
	char got[5] = "";

	EQUAL(OK(write(out, "pipe", 4)), 4);
	EQUAL(OK(read(in, got, 4)), 4);
	CHECK(strcmp(got, "pipe") == 0);
	OK(close(in));
	OK(close(out));
}

static void fifos(void)
{
	OK(mkfifo("new", 0600));
	pipe_through("new");
	pipe_through("fifo");
	OK(rename("fifo", "sub/fifo"));
	pipe_through("sub/fifo");
	OK(chmod("sub/fifo", 0600));
	pipe_through("sub/fifo");
	FAILS(open("new", O_WRONLY | O_NONBLOCK), ENXIO);
}

static void fifos_after(void)
{
	pipe_through("sub/fifo");
	pipe_through("new");
	EQUAL(stat_of("new").st_mode, S_IFIFO | 0600);
}

static void sockets(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sub/socket" };
	int listener = OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = OK(socket(AF_UNIX, SOCK_STREAM, 0)), fd;
	char got[3] = "";

	OK(bind(listener, (struct sockaddr *)&a, sizeof(a)));
	CHECK(S_ISSOCK(stat_of("sub/socket").st_mode));
	OK(listen(listener, 1));
	OK(connect(client, (struct sockaddr *)&a, sizeof(a)));
	fd = OK(accept(listener, NULL, NULL));
	EQUAL(OK(write(fd, "hi", 2)), 2);
	EQUAL(OK(read(client, got, 2)), 2);
	FAILS(open("sub/socket", O_RDWR), ENXIO);
	OK(rename("sub/socket", "socket"));
	OK(unlink("socket"));
	OK(mknod("made", S_IFSOCK | 0600, 0));
	CHECK(S_ISSOCK(stat_of("made").st_mode));
}

static void devices(void)
{
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0) {
		EQUAL(stat_of("null").st_rdev, makedev(1, 3));
		OK(unlink("null"));
	} else {
		CHECK(errno == EPERM);
	}
	/* an application's device 0:0 is no whiteout of theirs */
	if (mknod("zero", S_IFCHR | 0600, makedev(0, 0)) < 0) {
		CHECK(errno == EPERM || errno == EINVAL || errno == EIO);
		return;
	}
	CHECK(S_ISCHR(stat_of("zero").st_mode));
	CHECK(is_listed(".", "zero"));
}

static void file_system_figures(void)
{
	struct statfs s;

	OK(statfs(".", &s));
	CHECK(s.f_blocks > 0 && s.f_bsize >= 512 && s.f_bfree <= s.f_blocks);
	CHECK(s.f_files == 0 || s.f_ffree <= s.f_files);
	EQUAL(s.f_namelen, 255);
	OK(statfs("sub/deep/x", &s));
	OK(fstatfs(OK(open("file", O_RDONLY)), &s));
	CHECK(stat_of("data").st_blocks * 512 >= KIT_DATA_SIZE);
	CHECK(stat_of("data").st_blksize >= 512);
}

static void unknown_ioctls(void)
{
	struct termios t;
	int fd = OK(open("file", O_RDWR)), n = -1;

	FAILS(ioctl(fd, TCGETS, &t), ENOTTY);
	FAILS(ioctl(fd, 0xdead, NULL), ENOTTY);
	OK(ioctl(fd, FIONREAD, &n));
	EQUAL(n, 11);
}

const struct test_case cases_kernel[] = {
	{ "locks_flock", locks_flock, NULL },
	{ "locks_posix", locks_posix, NULL },
	{ "locks_of_descriptions", locks_of_descriptions, NULL },
	{ "watches", watches, NULL },
	{ "busy_program_lower", busy_program_lower, NULL },
	{ "busy_program_upper", busy_program_upper, NULL },
	{ "programs_run", programs_run, NULL },
	{ "fifos", fifos, fifos_after },
	{ "sockets", sockets, NULL },
	{ "devices", devices, NULL },
	{ "file_system_figures", file_system_figures, NULL },
	{ "unknown_ioctls", unknown_ioctls, NULL },
	{ NULL, NULL, NULL },
};
