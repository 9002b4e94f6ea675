/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to the holder from a verb. libc only. One thread; blocks until the holder answers. */
#ifndef FLOE_LAUNCH_HOLDER_CLIENT_H
#define FLOE_LAUNCH_HOLDER_CLIENT_H

#include <stdbool.h>

#include "base/wire.h"

/* A connection to the holder that runs. ERR_NOTFOUND when there is none. Caller closes. */
int launch_holder_connect(int *ret_sock, struct err *e) FLOE_MUST_USE;
/* The holder that listens at `path`, whoever's directories it serves. ERR_NOTFOUND when none does. */
int launch_holder_connect_at(const char *path, int *ret_sock, struct err *e) FLOE_MUST_USE;
/* Sends m and receives one answer; error fields in it become the error. */
int launch_holder_ask(int sock, const struct wire_out *m, struct wire_in *ret, struct err *e) FLOE_MUST_USE;

/* Each is called once at most; an error ends the call. */
struct launch_holder_steps {
	/* There is no holder, and one is about to be started; may add to the request. */
	int (*starting)(void *arg, struct wire_out *m, struct err *e);
	/* The request is on its way. */
	int (*meanwhile)(void *arg, struct err *e);
	void *arg;
};
/* As launch_holder_ask, of the holder that runs or of one that is started for it: that one finds the request
 * when it begins, and sees to it first. On success the connection, too; caller closes. */
int launch_holder_ask_started(struct wire_out *m, const struct launch_holder_steps *steps, int *ret_sock,
			      struct wire_in *ret, struct err *e) FLOE_MUST_USE;

#endif
