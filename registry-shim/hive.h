/* SPDX-License-Identifier: Apache-2.0 */
/* The hive: an environment's settings by key, in SQLite (ENV/registry.db, WAL).
 *
 * A setting is (file, key) -> value: file = "config/mc/ini" (a token without its "@", then the path; or
 * an absolute path), key = "Section/name". Text form: "config/mc/ini:Midnight-Commander/skin".
 * Layers, highest wins: user > package defaults. A user deletion is a tombstone.
 * (Site policy and locks slot in between; the schema has the column from the start.)
 *
 * Changes of one call are one transaction: after a crash all or none. Several processes may have the
 * hive open. Threads: one at a time per handle. Blocks on the disk. <sqlite3.h> only in hive.c. */
#ifndef FLOE_REG_HIVE_H
#define FLOE_REG_HIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct reg_hive; /* opaque */

enum reg_layer { REG_PACKAGE = 0, REG_USER = 2 }; /* 1: site policy */

enum { REG_KEY_MAX = 1024, REG_VALUE_MAX = 64 * 1024, REG_FILE_MAX = 1024 };

int reg_hive_open(const char *path, struct reg_hive **ret, struct err *e) FLOE_MUST_USE; /* made if missing */
void reg_hive_close(struct reg_hive *h);

/* The value that counts; ERR_NOTFOUND when there is none or a tombstone. Caller frees *ret. */
int reg_hive_get(struct reg_hive *h, const char *file, const char *key, char **ret, enum reg_layer *ret_layer,
		 struct err *e) FLOE_MUST_USE;

struct reg_change {
	const char *key;
	const char *value; /* NULL = delete: a tombstone where a lower layer has it, else nothing */
};
/* One transaction on the user layer. A value equal to what lower layers give removes the user's own
 * (so that defaults the user never changed can move). *ret_changed counts keys whose effective value changed.
 */
int reg_hive_apply(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   size_t *ret_changed, struct err *e) FLOE_MUST_USE;
/* Replaces the package layer of one file. */
int reg_hive_set_defaults(struct reg_hive *h, const char *file, const struct reg_change *values, size_t count,
			  struct err *e) FLOE_MUST_USE;

/* The template: the text into which keys are rendered (comments, order), per file. Caller frees. */
int reg_hive_template(struct reg_hive *h, const char *file, char **ret, size_t *ret_len,
		      struct err *e) FLOE_MUST_USE; /* ERR_NOTFOUND */
int reg_hive_set_template(struct reg_hive *h, const char *file, const char *text, size_t len,
			  struct err *e) FLOE_MUST_USE;

struct reg_setting {
	const char *file, *key;
	const char *value; /* NULL: deleted by a tombstone */
	const char *below; /* what the lower layers give; NULL = nothing */
	enum reg_layer layer;
};
typedef int reg_setting_fn(void *arg, const struct reg_setting *s, struct err *e);
/* Every setting in order of file and key; `only_user`: those that differ from the lower layers, tombstones
 * included. file may be NULL = all. */
int reg_hive_each(struct reg_hive *h, const char *file, bool only_user, reg_setting_fn *fn, void *arg,
		  struct err *e) FLOE_MUST_USE;

#endif
