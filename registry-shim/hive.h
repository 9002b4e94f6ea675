/* SPDX-License-Identifier: Apache-2.0 */
/* The hive: an environment's settings by key, in SQLite (ENV/registry.db, WAL).
 *
 * A setting is (file, key) -> value: file = "config/mc/ini" (a token without its "@", then the path; or
 * an absolute path; a ':' in it is spelled "%3A"), key = "Section/name". Text form:
 * "config/mc/ini:Midnight-Commander/skin" (setting_line.h). The highest layer that has a key decides; a
 * deletion is a tombstone in its layer. What is below a lock stays, and counts again when it is taken away.
 *
 * Values are texts without a type: a configuration file has nothing else ("yes", "1" and "true" are three
 * spellings, and a program may know one of them only), so a type would be a guess that no file can keep.
 * Where a kind of file tells types by their spelling, as JSON does, that spelling is the value.
 *
 * Changes of one call are one transaction, and so are those between reg_hive_begin and reg_hive_end: after a
 * crash all or none. Several processes may have the hive open. Threads: one at a time per handle. Blocks on
 * the disk. <sqlite3.h> only in hive*.c (hive_db.h). */
#ifndef FLOE_REG_HIVE_H
#define FLOE_REG_HIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct reg_hive; /* opaque */

/* As in the file: a layer between two others finds its place. */
enum reg_layer {
	REG_PACKAGE = 0,    /* what the package brings */
	REG_SITE = 10,      /* an administrator's defaults */
	REG_LOCAL = 20,     /* what the host's own file says, where that counts */
	REG_USER = 30,      /* what applications and `floe registry set` changed */
	REG_LOCK = 40,      /* `floe registry lock` */
	REG_SITE_LOCK = 50, /* an administrator's locks */
};
/* "package", "site", "local", "user", "lock", "site lock". Static storage. */
const char *reg_layer_name(enum reg_layer layer);

enum { REG_KEY_MAX = 1024, REG_VALUE_MAX = 64 * 1024, REG_FILE_MAX = 1024 };

/* Made if missing; one of an earlier floe is brought up to date. ERR_FORMAT when the file is damaged or no
 * hive, ERR_UNSUPPORTED when a newer floe made it. Every change is on disk when its call returns,
 * but for reg_hive_set_lazy. */
int reg_hive_open(const char *path, struct reg_hive **ret, struct err *e) FLOE_MUST_USE;
void reg_hive_close(struct reg_hive *h);
/* Who makes the changes from here on, for the history. pid 0 = not known. Copied (cut when it is long). */
void reg_hive_set_author(struct reg_hive *h, const char *program, long pid);

/* While `is_on`, changes need not be on disk when their call returns, and the newest may be undone by a power
 * failure: for what every launch sets anew. What is changed afterwards takes them along to the disk. Not
 * inside a transaction. */
int reg_hive_set_lazy(struct reg_hive *h, bool is_on, struct err *e) FLOE_MUST_USE;

/* Several calls as one transaction. `result` 0 keeps them, -1 takes all of them back; so does the failure of
 * any of them. Returns 0, or -1 when nothing was kept. */
int reg_hive_begin(struct reg_hive *h, struct err *e) FLOE_MUST_USE;
int reg_hive_end(struct reg_hive *h, int result, struct err *e);

/* The value that counts; ERR_NOTFOUND when there is none or a tombstone. Caller frees *ret. */
int reg_hive_get(struct reg_hive *h, const char *file, const char *key, char **ret, enum reg_layer *ret_layer,
		 struct err *e) FLOE_MUST_USE;

struct reg_change {
	const char *key;
	const char *value; /* NULL = delete: a tombstone where a lower layer has it, else nothing */
};
/* Changes the user layer. A value equal to what lower layers give removes the user's own (so that defaults
 * the user never changed can move). ERR_DENIED when a key is locked. *ret_changed counts keys whose effective
 * value changed. */
int reg_hive_apply(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   size_t *ret_changed, struct err *e) FLOE_MUST_USE;

/* Locks a key to a value (NULL = to not being there) in layer REG_LOCK. It keeps applications from changing
 * it, not their user, who owns the hive. ERR_DENIED when the administrator has locked it already. */
int reg_hive_lock(struct reg_hive *h, const char *file, const char *key, const char *value,
		  struct err *e) FLOE_MUST_USE;
/* ERR_NOTFOUND when it is not locked, ERR_DENIED when the administrator locked it. */
int reg_hive_unlock(struct reg_hive *h, const char *file, const char *key, struct err *e) FLOE_MUST_USE;
/* Whether any key of the file is locked. */
int reg_hive_has_locks(struct reg_hive *h, const char *file, bool *ret, struct err *e) FLOE_MUST_USE;

struct reg_layer_value {
	const char *key;
	const char *value;  /* NULL = a tombstone */
	const char *origin; /* for people: "/etc/floe/policy.d/site.policy:7" */
};
/* Replaces one layer of a file. A value that stays keeps the time since when it has been there. */
int reg_hive_set_layer(struct reg_hive *h, const char *file, enum reg_layer layer,
		       const struct reg_layer_value *values, size_t count, struct err *e) FLOE_MUST_USE;

struct reg_setting {
	const char *file, *key;
	const char *value; /* NULL: deleted by a tombstone */
	const char *below; /* what the lower layers give; NULL = nothing. With REG_EACH_CHANGED only */
	enum reg_layer layer;
	const char *origin; /* the file and line, or the program, that it comes from; "" = not known */
	int64_t time_ms;    /* since when, wall clock; 0 = not known */
};
typedef int reg_setting_fn(void *arg, const struct reg_setting *s, struct err *e);
enum reg_each {
	REG_EACH_EFFECTIVE, /* of every key the layer that decides; tombstones included */
	REG_EACH_CHANGED,   /* the environment's own changes and locks: what differs from the layers below */
};
/* Settings in order of file and key (by bytes). file may be NULL = all. */
int reg_hive_each(struct reg_hive *h, const char *file, enum reg_each which, reg_setting_fn *fn, void *arg,
		  struct err *e) FLOE_MUST_USE;
/* Every layer's say on one key, the one that decides first. */
int reg_hive_each_layer(struct reg_hive *h, const char *file, const char *key, reg_setting_fn *fn, void *arg,
			struct err *e) FLOE_MUST_USE;
/* Every row of one layer, in order of file and key. */
int reg_hive_each_in(struct reg_hive *h, enum reg_layer layer, reg_setting_fn *fn, void *arg,
		     struct err *e) FLOE_MUST_USE;

#endif
