/* SPDX-License-Identifier: Apache-2.0 */
/* What a file system says when it has no room, or may not be written: the right error at the right call, no
 * half copy, and on it goes when there is room again.
 *
 *   room make DIR            the lower layer
 *   room full DIR ERRNO      fills the disk, or what may be used of it (ENOSPC, EDQUOT)
 *   room inodes DIR          uses all inodes up
 *   room read-only DIR       of an upper that has just become read-only
 *
 * The upper and its work directory have a few MiB and some hundred inodes of their own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BIG = 3 << 20, BIGS = 3, SMALL = 40, PIECE = 64 << 10, FILLERS_MAX = 100000 };

static int want; /* the errno */

#define NEED(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "room: line %d: %s: %s\n", __LINE__, #condition, strerror(errno));   \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)
/* Fails, and in no other way than it must. */
#define NEED_ERROR(call) NEED((errno = 0, (call) < 0) && errno == want)

static char byte_at(size_t off)
{
	return (char)('a' + (off * 2654435761U >> 13) % 26);
}

static char *bytes_of(size_t len)
{
	char *bytes = malloc(len);

	NEED(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

static void put(const char *path, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	char *bytes = bytes_of(len);

	NEED(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
	free(bytes);
}

static bool is_whole(const char *path, size_t len)
{
	char *want_bytes = bytes_of(len), *got = malloc(len + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool same;

	NEED(fd >= 0 && got);
	same = read(fd, got, len + 1) == (ssize_t)len && !memcmp(got, want_bytes, len);
	NEED(close(fd) == 0);
	free(want_bytes);
	free(got);
	return same;
}

static void make(void)
{
	char path[32];

	for (int i = 0; i < BIGS; i++) {
		(void)snprintf(path, sizeof(path), "big%d", i);
		put(path, BIG);
	}
	for (int i = 0; i < SMALL; i++) {
		(void)snprintf(path, sizeof(path), "small%d", i);
		put(path, 1000);
	}
	NEED(mkdir("dir", 0755) == 0 && mkdir("dir/sub", 0755) == 0);
	put("dir/sub/in", 1000);
	NEED(mkdir("away", 0755) == 0);
	put("away/1", 10);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* ---- room ----------------------------------------------------------------------------------- */

/* The error comes at write(2); closing and syncing have nothing more to say. */
static void fill(const char *path)
{
	static char piece[PIECE];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	off_t len = 0;
	struct stat st;
	ssize_t n;

	NEED(fd >= 0);
	memset(piece, 'f', sizeof(piece));
	for (size_t size = sizeof(piece); size > 0;) {
		n = write(fd, piece, size);
		NEED(n > 0 || (n < 0 && errno == want));
		if (n > 0)
			len += n;
		else
			size /= 2;
	}
	NEED(len > 0 && fstat(fd, &st) == 0 && st.st_size == len);
	NEED(fsync(fd) == 0 && close(fd) == 0);
}

/* Each fails for want of room, and nothing has happened. */
static void everything_fails(void)
{
	int fd;

	fd = open("big0", O_WRONLY | O_CLOEXEC);
	if (fd < 0) { /* where opening copies up */
		NEED(errno == want);
	} else {
		NEED_ERROR(write(fd, "x", 1));
		NEED(close(fd) == 0);
	}
	NEED(is_whole("big0", BIG));
	NEED_ERROR(chmod("big1", 0600));
	NEED_ERROR(truncate("big1", BIG - 5));
	NEED_ERROR(rename("big1", "renamed"));
	NEED_ERROR(link("big1", "linked"));
	NEED_ERROR(setxattr("big1", "user.a", "b", 1, 0));
	NEED(is_whole("big1", BIG) && !exists("renamed") && !exists("linked"));
}

/* Directories and links take blocks of their own, sooner or later. */
static void small_things_end(void)
{
	char path[64], target[601];
	unsigned i;

	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = 0;
	for (i = 0; i < FILLERS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "fill-dir/d%u", i);
		if (mkdir(path, 0755) < 0)
			break;
	}
	NEED(i < FILLERS_MAX && errno == want && !exists(path));
	for (i = 0; i < FILLERS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "fill-dir/s%u", i);
		if (symlink(target, path) < 0)
			break;
	}
	NEED(i < FILLERS_MAX && errno == want && !exists(path));
	NEED_ERROR(rename("dir", "moved"));
	NEED(is_whole("dir/sub/in", 1000) && !exists("moved"));
}

static void empty_dir(const char *path)
{
	DIR *d = opendir(path);

	NEED(d);
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			NEED(unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0) == 0);
	NEED(closedir(d) == 0);
}

/* What is deleted is gone from the disk when the kernel has forgotten it, a moment later. */
static void wait_for_room(void)
{
	enum { TRIES = 2000, PROBES = 50 };
	char path[32];
	int made = 0;

	for (int i = 0; i < TRIES && made < PROBES; i++) {
		(void)snprintf(path, sizeof(path), "probe%d", made);
		if (mkdir(path, 0755) == 0) {
			made++;
			continue;
		}
		NEED(errno == want);
		(void)usleep(5000);
	}
	NEED(made == PROBES);
	while (made-- > 0) {
		(void)snprintf(path, sizeof(path), "probe%d", made);
		NEED(rmdir(path) == 0);
	}
}

static void it_goes_on(void)
{
	int fd;

	wait_for_room();
	fd = open("big0", O_WRONLY | O_APPEND | O_CLOEXEC);
	NEED(fd >= 0 && write(fd, "end", 3) == 3 && fsync(fd) == 0 && close(fd) == 0);
	NEED(truncate("big0", BIG) == 0 && is_whole("big0", BIG));
	NEED(chmod("small0", 0600) == 0 && is_whole("small0", 1000));
	NEED(rename("dir", "moved") == 0 && is_whole("moved/sub/in", 1000));
	put("new", 1000);
	NEED(is_whole("new", 1000));
	NEED(unlink("away/1") == 0 && rmdir("away") == 0 && !exists("away"));
}

static int full(void)
{
	NEED(mkdir("fill-dir", 0755) == 0);
	fill("filler");
	everything_fails();
	small_things_end();
	everything_fails();
	empty_dir("fill-dir");
	NEED(rmdir("fill-dir") == 0 && unlink("filler") == 0);
	it_goes_on();
	return 0;
}

/* ---- inodes --------------------------------------------------------------------------------- */

static int inodes(void)
{
	char path[64];
	unsigned i;
	int fd;

	want = ENOSPC;
	NEED(mkdir("fill-dir", 0755) == 0);
	for (i = 0; i < FILLERS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "fill-dir/f%u", i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			break;
		NEED(close(fd) == 0);
	}
	NEED(i < FILLERS_MAX && errno == ENOSPC && !exists(path));
	NEED_ERROR(mkdir("fill-dir/d", 0755));
	NEED_ERROR(symlink("x", "fill-dir/s"));
	NEED_ERROR(mkfifo("fill-dir/p", 0644));
	everything_fails();
	NEED_ERROR(chmod("dir/sub/in", 0600));
	NEED(is_whole("dir/sub/in", 1000));
	/* What is there can still be written, and made less. */
	NEED(truncate("fill-dir/f0", 10) == 0 && rename("fill-dir/f1", "fill-dir/g") == 0);
	empty_dir("fill-dir");
	NEED(rmdir("fill-dir") == 0);
	it_goes_on();
	return 0;
}

/* ---- not to be written ---------------------------------------------------------------------- */

static int read_only(void)
{
	want = EROFS;
	everything_fails();
	NEED_ERROR(open("new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	NEED_ERROR(mkdir("new", 0755));
	NEED_ERROR(unlink("small0"));
	NEED_ERROR(unlink("away/1"));
	NEED(is_whole("big2", BIG) && is_whole("small0", 1000) && is_whole("dir/sub/in", 1000));
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (argc > 2)
		NEED(chdir(argv[2]) == 0);
	(void)umask(022);
	if (!strcmp(what, "make"))
		return make(), 0;
	if (!strcmp(what, "full") && argc == 4) {
		want = !strcmp(argv[3], "EDQUOT") ? EDQUOT : ENOSPC;
		return full();
	}
	if (!strcmp(what, "inodes"))
		return inodes();
	if (!strcmp(what, "read-only"))
		return read_only();
	fprintf(stderr, "usage: room make|inodes|read-only DIR | room full DIR ENOSPC|EDQUOT\n");
	return 2;
}
