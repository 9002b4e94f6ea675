/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of Augeas' tree; see augeas_text.h, of which this is a part. */
#ifndef FLOE_REG_AUGEAS_TREE_H
#define FLOE_REG_AUGEAS_TREE_H

#include <stdbool.h>

#include "base/mem.h"

struct augeas;

#define AUGEAS_TREE "/tree" /* where the tree of the text is */

/* Comments are no settings. */
bool augeas_is_comment(const char *label);

/* Where a node goes of which the tree has no example: lenses differ in what they take, so each is tried. */
enum augeas_place {
	AUGEAS_AT_END,
	AUGEAS_BEHIND_SETTINGS, /* behind the last sibling with a value: before sections */
	AUGEAS_IN_FRONT,
	AUGEAS_PLACES
};

struct augeas_change {
	char what; /* '=', '+', '-' */
	const char *key, *value;
	enum augeas_place place;
	bool is_flag; /* an empty value added is none at all */
};
int augeas_tree_change(struct augeas *a, const struct augeas_change *c, struct err *e) FLOE_MUST_USE;

#endif
