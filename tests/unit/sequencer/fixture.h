/* SPDX-License-Identifier: Apache-2.0 */
/* A scratch directory per test, files in it in one line, and captures made by hand. */
#ifndef FLOE_TESTS_SEQUENCER_FIXTURE_H
#define FLOE_TESTS_SEQUENCER_FIXTURE_H

#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/capture.h"

static char scratch[64];

static inline int make_scratch(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/floe-test-sequencer-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int remove_scratch(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, scratch, &e);
}

/* Below the scratch directory; static, of the last few calls. */
static inline const char *in_scratch(const char *path)
{
	static char names[8][8192];
	static int next;
	char *name = names[next = (next + 1) % 8];

	(void)snprintf(name, sizeof(names[0]), "%s/%s", scratch, path);
	return name;
}

static inline void put_dir(const char *path)
{
	struct err e;

	if (path_make_dirs(in_scratch(path), 0755, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void put_file(const char *path, const char *content, mode_t mode)
{
	char dir[1024];
	const char *name = in_scratch(path);
	FILE *f;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	if (strrchr(dir, '/')) {
		*strrchr(dir, '/') = 0;
		put_dir(dir);
	}
	f = fopen(name, "w");
	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static inline void put_link(const char *target, const char *path)
{
	assert_int_equal(symlink(target, in_scratch(path)), 0);
}

/* An entry that is in no file system; `mode` with its type. */
static inline struct seq_entry *put_entry(struct seq_capture *c, const char *path, mode_t mode)
{
	struct err e;
	struct seq_entry *t = seq_capture_add(c, &e);

	assert_non_null(t);
	t->path = seq_capture_string(c, path, &e);
	t->name = seq_capture_name(c, path, &e);
	t->st.st_mode = mode;
	t->st.st_nlink = 1;
	assert_non_null(t->name);
	return t;
}

/* The entry of that path, left out or not; fails when there is none. */
static inline const struct seq_entry *get_entry(const struct seq_capture *c, const char *path)
{
	for (size_t i = 0; i < c->count; i++)
		if (!strcmp(c->entries[i].path, path))
			return &c->entries[i];
	fail_msg("%s is not in the capture", path);
	return NULL;
}

static inline bool has_entry(const struct seq_capture *c, const char *path)
{
	for (size_t i = 0; i < c->count; i++)
		if (!strcmp(c->entries[i].path, path))
			return true;
	return false;
}

#endif
