/* SPDX-License-Identifier: Apache-2.0 */
/* What launches of a package's command touched first, by content, so that it serves every version: the
 * chunks' digests in order, kept in one small file per package and command.
 *
 *   DIR/profiles/HEX   "floeprf1", then entries (digest, chunk number, launches since it was last touched;
 *                      numbers are little-endian 32-bit), then the SHA-256 of all that
 *
 * HEX is stream_profile_key. The files are disposable and bounded in size and number; a damaged one is none.
 * Threads: any, each with its own struct. Calls block on the local disk only. */
#ifndef FLOE_STREAM_PROFILE_H
#define FLOE_STREAM_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/digest.h"
#include "package-format/header.h"

enum {
	STREAM_PROFILE_MAX = 8192, /* entries */
	STREAM_PROFILE_IDLE = 8,   /* launches after which what they did not touch is forgotten */
	STREAM_PROFILE_FILES = 256,
};

struct stream_profile_entry {
	struct pkg_digest digest;
	uint32_t chunk_idx; /* in the version that touched it last: a hint */
	uint32_t idle;      /* launches since */
};
struct stream_profile { /* zero: nothing known */
	struct stream_profile_entry *entries;
	size_t count;
};
void stream_profile_fini(struct stream_profile *p);

/* The same for all versions: signer, the package's name and the command's decide. */
void stream_profile_key(const struct pkg_header *header, const char *name, const char *command,
			struct pkg_digest *ret);
/* `dir` is the cache's. ERR_NOTFOUND when there is none or it is damaged. Caller _fini. */
int stream_profile_load(const char *dir, const struct pkg_digest *key, struct stream_profile *ret,
			struct err *e) FLOE_MUST_USE;
/* What one launch touched, in order. When that is the whole of it, it comes first, and what earlier ones did
 * follows, until it was idle too long; otherwise, when the kernel had some of it in its page cache, what is
 * new follows. `idle` of `touched` is ignored. */
int stream_profile_merge(struct stream_profile *p, const struct stream_profile_entry *touched, size_t count,
			 bool is_whole, struct err *e) FLOE_MUST_USE;
/* Atomic; makes the directory, and room when there are too many files in it. */
int stream_profile_save(const char *dir, const struct pkg_digest *key, const struct stream_profile *p,
			struct err *e) FLOE_MUST_USE;

#endif
