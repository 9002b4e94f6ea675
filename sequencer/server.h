/* SPDX-License-Identifier: Apache-2.0 */
/* Speaking to a server for the length of one run (floe-host-view, floe-package-server) as
 * launcher/server_protocol.h says. One thread; asking blocks until the answer, or until the server dies. */
#ifndef FLOE_SEQ_SERVER_H
#define FLOE_SEQ_SERVER_H

#include <sys/types.h>

#include "base/wire.h"
#include "launcher/server.h"

/* The next message of type `type`; progress and stalls before it are skipped. Error fields become the
 * error; a server that leaves is ERR_IO. */
int seq_server_receive(const struct launch_server *s, const char *type, struct wire_in *ret,
		       struct err *e) FLOE_MUST_USE;
/* Sends a message that is only a type, and receives the answer of the same type. */
int seq_server_ask(const struct launch_server *s, const char *type, struct wire_in *ret,
		   struct err *e) FLOE_MUST_USE;
/* "serve" with a mounted /dev/fuse descriptor (owned), answered by "serving". */
int seq_server_serve(const struct launch_server *s, int fuse_fd, uid_t uid, gid_t gid,
		     struct err *e) FLOE_MUST_USE;

#endif
