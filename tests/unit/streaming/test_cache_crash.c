/* SPDX-License-Identifier: Apache-2.0 */
/* The cache after a crash of the machine.
 *
 * A process works on a cache until it is killed; every write, truncation, hole and fsync of its files goes
 * into a log (this program's pwrite and so on stand before libc's, for SQLite, too). From the log the files
 * are made as a disk may have them after the power went: what was synced is there, and all before a moment of
 * the file's own; of what came later each write is there, lost, or torn between sectors. A disk that lies has
 * lost such writes although it was told to sync. Names are taken to be durable. Then the cache is opened as
 * found: never a wrong byte, never unusable, and with an honest disk no row without its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/cache.h"
#include "tests/unit/sanitized.h"

enum { CHUNK = 30000, SECTOR = 512, ROUNDS = IS_SANITIZED ? 10 : 20 };

static char top[] = "/tmp/floe-test-cache-crash-XXXXXX";
static char dir[96], log_path[96];
static uint64_t random_state;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- the log ---------------------------------------------------------------------------- */

enum kind { WRITE, TRUNCATE, HOLE, SYNC };

struct entry {
	uint64_t ino, off, len;
	enum kind kind;
};

static int log_fd = -1; /* only in the process that is killed */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock, so that the log has the order of the deeds. Killed between deed and entry, a write counts
 * as lost and a sync as not made; nobody has acted upon it. */
static long logged(long rc, int fd, enum kind kind, uint64_t off, uint64_t len, const void *data)
{
	struct entry entry = { .off = off, .len = len, .kind = kind };
	struct stat st;
	int sys = errno;

	if (rc >= 0 && log_fd >= 0 && fstat(fd, &st) == 0) {
		entry.ino = st.st_ino;
		(void)!syscall(SYS_write, log_fd, &entry, sizeof(entry));
		if (data)
			(void)!syscall(SYS_write, log_fd, data, len);
	}
	errno = sys;
	return rc;
}

static long deed(int fd, enum kind kind, uint64_t off, uint64_t len, const void *data)
{
	long rc;

	(void)pthread_mutex_lock(&log_lock);
	switch (kind) {
	case WRITE:
		rc = syscall(SYS_pwrite64, fd, data, len, off);
		len = rc > 0 ? (uint64_t)rc : 0;
		break;
	case TRUNCATE:
		rc = syscall(SYS_ftruncate, fd, len);
		break;
	case HOLE:
		rc = syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
		break;
	default:
		rc = syscall(SYS_fdatasync, fd);
	}
	rc = logged(rc, fd, kind, off, len, data);
	(void)pthread_mutex_unlock(&log_lock);
	return rc;
}

/* Ours come before libc's: both names where there are two. */
ssize_t our_pwrite(int fd, const void *data, size_t len, off_t off) __asm__("pwrite");
ssize_t our_pwrite64(int fd, const void *data, size_t len, off_t off) __asm__("pwrite64");
int our_ftruncate(int fd, off_t len) __asm__("ftruncate");
int our_ftruncate64(int fd, off_t len) __asm__("ftruncate64");
int our_fallocate64(int fd, int mode, off_t off, off_t len) __asm__("fallocate64");
int our_fsync(int fd) __asm__("fsync");
int our_fdatasync(int fd) __asm__("fdatasync");

ssize_t our_pwrite(int fd, const void *data, size_t len, off_t off)
{
	return deed(fd, WRITE, (uint64_t)off, len, data);
}

ssize_t our_pwrite64(int fd, const void *data, size_t len, off_t off)
{
	return deed(fd, WRITE, (uint64_t)off, len, data);
}

int our_ftruncate(int fd, off_t len)
{
	return (int)deed(fd, TRUNCATE, 0, (uint64_t)len, NULL);
}

int our_ftruncate64(int fd, off_t len)
{
	return (int)deed(fd, TRUNCATE, 0, (uint64_t)len, NULL);
}

int our_fallocate64(int fd, int mode, off_t off, off_t len)
{
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return (int)syscall(SYS_fallocate, fd, mode, off, len);
	return (int)deed(fd, HOLE, (uint64_t)off, (uint64_t)len, NULL);
}

int our_fsync(int fd)
{
	return (int)deed(fd, SYNC, 0, 0, NULL);
}

int our_fdatasync(int fd)
{
	return (int)deed(fd, SYNC, 0, 0, NULL);
}

/* ---- work ------------------------------------------------------------------------------- */

static size_t make(uint64_t n, uint8_t data[CHUNK + 100], struct pkg_digest *digest)
{
	size_t len = CHUNK + n % 100;
	uint64_t x = n + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		data[i] = (uint8_t)(x >> 40);
	}
	pkg_digest_of(data, len, digest);
	return len;
}

static void put(struct stream_cache *c, uint64_t n)
{
	uint8_t data[CHUNK + 100];
	struct pkg_digest digest;
	size_t len = make(n, data, &digest);

	stream_cache_put(c, &digest, &(struct stream_cache_content){ .data = data, .len = len }, 0);
}

