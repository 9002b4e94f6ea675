/* SPDX-License-Identifier: Apache-2.0 */
/* Lenses for files that are made of lines: headers of sections, settings "name = value", and anything else.
 *
 * A lens says where a line ends, what it is and how its parts are spelled (struct line_syntax); scanning,
 * changing, adding and removing are here, the same for all. What is written is read again as the scanner
 * would, before it counts: a key or a value that would not come back as it was given is ERR_USAGE.
 *
 * A setting is added behind the last one of its section, and a missing section at the end. doc_name.end is a
 * section's last setting below its last header. Only lenses include this. */
#ifndef FLOE_REG_LENS_LINES_H
#define FLOE_REG_LENS_LINES_H

#include "registry-shim/lens_doc.h"

enum line_kind {
	LINE_OTHER,   /* blank, comment: kept as it is */
	LINE_STRAY,   /* the same, but with a meaning that we do not know */
	LINE_SECTION, /* name = what stands between the brackets */
	LINE_KEY,     /* name, value */
	LINE_BROKEN,  /* not of this kind of file */
};

struct line_parts {
	enum line_kind kind;
	size_t name_off, name_len;
	size_t value_off, value_len;
};

/* Adds what the text spells to ret, or the other way round. */
typedef int line_spelling_fn(const char *text, size_t len, struct buf *ret, struct err *e);

enum { LINES_NO_KEYS = 1 }; /* doc_name.mark of a section whose settings have no keys */

struct line_syntax {
	bool has_spellings; /* a value may be given in several ways, of which one is read */
	bool is_exclusive;  /* what has a value is no section, and the other way round */
	const char *equals; /* between a name and a value, where the file has no " = " */
	/* The length of the line that s begins with, continuations and its end included. NULL: up to the
	 * feed. */
	size_t (*extent)(const char *s, size_t len);
	/* Without its end. */
	struct line_parts (*read)(const char *line, size_t len);
	/* The container that a header names, made if missing; DOC_NONE on failure. NULL: no sections. */
	uint32_t (*section)(struct reg_doc *d, const char *name, size_t len, struct err *e);
	/* The header of a container. */
	int (*header)(struct reg_doc *d, uint32_t container, struct buf *ret, struct err *e);
	/* The key that a name in a section stands for, and back. NULL: the name as it stands. */
	uint32_t (*key)(struct reg_doc *d, uint32_t section, const char *name, size_t len, struct err *e);
	int (*write_name)(struct reg_doc *d, uint32_t section, uint32_t key, struct buf *ret, struct err *e);
	/* The section in which a key of a container is written. NULL: the container. */
	uint32_t (*place)(const struct reg_doc *d, uint32_t container);
	/* NULL: as it stands. */
	line_spelling_fn *read_value;
	/* `old` is the spelling that it replaces, of old_len bytes, or NULL. */
	int (*write_value)(const char *old, size_t old_len, const char *value, struct buf *ret,
			   struct err *e);
};

/* The functions of a lens whose `syntax` is a struct line_syntax. */
int lines_scan(struct reg_doc *d, struct err *e);
int lines_change(struct reg_doc *d, uint32_t piece, const char *value, struct err *e);
int lines_add(struct reg_doc *d, const char *key, const char *value, struct err *e);
int lines_remove(struct reg_doc *d, uint32_t piece, struct err *e);

/* True when a text has settings (in sections, if it can have any) and no line without a meaning. */
bool lines_fit(const struct line_syntax *s, const char *text, size_t len);

/* A key's name in the text, without the sections' part, unspelled and added to ret. */
int lines_name(const struct reg_doc *d, uint32_t key, struct buf *ret, struct err *e);

/* "[part]", "[part<mark>part]": a section's header, unspelled and added to ret. */
int lines_header(const struct reg_doc *d, uint32_t section, const char *mark, struct buf *ret, struct err *e);

#endif
