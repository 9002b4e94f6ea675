/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's texts. A file's template is the text into which its keys are rendered (comments, order):
 * normally what the application wrote last; but once the package's own text has changed since then, the
 * package's. As hive.h for threads and blocking. */
#ifndef FLOE_REG_HIVE_TEXT_H
#define FLOE_REG_HIVE_TEXT_H

#include "registry-shim/hive.h"

enum reg_text_kind {
	REG_TEXT_NONE,    /* never written */
	REG_TEXT_KEYS,    /* a lens understands it */
	REG_TEXT_OPAQUE,  /* no lens does: the text is the setting, as a whole */
	REG_TEXT_REMOVED, /* the application removed the file */
};

/* ERR_NOTFOUND for REG_TEXT_NONE; for REMOVED the package's text, in case keys come back, or an empty one.
 * Caller frees *ret (NUL-terminated). */
int reg_hive_template(struct reg_hive *h, const char *file, char **ret, size_t *ret_len,
		      enum reg_text_kind *ret_kind, struct err *e) FLOE_MUST_USE;
/* The package's text; NULL = none any more. */
int reg_hive_set_default_text(struct reg_hive *h, const char *file, const char *text, size_t len,
			      enum reg_text_kind kind, struct err *e) FLOE_MUST_USE;

/* A save by the application: keys and template in one transaction. Keys that are locked stay as they are,
 * and the history has the attempt. */
struct reg_save {
	const struct reg_change *changes;
	size_t count;
	const char *text; /* NULL with REG_TEXT_REMOVED */
	size_t len;
	enum reg_text_kind kind;
};
struct reg_saved {
	size_t changed; /* keys whose effective value changed */
	size_t refused; /* locked keys */
};
int reg_hive_save(struct reg_hive *h, const char *file, const struct reg_save *save, struct reg_saved *ret,
		  struct err *e) FLOE_MUST_USE;

/* Of every file that has one, the text that counts, in order of the files. Borrowed. */
typedef int reg_text_fn(void *arg, const char *file, enum reg_layer layer, enum reg_text_kind kind,
			const char *text, size_t len, struct err *e);
int reg_hive_each_text(struct reg_hive *h, reg_text_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
