/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest in the making: appends copies, within the limits that the format sets. Past a limit, and for
 * text that a manifest cannot hold (not UTF-8), nothing is added and 0 returned: *ret_added says. */
#ifndef FLOE_SEQ_DRAFT_H
#define FLOE_SEQ_DRAFT_H

#include <stdbool.h>

#include "package-format/manifest.h"

enum { SEQ_DRAFT_LIST_MAX = 1024, SEQ_DRAFT_STRING_MAX = 4096 };

#define auto_draft __attribute__((cleanup(seq_draft_free_ptr)))
static inline void seq_draft_free_ptr(struct pkg_manifest **m)
{
	pkg_manifest_free(*m);
}

struct pkg_manifest *seq_draft_new(struct err *e) FLOE_MUST_USE;
/* Replaces *field. */
int seq_draft_set(char **field, const char *value, struct err *e) FLOE_MUST_USE;
/* A name that is there already stays what it is. */
int seq_draft_command(struct pkg_manifest *m, const char *name, const char *path, bool *ret_added,
		      struct err *e) FLOE_MUST_USE;
/* `defaults` may be NULL. */
int seq_draft_config(struct pkg_manifest *m, const char *path, const char *lens, const char *defaults,
		     struct err *e) FLOE_MUST_USE;
int seq_draft_env(struct pkg_manifest *m, const char *name, const char *value, struct err *e) FLOE_MUST_USE;
/* ERR_USAGE when `policy` is no word for one. */
int seq_draft_path_rule(struct pkg_manifest *m, const char *policy, const char *path,
			struct err *e) FLOE_MUST_USE;
/* `rule` is "merge" or "override", else ERR_USAGE. */
int seq_draft_local_rule(struct pkg_manifest *m, const char *rule, const char *subtree,
			 struct err *e) FLOE_MUST_USE;
int seq_draft_desktop(struct pkg_manifest *m, const char *path, struct err *e) FLOE_MUST_USE;
int seq_draft_note(struct pkg_manifest *m, const char *note, struct err *e) FLOE_MUST_USE;

const struct pkg_command *seq_draft_find(const struct pkg_manifest *m, const char *name); /* NULL = none */
bool seq_draft_has_config(const struct pkg_manifest *m, const char *path);
bool seq_text_is_utf8(const char *s);

#endif
