/* SPDX-License-Identifier: Apache-2.0 */
/* Small cases about a file system: each runs in a process of its own, in a directory of its own (its name),
 * which the layers below have prepared with the same content everywhere (kit.c), and ends with its first
 * failed check. Cases run on plain directories, too: what they want is what an ordinary file system does.
 * Paths are relative to the case's directory. */
#ifndef FLOE_TESTS_UNION_CASE_H
#define FLOE_TESTS_UNION_CASE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct test_case {
	const char *name;
	void (*run)(void);
	void (*after)(void); /* in a later mount of the same union; NULL = nothing to look at */
};

/* What a case is not expected to do on an engine; it must fail there, then. The name of what a case looks at
 * in a later mount is NAME@after. */
struct case_difference {
	const char *engine, *name, *reason;
	bool is_privileged_too; /* false: only where the engine runs without root */
};

struct case_setting {
	const char *engine;        /* plain, overlay, fuse */
	const char *upper;         /* NULL = there is none to look into */
	const char *notes;         /* directory outside the union, for what `after` compares with */
	bool is_privileged;        /* may become any user */
	const char *name, *target; /* of the running case; the union's top */
};
extern struct case_setting setting;

void case_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void case_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* For tables: the case goes on, and fails at its end. Counted. */
void case_expect(bool is_met, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline long long case_ok(long long value, const char *file, int line, const char *call)
{
	if (value == -1)
		case_fail(file, line, "%s: %s", call, strerror(errno));
	return value;
}

#define FAIL(...) case_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			FAIL("%s", #condition);                                                              \
	} while (0)
#define EQUAL(got, want)                                                                                     \
	do {                                                                                                 \
		long long got_ = (long long)(got), want_ = (long long)(want);                                \
		if (got_ != want_)                                                                           \
			FAIL("%s is %lld, not %lld", #got, got_, want_);                                     \
	} while (0)
/* A system call that must succeed; its value. */
#define OK(call) case_ok(call, __FILE__, __LINE__, #call)
/* A system call that must fail like this. */
#define FAILS(call, want_errno)                                                                              \
	do {                                                                                                 \
		errno = 0;                                                                                   \
		if ((long long)(call) != -1)                                                                 \
			FAIL("%s succeeds instead of %s", #call, #want_errno);                               \
		if (errno != (want_errno))                                                                   \
			FAIL("%s: %s instead of %s", #call, strerror(errno), #want_errno);                   \
	} while (0)
#define NEED_PRIVILEGE()                                                                                     \
	do {                                                                                                 \
		if (!setting.is_privileged)                                                                  \
			case_skip("only root can become other users");                                       \
	} while (0)

/* ---- what cases are made of (case_steps.c); all fail the case when they cannot */
struct stat stat_of(const char *path); /* lstat */
struct stat stat_fd(int fd);
void write_file(const char *path, const void *data, size_t len); /* O_CREAT | O_TRUNC */
void write_text(const char *path, const char *text);
void append_text(const char *path, const char *text);
void expect_text(const char *path, const char *text); /* whole content */
void expect_fd_text(int fd, off_t off, const char *text);
void expect_gone(const char *path); /* ENOENT by lstat, and in its directory's listing */
bool is_listed(const char *dir, const char *name);
unsigned count_entries(const char *dir);        /* besides . and .. */
void expect_data(int fd, off_t from, off_t to); /* the kit's bytes */
bool same_time(struct timespec a, struct timespec b);
bool is_later(struct timespec a, struct timespec b);
void pause_clock(void);                                    /* until the file system's clock has moved */
void in_child_as(uid_t uid, gid_t gid, void (*run)(void)); /* a failed check there fails the case */
void in_child(void (*run)(void));
/* Numbers kept for `after`. */
void note_number(const char *name, uint64_t value);
uint64_t noted_number(const char *name);
/* Below the case's directory in the upper: is it there, is it a whiteout? False when there is no upper. */
bool upper_has(const char *path);
bool upper_is_whiteout(const char *path);
int get_xattr(const char *path, const char *name, char *value, size_t cap); /* -errno or length */
/* A process that runs `path`, which waits for the end of its input; closing *ret_input ends it. */
pid_t run_program(const char *path, int *ret_input);

/* ---- the prepared content (kit.c) */
#define KIT_BYTES_NAME "\xff\xfe\x80\n\x01"
#define KIT_TEN        "0123456789"
#define KIT_FIFTY      KIT_TEN KIT_TEN KIT_TEN KIT_TEN KIT_TEN
#define KIT_LONG_NAME  KIT_FIFTY KIT_FIFTY KIT_FIFTY KIT_FIFTY KIT_FIFTY "abcde" /* 255 bytes */
enum kit_layer { KIT_BOTTOM, KIT_TOP, KIT_MERGED };
enum { KIT_DATA_SIZE = 200001, KIT_SPARSE_SIZE = 1 << 20, KIT_SPARSE_AT = 512 << 10 };
void kit_make(const char *dir, enum kit_layer layer); /* dir exists */
uint8_t kit_byte(size_t off);                         /* of "data" */
extern const struct timespec kit_time;                /* of everything */

#endif
