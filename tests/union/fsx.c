/* SPDX-License-Identifier: Apache-2.0 */
/* Two files against their images in memory: whatever way something is written, every way of reading sees it.
 *
 *   fsx make DIR                           the files as a lower layer may have them
 *   fsx run DIR [--ops N] [--seed S]       whether they are there or not
 *
 * Reads and writes go through descriptors (also such as were opened long ago, for appending, or with
 * O_DIRECT), through mappings of the moment and one that stays; in between the files are cut, allocated,
 * punched, copied from, renamed, closed, synced. The first difference ends it, with the operations that led
 * there. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 2, LEN_MAX = 1 << 18, CHUNK_MAX = 1 << 16, MADE_LEN = 150001, LOG = 80, DIRECT = 4096 };

struct image {
	const char *names[2];
	unsigned name; /* the one that counts */
	int fd;        /* O_RDWR */
	int old;       /* O_RDONLY, seldom opened anew */
	uint8_t *map;  /* of `old`'s or fd's time, LEN_MAX bytes */
	size_t len;
	uint8_t *bytes; /* LEN_MAX; zeros from len on */
};

static struct image images[FILES] = {
	{ .names = { "fsx-one", "fsx-uno" } },
	{ .names = { "fsx-two", "fsx-due" } },
};
static int dir;
static uint64_t ops = 100000, seed = 1, random_state, done;
static bool can_direct = true, can_zero = true, can_punch = true, can_allocate = true;
static char history[LOG][120];
static uint8_t *room; /* CHUNK_MAX, aligned */

/* ---- failing -------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(history[done % LOG], sizeof(history[0]), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *fmt, ...)
{
	va_list ap;

	for (uint64_t i = done < LOG ? 0 : done - LOG + 1; i <= done; i++)
		fprintf(stderr, "  %llu %s\n", (unsigned long long)i, history[i % LOG]);
	fprintf(stderr, "fsx: seed %llu, operation %llu: ", (unsigned long long)seed,
		(unsigned long long)done);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static const char *name_of(const struct image *f)
{
	return f->names[f->name];
}

static void same(const struct image *f, const uint8_t *got, size_t off, size_t len, const char *how)
{
	if (memcmp(got, f->bytes + off, len) == 0)
		return;
	for (size_t i = 0; i < len; i++)
		if (got[i] != f->bytes[off + i])
			fail("%s of %s: byte %#zx is %#x instead of %#x", how, name_of(f), off + i, got[i],
			     f->bytes[off + i]);
}

/* ---- chance --------------------------------------------------------------------------------- */

static uint64_t chance(uint64_t below)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (z ^ (z >> 31)) % below;
}

/* Often at the borders of pages. */
static size_t some_offset(size_t max)
{
	size_t off = chance(max + 1);

	return chance(4) == 0 ? off & ~(size_t)4095 : off;
}

static size_t some_len(size_t max)
{
	size_t len = chance(8) == 0 ? CHUNK_MAX : chance(3) == 0 ? 4096 : 200;

	if (len > max)
		len = max;
	return len ? 1 + chance(len) : 0;
}

static void fill_room(size_t len)
{
	uint8_t base = (uint8_t)(1 + chance(255));

	for (size_t i = 0; i < len; i++)
		room[i] = (uint8_t)(base + i * 7 + (i >> 8)) | 1;
	if (chance(16) == 0)
		memset(room, 0, len);
}

/* ---- files ---------------------------------------------------------------------------------- */

static uint8_t made_byte(size_t off)
{
	return (uint8_t)((off * 2654435761U) >> 11) | 1;
}