/* 1: there and right; 0: a miss. */
static int look(struct stream_cache *c, uint64_t n)
{
	uint8_t data[CHUNK + 100], got[CHUNK + 100];
	struct pkg_digest digest;
	size_t len = make(n, data, &digest);
	struct err e;

	if (stream_cache_get(c, &digest, got, len, &e) < 0)
		return 0;
	assert_memory_equal(data, got, len);
	return 1;
}

static void work_until_killed(uint64_t first, bool evicts)
{
	struct stream_cache *c;
	uint64_t freed;
	struct err e;

	log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (log_fd < 0 || stream_cache_open(dir, &c, &e) < 0)
		_exit(1);
	for (uint64_t i = 0;; i++) {
		put(c, first + i);
		if (i % 8 == 7 && stream_cache_sync(c, &e) < 0)
			_exit(2);
		if (evicts && i % 64 == 63 && stream_cache_gc(c, (uint64_t)CHUNK * 20, &freed, &e) < 0)
			_exit(3);
	}
}

/* ---- the disk afterwards ---------------------------------------------------------------- */

struct disk {
	bool lies;
	struct buf log;
	uint64_t lost; /* deeds */
};

/* Is this deed, or this sector of it, on the disk? */
static bool survives(struct disk *d, bool is_synced)
{
	bool lost = !is_synced && random_number() % 2;

	d->lost += lost;
	return !lost;
}

static void apply(struct disk *d, const struct entry *entry, const uint8_t *data, bool is_synced, int fd)
{
	struct err e;

	switch (entry->kind) {
	case WRITE:
		for (uint64_t at = 0; at < entry->len;) {
			uint64_t end = (entry->off + at) / SECTOR * SECTOR + SECTOR - entry->off;

			/* Torn only now and then: that is slow. */
			if (is_synced || random_number() % 8)
				end = entry->len;
			end = end < entry->len ? end : entry->len;
			if (survives(d, is_synced))
				assert_int_equal(fd_pwrite_all(fd, data + at, end - at, entry->off + at, &e),
						 0);
			at = end;
		}
		break;
	case TRUNCATE:
		if (survives(d, is_synced))
			assert_int_equal(ftruncate(fd, (off_t)entry->len), 0);
		break;
	case HOLE:
		(void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)entry->off,
				 (off_t)entry->len);
		break;
	default:
		break;
	}
}

static size_t entry_len(const struct entry *entry)
{
	return sizeof(*entry) + (entry->kind == WRITE ? entry->len : 0);
}

/* Entries that a kill cut short are not there. */
static const struct entry *entry_at(const struct disk *d, size_t at, struct entry *ret)
{
	if (at + sizeof(*ret) > d->log.len)
		return NULL;
	memcpy(ret, d->log.data + at, sizeof(*ret));
	return at + entry_len(ret) <= d->log.len ? ret : NULL;
}

static void replay_file(struct disk *d, uint64_t ino, const char *path)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	size_t synced_until = random_number() % (d->log.len + 1); /* written of its own accord */
	struct entry entry;

	assert_true(fd >= 0);
	for (size_t at = 0; entry_at(d, at, &entry); at += entry_len(&entry))
		if (entry.ino == ino && entry.kind == SYNC && !d->lies && at > synced_until)
			synced_until = at;
	for (size_t at = 0; entry_at(d, at, &entry); at += entry_len(&entry))
		if (entry.ino == ino)
			apply(d, &entry, d->log.data + at + sizeof(entry), at < synced_until, fd);
}

static void copy_old(const char *old_dir, const char *name, const char *to)
{
	auto_free char *from = NULL;
	auto_buf struct buf content = BUF_INIT(1 << 30);
	struct err e;

	from = path_join(old_dir, name, &e);
	if (access(from, F_OK) < 0)
		return;
	assert_int_equal(fd_read_file(AT_FDCWD, from, &content, &e), 0);
	assert_int_equal(
		fd_write_file(AT_FDCWD, to, content.data ? content.data : (void *)"", content.len, 0600, &e),
		0);
}

