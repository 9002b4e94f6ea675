/* SPDX-License-Identifier: Apache-2.0 */
/* Room and holes in files, and copying from file to file. */
#include <sys/sendfile.h>

#include "tests/union/case_lists.h"

static void allocate(void)
{
	int fd = OK(open("data", O_RDWR));
	char got[4];

	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, KIT_DATA_SIZE, 100000));
	EQUAL(stat_fd(fd).st_size, KIT_DATA_SIZE);
	OK(fallocate(fd, 0, 0, 300000));
	EQUAL(stat_fd(fd).st_size, 300000);
	expect_data(fd, 0, KIT_DATA_SIZE);
	EQUAL(OK(pread(fd, got, 4, 250000)), 4);
	CHECK(memcmp(got, "\0\0\0\0", 4) == 0);
}

static void check_zeros(int fd, off_t from, off_t to)
{
	char c;

	for (; from < to; from += 511) {
		EQUAL(OK(pread(fd, &c, 1, from)), 1);
		EQUAL(c, 0);
	}
}

static void punch_and_zero(void)
{
	int fd = OK(open("data", O_RDWR)), reader = OK(open("data", O_RDONLY));

	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10000, 50000));
	EQUAL(stat_fd(fd).st_size, KIT_DATA_SIZE);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 100000, 20001));
	expect_data(reader, 0, 10000);
	check_zeros(reader, 10000, 60000);
	expect_data(reader, 60000, 100000);
	check_zeros(reader, 100000, 120001);
	expect_data(reader, 120001, KIT_DATA_SIZE);
}

static void punch_and_zero_after(void)
{
	int fd = OK(open("data", O_RDONLY));

	expect_data(fd, 0, 10000);
	check_zeros(fd, 10000, 60000);
	expect_data(fd, 60000, 100000);
	check_zeros(fd, 100000, 120001);
	expect_data(fd, 120001, KIT_DATA_SIZE);
}

static void seek_sparse(int fd)
{
	EQUAL(OK(lseek(fd, 0, SEEK_DATA)), KIT_SPARSE_AT);
	EQUAL(OK(lseek(fd, KIT_SPARSE_AT, SEEK_HOLE)), KIT_SPARSE_AT + 4096);
	FAILS(lseek(fd, KIT_SPARSE_AT + 4096, SEEK_DATA), ENXIO);
	EQUAL(OK(lseek(fd, 0, SEEK_HOLE)), 0);
	FAILS(lseek(fd, KIT_SPARSE_SIZE, SEEK_HOLE), ENXIO);
	EQUAL(OK(lseek(fd, 0, SEEK_END)), KIT_SPARSE_SIZE);
}

static void seek_data_and_holes(void)
{
	int fd = OK(open("sparse", O_RDWR));
	char got[4096];

	seek_sparse(fd);
	OK(fchmod(fd, 0600));
	seek_sparse(fd);
	EQUAL(OK(pwrite(fd, "x", 1, KIT_SPARSE_AT + 5)), 1);
	OK(fsync(fd));
	seek_sparse(fd);
	EQUAL(OK(pread(fd, got, 4096, KIT_SPARSE_AT)), 4096);
	CHECK(got[4] == 'S' && got[5] == 'x' && got[4095] == 'S');
	CHECK(stat_fd(fd).st_blocks < KIT_SPARSE_SIZE / 512 / 4);
	fd = OK(open("data", O_RDONLY));
	EQUAL(OK(lseek(fd, 0, SEEK_HOLE)), KIT_DATA_SIZE);
	EQUAL(OK(lseek(fd, 5, SEEK_DATA)), 5);
}

static void copy_between_layers(void)
{
	int in = OK(open("data", O_RDONLY)), out = OK(open("copy", O_RDWR | O_CREAT, 0644));
	off_t from = 1000, to = 0;
	char start[2];

	while (from < KIT_DATA_SIZE)
		CHECK(OK(copy_file_range(in, &from, out, &to, (size_t)(KIT_DATA_SIZE - from), 0)) > 0);
	EQUAL(stat_fd(out).st_size, KIT_DATA_SIZE - 1000);
	EQUAL(OK(copy_file_range(in, &(off_t){ 0 }, out, &(off_t){ 0 }, 1000, 0)), 1000);
	expect_data(out, 0, 1000);
	CHECK(!upper_has("data"));
	OK(close(out));

	/* the other way round: the target is copied up */
	out = OK(open("data", O_RDWR));
	in = OK(open("copy", O_RDONLY));
	EQUAL(OK(copy_file_range(in, &(off_t){ 0 }, out, &(off_t){ KIT_DATA_SIZE }, 1000, 0)), 1000);
	expect_data(out, 0, KIT_DATA_SIZE);
	expect_data(in, 0, 1000);
	EQUAL(OK(sendfile(out, OK(open("sub/a", O_RDONLY)), NULL, 10)), 2);
	EQUAL(OK(pread(out, start, 2, 0)), 2);
	CHECK(memcmp(start, "a\n", 2) == 0);
	EQUAL(OK(copy_file_range(out, &(off_t){ 100000 }, out, &(off_t){ 0 }, 50000, 0)), 50000);
	for (int i = 0; i < 50000; i += 777) {
		uint8_t c;

		EQUAL(OK(pread(out, &c, 1, i)), 1);
		EQUAL(c, kit_byte(100000 + (size_t)i));
	}
}

const struct test_case cases_space[] = {
	{ "allocate", allocate, NULL },
	{ "punch_and_zero", punch_and_zero, punch_and_zero_after },
	{ "seek_data_and_holes", seek_data_and_holes, NULL },
	{ "copy_between_layers", copy_between_layers, NULL },
	{ NULL, NULL, NULL },
};
