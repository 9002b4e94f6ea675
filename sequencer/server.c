/* SPDX-License-Identifier: Apache-2.0 */
/* Servers for one run; see server.h. */
#include "sequencer/server.h"

#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int seq_server_receive(const struct launch_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	for (;;) {
		auto_wire_in struct wire_in m = WIRE_IN_INIT;
		int got = wire_recv(s->sock, &m, e);

		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, ERR_IO, "a server of floe's ended unexpectedly");
		if (wire_error(&m, e) < 0)
			return -1;
		if (!wire_is(&m, "type", type))
			continue;
		*ret = m;
		m = (struct wire_in)WIRE_IN_INIT;
		return 0;
	}
}

int seq_server_ask(const struct launch_server *s, const char *type, struct wire_in *ret, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;

	if (wire_put_str(&m, "type", type, e) < 0 || wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, type, ret, e);
}

int seq_server_serve(const struct launch_server *s, int fuse_fd, uid_t uid, gid_t gid, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int fd = fuse_fd;

	if (wire_put_str(&m, "type", "serve", e) < 0 || wire_put_u64(&m, "uid", uid, e) < 0 ||
	    wire_put_u64(&m, "gid", gid, e) < 0 || wire_put_fd(&m, fd, e) < 0 ||
	    wire_send(s->sock, &m, e) < 0)
		return -1;
	return seq_server_receive(s, "serving", &answer, e);
}
