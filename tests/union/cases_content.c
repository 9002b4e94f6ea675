/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of files: who sees what is written, and when. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/union/case_lists.h"

static char *map_file(int fd, size_t len, int prot, int flags)
{
	char *p = mmap(NULL, len, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	return p;
}

static void open_before_copy_up(void)
{
	int reader = OK(open("file", O_RDONLY)), writer;

	expect_fd_text(reader, 0, "lower file\n");
	append_text("file", "more\n");
	expect_fd_text(reader, 0, "lower file\nmore\n");
	EQUAL(stat_fd(reader).st_size, 16);
	writer = OK(open("file", O_RDWR));
	EQUAL(OK(pwrite(writer, "LOWER", 5, 0)), 5);
	expect_fd_text(reader, 0, "LOWER file\nmore\n");
	EQUAL(stat_fd(reader).st_ino, stat_of("file").st_ino);
}

static void map_shared_before_copy_up(void)
{
	int fd = OK(open("data", O_RDONLY));
	volatile char *p = map_file(fd, KIT_DATA_SIZE, PROT_READ, MAP_SHARED);
	int writer;

	EQUAL((uint8_t)p[100000], kit_byte(100000));
	writer = OK(open("data", O_RDWR));
	EQUAL(OK(pwrite(writer, "new", 3, 100000)), 3);
	CHECK(p[100000] == 'n' && p[100002] == 'w');
	EQUAL((uint8_t)p[100003], kit_byte(100003));
	EQUAL((uint8_t)p[190000], kit_byte(190000)); /* a page that was not there before */
}

static void map_shared_write(void)
{
	int fd = OK(open("data", O_RDWR));
	char *p = map_file(fd, KIT_DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	char got[4] = "";

	memcpy(p + 50000, "abc", 3);
	EQUAL(OK(pread(fd, got, 3, 50000)), 3);
	CHECK(strcmp(got, "abc") == 0);
	EQUAL(OK(pwrite(fd, "xyz", 3, 50000)), 3);
	CHECK(memcmp(p + 50000, "xyz", 3) == 0);
	memcpy(p + 120000, "mapped", 6);
	OK(msync(p, KIT_DATA_SIZE, MS_SYNC));
	OK(munmap(p, KIT_DATA_SIZE));
	expect_data(fd, 0, 50000);
	expect_data(fd, 50003, 120000);
	expect_data(fd, 120006, KIT_DATA_SIZE);
}

static void map_shared_write_after(void)
{
	int fd = OK(open("data", O_RDONLY));

	expect_data(fd, 0, 50000);
	expect_data(fd, 120006, KIT_DATA_SIZE);
	expect_data(fd, 50003, 120000);
	char got[7] = "";
	EQUAL(OK(pread(fd, got, 6, 120000)), 6);
	CHECK(strcmp(got, "mapped") == 0);
}

static void map_write_without_msync(void)
{
	int fd = OK(open("new", O_RDWR | O_CREAT, 0644));
	char *p;

	OK(ftruncate(fd, 10000));
	p = map_file(fd, 10000, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(p + 9000, "late", 4);
	OK(munmap(p, 10000));
	OK(close(fd));
}

static void map_write_without_msync_after(void)
{
	int fd = OK(open("new", O_RDONLY));
	char got[5] = "";

	EQUAL(stat_fd(fd).st_size, 10000);
	EQUAL(OK(pread(fd, got, 4, 9000)), 4);
	CHECK(strcmp(got, "late") == 0);
}

static void map_private(void)
{
	int fd = OK(open("data", O_RDONLY));
	char *p = map_file(fd, KIT_DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	p[5] = (char)~kit_byte(5);
	expect_data(fd, 0, KIT_DATA_SIZE);
	CHECK(!upper_has("data"));
}

static void write_middle(void)
{
	int fd = OK(open("data", O_WRONLY));

	EQUAL(OK(pwrite(fd, "12345", 5, 77777)), 5);
	OK(close(fd));
	fd = OK(open("data", O_RDONLY));
	EQUAL(stat_fd(fd).st_size, KIT_DATA_SIZE);
	expect_data(fd, 0, 77777);
	expect_data(fd, 77782, KIT_DATA_SIZE);
	EQUAL(stat_of("data").st_mode, S_IFREG | 0644);
	CHECK(is_later(stat_of("data").st_mtim, kit_time));
}

static void write_middle_after(void)
{
	int fd = OK(open("data", O_RDONLY));
	char got[6] = "";

	expect_data(fd, 0, 77777);
	EQUAL(OK(pread(fd, got, 5, 77777)), 5);
	CHECK(strcmp(got, "12345") == 0);
	expect_data(fd, 77782, KIT_DATA_SIZE);
}

static void write_beyond_end(void)
{
	int fd = OK(open("file", O_RDWR));
	char got[9];

	EQUAL(OK(pwrite(fd, "end", 3, 100000)), 3);
	EQUAL(stat_of("file").st_size, 100003);
	expect_fd_text(fd, 100000, "end");
	EQUAL(OK(pread(fd, got, 9, 50000)), 9);
	CHECK(memcmp(got, "\0\0\0\0\0\0\0\0\0", 9) == 0);
}

static void truncate_to_nothing(void)
{
	int reader = OK(open("data", O_RDONLY));
	char c;

	OK(truncate("data", 0));
	EQUAL(stat_of("data").st_size, 0);
	EQUAL(OK(read(reader, &c, 1)), 0);
	OK(close(OK(open("file", O_WRONLY | O_TRUNC))));
	EQUAL(stat_of("file").st_size, 0);
	CHECK(is_later(stat_of("file").st_mtim, kit_time));
	expect_text("file", "");
}

static void truncate_to_nothing_after(void)
{
	expect_text("file", "");
	expect_text("data", "");
}

static void truncate_to_half(void)
{
	enum { HALF = KIT_DATA_SIZE / 2 };
	int fd = OK(open("data", O_RDWR));
	char got[10];

	OK(truncate("data", HALF));
	EQUAL(stat_fd(fd).st_size, HALF);
	expect_data(fd, 0, HALF);
	OK(ftruncate(fd, HALF + 5000));
	EQUAL(OK(pread(fd, got, 10, HALF)), 10);
	CHECK(memcmp(got, "\0\0\0\0\0\0\0\0\0\0", 10) == 0);
}

static void truncate_to_half_after(void)
{
	enum { HALF = KIT_DATA_SIZE / 2 };
	int fd = OK(open("data", O_RDONLY));
	uint8_t got[5000];

	EQUAL(stat_fd(fd).st_size, HALF + 5000);
	expect_data(fd, 0, HALF);
	EQUAL(OK(pread(fd, got, 5000, HALF)), 5000);
	for (int i = 0; i < 5000; i++)
		EQUAL(got[i], 0);
}

static void append_from_processes(void)
{
	enum { PROCESSES = 4, RECORDS = 200, LEN = 61 };
	unsigned seen[PROCESSES] = { 0 };
	char record[LEN];
	FILE *f;

	OK(truncate("file", 0));
	for (int p = 0; p < PROCESSES; p++) {
		if (OK(fork()) > 0)
			continue;
		int fd = OK(open("file", O_WRONLY | O_APPEND));

		memset(record, 'A' + p, LEN);
		record[LEN - 1] = '\n';
		for (int i = 0; i < RECORDS; i++)
			EQUAL(OK(write(fd, record, LEN)), LEN);
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		OK(wait(&status));
		EQUAL(status, 0);
	}
	EQUAL(stat_of("file").st_size, (long long)PROCESSES * RECORDS * LEN);
	f = fopen("file", "r");
	CHECK(f);
	while (fread(record, LEN, 1, f) == 1) {
		for (int i = 1; i < LEN - 1; i++)
			EQUAL(record[i], record[0]);
		EQUAL(record[LEN - 1], '\n');
		seen[record[0] - 'A']++;
	}
	for (int p = 0; p < PROCESSES; p++)
		EQUAL(seen[p], RECORDS);
}

static void direct_io(void)
{
	enum { BLOCK = 4096 };
	int fd = open("data", O_RDWR | O_DIRECT);
	uint8_t *buf = NULL;

	if (fd < 0 && errno == EINVAL)
		case_skip("no O_DIRECT here");
	OK(fd);
	CHECK(posix_memalign((void **)&buf, BLOCK, 2 * BLOCK) == 0);
	EQUAL(OK(pread(fd, buf, BLOCK, 8 * BLOCK)), BLOCK);
	for (size_t i = 0; i < BLOCK; i++)
		EQUAL(buf[i], kit_byte(8 * BLOCK + i));
	memset(buf, 'D', BLOCK);
	EQUAL(OK(pwrite(fd, buf, BLOCK, 8 * BLOCK)), BLOCK);
	OK(close(fd));
	fd = OK(open("data", O_RDONLY));
	expect_data(fd, 0, 8 * BLOCK);
	expect_data(fd, 9 * BLOCK, KIT_DATA_SIZE);
	EQUAL(OK(pread(fd, buf, BLOCK, 8 * BLOCK)), BLOCK);
	for (size_t i = 0; i < BLOCK; i++)
		EQUAL(buf[i], 'D');
}

static void sync_everything(void)
{
	int lower = OK(open("file", O_RDONLY)), dir = OK(open("sub", O_RDONLY | O_DIRECTORY));
	int fd = OK(open("new", O_WRONLY | O_CREAT | O_SYNC, 0644));

	OK(fsync(lower));
	OK(fdatasync(lower));
	OK(fsync(dir));
	EQUAL(OK(write(fd, "x", 1)), 1);
	OK(fdatasync(fd));
	write_text("sub/new", "y");
	OK(fsync(dir));
	OK(syncfs(dir));
	CHECK(!upper_has("file"));
}

static void large_file(void)
{
	enum { SIZE = 9 << 20, STEP = 300007 };
	uint8_t *bytes = malloc(SIZE), *got = malloc(SIZE);
	int fd = OK(open("new", O_RDWR | O_CREAT, 0644));

	CHECK(bytes && got);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = kit_byte(i);
	for (size_t i = 0, n; i < SIZE; i += n) {
		n = SIZE - i < STEP ? SIZE - i : STEP;
		EQUAL(OK(write(fd, bytes + i, n)), n);
	}
	EQUAL(OK(pread(fd, got, SIZE, 0)), SIZE);
	CHECK(memcmp(bytes, got, SIZE) == 0);
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	EQUAL(OK(pread(fd, got, SIZE - 1, 1)), SIZE - 1);
	CHECK(memcmp(bytes + 1, got, SIZE - 1) == 0);
}

static void large_file_after(void)
{
	int fd = OK(open("new", O_RDONLY));

	EQUAL(stat_fd(fd).st_size, 9 << 20);
	expect_data(fd, 0, 9 << 20);
}

static void open_is_free(void)
{
	OK(close(OK(open("data", O_RDWR))));
	OK(close(OK(open("file", O_WRONLY | O_APPEND))));
	CHECK(!upper_has("data") && !upper_has("file"));
}

const struct test_case cases_content[] = {
	{ "open_before_copy_up", open_before_copy_up, NULL },
	{ "map_shared_before_copy_up", map_shared_before_copy_up, NULL },
	{ "map_shared_write", map_shared_write, map_shared_write_after },
	{ "map_write_without_msync", map_write_without_msync, map_write_without_msync_after },
	{ "map_private", map_private, NULL },
	{ "write_middle", write_middle, write_middle_after },
	{ "write_beyond_end", write_beyond_end, NULL },
	{ "truncate_to_nothing", truncate_to_nothing, truncate_to_nothing_after },
	{ "truncate_to_half", truncate_to_half, truncate_to_half_after },
	{ "append_from_processes", append_from_processes, NULL },
	{ "direct_io", direct_io, NULL },
	{ "sync_everything", sync_everything, NULL },
	{ "large_file", large_file, large_file_after },
	{ "open_is_free", open_is_free, NULL },
	{ NULL, NULL, NULL },
};
