/* SPDX-License-Identifier: Apache-2.0 */
/* Package indexes: the input is the SQLite database itself, so that mutations reach the tables instead of
 * dying in zstd; every question an index answers is then asked. */
#include <string.h>

#include "package-format/check.h"
#include "package-format/chunk.h"
#include "tests/fuzz/fuzz.h"

enum { INODES_ASKED = 64, LIST_CAP = 8, EXTENT_CAP = 4 };

static int note_default(void *arg, const char *file, const char *key, const char *value, struct err *e)
{
	size_t *sum = arg;

	(void)e;
	*sum += strlen(file) + strlen(key) + strlen(value);
	return 0;
}

static void ask_about(struct pkg_index *x, uint64_t ino)
{
	struct buf names = BUF_INIT(1 << 20);
	struct pkg_dirent list[LIST_CAP];
	struct pkg_extent extents[EXTENT_CAP];
	char target[PKG_SYMLINK_MAX + 1];
	struct pkg_inode i;
	uint64_t cookie = 0, parent;
	size_t count = 0;
	struct err e;

	fuzz_any(pkg_index_stat(x, ino, &i, &e));
	fuzz_any(pkg_index_parent(x, ino, &parent, &e));
	fuzz_any(pkg_index_readlink(x, ino, target, &e));
	fuzz_any(pkg_index_extents(x, ino, ino * 1000, UINT64_MAX, extents, EXTENT_CAP, &count, &e));
	fuzz_any(pkg_index_xattr_list(x, ino, &names, &e));
	for (int round = 0; round < 4; round++) {
		if (pkg_index_list(x, ino, cookie, list, LIST_CAP, &count, &e) < 0 || !count)
			break;
		for (size_t k = 0; k < count; k++) {
			if (list[k].cookie <= cookie)
				__builtin_trap();
			cookie = list[k].cookie;
			fuzz_any(pkg_index_lookup(x, ino, list[k].name, list[k].name_len, &i, &e));
		}
	}
	buf_fini(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf stored = BUF_INIT(64 << 20);
	struct pkg_header h = { 0 };
	struct pkg_touch *profile;
	struct pkg_index *x;
	size_t count, sum = 0;
	struct err e;

	if (pkg_index_compress(data, len, 1, &stored, &e) == 0 &&
	    pkg_index_open(stored.data, stored.len, len, -1, &x, &e) == 0) {
		for (uint64_t ino = 0; ino < INODES_ASKED; ino++)
			ask_about(x, ino);
		for (uint32_t idx = 0; idx < 8; idx++) {
			struct pkg_chunk_info c;

			fuzz_any(pkg_index_chunk(x, idx, &c, &e));
		}
		if (pkg_index_profile(x, &profile, &count, &e) == 0)
			free(profile);
		fuzz_any(pkg_index_defaults(x, note_default, &sum, &e));
		h.index_stored_len = stored.len;
		fuzz_any(pkg_index_check(x, &h, &e));
		pkg_index_close(x);
	}
	buf_fini(&stored);
	return 0;
}