static void map_anew(struct image *f)
{
	if (f->map)
		(void)munmap(f->map, LEN_MAX);
	f->map = mmap(NULL, LEN_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->map == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
}

static void open_image(struct image *f, int flags)
{
	f->fd = openat(dir, name_of(f), O_RDWR | O_CLOEXEC | flags, 0644);
	if (f->fd < 0)
		fail("open %s: %s", name_of(f), strerror(errno));
}

static void open_old(struct image *f)
{
	f->old = openat(dir, name_of(f), O_RDONLY | O_CLOEXEC);
	if (f->old < 0)
		fail("open %s: %s", name_of(f), strerror(errno));
}

static void begin(struct image *f)
{
	struct stat st;

	f->bytes = calloc(1, LEN_MAX);
	if (!f->bytes)
		fail("no memory");
	if (fstatat(dir, name_of(f), &st, 0) == 0) {
		f->len = MADE_LEN;
		for (size_t i = 0; i < f->len; i++)
			f->bytes[i] = made_byte(i);
		open_old(f); /* before anything brings it to the upper */
		open_image(f, 0);
	} else {
		open_image(f, O_CREAT);
		open_old(f);
	}
	map_anew(f);
}

static void check_len(const struct image *f)
{
	struct stat st;

	if (fstat(chance(2) ? f->fd : f->old, &st) < 0 || (size_t)st.st_size != f->len)
		fail("%s has %lld bytes instead of %zu", name_of(f), (long long)st.st_size, f->len);
}

static void check_all(const struct image *f, int fd, const char *how)
{
	for (size_t off = 0; off < f->len; off += CHUNK_MAX) {
		size_t want = f->len - off < CHUNK_MAX ? f->len - off : CHUNK_MAX;
		ssize_t got = pread(fd, room, CHUNK_MAX, (off_t)off);

		if (got != (ssize_t)want)
			fail("%s of %s at %#zx: %zd instead of %zu: %s", how, name_of(f), off, got, want,
			     got < 0 ? strerror(errno) : "short");
		same(f, room, off, want, how);
	}
}

/* ---- operations ----------------------------------------------------------------------------- */

static void op_read(struct image *f)
{
	size_t off = some_offset(LEN_MAX - 1), want = some_len(LEN_MAX - off);
	size_t there = off >= f->len ? 0 : f->len - off < want ? f->len - off : want;
	bool is_old = chance(2);
	ssize_t got;

	say("read %s %#zx+%#zx%s", name_of(f), off, want, is_old ? " by the old descriptor" : "");
	got = pread(is_old ? f->old : f->fd, room, want, (off_t)off);
	if (got != (ssize_t)there)
		fail("%zd read instead of %zu: %s", got, there, got < 0 ? strerror(errno) : "short");
	same(f, room, off, there, "a read");
}

static void put(struct image *f, size_t off, size_t len)
{
	memcpy(f->bytes + off, room, len);
	if (off + len > f->len)
		f->len = off + len;
}

static void op_write(struct image *f)
{
	size_t off = some_offset(chance(2) ? f->len : LEN_MAX - 1), len = some_len(LEN_MAX - off);

	fill_room(len);
	say("write %s %#zx+%#zx", name_of(f), off, len);
	if (pwrite(f->fd, room, len, (off_t)off) != (ssize_t)len)
		fail("write: %s", strerror(errno));
	if (len)
		put(f, off, len);
}

static void op_append(struct image *f)
{
	size_t len = some_len(LEN_MAX - f->len);
	int fd = openat(dir, name_of(f), O_WRONLY | O_APPEND | O_CLOEXEC);

	fill_room(len);
	say("append %s %#zx+%#zx", name_of(f), f->len, len);
	if (fd < 0 || write(fd, room, len) != (ssize_t)len)
		fail("append: %s", strerror(errno));
	put(f, f->len, len);
	(void)close(fd);
}

static void op_truncate(struct image *f)
{
	size_t len = some_offset(chance(4) == 0 ? LEN_MAX : f->len);
	bool by_name = chance(4) == 0;
	char path[64];

	say("truncate %s from %#zx to %#zx%s", name_of(f), f->len, len, by_name ? " by name" : "");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name_of(f));
	if ((by_name ? truncate(path, (off_t)len) : ftruncate(f->fd, (off_t)len)) < 0)
		fail("truncate: %s", strerror(errno));
	if (len < f->len)
		memset(f->bytes + len, 0, f->len - len);
	f->len = len;
}

