/* SPDX-License-Identifier: Apache-2.0 */
/* The junk rules: what of a capture stays out of the package, and why.
 *
 *   # a comment; the nearest one above a rule is what the report says of it
 *   exclude PATTERN
 *   include PATTERN
 *
 * Patterns (glob.h) are matched against the absolute path, or "@home/..." for what lies below the
 * installer's home. The last rule that matches decides. One thread; only seq_rules_load blocks. */
#ifndef FLOE_SEQ_FILTER_H
#define FLOE_SEQ_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "sequencer/capture.h"

enum { SEQ_RULES_MAX = 4096, SEQ_RULES_TEXT_MAX = 1024 * 1024 };

struct seq_rule {
	char *pattern; /* owned */
	char *comment; /* owned; may be "" */
	bool include;
	unsigned line;
	size_t hits; /* entries left out because of it, and their bytes */
	uint64_t bytes;
};

struct seq_rules {
	struct seq_rule *rules; /* owned */
	size_t count;
};

#define auto_rules __attribute__((cleanup(seq_rules_fini)))
void seq_rules_fini(struct seq_rules *r);

/* ERR_FORMAT with the line's number. `name` is for messages. */
int seq_rules_parse(const char *text, const char *name, struct seq_rules *ret, struct err *e) FLOE_MUST_USE;
int seq_rules_load(const char *path, struct seq_rules *ret, struct err *e) FLOE_MUST_USE;
/* The file that comes with floe; caller frees. */
char *seq_rules_default_path(struct err *e) FLOE_MUST_USE;

/* Sets entry->rule where a rule leaves it out, and counts in the rules. Directories of the host (SEQ_PARENT)
 * below which nothing is taken are dropped without a word (SEQ_LEFT_SESSION). */
void seq_rules_apply(struct seq_rules *r, struct seq_capture *c);

#endif
