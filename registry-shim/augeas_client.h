/* SPDX-License-Identifier: Apache-2.0 */
/* Asking floe-augeas, the program that libaugeas works in.
 *
 * It is a process of its own because Augeas' effort has no bound (a text of 300 KB may take it seconds to
 * change, one of 1 MB minutes) and because what it reads is anyone's: it has so much memory and processor
 * time for each request, and whatever it dies of, only that request fails. It is started at the first
 * request and kept. Who never asks links nothing of it.
 *
 *   request: module=NAME and descriptor 0: the text, NUL, changes as augeas_text_change has them
 *            what=keys | change
 *   reply:   descriptor 0: what was asked for; or an error's fields and at=u64
 *
 * Any thread. Blocks until Augeas is done: AUGEAS_TIME_S of the processor at most. */
#ifndef FLOE_REG_AUGEAS_CLIENT_H
#define FLOE_REG_AUGEAS_CLIENT_H

#include "base/mem.h"

enum {
	AUGEAS_SERVER_FD = 3,
	AUGEAS_TEXT_MAX = 1024 * 1024,
	AUGEAS_REPLY_MAX = 32 * 1024 * 1024,
	AUGEAS_MEMORY_MAX = 512 * 1024 * 1024,
	AUGEAS_TIME_S = 3,
};

/* `changes` NULL: asks for the keys. Adds the answer to ret. ERR_LIMIT when Augeas took too long, needed too
 * much, or died of it; else as in augeas_text.h. ERR_NOTFOUND also when floe-augeas itself is missing. */
int augeas_ask(const char *module, const char *text, size_t len, const struct buf *changes, struct buf *ret,
	       size_t *ret_at, struct err *e) FLOE_MUST_USE;

#endif
