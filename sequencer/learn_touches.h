/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch touched first, as a package server tells it (launcher/server_protocol.h): merged over all
 * launches. */
#ifndef FLOE_SEQ_LEARN_TOUCHES_H
#define FLOE_SEQ_LEARN_TOUCHES_H

#include "sequencer/learn.h"

#define SEQ_TOUCHES_BYTES_MAX ((size_t)384 << 20)

/* Adds what the file `path` holds; nonsense in it is passed over. Counts in `one`. */
int seq_learn_touches(const char *path, struct seq_learned *one, struct seq_lesson *l,
		      struct err *e) FLOE_MUST_USE;
/* Adds what launches elsewhere taught: a file that floe cache profile has written (package-format/touches.h),
 * of this or another version. *ret_count: ranges of it that are in this package. */
int seq_learn_profile(const char *path, struct pkg_index *index, struct seq_lesson *l, size_t *ret_count,
		      struct err *e) FLOE_MUST_USE;

#endif
