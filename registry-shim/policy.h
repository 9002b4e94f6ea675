/* SPDX-License-Identifier: Apache-2.0 */
/* Site policy: settings that an administrator gives (defaults) or fixes (locks). Read from *.policy of
 * REG_POLICY_DIR in order of their names, then from `floe run --policy FILE`; where two give one key, the
 * later one counts.
 *
 *   # a comment
 *   default config/mc/ini:Midnight-Commander/skin = dark
 *   lock    config/mc/ini:Midnight-Commander/confirm_exit = true
 *   lock    config/mc/ini:Midnight-Commander/shell            it is not there, and stays so
 *   [package mc]                 only for packages of this name, up to the next such line; shell patterns
 *
 * Lines are those of setting_line.h. A file that is wrong in one line is wrong as a whole, and the launch is
 * refused: half an administrator's policy is none. A key of a file that a package does not declare says
 * nothing to that package. libc only; one thread; reading blocks on the disk. */
#ifndef FLOE_REG_POLICY_H
#define FLOE_REG_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define REG_POLICY_DIR "/etc/floe/policy.d"

enum { REG_POLICY_TEXT_MAX = 1024 * 1024, REG_POLICY_RULES_MAX = 10 * 1000 };

struct reg_policy_rule {
	bool is_lock;
	char *package; /* a shell pattern; owned, as all */
	char *file, *key;
	char *value; /* NULL: locked as not being there */
	char *where; /* "/etc/floe/policy.d/10-site.policy:7" */
};
struct reg_policy {
	struct reg_policy_rule *rules;
	size_t count;
};
#define auto_reg_policy __attribute__((cleanup(reg_policy_fini))) struct reg_policy
void reg_policy_fini(struct reg_policy *p);

/* Adds the rules of a text. `name` is the file's, for messages and origins: ERR_FORMAT and ERR_LIMIT say
 * "NAME:LINE: what is wrong". */
int reg_policy_parse(const char *text, const char *name, struct reg_policy *p, struct err *e) FLOE_MUST_USE;

/* On the way from `floe run` to the broker, policy files are NAME NUL TEXT NUL, repeated. These add the one
 * file, or the *.policy of a directory (none is fine), to `packed`, checked. */
int reg_policy_pack_file(const char *path, struct buf *packed, struct err *e) FLOE_MUST_USE;
int reg_policy_pack_dir(const char *path, struct buf *packed, struct err *e) FLOE_MUST_USE;
int reg_policy_unpack(const char *packed, size_t len, struct reg_policy *ret, struct err *e) FLOE_MUST_USE;

#endif
