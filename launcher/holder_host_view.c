/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's host view: the host as a union of nothing else, read-only, for what overlayfs cannot take as a
 * lower directly; see holder.h and vfs/union.h. */
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/holder.h"

static int start_server(struct holder *h, struct err *e)
{
	const struct launch_server_opt opt = { .forget = h->address.stage };
	const char *argv[] = { "floe-union-server", "--host", "/", geteuid() ? "--map-owners" : NULL, NULL };

	if (launch_server_start(argv, &opt, &h->host_view.server, e) < 0)
		return -1;
	return holder_mount_serve(&h->host_view, -1, e);
}

/* Who needs it waits in the kernel until the server has answered the mount's first request. */
int holder_host_view_start(struct holder *h, struct err *e)
{
	h->host_view.point = path_join(h->address.stage, "host", e);
	if (!h->host_view.point || holder_mount_make(&h->host_view, "host", false, true, e) < 0 ||
	    start_server(h, e) < 0)
		return err_wrap(e, "host view");
	return 0;
}

/* Unions that stand on it are broken; no new ones until there is another holder. */
static void give_up(struct holder *h, const struct err *why)
{
	log_detail("%s", why->msg);
	holder_mount_give_up(&h->host_view);
	h->host_view_err = *why;
	(void)err_wrap(&h->host_view_err, "host view (floe stop --all, then try again)");
}

void holder_host_view_message(struct holder *h)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct err e;
	int n = holder_mount_hear(&h->host_view, &m, &e);

	if (n > 0)
		n = holder_mount_served(&h->host_view, &m, &e);
	if (n < 0)
		give_up(h, &e);
}

void holder_host_view_server_died(struct holder *h)
{
	struct err e;
	int rc;

	if (h->host_view.init)
		rc = holder_mount_outlives(&h->host_view, "the host view", &e);
	else
		rc = holder_mount_remake(&h->host_view, "host", &e);
	if (rc < 0 || start_server(h, &e) < 0)
		give_up(h, &e);
}
