/* SPDX-License-Identifier: Apache-2.0 */
/* First inputs for the package parsers: make_corpus DIR writes DIR/{header,index,chunk,manifest}/seed, taken
 * from a package that it makes, DIR/repository/seed, a list that offers it, and DIR/touches/seed, what was
 * learnt of it. What fuzzing finds is kept in
 * corpus/NOUN/ beside this file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/chunk.h"
#include "package-format/header.h"
#include "package-format/repository.h"
#include "package-format/touches.h"
#include "tests/fuzz/sample_package.h"

static int put(const char *dir, const char *noun, const void *data, size_t len, struct err *e)
{
	auto_free char *sub = path_join(dir, noun, e);
	auto_free char *path = sub ? path_join(sub, "seed", e) : NULL;

	if (!path || path_make_dirs(sub, 0755, e) < 0)
		return -1;
	return fd_write_file(AT_FDCWD, path, data, len, 0644, e);
}

/* Of the first chunk, and a name that must be written in another way. */
static int put_touches(const char *dir, struct pkg_index *x, struct err *e)
{
	static const char odd[] = "0 1 usr/d0/sp\\040ace\n";
	auto_buf struct buf text = BUF_INIT(PKG_TOUCHES_TEXT_MAX);
	auto_free struct pkg_touch *list = NULL;
	const uint32_t first = 0;
	size_t count;

	if (pkg_touches_of_chunks(x, &first, 1, &list, &count, e) < 0 ||
	    pkg_touches_print(x, list, count, &text, e) < 0 || buf_add(&text, odd, strlen(odd), e) < 0)
		return -1;
	return put(dir, "touches", text.data, text.len, e);
}

/* The package's parts, each as its target wants it. */
static int take_apart(const char *dir, const char *path, const char *content, size_t content_len,
		      struct err *e)
{
	auto_buf struct buf file = BUF_INIT(16 << 20), chunk = BUF_INIT(2 << 20);
	auto_free uint8_t *database = NULL;
	uint32_t len = (uint32_t)content_len;
	struct pkg_header h;
	struct pkg_index *x;
	auto_buf struct buf json = BUF_INIT(PKG_MANIFEST_MAX);
	int rc;

	if (fd_read_file(AT_FDCWD, path, &file, e) < 0 || pkg_header_decode(file.data, &h, e) < 0)
		return -1;
	database = mem_alloc(1, h.index_content_len, e);
	if (!database ||
	    pkg_frame_inflate(file.data + PKG_HEADER_LEN, h.index_stored_len, h.index_content_len, database,
			      e) < 0 ||
	    pkg_index_open(file.data + PKG_HEADER_LEN, h.index_stored_len, h.index_content_len, -1, &x, e) <
		    0)
		return -1;
	rc = pkg_manifest_print(pkg_index_manifest(x), &json, e);
	if (rc == 0)
		rc = put_touches(dir, x, e);
	pkg_index_close(x);
	if (rc < 0 || buf_add(&chunk, &len, sizeof(len), e) < 0 ||
	    pkg_chunk_compress(content, content_len, 3, &chunk, e) < 0)
		return -1;
	if (put(dir, "header", file.data, PKG_HEADER_LEN, e) < 0 ||
	    put(dir, "index", database, h.index_content_len, e) < 0 ||
	    put(dir, "chunk", chunk.data, chunk.len, e) < 0)
		return -1;
	return put(dir, "manifest", json.data, json.len, e);
}

/* A list with two versions of the package. */
static int make_list(const char *dir, const char *path, struct err *e)
{
	static char name[] = "sample", versions[][4] = { "1.1", "1.0" }, summary[] = "one line",
		    url[] = "packages/sample.floe", icon[] = "icons/sample.png",
		    mirror[] = "https://mirror.example/apps/";
	static char *mirrors[] = { mirror };
	struct pkg_repository_package packages[2];
	struct pkg_repository r = { .name = name,
				    .serial = 7,
				    .issued_s = 1700000000,
				    .expires_s = 1800000000,
				    .mirrors = mirrors,
				    .mirror_count = 1,
				    .packages = packages,
				    .package_count = 2 };
	auto_buf struct buf file = BUF_INIT(16 << 20), list = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_secret_key *key;
	struct pkg_header h;
	int rc;

	if (fd_read_file(AT_FDCWD, path, &file, e) < 0 || pkg_header_decode(file.data, &h, e) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		packages[i] = (struct pkg_repository_package){ .name = name,
							       .version = versions[i],
							       .summary = i ? NULL : summary,
							       .url = url,
							       .icon = i ? NULL : icon,
							       .root = h.root,
							       .file_len = h.file_len,
							       .index_len = h.index_stored_len,
							       .feature_block_end = h.feature_block_end,
							       .added_s = 1700000000 };
	if (pkg_key_load(dir, "default", &key, e) < 0)
		return -1;
	rc = pkg_repository_seal(&r, key, &list, e);
	pkg_key_close(key);
	return rc < 0 ? -1 : put(dir, "repository", list.data, list.len, e);
}

static int make(const char *dir, struct err *e)
{
	static const char text[] = "content that the files of the first package have in common\n";
	auto_free char *package = path_join(dir, "package.floe", e);
	auto_free char *content = path_join(dir, "content", e);

	if (!package || !content || path_make_dirs(dir, 0755, e) < 0 ||
	    fd_write_file(AT_FDCWD, content, text, strlen(text), 0644, e) < 0 ||
	    sample_package_make(dir, package, content, strlen(text), e) < 0 || make_list(dir, package, e) < 0)
		return -1;
	return take_apart(dir, package, text, strlen(text), e);
}

int main(int argc, char **argv)
{
	struct err e;

	if (argc != 2 || make(argv[1], &e) < 0) {
		(void)fprintf(stderr, "make_corpus: %s\n", argc == 2 ? e.msg : "needs a directory");
		return 1;
	}
	return 0;
}
