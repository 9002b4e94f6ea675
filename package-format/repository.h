/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a repository: what a directory of packages on a web server offers, signed; byte-exact in
 * FORMAT.md, section 8.
 *
 * The file has a first line with key and signature, and JSON behind it, so that one request fetches both and
 * they always belong together. Everything in a list is checked when it is read and when it is written:
 * names and versions are plain, addresses are relative, made of letters, digits and "._~@-" and stay inside
 * the repository. Nothing here blocks. <jansson.h> is included in repository.c for this. */
#ifndef FLOE_PKG_REPOSITORY_H
#define FLOE_PKG_REPOSITORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "package-format/digest.h"
#include "package-format/key.h"

#define PKG_REPOSITORY_FILE "repository.json"

enum {
	PKG_REPOSITORY_LINE_LEN = 212, /* the first line with its end */
	PKG_REPOSITORY_MAX = 16 * 1024 * 1024,
	PKG_REPOSITORY_PACKAGES_MAX = 32768,
	PKG_REPOSITORY_MIRRORS_MAX = 16,
	PKG_REPOSITORY_VERSION_MAX = 128,
	PKG_REPOSITORY_SUMMARY_MAX = 1024,
	PKG_REPOSITORY_URL_MAX = 1024,
};

struct pkg_repository_package {
	char *name;    /* path_is_plain_name */
	char *version; /* printable, without blanks and '/'; may be "" */
	char *summary; /* one line; NULL = none */
	char *url;     /* relative to the repository */
	char *icon;    /* likewise, a PNG or SVG; NULL = none */
	struct pkg_digest root;
	uint64_t file_len, index_len, feature_block_end; /* as in the package's header */
	int64_t added_s;                                 /* since 1970 */
};

/* Owns all it points to. */
struct pkg_repository {
	char *name;                  /* path_is_plain_name */
	uint64_t serial;             /* from 1; raised with every change */
	int64_t issued_s, expires_s; /* since 1970; issued before it expires */
	char **mirrors;              /* URLs of directories with the same content, with a '/' at the end */
	size_t mirror_count;
	/* By name, bytewise; of one name the newest version first (pkg_version_compare, then bytewise). */
	struct pkg_repository_package *packages;
	size_t package_count;
	struct pkg_public_key signer; /* filled by _open and _seal */
};

void pkg_repository_free(struct pkg_repository *r); /* NULL ok */
void pkg_repository_package_fini(struct pkg_repository_package *p);

/* The signature alone: 0 when these bytes were signed by *ret_signer, whoever that is. ERR_FORMAT,
 * ERR_UNSUPPORTED, ERR_LIMIT, ERR_INTEGRITY. */
int pkg_repository_check(const void *bytes, size_t len, struct pkg_public_key *ret_signer,
			 struct err *e) FLOE_MUST_USE;
/* Checks the signature, then reads. Whether the signer is trusted is asked by the caller, between
 * pkg_repository_check and this. */
int pkg_repository_open(const void *bytes, size_t len, struct pkg_repository **ret,
			struct err *e) FLOE_MUST_USE;
/* The JSON without its first line. */
int pkg_repository_parse(const char *json, size_t len, struct pkg_repository **ret,
			 struct err *e) FLOE_MUST_USE;
/* Deterministic: sorted members, two-space indent, final newline. */
int pkg_repository_print(const struct pkg_repository *r, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* The whole file; fills r->signer. */
int pkg_repository_seal(struct pkg_repository *r, const struct pkg_secret_key *key, struct buf *ret,
			struct err *e) FLOE_MUST_USE;

/* The order of packages: < 0 when `a` stands before `b`; 0 for the same name and version. */
int pkg_repository_order(const struct pkg_repository_package *a, const struct pkg_repository_package *b);
/* The package of that name and version, or the newest of that name (version NULL); NULL = none. Borrowed. */
const struct pkg_repository_package *pkg_repository_find(const struct pkg_repository *r, const char *name,
							 const char *version);
/* Takes over `p`, which is empty afterwards, and puts it in its place. ERR_EXISTS when name and version are
 * there, ERR_LIMIT; *p stays the caller's then. */
int pkg_repository_insert(struct pkg_repository *r, struct pkg_repository_package *p,
			  struct err *e) FLOE_MUST_USE;

/* ERR_TRUST when `signer` is not the one that is known, or when a list's term has passed at `now_s`. */
int pkg_repository_same_signer(const struct pkg_public_key *signer, const struct pkg_public_key *known,
			       struct err *e) FLOE_MUST_USE;
int pkg_repository_is_current(int64_t expires_s, int64_t now_s, struct err *e) FLOE_MUST_USE;
/* Is it a list that may follow the one known so far: by the same key, with a serial not lower, issued not
 * earlier, and not expired at `now_s`? What is known is `known_serial` (0 = nothing, which anything may
 * follow), `known_issued_s` and `known_signer`. ERR_TRUST with the reason. */
int pkg_repository_may_follow(const struct pkg_repository *r, uint64_t known_serial, int64_t known_issued_s,
			      const struct pkg_public_key *known_signer, int64_t now_s,
			      struct err *e) FLOE_MUST_USE;

#endif
