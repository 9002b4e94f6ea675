/* SPDX-License-Identifier: Apache-2.0 */
/* See model.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/union/model.h"

enum { THREADS = 16, NAMES = 7, LIST_MAX = 4096, MARK_NS = 123456789, BLOCK = 65536 };

static _Noreturn void differ(const char *path, const char *what)
{
	fprintf(stderr, "model: %s: %s\n", path, what);
	model_before_exit();
	exit(1);
}

/* ---- making ---------------------------------------------------------------------------------------------
 */

static int make_file(int dir, const char *name, size_t size, uint64_t x)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	char buf[512];

	if (fd < 0)
		return -1;
	for (size_t done = 0; done < size; done += sizeof(buf)) {
		for (size_t i = 0; i < sizeof(buf); i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			buf[i] = (char)(x >> 40);
		}
		if (write(fd, buf, sizeof(buf)) < 0)
			return -1;
	}
	if (x % 3 == 0)
		(void)fsetxattr(fd, "user.m1", "from below", 10, 0);
	(void)close(fd);
	return 0;
}

static int make_directory(int dir, const char *name, int depth, uint64_t x)
{
	int fd, rc = 0;

	if (mkdirat(dir, name, 0755) < 0)
		return -1;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; rc == 0 && i < NAMES; i++) {
		char child[8];

		(void)snprintf(child, sizeof(child), "n%d", i);
		x = x * 6364136223846793005u + 1442695040888963407u;
		switch (x >> 60 & 7) {
		case 0:
		case 1:
		case 2:
			rc = depth ? make_directory(fd, child, depth - 1, x) : 0;
			break;
		case 3:
			rc = symlinkat("n1/elsewhere", fd, child);
			break;
		case 4:
			break;
		default:
			rc = make_file(fd, child, (size_t)(x >> 40 & 0x7fff), x);
			break;
		}
	}
	/* Two names of one file, of which one is copied up by chance before the other. */
	if (rc == 0 && make_file(fd, "hard", 1000, x) == 0 && depth == 0)
		(void)!linkat(fd, "hard", fd, "hard too", 0);
	(void)close(fd);
	return rc;
}

int model_prepare(int dir, uint64_t seed)
{
	char name[16];

	(void)umask(022);
	if (mkdirat(dir, "shared", 0755) < 0)
		return 125;
	for (unsigned i = 0; i < THREADS; i++) {
		(void)snprintf(name, sizeof(name), "t%u", i);
		if (make_directory(dir, name, 2, seed + i * 7919) < 0) {
			perror("model: prepare");
			return 125;
		}
	}
	return 0;
}

/* ---- comparing
 * ---------------------------------------------------------------------------------------------- */

