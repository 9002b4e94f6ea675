/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs ask a running holder: what there is, and to let go. The holder is never started for it. One
 * thread; blocks until the holder answers. */
#ifndef FLOE_LAUNCH_HOLDER_LIST_H
#define FLOE_LAUNCH_HOLDER_LIST_H

#include <sys/types.h>

#include "base/wire.h"

/* A row of launcher/holder_protocol.h, borrowed for the call; -1 ends the listing. */
typedef int launch_row_fn(void *arg, const struct wire_in *row, struct err *e);
/* 0 without a call and *ret_holder 0 when no holder runs. ret_holder may be NULL. */
int launch_holder_list(launch_row_fn *fn, void *arg, pid_t *ret_holder, struct err *e) FLOE_MUST_USE;
/* Makes the holder let go of an environment that nobody uses. ERR_BUSY ("floe stop NAME") when it is used. */
int launch_holder_drop(const char *env, struct err *e) FLOE_MUST_USE;
/* A field of a row as text, "" when it is missing; NULL only on lack of memory. Caller frees. */
char *launch_row_text(const struct wire_in *row, const char *field, struct err *e) FLOE_MUST_USE;

#endif
