/* SPDX-License-Identifier: Apache-2.0 */
/* The broker: keeps the declared configuration files of one environment as texts in RUN/view/, and turns
 * what applications write there into changes of the hive.
 *
 *   RUN/view/NAME    the file as applications see it
 *   RUN/drafts/      what programs under the shim are writing (broker_draft.h)
 *   RUN/shown/NAME   the text last put (or taken) there; a difference is a change nobody has reported yet
 *   RUN/paths        for the shim (shim_paths.h)
 *
 * The hive is the truth, RUN is derived: whatever is killed at whatever point, the next start harvests what
 * applications wrote and renders again. view is written before shown, so that a crash between the two looks
 * like a change to what the hive already holds. Programs that read one text and then save at the same time:
 * the later writer wins, key by key for the keys that it changed (broker_past.h).
 *
 * Applications can write to RUN: nothing there is followed (symbolic links) or waited for (FIFOs).
 * One thread. Blocks on the disk only. */
#ifndef FLOE_REG_BROKER_H
#define FLOE_REG_BROKER_H

#include "base/wire.h"
#include "registry-shim/hive_text.h"

struct broker; /* opaque */

enum { BROKER_FILES_MAX = 256, BROKER_LOCAL_MAX = 256, BROKER_DEFAULTS_MAX = 64 * 1024 * 1024 };

/* Opens hive and directory; `run_dir` exists. */
int broker_open(const char *registry, const char *run_dir, struct broker **ret, struct err *e) FLOE_MUST_USE;
void broker_close(struct broker *b);
/* Borrowed; for sockets that live in it. */
int broker_run_fd(const struct broker *b);

struct broker_declaration {
	const char *path;          /* absolute, as the application sees it */
	const char *lens;          /* a name no lens has: the file is opaque */
	const char *defaults_path; /* the package's text, or "" */
	const char *file;          /* the path's name in keys */
};
/* What becomes of settings in the host's own file: they count (below the user's), or they are hidden. For
 * "config/mc/ini" and all below, "config", or "config/mc/ini:Section" and what is in it; of several rules for
 * one key the longest one counts. Without a rule they count when the package brings nothing for the file. */
struct broker_local {
	const char *subtree;
	bool is_merged;
};

struct broker_setup {
	const struct broker_declaration *declared;
	size_t count;
	const char
		*package_root; /* where the package is mounted, or NULL; its links are resolved inside it */
	const char *package_name; /* for policy */
	const char *package;      /* for people: "mc 4.8" */
	const char *defaults;     /* file NUL key NUL value NUL, repeated */
	size_t defaults_len;
	const char *policy; /* as reg_policy_unpack has it */
	size_t policy_len;
	const struct broker_local *local;
	size_t local_count;
};
/* Declares the files (replacing an earlier declaration), harvests what an earlier broker left, renders
 * everything and writes RUN/paths. May be called again at any time: policy, package and the host's files are
 * looked at anew.
 *
 * A file's package layer is its part of `defaults` and the package's text at defaults_path (else at `path`).
 */
int broker_configure(struct broker *b, const struct broker_setup *setup, struct err *e) FLOE_MUST_USE;

/* For programs that the shim cannot enter (broker_rendered.h). `upper`, before broker_configure: the
 * directory of what the environment's programs have written. `tree`, after it: where the environment is
 * mounted; then the declared files are put there as well. NULL = as before. */
int broker_render(struct broker *b, const char *upper, const char *tree, bool is_idle,
		  struct err *e) FLOE_MUST_USE;

/* Takes every change that was not reported. An emptied file counts as an interrupted save: it is put back;
 * when it is one of broker_render's, only if `is_idle`: no program is running. */
int broker_harvest(struct broker *b, bool is_idle, struct reg_saved *ret, struct err *e) FLOE_MUST_USE;

/* Readable when a program has done something to a file of broker_render's; -1 = none (yet). */
int broker_watch_fd(const struct broker *b);
/* Then: takes it. What cannot be taken waits for a harvest. */
void broker_noticed(struct broker *b);

/* Answers one message of a client (the shim, `floe registry`):
 *   type=commit  name=NAME [descriptor 0: the file that was written]   else view/NAME is read
 *   type=replace name=NAME descriptor 0: the file that takes its place
 *   type=remove  name=NAME
 *   type=closed | left | joined | synced  name=NAME of a draft (broker_draft.h)
 *   type=refresh                                  the hive was changed: render again
 *   type=harvest [since-ms=u64]                   a program that the shim may not have entered has ended
 * The shim adds started-ns=u64 (CLOCK_BOOTTIME), of its program.
 * answer: type=done changes=u64 refused=u64 (locked keys) -- sent after the change is on disk --, or
 * type=failed and error fields. With since-ms (wall clock), `refused` is of all programs since then. `pid` is
 * the client's, for the history; 0 = not known. */
int broker_answer(struct broker *b, long pid, struct wire_in *m, struct wire_out *reply,
		  struct err *e) FLOE_MUST_USE;

#endif
