/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to the holder from a verb. libc only. One thread; blocks until the holder answers. */
#ifndef FLOE_LAUNCH_HOLDER_CLIENT_H
#define FLOE_LAUNCH_HOLDER_CLIENT_H

#include <stdbool.h>

#include "base/wire.h"

/* A connection; with `start`, the holder is started when there is none. Without: ERR_NOTFOUND then. Caller
 * closes. */
int launch_holder_connect(bool start, int *ret_sock, struct err *e) FLOE_MUST_USE;
/* The holder that listens at `path`, whoever's directories it serves. ERR_NOTFOUND when none does. */
int launch_holder_connect_at(const char *path, int *ret_sock, struct err *e) FLOE_MUST_USE;
/* Sends m and receives one answer; error fields in it become the error. */
int launch_holder_ask(int sock, const struct wire_out *m, struct wire_in *ret, struct err *e) FLOE_MUST_USE;

#endif
