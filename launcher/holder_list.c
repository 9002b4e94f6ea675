/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the holder; see holder_list.h. */
#include "launcher/holder_list.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "launcher/holder_client.h"

static pid_t peer_of(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

/* 1 with a row, 0 at the end. */
static int next_row(int sock, struct wire_in *ret, struct err *e)
{
	int n = wire_recv(sock, ret, e);

	if (n == 0)
		return err_set(e, ERR_IO, "the holder went away");
	if (n < 0 || wire_error(ret, e) < 0)
		return -1;
	return !wire_is(ret, "type", "end");
}

int launch_holder_list(launch_row_fn *fn, void *arg, pid_t *ret_holder, struct err *e)
{
	auto_wire_out struct wire_out ask = WIRE_OUT_INIT;
	auto_fd int sock = -1;
	pid_t holder = 0;

	if (launch_holder_connect(&sock, e) == 0) {
		holder = peer_of(sock);
		if (wire_put_str(&ask, "type", "list", e) < 0 || wire_send(sock, &ask, e) < 0)
			return -1;
		for (;;) {
			auto_wire_in struct wire_in row = WIRE_IN_INIT;
			int n = next_row(sock, &row, e);

			if (n < 0 || (n > 0 && fn(arg, &row, e) < 0))
				return -1;
			if (n == 0)
				break;
		}
	} else if (e->code != ERR_NOTFOUND) {
		return -1;
	}
	if (ret_holder)
		*ret_holder = holder;
	return 0;
}

int launch_holder_drop(const char *env, struct err *e)
{
	auto_wire_out struct wire_out ask = WIRE_OUT_INIT;
	auto_wire_in struct wire_in answer = WIRE_IN_INIT;
	auto_fd int sock = -1;

	if (launch_holder_connect(&sock, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	if (wire_put_str(&ask, "type", "drop", e) < 0 || wire_put_str(&ask, "env", env, e) < 0)
		return -1;
	if (launch_holder_ask(sock, &ask, &answer, e) == 0 || e->code == ERR_NOTFOUND)
		return 0;
	if (e->code == ERR_BUSY)
		return err_set(e, ERR_BUSY, "environment %s is in use; floe stop %s", env, env);
	return -1;
}

char *launch_row_text(const struct wire_in *row, const char *field, struct err *e)
{
	struct wire_field f;

	if (!wire_find(row, field, &f))
		return mem_strdup("", e);
	return mem_strndup((const char *)f.value, f.len, e);
}
