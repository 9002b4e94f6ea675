/* SPDX-License-Identifier: Apache-2.0 */
/* paths.conf: path rules of an administrator (/etc/floe/paths.conf) and of a user
 * ($XDG_CONFIG_HOME/floe/paths.conf); docs/paths.conf is a sample.
 *
 *   # a comment, to the end of the line; at a line's beginning or behind a blank
 *   POLICY PATH [locked]
 *
 * POLICY is private, direct, read-only or hidden. PATH is absolute, begins with ~/ or with a token (@home,
 * @config, @data, @state, @cache, @documents), and stands in double quotes when it has blanks or #; there \"
 * and
 * \\ stand for themselves. One path has one rule in one file. Files are UTF-8 or any other bytes without NUL,
 * at most 64 KiB. libc only; one thread. */
#ifndef FLOE_LAUNCH_PATHS_CONF_H
#define FLOE_LAUNCH_PATHS_CONF_H

#include "launcher/path_rules.h"

#define LAUNCH_PATHS_CONF_SITE "/etc/floe/paths.conf"

/* Adds the rules of `text` (NUL-terminated, changed while being read). `file` is for messages and origins.
 * ERR_FORMAT and ERR_USAGE say "FILE:LINE: what is wrong". */
int launch_paths_conf_parse(char *text, const char *file, enum launch_rule_source source,
			    struct launch_rules *rules, struct err *e) FLOE_MUST_USE;
/* The same for a file; one that is not there has no rules. */
int launch_paths_conf_read(const char *file, enum launch_rule_source source, struct launch_rules *rules,
			   struct err *e) FLOE_MUST_USE;

#endif
