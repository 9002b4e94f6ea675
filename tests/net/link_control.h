/* SPDX-License-Identifier: Apache-2.0 */
/* What a running link can be told, a line at a time. */
#ifndef FLOE_TESTS_NET_LINK_CONTROL_H
#define FLOE_TESTS_NET_LINK_CONTROL_H

#include "tests/net/link_conn.h"

struct link_control {
	struct link link;
	size_t open; /* connections, for stats */
	/* For whoever owns the sockets. */
	bool refuses;     /* accepts no connections */
	bool wants_reset; /* of all connections, once */
	bool wants_quit;
};

extern const char link_control_help[];

/* Obeys; the answer's lines are appended. ERR_USAGE. */
int link_control_command(struct link_control *c, const char *line, struct buf *ret,
			 struct err *e) FLOE_MUST_USE;
/* `what` is rtt (ms) or rate (bits/s, with k, M or G). */
int link_control_set(struct link *l, const char *what, const char *value, struct err *e) FLOE_MUST_USE;

#endif
