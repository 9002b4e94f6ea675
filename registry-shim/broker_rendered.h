/* SPDX-License-Identifier: Apache-2.0 */
/* Declared files as ordinary files: for programs that the shim cannot enter (static ones, Go, raw system
 * calls), and for whatever lists or walks the directories that they lie in.
 *
 * They are put at the declared paths inside the environment's mounted tree, so that they end up in its upper,
 * each with an attribute that says which text was put there. What programs make of them is found in the
 * upper, mounted or not, when the broker harvests: another text is a save, no file is a removal. The
 * directories are watched, so that this is at once; what the watch misses (a directory made later) waits for
 * a program's end. Beside the view of the shim there is one such copy of each file; a save on one side
 * replaces the other.
 *
 * A program that is killed between two writes of a copy leaves what it had written, and that is taken: how
 * a process ended the kernel tells its parent, and (since Linux 6.15) whoever had a pidfd of it before; but
 * who opens or closes a file it tells nobody without privileges. What is empty then is put back once no
 * program runs; what is no file of its kind any more is kept as a text and leaves the keys as they are.
 *
 * Programs that save through the shim and past it at the same time: the later one wins, key by key for the
 * keys that it changed. One that writes in place while the file is being replaced writes to nothing.
 *
 * Where the tree cannot take a file (not writable for us, or a directory that the host shares directly), it
 * is left out, and programs without the shim see what is there. One thread; blocks on the disk, and on the
 * tree. */
#ifndef FLOE_REG_BROKER_RENDERED_H
#define FLOE_REG_BROKER_RENDERED_H

#include "registry-shim/broker_file.h"

/* The attribute: the digest of the text that was put there, in hexadecimal. A program that replaces the file
 * drops it. */
#define REG_RENDERED_MARK "user.floe-rendered"

struct broker_rendered {
	int upper;  /* directory; owned; -1 = none: nothing is harvested */
	char *tree; /* owned; NULL = not mounted (yet): nothing is put anywhere */
	int watch;  /* inotify of the directories in the tree; owned; -1 = none (yet) */
};
#define BROKER_RENDERED_NONE                                                                                 \
	{                                                                                                    \
		.upper = -1, .watch = -1                                                                     \
	}

void broker_rendered_fini(struct broker_rendered *r);
/* Either may be NULL: then it stays as it is. */
int broker_rendered_set(struct broker_rendered *r, const char *upper, const char *tree,
			struct err *e) FLOE_MUST_USE;

/* Takes over what programs did to the copy; nothing in it counts as a save only when `is_idle`, when nobody
 * can be in the middle of one. */
int broker_rendered_harvest(const struct broker_rendered *r, struct broker_file *f, struct reg_hive *h,
			    const struct broker_dirs *dirs, bool is_idle, struct reg_saved *ret,
			    struct err *e) FLOE_MUST_USE;
/* After poll() says that `watch` is readable: calls back with each name that something has happened to in one
 * of the directories, more than once perhaps; with NULL when some were missed. */
typedef void broker_rendered_name_fn(void *arg, const char *name);
void broker_rendered_noticed(const struct broker_rendered *r, broker_rendered_name_fn *each, void *arg);
/* Makes the copy what the view is, unless a program has changed it since the last harvest. What cannot be put
 * is logged, and no error. */
int broker_rendered_show(const struct broker_rendered *r, struct broker_file *f,
			 const struct broker_dirs *dirs, struct err *e) FLOE_MUST_USE;

/* Is what programs would find at the path no settings file: larger than REG_TEXT_MAX, or no file? In the
 * upper, else the package, else the host. */
bool broker_rendered_is_foreign(const struct broker_rendered *r, const struct broker_file *f,
				int package_root);
/* 1: what a program has left in the view is larger than REG_TEXT_MAX; it lies at the path now, and no longer
 * in the view. 0: it is not. */
int broker_rendered_hand_over(const struct broker_rendered *r, struct broker_file *f,
			      const struct broker_dirs *dirs, struct err *e) FLOE_MUST_USE;

#endif
