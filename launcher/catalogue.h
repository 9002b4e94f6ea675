/* SPDX-License-Identifier: Apache-2.0 */
/* Names of packages -> where they are: what `floe run NAME` looks up. For each subscribed repository a small
 * table, written when its list has been fetched and checked, so that a launch needs neither JSON nor
 * cryptography:
 *
 *   CONFIG/repositories/NAME         the subscription (launcher/subscription.h); without it the rest is
 * nothing CACHE/repositories/NAME/list     the signed list, byte by byte CACHE/repositories/NAME/names    the
 * table
 *
 * Of the table only the root digests matter for safety: what opens must have that root, and its signer must
 * be trusted like any other. libc only. One thread; blocks on the disk. */
#ifndef FLOE_LAUNCH_CATALOGUE_H
#define FLOE_LAUNCH_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "package-format/repository.h"

struct launch_found {
	char *repository, *name, *version; /* what it is, for people */
	char *source;                      /* URL or absolute path */
	char *root;                        /* digest, hexadecimal */
	uint64_t start_len;                /* of header, index and primary feature block */
	char **mirrors;                    /* the same file elsewhere */
	size_t mirror_count;
	int64_t expires_s; /* of the list that says so */
};
void launch_found_fini(struct launch_found *f); /* zero-filled is fine */

/* CACHE/repositories/NAME/FILE; caller frees. */
char *launch_catalogue_path(const char *repository, const char *file, struct err *e) FLOE_MUST_USE;
/* Writes a repository's table: `base` is the URL or path of its directory with a '/' at the end. */
int launch_catalogue_write(const char *repository, const char *base, const struct pkg_repository *r,
			   struct err *e) FLOE_MUST_USE;
/* The newest version of NAME, or the one of NAME@VERSION. ERR_NOTFOUND: no subscribed repository has it (with
 * a hint when a table is missing); ERR_USAGE: several have it, and REPOSITORY/NAME was not said. */
int launch_catalogue_find(const char *ref, struct launch_found *ret, struct err *e) FLOE_MUST_USE;

#endif
