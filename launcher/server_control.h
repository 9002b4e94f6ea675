/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a file system server that listens to the holder, from the first moment on, so that the
 * holder's end is noticed also while the network says nothing; protocol in server_protocol.h. One in a
 * process. */
#ifndef FLOE_LAUNCH_SERVER_CONTROL_H
#define FLOE_LAUNCH_SERVER_CONTROL_H

#include <sys/types.h>

#include "base/err.h"
#include "base/wire.h"
#include "package-format/index.h"

struct launch_server_control; /* opaque */

/* Called by the control thread, with `arg`. */
struct launch_server_control_ops {
	const char *name; /* "package server", for people */
	/* launch_server_put_figures. */
	int (*put_stats)(void *arg, struct wire_out *m, struct err *e);
	/* What has been read of the package; *ret is the caller's to free. Without a record: none. */
	int (*touches)(void *arg, struct pkg_touch **ret, size_t *ret_count, struct err *e);
	/* A command of the package is being launched; NULL = the default one. */
	void (*launch)(void *arg, const char *command);
	/* Whether the source still has this package is to be told to the holder; never blocks. NULL = not a
	 * question for this server. */
	void (*ask)(void *arg);
	/* The holder has gone: the process ends as soon as this returns. */
	void (*stop)(void *arg);
};

/* All is borrowed until the process ends. */
int launch_server_control_start(const struct launch_server_control_ops *ops, void *arg,
				struct launch_server_control **ret, struct err *e) FLOE_MUST_USE;

struct launch_server_serve { /* what "serve" said; borrowed, the descriptors apart */
	struct wire_in *message;
	uid_t uid;
	gid_t gid;
	const uint8_t *init; /* of the server that this one replaces; NULL: of none */
	size_t init_len;
};

/* Blocks until the holder says "serve"; once. The other descriptors stay in the message, and open. */
int launch_server_control_await(struct launch_server_control *c, struct launch_server_serve *ret,
				struct err *e) FLOE_MUST_USE;
struct launch_server_figure {
	const char *name;
	uint64_t value;
};

int launch_server_put_figures(struct wire_out *m, const struct launch_server_figure *list, size_t count,
			      struct err *e) FLOE_MUST_USE;
/* For on_serving of vfs/fuse_session.h. */
void launch_server_say_serving(void *arg, const uint8_t *init, size_t init_len);

#endif
