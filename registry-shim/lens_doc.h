/* SPDX-License-Identifier: Apache-2.0 */
/* The document that every lens reads into: a text as a list of pieces in order, and its keys by name.
 *
 * A piece is a stretch of text: a setting with all that goes when it is removed (its line, say), what opens
 * or closes a container of settings, or anything else (a gap). Rendering is concatenation; a change gives one
 * piece a new text, or adds or unlinks pieces; nothing is scanned again. Pieces and names are numbers into
 * arrays, keys and containers are found by one hash table: parse and render are linear, get, set and unset
 * take the time of the one piece. A name knows its last piece, a piece of a repeated key the one before it.
 *
 * A lens supplies what is in struct reg_lens; only lenses include this. */
#ifndef FLOE_REG_LENS_DOC_H
#define FLOE_REG_LENS_DOC_H

#include "registry-shim/hive.h"
#include "registry-shim/lens.h"
#include "registry-shim/lens_part.h"

enum { DOC_NONE = 0 }; /* piece 0 is the list's anchor, name 0 is unused */
enum { DOC_TOP = 1 };  /* the container of everything */

enum doc_kind {
	DOC_GAP,     /* kept as it is */
	DOC_SETTING, /* name, value */
	DOC_OPEN,    /* begins a container, whose name it has; a byte-order mark begins DOC_TOP */
	DOC_CLOSE,   /* ends a container, whose name it has */
};

struct doc_piece {
	const char *text;  /* not NUL-terminated */
	const char *value; /* of a setting, as callers see it */
	uint32_t len;
	uint32_t prev, next;
	uint32_t name;                 /* DOC_NONE for gaps */
	uint32_t same;                 /* the piece before with this name */
	uint32_t value_off, value_len; /* where in the text the value is spelled */
	enum doc_kind kind : 8;
	uint8_t mark; /* the lens's own */
};

struct doc_name {
	const char *text; /* as keys spell it: a key, or a container's path */
	uint32_t len, hash;
	uint32_t piece; /* the last setting, or the last opening; DOC_NONE when there is none (any more) */
	uint32_t container; /* that it lies in */
	uint32_t end;       /* of a container: where it ends; what that means is the lens's own */
	bool is_container;
	uint8_t mark; /* the lens's own */
};

/* How keys divide into a container's path and a name. At the top the key is the name; one that would be read
 * as something else then has a '/' in front (an empty path). */
enum doc_paths {
	DOC_FLAT,    /* not at all; at the top "//name" is the name "/name" */
	DOC_SECTION, /* at the first '/', the name is as in the text; at the top "/a/b" is the name "a/b" */
	DOC_NESTED,  /* at every '/', which no name has */
};

struct reg_lens {
	const char *name;
	/* What files that are plainly of this kind are called: words, ".toml" for the end of a name,
	 * "keyfile" for a whole one. NULL: names do not tell. */
	const char *files;
	enum doc_paths paths;
	const void *syntax; /* for lenses that share functions */
	/* Divides d->text (without the byte-order mark) into pieces. ERR_FORMAT or ERR_LIMIT with d->at where
	 * it went wrong. */
	int (*scan)(struct reg_doc *d, struct err *e);
	/* Gives a setting another value. */
	int (*change)(struct reg_doc *d, uint32_t piece, const char *value, struct err *e);
	/* Adds a setting that is not there. */
	int (*add)(struct reg_doc *d, const char *key, const char *value, struct err *e);
	/* Takes a setting's piece away, and what goes with it. */
	int (*remove)(struct reg_doc *d, uint32_t piece, struct err *e);
	/* Instead of the three above, for lenses whose changes need each other: several at once, all or none,
	 * each key once. ERR_USAGE when the text cannot say it. */
	int (*apply)(struct reg_doc *d, const struct reg_change *changes, size_t count, struct err *e);
	/* NULL: concatenation of the pieces. */
	int (*render)(const struct reg_doc *d, struct buf *ret, struct err *e);
	void (*release)(struct reg_doc *d); /* of d->own; NULL: nothing to do */
	/* True when a text is plainly of this kind. `base` is the path's last part. */
	bool (*fits)(const char *base, const char *text, size_t len);
};

