/* SPDX-License-Identifier: Apache-2.0 */
/* The model test: the same random operations on two trees, one of them the union under test.
 *
 *   model prepare DIR [--seed S]                         makes the content of a lower layer
 *   model run A B [--ops N] [--seed S] [--threads T] [--overlay] [--check-every N]
 *   model compare A B                                    only compares the trees
 *
 * B is a plain directory that began as a copy of the lower. Every result (errno, data read, attributes) must
 * be the same in both, and every so often, and at the end, the trees: names, types, content, modes, owners,
 * extended attributes, link counts of files, times of modification that were set explicitly. Each thread
 * works in a subtree of its own and under names of its own in one they share. --overlay leaves out what
 * kernel overlayfs cannot do in a user namespace: renaming directories of the lower, links of its files.
 * --frozen: links of what is no regular file, which no engine keeps when they are in a layer below. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/union/model.h"

enum { THREADS_MAX = 16, SLOTS = 12, LOG = 40, SIZE_MAX_ = 40000, MARK_NS = 123456789 };

static struct {
	int a, b; /* the trees */
	uint64_t ops, seed, check_every;
	unsigned threads;
	bool overlay, frozen;
} opt = { .ops = 10000, .seed = 1, .check_every = 20000, .threads = 1 };

struct pair {
	int a, b; /* -1 = closed */
};

struct worker {
	unsigned number;
	uint64_t random, done;
	struct pair slots[SLOTS];
	char log[LOG][400];
	uint64_t logged;
	char *buf, *other;
};

/* Whose operations are the last before trees differ; only while they are compared. */
static _Thread_local const struct worker *say_at_difference;

/* ---- failing ---------------------------------------------------------------------------------------- */

static void say_last(const struct worker *w)
{
	uint64_t from = w->logged > LOG ? w->logged - LOG : 0;

	for (uint64_t i = from; i < w->logged; i++)
		fprintf(stderr, "  %llu %s\n", (unsigned long long)i, w->log[i % LOG]);
}

void model_before_exit(void)
{
	if (say_at_difference)
		say_last(say_at_difference);
}

__attribute__((format(printf, 2, 3))) static _Noreturn void differ(const struct worker *w, const char *fmt,
								   ...)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	va_list ap;

	(void)pthread_mutex_lock(&once);
	fprintf(stderr, "model: seed %llu, thread %u, operation %llu: ", (unsigned long long)opt.seed,
		w->number, (unsigned long long)w->done);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nlast operations:\n");
	say_last(w);
	exit(1);
}

__attribute__((format(printf, 2, 3))) static void note(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(w->log[w->logged++ % LOG], sizeof(w->log[0]), fmt, ap);
	va_end(ap);
}

/* ---- chance ----------------------------------------------------------------------------------------- */

static uint32_t next(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 32);
}

static uint32_t below(struct worker *w, uint32_t n)
{
	return next(w) % n;
}

/* A path that may exist: few names, few levels. */
static void some_path(struct worker *w, char ret[200])
{
	int depth = 1 + (int)below(w, 3);
	int len;

	if (below(w, 8) == 0)
		len = sprintf(ret, "shared/%u.%u", w->number, below(w, 6));
	else
		for (len = sprintf(ret, "t%u", w->number); depth; depth--)
			len += sprintf(ret + len, "/n%u", below(w, 7));
	if (below(w, 200) == 0) {
		memset(ret + len - 1, 'L', 100);
		ret[len + 99] = 0;
	}
}

static void fill(struct worker *w, char *buf, size_t len)
{
	uint32_t x = next(w);

	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		buf[i] = (char)(x >> 16);
	}
}

/* ---- comparing results -------------------------------------------------------------------------------- */

static void same(struct worker *w, const char *what, long ra, int ea, long rb, int eb)
{
	if ((ra < 0) != (rb < 0) || (ra < 0 && ea != eb) || (ra >= 0 && ra != rb))
		differ(w, "%s: union %ld (%s), plain %ld (%s)", what, ra, ra < 0 ? strerror(ea) : "ok", rb,
		       rb < 0 ? strerror(eb) : "ok");
}

