/* SPDX-License-Identifier: Apache-2.0 */
/* One declared file of the broker: text -> changes of the hive, hive -> text. Files of RUN as in broker.h.
 * One thread; blocks on the disk. */
#ifndef FLOE_REG_BROKER_FILE_H
#define FLOE_REG_BROKER_FILE_H

#include "base/mem.h"
#include "registry-shim/broker_past.h"
#include "registry-shim/hive_text.h"
#include "registry-shim/lens.h"

/* The copy for programs without the shim (broker_rendered.h). */
struct rendered_file {
	char *place; /* its path below the upper; NULL = `path` of the file */
	char *text;  /* what was last put or found there; NULL = nothing */
	size_t len;
	bool is_known;     /* the two above are */
	bool is_marked;    /* as put there by us */
	bool is_overruled; /* a program saved something else since: who watches must look again */
};

struct broker_file {
	char *path;                  /* as the application sees it; owned, as all strings here */
	char *file;                  /* in keys */
	char *name;                  /* in view/ */
	const struct reg_lens *lens; /* NULL: opaque */
	char *shown;                 /* the text in view/ as far as we know; NULL = no file */
	size_t shown_len;
	struct broker_past past;     /* what it showed before */
	struct broker_client client; /* who is saving; pid 0 = not known */
	struct rendered_file rendered;
	bool is_noticed; /* something has happened to the rendered copy */
	bool is_left;    /* too large for settings, or no file: programs see what lies there */
	char *note;      /* for people: why settings of it do not count; NULL = they do; owned */
};

struct broker_dirs {
	int run, view, shown; /* owned */
};

void broker_file_fini(struct broker_file *f);

/* The text that the hive makes; *ret NULL when the file does not exist. Caller frees. */
int broker_file_render(const struct broker_file *f, struct reg_hive *h, char **ret, size_t *ret_len,
		       struct err *e) FLOE_MUST_USE;
/* Whether the text that the hive makes of a file says what the hive says of a key: ERR_USAGE, with the
 * reason, when this kind of file cannot. No reason to refuse anything is a file that is not there yet, or is
 * kept as a whole, or that no application has declared. */
int broker_file_check(struct reg_hive *h, const char *file, const char *key, struct err *e) FLOE_MUST_USE;
/* Puts what the hive makes into view/; a change there that nobody reported yet is left for its reporter. */
int broker_file_show(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		     struct err *e) FLOE_MUST_USE;
struct broker_text {
	const char *data; /* borrowed; ends with a 0 that does not count */
	size_t len;
	bool is_in_view; /* it is already the file in view/ */
	bool has_base;
	uint64_t base; /* digest (base/hash.h) of the text that the program has changed, when that is known */
};
/* What it changed is counted from what is shown now. */
void broker_text_from_shown(struct broker_text *t, const struct broker_file *f);
/* Is that the text in view/, as far as we know? NULL = no file. */
bool broker_file_shows(const struct broker_file *f, const char *text, size_t len);
/* Takes a text over that an application wrote. What it changed is counted from the text that it had before
 * it, by `base`, or else most likely read (f->client), so that of programs that save at the same time each
 * one's keys stay. Locked keys are put back, and so is a whole file that has some and is no file of its kind
 * any more. */
int broker_file_take(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		     const struct broker_text *t, struct reg_saved *ret, struct err *e) FLOE_MUST_USE;
/* The application removed it; broker_file_show makes it anew when keys of it are locked. */
int broker_file_remove(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		       struct reg_saved *ret, struct err *e) FLOE_MUST_USE;
/* Takes an unreported change over, if there is one. */
int broker_file_harvest(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
			struct reg_saved *ret, struct err *e) FLOE_MUST_USE;
/* What an earlier broker last showed, from shown/. */
int broker_file_recall(struct broker_file *f, const struct broker_dirs *dirs, struct err *e) FLOE_MUST_USE;

#endif