struct reg_doc {
	const struct reg_lens *lens;
	char *text; /* the parsed text, owned; NUL-terminated */
	size_t len;
	size_t at;        /* how far a scan has come */
	const char *feed; /* how this text ends lines */
	struct doc_piece *pieces;
	uint32_t piece_count, piece_cap;
	struct doc_name *names;
	uint32_t name_count, name_cap;
	uint32_t *table;    /* open addressing, of name numbers */
	uint32_t table_cap; /* a power of two */
	struct arena arena; /* what doc_keep hands out */
	char *room;
	size_t room_len;
	struct buf scratch;     /* for doc_key and doc_container */
	struct buf line, plain; /* for the lens */
	void *own;              /* the lens's */
};

/* ---- texts; all live as long as the document ------------------------------------------------- */

/* A copy, NUL-terminated. NULL on failure. */
const char *doc_keep(struct reg_doc *d, const char *text, size_t len, struct err *e) FLOE_MUST_USE;
const char *doc_keep_buf(struct reg_doc *d, const struct buf *b, struct err *e) FLOE_MUST_USE;

/* ---- pieces: each returns a number, or DOC_NONE on failure ---------------------------------- */

/* `text` is borrowed for the document's life. */
uint32_t doc_insert(struct reg_doc *d, uint32_t after, enum doc_kind kind, const char *text, size_t len,
		    struct err *e) FLOE_MUST_USE;
/* At the end, from d->text; gaps that follow one another become one piece. 0 or -1. */
int doc_gap(struct reg_doc *d, size_t off, size_t len, struct err *e) FLOE_MUST_USE;
void doc_unlink(struct reg_doc *d, uint32_t piece);
/* The piece's new text: `off` bytes of the old one, `middle`, and the old one from off + cut. 0 or -1. */
int doc_splice(struct reg_doc *d, uint32_t piece, size_t off, size_t cut, const char *middle,
	       size_t middle_len, struct err *e) FLOE_MUST_USE;

/* ---- names ---------------------------------------------------------------------------------- */

/* A container's or a key's number by its place and its name in the text, made if missing; DOC_NONE on
 * failure. */
uint32_t doc_container(struct reg_doc *d, uint32_t parent, const char *name, size_t len,
		       struct err *e) FLOE_MUST_USE;
uint32_t doc_key(struct reg_doc *d, uint32_t container, const char *name, size_t len,
		 struct err *e) FLOE_MUST_USE;
uint32_t doc_container_buf(struct reg_doc *d, uint32_t parent, const struct buf *name,
			   struct err *e) FLOE_MUST_USE;
uint32_t doc_key_buf(struct reg_doc *d, uint32_t container, const struct buf *name,
		     struct err *e) FLOE_MUST_USE;
/* As keys spell them; DOC_NONE when there is no such container or key. */
uint32_t doc_find_container(const struct reg_doc *d, const char *path, size_t len);
uint32_t doc_find_key(const struct reg_doc *d, const char *key);
/* What stands in a key behind its container's path, which has *ret_path_len bytes. Part of the key. */
const char *doc_last_part(const struct reg_doc *d, const char *key, size_t *ret_path_len);
/* The same, with every container on the way, made if missing; the empty path is DOC_TOP. Uses d->plain. */
uint32_t doc_container_at(struct reg_doc *d, const char *path, size_t len, struct err *e) FLOE_MUST_USE;
/* Makes a piece the one that counts for its name. */
void doc_bind(struct reg_doc *d, uint32_t piece, uint32_t name);
/* The value of a setting, as callers see it; copied. ERR_LIMIT when it is too long. */
int doc_value(struct reg_doc *d, uint32_t piece, const struct buf *value, struct err *e) FLOE_MUST_USE;

/* True when a file of this name (the path's last part) is of this kind by its name. */
bool doc_is_named(const struct reg_lens *l, const char *base);
/* True when a text is of this kind and has keys, for lenses that cannot tell without reading it. */
bool doc_has_keys(const struct reg_lens *l, const char *text, size_t len);

#endif