#define BOTH(w, what, call_a, call_b)                                                                        \
	__extension__({                                                                                      \
		long ra_ = (call_a);                                                                         \
		int ea_ = errno;                                                                             \
		long rb_ = (call_b);                                                                         \
		int eb_ = errno;                                                                             \
		same((w), (what), ra_, ea_, rb_, eb_);                                                       \
		rb_;                                                                                         \
	})

static void close_pair(struct pair *p)
{
	if (p->a >= 0)
		(void)close(p->a);
	if (p->b >= 0)
		(void)close(p->b);
	p->a = p->b = -1;
}

/* Opened in both, or in neither with the same error. */
static struct pair open_both(struct worker *w, const char *path, int flags, mode_t mode)
{
	struct pair p = { .a = openat(opt.a, path, flags | O_CLOEXEC, mode) };
	int ea = errno;
	struct stat st;

	p.b = openat(opt.b, path, flags | O_CLOEXEC, mode);
	same(w, "open", p.a < 0 ? -1 : 0, ea, p.b < 0 ? -1 : 0, errno);
	/* What goes through a FIFO is nobody's business but its readers'. */
	if (p.b >= 0 && fstat(p.b, &st) == 0 && S_ISFIFO(st.st_mode))
		close_pair(&p);
	return p;
}

static void same_stat(struct worker *w, const char *what, const struct stat *a, const struct stat *b)
{
	const char *field =
		a->st_mode != b->st_mode                                             ? "mode"
		: a->st_uid != b->st_uid                                             ? "uid"
		: a->st_gid != b->st_gid                                             ? "gid"
		: !S_ISDIR(a->st_mode) && a->st_size != b->st_size                   ? "size"
		: !S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink                 ? "nlink"
		: (a->st_mtim.tv_nsec == MARK_NS) != (b->st_mtim.tv_nsec == MARK_NS) ? "mtime (set or not)"
		: b->st_mtim.tv_nsec == MARK_NS && a->st_mtim.tv_sec != b->st_mtim.tv_sec ? "mtime"
											  : NULL;

	if (field)
		differ(w,
		       "%s: %s differs: mode %o/%o size %lld/%lld nlink %lu/%lu mtime %lld.%09ld/%lld.%09ld",
		       what, field, a->st_mode, b->st_mode, (long long)a->st_size, (long long)b->st_size,
		       (unsigned long)a->st_nlink, (unsigned long)b->st_nlink, (long long)a->st_mtim.tv_sec,
		       a->st_mtim.tv_nsec, (long long)b->st_mtim.tv_sec, b->st_mtim.tv_nsec);
}

static void same_content(struct worker *w, const char *what, struct pair p)
{
	struct stat a, b;
	ssize_t n;

	BOTH(w, "fstat", fstat(p.a, &a), fstat(p.b, &b));
	same_stat(w, what, &a, &b);
	if (!S_ISREG(a.st_mode))
		return;
	for (off_t off = 0; off <= b.st_size; off += SIZE_MAX_) {
		n = (ssize_t)BOTH(w, what, pread(p.a, w->buf, SIZE_MAX_, off),
				  pread(p.b, w->other, SIZE_MAX_, off));
		for (ssize_t i = 0; i < n; i++)
			if (w->buf[i] != w->other[i])
				differ(w,
				       "%s: byte %lld is %02x in the union, %02x in the plain tree (size "
				       "%lld)",
				       what, (long long)(off + i), (uint8_t)w->buf[i], (uint8_t)w->other[i],
				       (long long)b.st_size);
		if (n <= 0)
			break;
	}
}

/* ---- operations on what is open --------------------------------------------------------------------------
 */