/* Makes `to` of the files that stood in `before` when the log began and of the log; `dir` has the names. */
static void replay(struct disk *d, const char *before, const char *to)
{
	auto_closedir DIR *names = opendir(dir);
	struct dirent *entry;
	struct err e;

	assert_non_null(names);
	assert_int_equal(path_make_dirs(to, 0700, &e), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, log_path, &d->log, &e), 0);
	while ((entry = readdir(names))) {
		auto_free char *path = path_join(to, entry->d_name, &e);
		struct stat st;

		assert_int_equal(fstatat(dirfd(names), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (!S_ISREG(st.st_mode) || strstr(entry->d_name, "-shm"))
			continue; /* memory, of which nothing is left */
		copy_old(before, entry->d_name, path);
		replay_file(d, st.st_ino, path);
	}
}

static void copy_all(const char *from, const char *to)
{
	auto_closedir DIR *names = opendir(from);
	struct dirent *entry;
	struct err e;

	assert_int_equal(path_make_dirs(to, 0700, &e), 0);
	while (names && (entry = readdir(names))) {
		auto_free char *path = path_join(to, entry->d_name, &e);
		struct stat st;

		if (fstatat(dirfd(names), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			copy_old(from, entry->d_name, path);
	}
}

/* ---- what is found ---------------------------------------------------------------------- */

struct found {
	uint64_t rows, wrong, lost;
};

/* The count of wrong chunks found, by reading or by verifying; it begins anew with a new database. */
static uint64_t wrong_so_far(void)
{
	struct stream_cache_status s = { 0 };
	struct stream_cache *c;
	struct err e;

	if (stream_cache_open(dir, &c, &e) < 0)
		fail_msg("%s", e.msg);
	(void)!stream_cache_status(c, &s, &e);
	stream_cache_close(c);
	return s.wrong;
}

/* Opened as found, and again: at the latest then all works. */
static void inspect(uint64_t first, bool is_honest, struct found *ret)
{
	uint64_t checked = 0, wrong = 0, wrong_before = wrong_so_far();
	struct stream_cache *c;
	int kept = 0;
	struct err e;

	if (stream_cache_open(dir, &c, &e) < 0)
		fail_msg("%s", e.msg);
	for (uint64_t i = 0; i < 100; i++)
		(void)look(c, first + i);
	if (stream_cache_verify(c, NULL, &checked, &wrong, &e) < 0 && is_honest)
		fail_msg("%s", e.msg);
	stream_cache_close(c);
	ret->rows += checked;
	ret->wrong += wrong_so_far() > wrong_before ? wrong_so_far() - wrong_before : 0;
	if (stream_cache_open(dir, &c, &e) < 0)
		fail_msg("%s", e.msg);
	for (uint64_t i = 0; i < 10; i++)
		put(c, first + 1000000 + i);
	if (stream_cache_sync(c, &e) < 0)
		fail_msg("%s", e.msg);
	for (uint64_t i = 0; i < 10; i++)
		kept += look(c, first + 1000000 + i);
	stream_cache_close(c);
	assert_int_equal(kept, 10);
}

static void crash_once(int round, bool lies, bool evicts, struct found *ret)
{
	uint64_t first = (uint64_t)round * 10000000;
	auto_free char *before = NULL, *after = NULL;
	struct disk d = { .lies = lies, .log = BUF_INIT(1 << 30) };
	int status;
	struct err e;
	pid_t pid;

	before = path_join(top, "before", &e);
	after = path_join(top, "after", &e);
	(void)unlink(log_path);
	copy_all(dir, before);
	pid = fork();
	if (pid == 0)
		work_until_killed(first, evicts);
	(void)usleep(30000 + (useconds_t)(random_number() % 150000));
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the work ended by itself, status %d", WEXITSTATUS(status));
	if (access(log_path, F_OK) == 0)
		replay(&d, before, after);
	else
		copy_all(before, after);
	assert_int_equal(path_remove_tree(AT_FDCWD, before, &e), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
	assert_int_equal(rename(after, dir), 0);
	buf_fini(&d.log);
	ret->lost += d.lost;
	inspect(first, !lies, ret);
}

static void crash(bool lies, bool evicts, struct found *ret)
{
	struct err e;

	*ret = (struct found){ 0 };
	(void)snprintf(dir, sizeof(dir), "%s/cache", top);
	(void)snprintf(log_path, sizeof(log_path), "%s/log", top);
	for (int round = 0; round < ROUNDS; round++) {
		if (round % 10 == 0)
			assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
		assert_int_equal(path_make_dirs(dir, 0700, &e), 0);
		crash_once(round, lies, evicts, ret);
	}
	print_message("%d crashes: %u writes lost, %u rows left, %u of them without their bytes\n", ROUNDS,
		      (unsigned)ret->lost, (unsigned)ret->rows, (unsigned)ret->wrong);
	assert_true(ret->rows > 0);
	assert_true(ret->lost > 0);
}

static void test_honest_disk(void **state)
{
	struct found found;

	(void)state;
	crash(false, false, &found);
	assert_int_equal(found.wrong, 0);
}

static void test_honest_disk_with_eviction(void **state)
{
	struct found found;

	(void)state;
	crash(false, true, &found);
	assert_int_equal(found.wrong, 0);
}

static void test_lying_disk(void **state)
{
	struct found found;

	(void)state;
	crash(true, false, &found);
	assert_true(found.wrong > 0); /* else the disk did not lie */
}

static int set_up(void **state)
{
	const char *seed = getenv("FLOE_TEST_SEED");

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 10) : ((uint64_t)getpid() << 20) + 12345;
	print_message("FLOE_TEST_SEED=%llu\n", (unsigned long long)random_state);
	assert_non_null(mkdtemp(top));
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest_disk),
		cmocka_unit_test(test_honest_disk_with_eviction),
		cmocka_unit_test(test_lying_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
