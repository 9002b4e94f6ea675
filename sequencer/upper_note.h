/* SPDX-License-Identifier: Apache-2.0 */
/* What the union's engines note on the files of an upper (vfs/upper.h, vfs/cow_upper.h), by path. libc only.
 * Any thread; blocks on the disk. */
#ifndef FLOE_SEQ_UPPER_NOTE_H
#define FLOE_SEQ_UPPER_NOTE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

bool seq_note_whiteout(const char *source, const struct stat *st);
bool seq_note_opaque(const char *source);
/* Where a renamed directory's own content is in the layers below; false: it was not renamed. */
bool seq_note_redirect(const char *source, char ret[PATH_MAX]);
/* An owner and a mode that could not be given to the file itself; none: *st stays. */
void seq_note_override(const char *source, struct stat *st);
/* The number of names that the union shows for a file of the links index; 0 = it is not in there. */
unsigned seq_note_links(const char *source);
/* An extended attribute that is bookkeeping. */
bool seq_note_is_one(const char *xattr);

#endif
