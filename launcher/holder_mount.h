/* SPDX-License-Identifier: Apache-2.0 */
/* A FUSE mount of the holder's and the server behind it. The holder keeps the /dev/fuse descriptor (and, for
 * servers that have a state, the memory it is in), so that a server that dies is replaced by another: the
 * kernel sends again what the dead one had taken, and nobody inside notices. Only when servers keep dying is
 * the mount given up.
 *
 *   start a server (its owner does: launch_server_start(..., &m->server))
 *   holder_mount_make, holder_mount_serve ──► "serving": holder_mount_served
 *   it died: holder_mount_outlives ──► yes: start another, holder_mount_serve; no: holder_mount_give_up
 *
 * One thread. Nothing here waits for a server. */
#ifndef FLOE_LAUNCH_HOLDER_MOUNT_H
#define FLOE_LAUNCH_HOLDER_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "launcher/server.h"

struct holder_mount {
	char *point; /* where; owned */
	struct launch_server server;
	bool is_mounted, is_written /* not MS_RDONLY: its servers keep a state */;
	int fuse_fd, table /* the state; -1 = none */;
	uint8_t *init; /* of the first server, for those that take over; NULL until it has served */
	size_t init_len;
	unsigned restarts;
	uint64_t restart_window_ms;
};

#define HOLDER_MOUNT_NONE                                                                                    \
	{                                                                                                    \
		.server = LAUNCH_SERVER_NONE, .fuse_fd = -1, .table = -1                                     \
	}

/* Makes the directory m->point and mounts on it. `has_table`: servers get memory that outlives them. */
int holder_mount_make(struct holder_mount *m, const char *label, bool is_written, bool has_table,
		      struct err *e) FLOE_MUST_USE;
/* The first server has died before it served: mounts afresh (where it was mounted), for another first one.
 * ERR_IO when that happens again and again. `label` as for _make. */
int holder_mount_remake(struct holder_mount *m, const char *label, struct err *e) FLOE_MUST_USE;
/* Sends "serve" to the server; one that is dead already is no error here, but heard of. `lock`: a descriptor
 * for it to hold, -1 = none. */
int holder_mount_serve(const struct holder_mount *m, int lock, struct err *e) FLOE_MUST_USE;
/* A message from the server: 1. 0: it has closed its end or died; its exit tells how. -1: an error, maybe one
 * that it reports. */
int holder_mount_hear(struct holder_mount *m, struct wire_in *ret, struct err *e) FLOE_MUST_USE;
/* The server says "serving": what its successors need is kept. */
int holder_mount_served(struct holder_mount *m, const struct wire_in *serving, struct err *e) FLOE_MUST_USE;
/* The server has ended. 0: start another. -1: it never served, or its like keep dying; `what` is for the
 * message. */
int holder_mount_outlives(struct holder_mount *m, const char *what, struct err *e) FLOE_MUST_USE;
/* Lets go of server and mount. A server that lives gets through what is still on its way; without one, who
 * waits gets ENOTCONN. */
void holder_mount_give_up(struct holder_mount *m);
/* And frees what m holds. */
void holder_mount_fini(struct holder_mount *m);

#endif
