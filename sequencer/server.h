/* SPDX-License-Identifier: Apache-2.0 */
/* A server of ours for the length of one run: floe-host-view or floe-package-server, spoken to as
 * launcher/server_protocol.h says. One thread; asking blocks until the answer, or until the server dies. */
#ifndef FLOE_SEQ_SERVER_H
#define FLOE_SEQ_SERVER_H

#include <sys/types.h>

#include "base/wire.h"

struct seq_server {
	pid_t pid; /* 0 = none */
	int sock;
};

#define SEQ_SERVER_NONE                                                                                      \
	{                                                                                                    \
		.sock = -1                                                                                   \
	}

/* argv[0] is the program's name in libexec/floe. `cache_home` (may be NULL) becomes its XDG_CACHE_HOME. It
 * leaves when our end closes; terminal signals do not reach it. */
int seq_server_start(char *const argv[], const char *cache_home, struct seq_server *ret,
		     struct err *e) FLOE_MUST_USE;
/* Closes our end and reaps it. */
void seq_server_stop(struct seq_server *s);
/* The next message of type `type`; progress and stalls before it are skipped. Error fields become the
 * error; a server that leaves is ERR_IO. */
int seq_server_receive(const struct seq_server *s, const char *type, struct wire_in *ret,
		       struct err *e) FLOE_MUST_USE;
/* Sends a message that is only a type, and receives the answer of the same type. */
int seq_server_ask(const struct seq_server *s, const char *type, struct wire_in *ret,
		   struct err *e) FLOE_MUST_USE;
/* "serve" with a mounted /dev/fuse descriptor (owned), answered by "serving". */
int seq_server_serve(const struct seq_server *s, int fuse_fd, uid_t uid, gid_t gid,
		     struct err *e) FLOE_MUST_USE;

#endif
