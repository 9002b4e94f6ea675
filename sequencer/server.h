/* SPDX-License-Identifier: Apache-2.0 */
/* Speaking to a server for the length of one run (floe-union-server, floe-package-server) as
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
/* Mounts on the directory `point`, shown with our own uid and gid as the owner's, and hands it to the server;
 * returns when that serves it. A server that dies is not replaced: what uses the mount gets errors. */
int seq_server_serve(const struct launch_server *s, const char *point, const char *label, bool read_only,
		     struct err *e) FLOE_MUST_USE;
/* Starts a union server (floe-union-server) that shows the host, read-only, and has it serve on `point`. */
int seq_server_start_view(const char *point, bool map_owners, struct launch_server *ret,
			  struct err *e) FLOE_MUST_USE;
/* What was written through the mount on `point` reaches the server's files, then the mount goes. */
void seq_server_unmount(const char *point);

#endif