static void op_open_truncated(struct image *f)
{
	int fd;

	say("open %s with O_TRUNC", name_of(f));
	fd = openat(dir, name_of(f), O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		fail("open: %s", strerror(errno));
	memset(f->bytes, 0, f->len);
	f->len = 0;
	(void)close(fd);
}

/* A mapping of the moment or the one that stays. */
static void op_map(struct image *f)
{
	bool is_write = chance(2), is_new = chance(2);
	size_t off, len, from;
	uint8_t *at, *map = f->map;

	if (f->len == 0)
		return;
	off = some_offset(f->len - 1);
	len = some_len(f->len - off);
	from = off & ~(size_t)4095;
	say("%s %s %#zx+%#zx by a %s mapping", is_write ? "write" : "read", name_of(f), off, len,
	    is_new ? "new" : "lasting");
	if (is_new) {
		map = mmap(NULL, off + len - from, is_write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			   f->fd, (off_t)from);
		if (map == MAP_FAILED)
			fail("mmap: %s", strerror(errno));
	}
	at = is_new ? map + (off - from) : map + off;
	if (is_write) {
		fill_room(len);
		memcpy(at, room, len);
		put(f, off, len);
	} else {
		same(f, at, off, len, "a mapping");
	}
	if (is_write && chance(3) == 0 &&
	    msync((void *)((uintptr_t)at & ~(uintptr_t)4095), len, chance(2) ? MS_SYNC : MS_ASYNC) < 0)
		fail("msync: %s", strerror(errno));
	if (is_new)
		(void)munmap(map, off + len - from);
}

static void op_allocate(struct image *f)
{
	static const struct {
		int mode;
		bool *can, grows, clears;
	} kinds[] = {
		{ 0, &can_allocate, true, false },
		{ FALLOC_FL_KEEP_SIZE, &can_allocate, false, false },
		{ FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, &can_punch, false, true },
		{ FALLOC_FL_ZERO_RANGE, &can_zero, true, true },
		{ FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, &can_zero, false, true },
	};
	size_t off = some_offset(LEN_MAX - 1), len = some_len(LEN_MAX - off), kind = chance(5);

	say("fallocate %#x %s %#zx+%#zx", kinds[kind].mode, name_of(f), off, len);
	if (!*kinds[kind].can)
		return;
	if (fallocate(f->fd, kinds[kind].mode, (off_t)off, (off_t)len) < 0) {
		if (errno != EOPNOTSUPP)
			fail("fallocate: %s", strerror(errno));
		*kinds[kind].can = false;
		return;
	}
	if (kinds[kind].clears)
		memset(f->bytes + off, 0, len);
	if (kinds[kind].grows && off + len > f->len)
		f->len = off + len;
}

static void op_copy(struct image *to)
{
	struct image *from = &images[chance(FILES)];
	size_t off_in, off_out, len, copied = 0;

	if (from->len == 0)
		return;
	off_in = some_offset(from->len - 1);
	off_out = some_offset(to->len);
	len = some_len(from->len - off_in);
	if (len > LEN_MAX - off_out)
		len = LEN_MAX - off_out;
	if (from == to && off_in < off_out + len && off_out < off_in + len)
		return;
	say("copy %s %#zx+%#zx to %s %#zx", name_of(from), off_in, len, name_of(to), off_out);
	while (copied < len) {
		off_t in = (off_t)(off_in + copied), out = (off_t)(off_out + copied);
		ssize_t n =
			copy_file_range(chance(2) ? from->old : from->fd, &in, to->fd, &out, len - copied, 0);

		if (n <= 0)
			fail("copy_file_range: %s", n < 0 ? strerror(errno) : "nothing");
		copied += (size_t)n;
	}
	memcpy(room, from->bytes + off_in, len);
	put(to, off_out, len);
}

static void op_direct(struct image *f)
{
	size_t off = chance(LEN_MAX / DIRECT) * DIRECT, len = DIRECT * (1 + chance(4)), there;
	bool is_write = chance(2);
	ssize_t n;
	int fd;

	if (!can_direct || off + len > LEN_MAX)
		return;
	say("direct %s %s %#zx+%#zx", is_write ? "write" : "read", name_of(f), off, len);
	fd = openat(dir, name_of(f), (is_write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && errno == EINVAL) {
		can_direct = false;
		return;
	}
	if (fd < 0)
		fail("open: %s", strerror(errno));
	if (is_write) {
		fill_room(len);
		n = pwrite(fd, room, len, (off_t)off);
		if (n != (ssize_t)len)
			fail("direct write: %zd: %s", n, n < 0 ? strerror(errno) : "short");
		put(f, off, len);
	} else {
		there = off >= f->len ? 0 : f->len - off < len ? f->len - off : len;
		n = pread(fd, room, len, (off_t)off);
		if (n != (ssize_t)there)
			fail("direct read: %zd instead of %zu: %s", n, there,
			     n < 0 ? strerror(errno) : "short");
		same(f, room, off, there, "a direct read");
	}
	(void)close(fd);
}

/* Nothing but zeros where there is said to be a hole. Of pages that were written by a mapping and are not yet
 * written back the kernel's FUSE says nothing to the server: they are, first. */
static void op_seek(struct image *f)
{
	size_t off, until;
	off_t got;

	if (f->len == 0)
		return;
	off = some_offset(f->len - 1);
	say("seek data in %s from %#zx", name_of(f), off);
	if (msync(f->map, f->len, MS_SYNC) < 0)
		fail("msync: %s", strerror(errno));
	got = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (got < 0 && errno != ENXIO)
		fail("lseek: %s", strerror(errno));
	until = got < 0 ? f->len : (size_t)got;
	if (until > f->len || (got >= 0 && until < off))
		fail("data at %#zx of %#zx", until, f->len);
	for (size_t i = off; i < until; i++)
		if (f->bytes[i])
			fail("a hole from %#zx to %#zx, but byte %#zx is %#x", off, until, i, f->bytes[i]);
	got = lseek(f->fd, (off_t)off, SEEK_HOLE);
	if (got < (off_t)off || got > (off_t)f->len)
		fail("hole from %#zx at %lld of %#zx", off, (long long)got, f->len);
}

static void op_rename(struct image *f)
{
	const char *from = name_of(f);

	f->name ^= 1;
	say("rename %s to %s", from, name_of(f));
	if (renameat(dir, from, dir, name_of(f)) < 0)
		fail("rename: %s", strerror(errno));
}

static void op_reopen(struct image *f)
{
	say("close and open %s", name_of(f));
	if (close(f->fd) < 0)
		fail("close: %s", strerror(errno));
	open_image(f, 0);
	if (chance(4) == 0) {
		(void)close(f->old);
		open_old(f);
	}
	if (chance(4) == 0)
		map_anew(f);
	check_all(f, f->fd, "the content after an open");
}

static void op_sync(struct image *f)
{
	say("sync %s", name_of(f));
	if ((chance(2) ? fsync(f->fd) : fdatasync(f->fd)) < 0)
		fail("fsync: %s", strerror(errno));
}

static void op_any(void)
{
	static const struct {
		unsigned weight;
		void (*run)(struct image *f);
	} kinds[] = {
		{ 20, op_read },          { 20, op_write }, { 4, op_append },   { 8, op_truncate },
		{ 1, op_open_truncated }, { 20, op_map },   { 8, op_allocate }, { 6, op_copy },
		{ 6, op_direct },         { 3, op_seek },   { 1, op_rename },   { 2, op_reopen },
		{ 1, op_sync },
	};
	struct image *f = &images[chance(4) == 0];
	unsigned at = (unsigned)chance(100);
	size_t i = 0;

	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	say("nothing");
	kinds[i].run(f);
	check_len(f);
}

static int make(void)
{
	uint8_t *bytes = malloc(MADE_LEN);

	for (size_t i = 0; bytes && i < MADE_LEN; i++)
		bytes[i] = made_byte(i);
	for (size_t i = 0; i < FILES; i++) {
		int fd = openat(dir, name_of(&images[i]), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd < 0 || !bytes || write(fd, bytes, MADE_LEN) != MADE_LEN || close(fd) < 0)
			return 1;
	}
	free(bytes);
	return 0;
}

static int run(void)
{
	if (posix_memalign((void **)&room, DIRECT, CHUNK_MAX))
		return 1;
	random_state = seed;
	for (size_t i = 0; i < FILES; i++)
		begin(&images[i]);
	for (; done < ops; done++) {
		op_any();
		if (done % 997 == 0)
			check_all(&images[0], images[0].old, "the content by the old descriptor");
	}
	say("the end");
	for (size_t i = 0; i < FILES; i++) {
		check_all(&images[i], images[i].fd, "the content");
		same(&images[i], images[i].map, 0, images[i].len, "the mapping");
		if (fsync(images[i].fd) < 0 || close(images[i].fd) < 0)
			fail("the end: %s", strerror(errno));
		open_image(&images[i], 0);
		check_all(&images[i], images[i].fd, "the content at the end");
	}
	printf("fsx: %llu operations, seed %llu%s%s%s%s\n", (unsigned long long)ops, (unsigned long long)seed,
	       can_direct ? "" : ", no O_DIRECT", can_zero ? "" : ", no zeroing",
	       can_punch ? "" : ", no punching", can_allocate ? "" : ", no allocation");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || (strcmp(argv[1], "make") != 0 && strcmp(argv[1], "run") != 0)) {
		fprintf(stderr, "usage: fsx make|run DIR [--ops N] [--seed S]\n");
		return 2;
	}
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		perror(argv[2]);
		return 2;
	}
	for (int i = 3; i + 1 < argc; i += 2)
		*(strcmp(argv[i], "--ops") == 0 ? &ops : &seed) = strtoull(argv[i + 1], NULL, 10);
	return strcmp(argv[1], "make") == 0 ? make() : run();
}