static void map_write(struct worker *w, struct pair p, off_t off, size_t len)
{
	struct stat st;
	char *a, *b;

	if (fstat(p.b, &st) < 0 || st.st_size < off + (off_t)len || len == 0)
		return;
	a = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, p.a, 0);
	b = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, p.b, 0);
	same(w, "mmap", a == MAP_FAILED ? -1 : 0, errno, b == MAP_FAILED ? -1 : 0, errno);
	if (a == MAP_FAILED)
		return;
	memcpy(a + off, w->buf, len);
	memcpy(b + off, w->buf, len);
	if (memcmp(a, b, (size_t)st.st_size) != 0)
		differ(w, "mapped content differs");
	(void)munmap(a, (size_t)st.st_size);
	(void)munmap(b, (size_t)st.st_size);
}

static void use_open(struct worker *w, struct pair p)
{
	off_t off = below(w, SIZE_MAX_ / 2);
	size_t len = below(w, 6000);
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	fill(w, w->buf, len);
	switch (below(w, 9)) {
	case 0:
	case 1:
		note(w, "pwrite %lld+%zu", (long long)off, len);
		BOTH(w, "pwrite", pwrite(p.a, w->buf, len, off), pwrite(p.b, w->buf, len, off));
		return;
	case 2:
		note(w, "ftruncate %lld", (long long)off);
		BOTH(w, "ftruncate", ftruncate(p.a, off), ftruncate(p.b, off));
		return;
	case 3:
		note(w, "punch %lld+%zu", (long long)off, len);
		BOTH(w, "fallocate", fallocate(p.a, punch, off, (off_t)len + 1),
		     fallocate(p.b, punch, off, (off_t)len + 1));
		return;
	case 4:
		note(w, "mmap write %lld+%zu", (long long)off, len);
		map_write(w, p, off, len);
		return;
	case 5:
		note(w, "fchmod");
		off = below(w, 2) ? 0640 : 0755;
		BOTH(w, "fchmod", fchmod(p.a, (mode_t)off), fchmod(p.b, (mode_t)off));
		return;
	case 6:
		note(w, "fallocate %lld+%zu", (long long)off, len);
		BOTH(w, "fallocate", fallocate(p.a, 0, off, (off_t)len + 1),
		     fallocate(p.b, 0, off, (off_t)len + 1));
		return;
	case 7:
		note(w, "fsync");
		if (below(w, 300) == 0)
			BOTH(w, "fsync", fsync(p.a), fsync(p.b));
		return;
	default:
		note(w, "compare");
		same_content(w, "an open file", p);
		return;
	}
}

static void op_slot(struct worker *w)
{
	unsigned i = below(w, SLOTS);
	char path[200];

	if (w->slots[i].a >= 0 && below(w, 6)) {
		note(w, "slot %u:", i);
		use_open(w, w->slots[i]);
		return;
	}
	close_pair(&w->slots[i]);
	some_path(w, path);
	note(w, "slot %u: open %s", i, path);
	w->slots[i] = open_both(w, path, O_RDWR, 0);
}

/* ---- operations on names
 * ------------------------------------------------------------------------------------ */

static void mark_time(struct worker *w, const char *path)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = 1000000 + below(w, 1000000), .tv_nsec = MARK_NS } };

	note(w, "utimens %s", path);
	BOTH(w, "utimensat", utimensat(opt.a, path, times, AT_SYMLINK_NOFOLLOW),
	     utimensat(opt.b, path, times, AT_SYMLINK_NOFOLLOW));
}

static void op_create(struct worker *w, const char *path)
{
	static const int extra[] = { 0, O_EXCL, O_TRUNC, O_APPEND };
	const int flags = O_RDWR | O_CREAT | extra[below(w, 4)];
	struct pair p;
	size_t len = below(w, 9000);

	note(w, "create %s flags %x, write %zu", path, flags, len);
	p = open_both(w, path, flags, below(w, 2) ? 0644 : 0700);
	if (p.a < 0)
		return;
	fill(w, w->buf, len);
	BOTH(w, "write", write(p.a, w->buf, len), write(p.b, w->buf, len));
	if (below(w, 3) == 0)
		same_content(w, path, p);
	close_pair(&p);
}

