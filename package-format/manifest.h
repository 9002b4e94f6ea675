/* SPDX-License-Identifier: Apache-2.0 */
/* What a package says about itself: JSON in the index, a struct in memory.
 *
 * Paths in a manifest are absolute, or start with a token that is replaced by the running user's own
 * directory: @home @config @data @state @cache @documents @runtime.
 * JSON text is limited to PKG_MANIFEST_MAX, every string to 4 KiB, every list to 1,024 entries.
 * Unknown members are kept out and ignored; wrong types are ERR_FORMAT with the member's name.
 * <jansson.h> is included only in manifest.c (and in verbs that print JSON). Never blocks. */
#ifndef FLOE_PKG_MANIFEST_H
#define FLOE_PKG_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum { PKG_MANIFEST_MAX = 1024 * 1024 };

struct pkg_command {
	char *name;  /* what the user types: "mc" */
	char *path;  /* absolute path inside: "/usr/bin/mc" */
	char **args; /* put before the user's own; NULL-terminated, or NULL */
};

struct pkg_config_file {
	char *path;     /* "@config/mc/ini" */
	char *lens;     /* "ini" */
	char *defaults; /* NULL, or the path inside the package whose content is the default layer */
};

struct pkg_env_var {
	char *name, *value;
};

enum pkg_policy { PKG_PRIVATE, PKG_DIRECT, PKG_HIDDEN };
struct pkg_path_rule {
	char *path;
	enum pkg_policy policy;
};

/* What becomes of settings in the host's own file: they lie over the package's ("merge-local") or do not
 * count
 * ("override-local"). */
struct pkg_local_rule {
	char *subtree; /* "@config/mc", "@config/mc/ini", "@config/mc/ini:Section": that and all below it */
	bool is_merged;
};

/* Owns all it points to; every list may be empty (NULL, 0). */
struct pkg_manifest {
	char *name;            /* plain name (path_is_plain_name), never NULL */
	char *version;         /* never NULL; may be "" */
	char *summary;         /* may be NULL */
	char *default_command; /* a command's name; NULL = the first */
	struct pkg_command *commands;
	size_t command_count;
	struct pkg_config_file *configs;
	size_t config_count;
	struct pkg_env_var *env;
	size_t env_count;
	struct pkg_path_rule *rules;
	size_t rule_count;
	struct pkg_local_rule *locals;
	size_t local_count;
	char **desktop_files; /* paths inside the package */
	size_t desktop_file_count;
	char **notes; /* what could not be virtualised, for people */
	size_t note_count;
};

void pkg_manifest_free(struct pkg_manifest *m); /* NULL ok */
int pkg_manifest_parse(const char *json, size_t len, struct pkg_manifest **ret, struct err *e) FLOE_MUST_USE;
/* Deterministic, sorted members, two-space indent, final newline. */
int pkg_manifest_print(const struct pkg_manifest *m, struct buf *ret, struct err *e) FLOE_MUST_USE;

#endif
