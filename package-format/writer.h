/* SPDX-License-Identifier: Apache-2.0 */
/* Making packages: deterministic, so that equal input and key give equal bytes.
 *
 * Entries may come in any order; they are sorted by path. Content is read at pkg_writer_finish from
 * the paths given, cut (small files packed together in path order, large ones by a rolling hash with
 * content-defined boundaries), deduplicated by digest, compressed on all processors and written behind
 * the index; the file appears under its name only when complete (temporary file, fsync, rename).
 * One thread at a time. finish blocks for as long as compression takes. */
#ifndef FLOE_PKG_WRITER_H
#define FLOE_PKG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "package-format/index.h"
#include "package-format/key.h"
#include "package-format/manifest.h"

struct pkg_writer; /* opaque */

struct pkg_writer_opt {
	int zstd_level;      /* 0 = 19 */
	unsigned threads;    /* 0 = as many as there are processors */
	int64_t mtime_max_s; /* 0 = none; else SOURCE_DATE_EPOCH: later times are clamped to it */
	/* Called now and then during finish; may be NULL. `done` and `total` in bytes of content. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
	const volatile bool *cancel; /* may be NULL; set to true (by a signal handler) it ends finish with
					ERR_INTERRUPTED */
};

struct pkg_writer_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* All borrowed for the call. */
struct pkg_writer_entry {
	const char *path; /* relative to the package's root: "usr/bin/mc", "@home/.config/x"; "" = the root
			     itself */
	uint32_t mode, uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t rdev;
	const char *symlink;      /* target, for symbolic links */
	const char *content_path; /* regular files: where the bytes are now (read at finish, holes found by
				     SEEK_HOLE) */
	uint64_t size;            /* regular files; content that differs at finish is ERR_CHANGED */
	uint64_t hard_link;       /* 0 = none; entries with the same number are one inode */
	const struct pkg_writer_xattr *xattrs;
	size_t xattr_count;
};

struct pkg_writer_report {
	uint64_t files, directories, symlinks, content_bytes, file_len;
	uint32_t chunks, chunks_shared /* references that deduplication saved */;
	uint64_t feature_block_len, index_stored_len;
	struct pkg_digest root;
};

int pkg_writer_open(const struct pkg_writer_opt *opt, struct pkg_writer **ret, struct err *e) FLOE_MUST_USE;
void pkg_writer_close(struct pkg_writer *w); /* NULL ok; removes what is unfinished */
/* Parents that no entry named are made as 0755 root:root. The same path twice is ERR_EXISTS. */
int pkg_writer_add(struct pkg_writer *w, const struct pkg_writer_entry *entry, struct err *e) FLOE_MUST_USE;
/* Adds a tree from disk below `prefix` ("" or "opt/x"): types, modes, owners, times, xattrs, hard
 * links, holes, as found; sockets, POSIX ACLs and SELinux labels are left out. Directories that are in the
 * package already stay as they are. Does not cross file systems. */
int pkg_writer_add_tree(struct pkg_writer *w, const char *dir, const char *prefix,
			struct err *e) FLOE_MUST_USE;
int pkg_writer_default(struct pkg_writer *w, const char *file, const char *key, const char *value,
		       struct err *e) FLOE_MUST_USE;
int pkg_writer_finish(struct pkg_writer *w, const struct pkg_manifest *m, const struct pkg_secret_key *key,
		      const char *out_path, struct pkg_writer_report *ret, struct err *e) FLOE_MUST_USE;

/* A finished package with another launch profile and, when m is not NULL, another manifest: chunks are
 * copied as they are, those that the profile touches first and in its order. in_path may equal out_path. */
int pkg_writer_relayout(const char *in_path, const struct pkg_touch *profile, size_t profile_count,
			const struct pkg_manifest *m, const struct pkg_secret_key *key, const char *out_path,
			struct pkg_writer_report *ret, struct err *e) FLOE_MUST_USE;

#endif
