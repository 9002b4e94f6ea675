/* SPDX-License-Identifier: Apache-2.0 */
/* The hive: an environment's settings by key, in SQLite (ENV/registry.db, WAL).
 *
 * A setting is (file, key) -> value: file = "config/mc/ini" (a token without its "@", then the path; or
 * an absolute path; a ':' in it is spelled "%3A"), key = "Section/name". Text form:
 * "config/mc/ini:Midnight-Commander/skin". Layers, highest wins: user > package defaults. A user deletion is
 * a tombstone. (Site policy and locks slot in between; the schema has the column from the start.)
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

/* Made if missing. ERR_FORMAT when the file is damaged or no hive, ERR_UNSUPPORTED when a newer floe made it.
 * Every change is on disk when its call returns. */
int reg_hive_open(const char *path, struct reg_hive **ret, struct err *e) FLOE_MUST_USE;
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

/* The template: the text into which keys are rendered (comments, order), per file. Normally what the
 * application wrote last; but once the package's own text has changed since then, the package's. */
enum reg_text_kind {
	REG_TEXT_NONE,    /* never written */
	REG_TEXT_KEYS,    /* a lens understands it */
	REG_TEXT_OPAQUE,  /* no lens does: the text is the setting, as a whole */
	REG_TEXT_REMOVED, /* the application removed the file */
};
/* ERR_NOTFOUND for REG_TEXT_NONE; for REMOVED an empty text. Caller frees *ret (NUL-terminated). */
int reg_hive_template(struct reg_hive *h, const char *file, char **ret, size_t *ret_len,
		      enum reg_text_kind *ret_kind, struct err *e) FLOE_MUST_USE;
int reg_hive_set_template(struct reg_hive *h, const char *file, const char *text, size_t len,
			  struct err *e) FLOE_MUST_USE;
/* The package's text; NULL = none any more. */
int reg_hive_set_default_text(struct reg_hive *h, const char *file, const char *text, size_t len,
			      enum reg_text_kind kind, struct err *e) FLOE_MUST_USE;

/* A save by the application, or several at once: reg_hive_apply and the template in one transaction. */
struct reg_save {
	const struct reg_change *changes;
	size_t count;
	const char *text; /* NULL with REG_TEXT_REMOVED */
	size_t len;
	enum reg_text_kind kind;
};
int reg_hive_save(struct reg_hive *h, const char *file, const struct reg_save *save, size_t *ret_changed,
		  struct err *e) FLOE_MUST_USE;

struct reg_setting {
	const char *file, *key;
	const char *value; /* NULL: deleted by a tombstone */
	const char *below; /* what the lower layers give; NULL = nothing */
	enum reg_layer layer;
};
typedef int reg_setting_fn(void *arg, const struct reg_setting *s, struct err *e);
/* Every setting in order of file and key (by bytes); `only_user`: those that differ from the lower layers,
 * tombstones included. file may be NULL = all. */
int reg_hive_each(struct reg_hive *h, const char *file, bool only_user, reg_setting_fn *fn, void *arg,
		  struct err *e) FLOE_MUST_USE;
/* Every file whose text no lens understands; `key` is "", `value` NULL. */
int reg_hive_each_opaque(struct reg_hive *h, reg_setting_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
