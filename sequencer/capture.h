/* SPDX-License-Identifier: Apache-2.0 */
/* The capture: what an installer left behind, as a list of entries sorted by path.
 *
 * Scanning fills it, filtering marks what is left out, detection and packing read it. Strings live in
 * the capture's arena until seq_capture_fini. One thread; never blocks, except that resolving looks at
 * the host. */
#ifndef FLOE_SEQ_CAPTURE_H
#define FLOE_SEQ_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { SEQ_ENTRIES_MAX = 4 * 1000 * 1000 };

enum seq_change {
	SEQ_ADDED,    /* the host has nothing of that name                    */
	SEQ_REPLACED, /* the host's entry differs                             */
	SEQ_DELETED,  /* a whiteout over the host's entry                     */
	SEQ_PARENT,   /* a directory of the host, here because of what is in it */
};

struct seq_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* Why an entry stays out of the package, when no rule says so. */
enum { SEQ_TAKEN = -1, SEQ_LEFT_UNSUPPORTED = -2 /* sockets, devices */, SEQ_LEFT_SESSION = -3 };

struct seq_entry {
	const char *path;    /* as the installer saw it, absolute: "/usr/bin/mc" */
	const char *name;    /* in the package: "usr/bin/mc", "@home/.profile"   */
	const char *source;  /* where it is on disk now; NULL for whiteouts      */
	const char *symlink; /* target, for symbolic links                       */
	struct stat st;      /* mode, owner, times as the package will say       */
	uint64_t hard_link;  /* entries with the same number are one file; 0 = none (seq_capture_link) */
	enum seq_change change;
	int rule; /* SEQ_TAKEN, or the number of the rule that leaves it out, or SEQ_LEFT_* */
	const struct seq_xattr *xattrs;
	size_t xattr_count;
};

struct seq_capture {
	struct seq_entry *entries; /* owned; sorted by `name` after seq_capture_sort */
	size_t count, cap;
	const char *home; /* in the arena: paths below it have names below "@home"; NULL = none */
	struct arena arena;
};

#define SEQ_CAPTURE_INIT                                                                                     \
	{                                                                                                    \
		.arena = ARENA_INIT(SEQ_CAPTURE_BYTES_MAX)                                                   \
	}
#define SEQ_CAPTURE_BYTES_MAX ((size_t)4 << 30)
#define auto_capture          __attribute__((cleanup(seq_capture_fini)))

void seq_capture_fini(struct seq_capture *c);
/* Appends a zeroed entry and hands it out (borrowed until the next add). ERR_LIMIT past
 * SEQ_ENTRIES_MAX. */
struct seq_entry *seq_capture_add(struct seq_capture *c, struct err *e) FLOE_MUST_USE;
/* A copy of `s` in the arena. */
char *seq_capture_string(struct seq_capture *c, const char *s, struct err *e) FLOE_MUST_USE;
void seq_capture_sort(struct seq_capture *c);
/* Numbers the entries that are names of one file, by st_dev and st_ino. */
int seq_capture_link(struct seq_capture *c, struct err *e) FLOE_MUST_USE;
/* The name in the package of an absolute path: "usr/bin/mc", "@home/.profile". In the arena. */
const char *seq_capture_name(struct seq_capture *c, const char *path, struct err *e) FLOE_MUST_USE;

/* The entry of that absolute path, taken ones only; NULL = none. Needs a sorted capture. */
const struct seq_entry *seq_capture_find(const struct seq_capture *c, const char *path);
/* The same by name in the package, left out or not. */
struct seq_entry *seq_capture_find_name(const struct seq_capture *c, const char *name);
/* Follows symbolic links, of directories on the way too, through the capture and then the host: what
 * `path` is for someone who opens it. *ret_entry is NULL when it is the host's. 0, or -1 when there is
 * nothing there. `ret_path` (may be NULL) receives the final path. */
int seq_capture_resolve(const struct seq_capture *c, const char *path, const struct seq_entry **ret_entry,
			struct stat *ret, char ret_path[4096]);

/* True for entries that go into the package. */
static inline bool seq_entry_is_taken(const struct seq_entry *t)
{
	return t->rule == SEQ_TAKEN;
}

static inline bool seq_entry_is_file(const struct seq_entry *t)
{
	return seq_entry_is_taken(t) && t->change != SEQ_DELETED && S_ISREG(t->st.st_mode);
}

#endif
