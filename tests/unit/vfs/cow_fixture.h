/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the union's parts: a union without a mount, on directories below one of its own. */
#ifndef FLOE_TESTS_UNIT_VFS_COW_FIXTURE_H
#define FLOE_TESTS_UNIT_VFS_COW_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/cmocka_all.h"

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_change.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_dir.h"
#include "vfs/cow_file.h"
#include "vfs/cow_hold.h"
#include "vfs/cow_list.h"
#include "vfs/cow_notice.h"

struct fixture {
	char dir[64];
	struct cow_union u;
	int memfd, kernel; /* whom nobody tells anything */
};

/* The last four are valid. */
static inline char *below(const struct fixture *f, const char *path)
{
	static char text[4][512];
	static unsigned turn;
	char *ret = text[turn++ % 4];

	(void)snprintf(ret, sizeof(text[0]), "%s/%s", f->dir, path);
	return ret;
}

static inline void make_dir(const struct fixture *f, const char *path)
{
	assert_int_equal(mkdir(below(f, path), 0755), 0);
}

static inline void make_file(const struct fixture *f, const char *path, const char *text)
{
	struct err e;

	assert_int_equal(fd_write_file(AT_FDCWD, below(f, path), text, strlen(text), 0644, &e), 0);
}

static inline void put(const struct fixture *f, const char *path, const char *attr, const char *value)
{
	if (lsetxattr(below(f, path), attr, value, strlen(value), 0) == 0)
		return;
	if (errno == ENOTSUP)
		skip();
	fail_msg("%s on %s: %s", attr, path, strerror(errno));
}

static inline struct cow_layer *open_layer(const struct fixture *f, const char *name, bool frozen)
{
	struct cow_layer *l = NULL;
	struct err e;

	if (cow_layer_dir_open(open(below(f, name), O_PATH | O_DIRECTORY | O_CLOEXEC), frozen, name, &l, &e) <
	    0)
		fail_msg("%s", e.msg);
	return l;
}

/* Directories "upper" and "work", and those in `layers` (topmost first, one letter for the kind before the
 * name: '!' frozen, '-' the host's), are made; ended by NULL. */
static inline struct fixture *fixture_make(const char *const *layers)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)strcpy(f->dir, "cow-fixture-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	make_dir(f, "upper");
	make_dir(f, "work");
	for (; *layers; layers++) {
		make_dir(f, *layers + 1);
		f->u.layers[++f->u.layer_count] = open_layer(f, *layers + 1, **layers == '!');
	}
	return f;
}

/* When the layers are as they shall be. */
static inline void fixture_open(struct fixture *f)
{
	struct stat st;
	struct err e;

	for (size_t i = 0; i < COW_STRIPES; i++)
		sync_mutex_init(&f->u.stripes[i]);
	f->u.opt.uid = geteuid();
	f->u.opt.gid = getegid();
	assert_int_equal(stat(below(f, "upper"), &st), 0);
	f->u.main_dev = st.st_dev;
	f->memfd = f->u.opt.table = memfd_create("table", MFD_CLOEXEC);
	f->kernel = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (cow_upper_open(below(f, "upper"), below(f, "work"), false, &f->u.upper, &e) < 0 ||
	    cow_nodes_open(f->memfd, false, &f->u.nodes, &e) < 0 || cow_dirs_open(64, &f->u.dirs, &e) < 0 ||
	    cow_files_open(64, &f->u.files, &e) < 0 || cow_holds_open(64, &f->u.holds, &e) < 0 ||
	    cow_lists_open(&f->u.lists, &e) < 0 || cow_notices_open(f->kernel, &f->u.notices, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void fixture_end(struct fixture *f)
{
	struct err e;

	cow_notices_close(f->u.notices);
	cow_lists_close(f->u.lists);
	cow_cache_close(f->u.holds);
	cow_cache_close(f->u.files);
	cow_cache_close(f->u.dirs);
	cow_nodes_close(f->u.nodes);
	cow_upper_close(f->u.upper);
	for (unsigned i = 1; i <= f->u.layer_count; i++)
		cow_layer_close(f->u.layers[i]);
	for (size_t i = 0; i < COW_STRIPES; i++)
		sync_mutex_fini(&f->u.stripes[i]);
	fd_close(f->memfd);
	fd_close(f->kernel);
	assert_int_equal(path_remove_tree(AT_FDCWD, f->dir, &e), 0);
	free(f);
}

static inline struct cow_entry find(struct fixture *f, uint64_t parent, const char *name)
{
	struct cow_entry entry;

	assert_int_equal(cow_tree_lookup(&f->u, parent, name, &entry), 0);
	return entry;
}

static inline uint64_t look_up(struct fixture *f, const char *name)
{
	return find(f, COW_ROOT, name).id;
}

#endif
