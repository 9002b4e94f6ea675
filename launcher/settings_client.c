/* SPDX-License-Identifier: Apache-2.0 */
/* Asking an environment's broker; see settings_client.h. */
#include "launcher/settings_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/wire.h"
#include "launcher/holder_address.h"

enum { TIMEOUT_S = 5 };

/* -1 with ERR_NOTFOUND when nobody is there. The directory's path may be longer than a socket's name can be.
 */
static int connect_to(const char *env, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	struct holder_address holder;
	auto_fd int dir = -1, sock = -1;
	auto_free char *run = NULL;

	if (holder_address_find(false, &holder, e) < 0)
		return -1;
	run = path_join(holder.envs, env, e);
	holder_address_fini(&holder);
	if (!run)
		return -1;
	dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, ERR_NOTFOUND, "environment %s is not active", env);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return err_sys(e, errno, "socket");
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/registry.sock", dir);
	if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set(e, ERR_NOTFOUND, "environment %s is not active", env);
	return fd_steal(&sock);
}

/* Where nobody is there, the answer stays empty. */
static int ask(const char *env, struct wire_out *m, struct wire_in *reply, struct err *e)
{
	auto_fd int sock = connect_to(env, e);

	if (sock < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	if (wire_send(sock, m, e) < 0 || wire_recv(sock, reply, e) < 0)
		return -1;
	return wire_error(reply, e);
}

int launch_settings_refresh(const char *env, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in reply = WIRE_IN_INIT;

	return wire_put_str(&m, "type", "refresh", e) < 0 ? -1 : ask(env, &m, &reply, e);
}

int launch_settings_harvest(const char *env, uint64_t since_ms, uint64_t *ret_refused, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_wire_in struct wire_in reply = WIRE_IN_INIT;

	if (wire_put_str(&m, "type", "harvest", e) < 0 || wire_put_u64(&m, "since-ms", since_ms, e) < 0 ||
	    ask(env, &m, &reply, e) < 0)
		return -1;
	*ret_refused = wire_u64_or(&reply, "refused", 0);
	return 0;
}