static bool is_dir(int tree, const char *path)
{
	struct stat st;

	return fstatat(tree, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_regular(int tree, const char *path)
{
	struct stat st;

	return fstatat(tree, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static void op_rename(struct worker *w, const char *path)
{
	static const unsigned all[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	unsigned flags = all[below(w, 5)];
	char to[200];

	some_path(w, to);
	if (opt.overlay && (is_dir(opt.b, path) || is_dir(opt.b, to)))
		return;
	note(w, "rename %s -> %s flags %u", path, to, flags);
	BOTH(w, "rename", renameat2(opt.a, path, opt.a, to, flags), renameat2(opt.b, path, opt.b, to, flags));
}

static void op_link(struct worker *w, const char *path)
{
	char to[200];

	some_path(w, to);
	if (opt.overlay || (opt.frozen && !is_regular(opt.b, path)))
		return;
	note(w, "link %s -> %s", path, to);
	BOTH(w, "link", linkat(opt.a, path, opt.a, to, 0), linkat(opt.b, path, opt.b, to, 0));
}

static void op_tmpfile(struct worker *w, const char *path)
{
	char dir[32], from_a[64], from_b[64];
	struct pair p;

	(void)snprintf(dir, sizeof(dir), "t%u", w->number);
	note(w, "O_TMPFILE, link to %s", path);
	p = open_both(w, dir, O_TMPFILE | O_RDWR, 0600);
	if (p.a < 0)
		return;
	fill(w, w->buf, 500);
	BOTH(w, "write", write(p.a, w->buf, 500), write(p.b, w->buf, 500));
	same_content(w, "an unnamed file", p);
	(void)snprintf(from_a, sizeof(from_a), "/proc/self/fd/%d", p.a);
	(void)snprintf(from_b, sizeof(from_b), "/proc/self/fd/%d", p.b);
	if (below(w, 3))
		BOTH(w, "linkat", linkat(AT_FDCWD, from_a, opt.a, path, AT_SYMLINK_FOLLOW),
		     linkat(AT_FDCWD, from_b, opt.b, path, AT_SYMLINK_FOLLOW));
	close_pair(&p);
}

static void op_xattr(struct worker *w, const char *path)
{
	char name[64], value[200];
	struct pair p = open_both(w, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
	size_t len = below(w, sizeof(value));

	if (p.a < 0)
		return;
	(void)snprintf(name, sizeof(name), below(w, 4) ? "user.m%u" : "user.overlay.m%u", below(w, 4));
	fill(w, value, len);
	note(w, "xattr %s of %s", name, path);
	/* The reference has no names that mean something to it; opaque and the like are not among these. */
	switch (below(w, 3)) {
	case 0:
		BOTH(w, "removexattr", fremovexattr(p.a, name), fremovexattr(p.b, name));
		break;
	case 1:
		BOTH(w, "getxattr", fgetxattr(p.a, name, w->buf, 300), fgetxattr(p.b, name, w->other, 300));
		break;
	default:
		BOTH(w, "setxattr", fsetxattr(p.a, name, value, len, 0), fsetxattr(p.b, name, value, len, 0));
		break;
	}
	close_pair(&p);
}

static void op_copy(struct worker *w, const char *path)
{
	struct pair from, to;
	char target[200];
	off_t off = below(w, 5000);
	loff_t a1 = off, b1 = off, a2 = below(w, 5000), b2 = a2;
	size_t len = below(w, 20000);

	some_path(w, target);
	note(w, "copy_file_range %s -> %s", path, target);
	from = open_both(w, path, O_RDONLY | O_NONBLOCK, 0);
	to = open_both(w, target, O_RDWR | O_NONBLOCK, 0);
	/* Overlapping ranges of one file and other special cases are not worth their rules here. */
	if (from.a >= 0 && to.a >= 0) {
		struct stat st1, st2;

		if (fstat(from.b, &st1) == 0 && fstat(to.b, &st2) == 0 && st1.st_ino != st2.st_ino &&
		    S_ISREG(st1.st_mode) && S_ISREG(st2.st_mode)) {
			BOTH(w, "copy_file_range", copy_file_range(from.a, &a1, to.a, &a2, len, 0),
			     copy_file_range(from.b, &b1, to.b, &b2, len, 0));
			same_content(w, "copied", to);
		}
	}
	close_pair(&from);
	close_pair(&to);
}

static void op_stat(struct worker *w, const char *path)
{
	struct stat a, b;

	note(w, "stat %s", path);
	if (BOTH(w, "stat", fstatat(opt.a, path, &a, AT_SYMLINK_NOFOLLOW),
		 fstatat(opt.b, path, &b, AT_SYMLINK_NOFOLLOW)) == 0)
		same_stat(w, path, &a, &b);
}

static void op_list(struct worker *w, const char *path)
{
	note(w, "list %s", path);
	say_at_difference = w;
	model_same_listing(opt.a, opt.b, path);
	say_at_difference = NULL;
}

static void op_owner(struct worker *w, const char *path)
{
	uid_t uid = below(w, 3);

	if (geteuid() != 0 || opt.overlay)
		return;
	note(w, "chown %s %u", path, uid);
	BOTH(w, "chown", fchownat(opt.a, path, uid, uid, AT_SYMLINK_NOFOLLOW),
	     fchownat(opt.b, path, uid, uid, AT_SYMLINK_NOFOLLOW));
}

static void op_name(struct worker *w, unsigned which, const char *path)
{
	mode_t mode = below(w, 2) ? 0755 : 0700;
	off_t size = below(w, SIZE_MAX_);
	char a[200], b[200];

	switch (which) {
	case 0:
		note(w, "mkdir %s", path);
		BOTH(w, "mkdir", mkdirat(opt.a, path, mode), mkdirat(opt.b, path, mode));
		return;
	case 1:
		note(w, "rmdir %s", path);
		BOTH(w, "rmdir", unlinkat(opt.a, path, AT_REMOVEDIR), unlinkat(opt.b, path, AT_REMOVEDIR));
		return;
	case 2:
		note(w, "unlink %s", path);
		BOTH(w, "unlink", unlinkat(opt.a, path, 0), unlinkat(opt.b, path, 0));
		return;
	case 3:
		note(w, "symlink %s", path);
		BOTH(w, "symlink", symlinkat("n1/elsewhere", opt.a, path),
		     symlinkat("n1/elsewhere", opt.b, path));
		return;
	case 4:
		note(w, "chmod %s %o", path, mode);
		BOTH(w, "chmod", fchmodat(opt.a, path, mode, 0), fchmodat(opt.b, path, mode, 0));
		return;
	case 5: {
		struct pair p;

		note(w, "truncate %s %lld", path, (long long)size);
		p = open_both(w, path, O_WRONLY | O_NONBLOCK, 0);
		if (p.a >= 0)
			BOTH(w, "ftruncate", ftruncate(p.a, size), ftruncate(p.b, size));
		close_pair(&p);
		return;
	}
	case 6:
		note(w, "readlink %s", path);
		if (BOTH(w, "readlink", readlinkat(opt.a, path, a, sizeof(a)),
			 readlinkat(opt.b, path, b, sizeof(b))) > 0 &&
		    memcmp(a, b, 12) != 0)
			differ(w, "readlink %s", path);
		return;
	default:
		note(w, "mkfifo %s", path);
		BOTH(w, "mkfifo", mknodat(opt.a, path, S_IFIFO | 0600, 0),
		     mknodat(opt.b, path, S_IFIFO | 0600, 0));
		return;
	}
}

static void op_any(struct worker *w)
{
	char path[200];
	unsigned which = below(w, 40);

	some_path(w, path);
	switch (which) {
	case 0 ... 7:
		op_slot(w);
		return;
	case 8 ... 13:
		op_create(w, path);
		return;
	case 14 ... 18:
		op_rename(w, path);
		return;
	case 19:
		op_link(w, path);
		return;
	case 20:
		op_tmpfile(w, path);
		return;
	case 21 ... 22:
		op_xattr(w, path);
		return;
	case 23:
		op_copy(w, path);
		return;
	case 24 ... 25:
		op_stat(w, path);
		return;
	case 26:
		op_list(w, path);
		return;
	case 27:
		op_owner(w, path);
		return;
	case 28 ... 29:
		mark_time(w, path);
		return;
	default:
		op_name(w,
			which - 30 < 3                       ? which - 30
			: which - 30 == 3 || which - 30 == 4 ? 0
							     : which - 32,
			path);
		return;
	}
}

static void check(struct worker *w, const char *path)
{
	say_at_difference = w;
	model_same_tree(opt.a, opt.b, path);
	say_at_difference = NULL;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char mine[32];

	(void)snprintf(mine, sizeof(mine), "t%u", w->number);
	for (w->done = 0; w->done < opt.ops / opt.threads; w->done++) {
		op_any(w);
		if (w->done % opt.check_every == opt.check_every - 1)
			check(w, mine);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		close_pair(&w->slots[i]);
	return NULL;
}

static int run(void)
{
	static struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];

	(void)umask(022);
	fprintf(stderr, "model: %llu operations, seed %llu, %u threads\n", (unsigned long long)opt.ops,
		(unsigned long long)opt.seed, opt.threads);
	for (unsigned i = 0; i < opt.threads; i++) {
		struct worker *w = &workers[i];

		w->number = i;
		w->random = (opt.seed * 1000003 + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		w->buf = malloc(SIZE_MAX_ + 4096);
		w->other = malloc(SIZE_MAX_ + 4096);
		for (unsigned s = 0; s < SLOTS; s++)
			w->slots[s] = (struct pair){ -1, -1 };
		if (!w->buf || !w->other || pthread_create(&threads[i], NULL, worker_main, w) != 0)
			return 125;
	}
	for (unsigned i = 0; i < opt.threads; i++)
		(void)pthread_join(threads[i], NULL);
	model_same_tree(opt.a, opt.b, ".");
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: model prepare DIR [--seed S] | model run A B [--ops N] [--seed S] [--threads T] "
		"[--overlay] [--frozen] | model compare A B\n");
	return 125;
}

static int open_tree(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0) {
		fprintf(stderr, "model: %s: %s\n", path ? path : "a directory is missing", strerror(errno));
		exit(125);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int at = 3;

	if (argc < 3)
		return usage();
	opt.a = open_tree(argv[2]);
	if (strcmp(argv[1], "prepare") != 0)
		opt.b = open_tree(argv[at++]);
	for (; at < argc; at++) {
		if (!strcmp(argv[at], "--overlay"))
			opt.overlay = true;
		else if (!strcmp(argv[at], "--frozen"))
			opt.frozen = true;
		else if (at + 1 == argc)
			return usage();
		else if (!strcmp(argv[at], "--ops"))
			opt.ops = strtoull(argv[++at], NULL, 10);
		else if (!strcmp(argv[at], "--seed"))
			opt.seed = strtoull(argv[++at], NULL, 10);
		else if (!strcmp(argv[at], "--check-every"))
			opt.check_every = strtoull(argv[++at], NULL, 10) | 1;
		else if (!strcmp(argv[at], "--threads"))
			opt.threads = (unsigned)strtoul(argv[++at], NULL, 10);
		else
			return usage();
	}
	if (opt.threads < 1 || opt.threads > THREADS_MAX)
		return usage();
	if (!strcmp(argv[1], "prepare"))
		return model_prepare(opt.a, opt.seed);
	if (!strcmp(argv[1], "run"))
		return run();
	if (strcmp(argv[1], "compare") != 0)
		return usage();
	model_same_tree(opt.a, opt.b, ".");
	return 0;
}
