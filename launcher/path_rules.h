/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the machine's paths an application gets as they are, privately, or not at all.
 *
 * A rule decides over its path and all below it, until a longer rule does: longest prefix wins. For one path
 * the stronger source wins: defaults < package < site < user's own file < command line. A *locked* rule of a
 * file (paths_conf.h) is stronger than all of these, and so are its words about everything below it: rules of
 * other sources there are dropped. The site's locks are stronger than the user's. A lock is no boundary
 * against the user, who may run what he likes without floe; it keeps packages and habits in order.
 *
 * Symbolic links in a rule's path are followed once, when it is added. libc only. One thread; blocks on the
 * disk. */
#ifndef FLOE_LAUNCH_PATH_RULES_H
#define FLOE_LAUNCH_PATH_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum launch_policy { LAUNCH_PRIVATE, LAUNCH_DIRECT, LAUNCH_DIRECT_READ_ONLY, LAUNCH_HIDDEN };

/* In rising precedence. */
enum launch_rule_source {
	LAUNCH_RULE_DEFAULT,
	LAUNCH_RULE_PACKAGE,
	LAUNCH_RULE_SITE,
	LAUNCH_RULE_USER,
	LAUNCH_RULE_OPTION,
};

struct launch_rule {
	char *path;  /* absolute, without symbolic links as far as it exists */
	char *where; /* "FILE:LINE"; NULL when it is not from a file */
	enum launch_policy policy;
	enum launch_rule_source source;
	bool is_locked;
};

/* Zero-initialised = empty. */
struct launch_rules {
	struct launch_rule *list;
	size_t count;
};

void launch_rules_fini(struct launch_rules *r);

/* `rule` is copied; its path may be relative. ERR_USAGE for / and for what no rule can change: /proc, /sys,
 * /dev, /run (but for what is mounted in /run/media) and /.floe. What only turns out so behind symbolic links
 * is an error too, except for defaults and packages, whose rule is then left out. */
int launch_rules_add(struct launch_rules *r, const struct launch_rule *rule, struct err *e) FLOE_MUST_USE;

/* After all have been added: one rule for each path is left, those that locks overrule are gone, and they are
 * sorted by path, parents before children. ERR_TRUST when the command line asks for what a lock forbids. */
int launch_rules_settle(struct launch_rules *r, struct err *e) FLOE_MUST_USE;

/* Of settled rules the one that decides over `path` (absolute, normal); NULL = private by default. With
 * `above`, a rule for `path` itself does not count. Borrowed. */
const struct launch_rule *launch_rules_ruling(const struct launch_rules *r, const char *path, bool above);

/* "private", "direct", "read-only", "hidden". */
const char *launch_policy_word(enum launch_policy policy);
/* False when it is none. */
bool launch_policy_of_word(const char *word, enum launch_policy *ret);
/* "default", "package", "command line", or the file and line. */
const char *launch_rule_origin(const struct launch_rule *rule);

#endif
