/* SPDX-License-Identifier: Apache-2.0 */
/* What was learnt of a package, as text: whatever is accepted lies inside its files, prints, and what is
 * printed reads back as the same. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/header.h"
#include "package-format/touches.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample_package.h"

/* Once; of a sample package in a directory that does not stay. */
static struct pkg_index *open_index(void)
{
	static const char text[] = "content that all its files have in common\n";
	auto_buf struct buf file = BUF_INIT(16 << 20);
	char dir[] = "/tmp/fuzz-touches-XXXXXX", content[64], package[64];
	struct pkg_index *x = NULL;
	struct pkg_header h;
	struct err e;

	if (!mkdtemp(dir))
		abort();
	(void)snprintf(content, sizeof(content), "%s/content", dir);
	(void)snprintf(package, sizeof(package), "%s/package", dir);
	if (fd_write_file(AT_FDCWD, content, text, strlen(text), 0644, &e) < 0 ||
	    sample_package_make(dir, package, content, strlen(text), &e) < 0 ||
	    fd_read_file(AT_FDCWD, package, &file, &e) < 0 || pkg_header_decode(file.data, &h, &e) < 0 ||
	    pkg_index_open(file.data + PKG_HEADER_LEN, h.index_stored_len, h.index_content_len, -1, &x, &e) <
		    0) {
		(void)fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	(void)!path_remove_tree(AT_FDCWD, dir, &e);
	return x;
}

static void check_bounds(struct pkg_index *x, const struct pkg_touch *t)
{
	struct pkg_inode i;
	struct err e;

	if (pkg_index_stat(x, t->ino, &i, &e) < 0 || !S_ISREG(i.mode) || !t->len || t->off >= i.size ||
	    t->len > i.size - t->off)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pkg_index *x;
	struct buf text = BUF_INIT(PKG_TOUCHES_TEXT_MAX);
	struct pkg_touch *list = NULL, *again = NULL;
	size_t count, count_again, lacking;
	struct err e;

	if (!x)
		x = open_index();
	if (pkg_touches_parse(x, (const char *)data, len, &list, &count, &lacking, &e) == 0) {
		for (size_t k = 0; k < count; k++)
			check_bounds(x, &list[k]);
		if (pkg_touches_print(x, list, count, &text, &e) < 0 ||
		    pkg_touches_parse(x, (const char *)text.data, text.len, &again, &count_again, &lacking,
				      &e) < 0 ||
		    lacking || count != count_again)
			__builtin_trap();
		for (size_t k = 0; k < count; k++)
			if (list[k].off != again[k].off || list[k].len != again[k].len)
				__builtin_trap();
	}
	free(list);
	free(again);
	buf_fini(&text);
	return 0;
}