struct names {
	struct {
		char name[256];
		unsigned char type;
	} * at;
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* False when it is no directory. */
static bool read_names(int tree, const char *path, struct names *ret)
{
	int fd = openat(tree, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d)
		return false;
	ret->at = calloc(LIST_MAX, sizeof(ret->at[0]));
	ret->count = 0;
	while (ret->at && (de = readdir(d)) && ret->count < LIST_MAX) {
		struct stat st;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		(void)snprintf(ret->at[ret->count].name, sizeof(ret->at[0].name), "%s", de->d_name);
		ret->at[ret->count].type = de->d_type;
		if (de->d_type == DT_UNKNOWN && fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			ret->at[ret->count].type = IFTODT(st.st_mode);
		ret->count++;
	}
	(void)closedir(d);
	if (ret->at)
		qsort(ret->at, ret->count, sizeof(ret->at[0]), by_name);
	return ret->at != NULL;
}

static void same_names(const char *path, const struct names *x, const struct names *y)
{
	char text[700];
	size_t i = 0;

	while (i < x->count && i < y->count && !strcmp(x->at[i].name, y->at[i].name) &&
	       x->at[i].type == y->at[i].type)
		i++;
	if (i == x->count && i == y->count)
		return;
	(void)snprintf(text, sizeof(text),
		       "entry %zu: \"%s\" (type %d) in the union, \"%s\" (type %d) in the plain tree", i,
		       i < x->count ? x->at[i].name : "", i < x->count ? x->at[i].type : 0,
		       i < y->count ? y->at[i].name : "", i < y->count ? y->at[i].type : 0);
	differ(path, text);
}

void model_same_listing(int a, int b, const char *path)
{
	struct names x = { 0 }, y = { 0 };
	bool is_x = read_names(a, path, &x), is_y = read_names(b, path, &y);

	if (is_x != is_y)
		differ(path, is_x ? "a directory only in the union" : "a directory only in the plain tree");
	if (is_x)
		same_names(path, &x, &y);
	free(x.at);
	free(y.at);
}

static size_t attributes(int fd, char *ret, size_t cap)
{
	static const char *const known[] = { "user.m0",         "user.m1",         "user.m2",
					     "user.m3",         "user.overlay.m0", "user.overlay.m1",
					     "user.overlay.m2", "user.overlay.m3" };
	char names[4096];
	ssize_t listed = flistxattr(fd, names, sizeof(names));
	size_t len = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char value[512];
		ssize_t n = fgetxattr(fd, known[i], value, sizeof(value));
		bool is_listed = false;

		for (const char *p = names; listed > 0 && p < names + listed; p += strlen(p) + 1)
			is_listed |= !strcmp(p, known[i]);
		if (is_listed != (n >= 0))
			return (size_t)-1;
		if (n < 0 || len + (size_t)n + 2 > cap)
			continue;
		ret[len++] = (char)i;
		memcpy(ret + len, value, (size_t)n);
		len += (size_t)n;
	}
	for (const char *p = names; listed > 0 && p < names + listed; p += strlen(p) + 1)
		if (!strncmp(p, "user.", 5) && strncmp(p, "user.m", 6) != 0 &&
		    strncmp(p, "user.overlay.m", 14) != 0)
			return (size_t)-2;
	return len;
}

static void same_bytes(const char *path, int x, int y)
{
	static _Thread_local char p[BLOCK], q[BLOCK];

	for (off_t off = 0;; off += BLOCK) {
		ssize_t n = pread(x, p, BLOCK, off);

		if (n != pread(y, q, BLOCK, off))
			differ(path, "length of content differs");
		if (n > 0 && memcmp(p, q, (size_t)n) != 0)
			differ(path, "content differs");
		if (n < BLOCK)
			return;
	}
}

static void same_opened(int a, int b, const char *path)
{
	static _Thread_local char p[8192], q[8192];
	int x = openat(a, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int y = openat(b, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t n;

	if (x < 0 || y < 0 || fstat(y, &st) < 0)
		differ(path, "cannot be opened");
	if (S_ISREG(st.st_mode))
		same_bytes(path, x, y);
	n = attributes(x, p, sizeof(p));
	if (n >= (size_t)-2)
		differ(path, n == (size_t)-1 ? "attributes listed are not those that are there"
					     : "an attribute shows that should not");
	if (n != attributes(y, q, sizeof(q)) || memcmp(p, q, n) != 0)
		differ(path, "extended attributes differ");
	(void)close(x);
	(void)close(y);
}

static void same_entry(int a, int b, const char *path)
{
	char what[200];
	struct stat x, y;

	if (fstatat(a, path, &x, AT_SYMLINK_NOFOLLOW) < 0 || fstatat(b, path, &y, AT_SYMLINK_NOFOLLOW) < 0)
		differ(path, "cannot be looked at");
	if (x.st_mode != y.st_mode || x.st_uid != y.st_uid || x.st_gid != y.st_gid ||
	    (!S_ISDIR(x.st_mode) && (x.st_nlink != y.st_nlink || x.st_size != y.st_size))) {
		(void)snprintf(what, sizeof(what),
			       "mode %o/%o owner %u:%u/%u:%u links %lu/%lu size %lld/%lld", x.st_mode,
			       y.st_mode, x.st_uid, x.st_gid, y.st_uid, y.st_gid, (unsigned long)x.st_nlink,
			       (unsigned long)y.st_nlink, (long long)x.st_size, (long long)y.st_size);
		differ(path, what);
	}
	if ((x.st_mtim.tv_nsec == MARK_NS) != (y.st_mtim.tv_nsec == MARK_NS) ||
	    (y.st_mtim.tv_nsec == MARK_NS && x.st_mtim.tv_sec != y.st_mtim.tv_sec)) {
		(void)snprintf(what, sizeof(what), "time of modification %lld.%09ld/%lld.%09ld",
			       (long long)x.st_mtim.tv_sec, x.st_mtim.tv_nsec, (long long)y.st_mtim.tv_sec,
			       y.st_mtim.tv_nsec);
		differ(path, what);
	}
	if (S_ISREG(x.st_mode) || S_ISDIR(x.st_mode))
		same_opened(a, b, path);
	if (S_ISLNK(x.st_mode)) {
		char p[300], q[300];
		ssize_t n = readlinkat(a, path, p, sizeof(p));

		if (n < 0 || n != readlinkat(b, path, q, sizeof(q)) || memcmp(p, q, (size_t)n) != 0)
			differ(path, "targets differ");
	}
}

void model_same_tree(int a, int b, const char *path)
{
	struct names x = { 0 }, y = { 0 };

	if (!read_names(a, path, &x) || !read_names(b, path, &y))
		differ(path, "cannot be listed");
	same_names(path, &x, &y);
	for (size_t i = 0; i < x.count; i++) {
		char child[4096];

		(void)snprintf(child, sizeof(child), "%s/%s", path, x.at[i].name);
		same_entry(a, b, child);
		if (x.at[i].type == DT_DIR)
			model_same_tree(a, b, child);
	}
	free(x.at);
	free(y.at);
}
