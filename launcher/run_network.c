/* SPDX-License-Identifier: Apache-2.0 */
/* See run_network.h. */
#include "launcher/run_network.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/sync.h"
#include "streaming/source.h"

int run_network_mirror(struct run_network *n, char *url, struct err *e)
{
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return err_set(e, ERR_USAGE, "--mirror %s: give an http:// or https:// URL", url);
	if (strpbrk(url, "\n\r"))
		return err_set(e, ERR_USAGE, "--mirror: a URL has no line ends");
	if (n->mirror_count == RUN_MIRRORS_MAX)
		return err_set(e, ERR_USAGE, "more than %d mirrors", RUN_MIRRORS_MAX);
	n->mirrors[n->mirror_count] = mem_strdup(url, e);
	if (!n->mirrors[n->mirror_count])
		return -1;
	n->mirror_count++;
	stream_source_blot(url);
	return 0;
}

void run_network_fini(struct run_network *n)
{
	for (size_t i = 0; i < n->mirror_count; i++)
		free(n->mirrors[i]);
}

int run_network_put(struct wire_out *m, struct err *e)
{
	/* As curl reads them: http_proxy in small letters only. */
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY",  "no_proxy",    "NO_PROXY" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);
		auto_free char *text = value ? mem_printf(e, "%s=%s", names[i], value) : NULL;

		if (value && (!text || wire_put_str(m, "variable", text, e) < 0))
			return -1;
	}
	return 0;
}

static bool on_ready(void *arg)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct run_network *n = arg;
	auto_free char *text = NULL;
	struct err e;

	if (wire_recv(n->sock, &m, &e) <= 0)
		return false;
	text = wire_str(&m, "text", &e);
	if (wire_is(&m, "type", "stall"))
		stall_notice_news(&n->notice, wire_u64_or(&m, "is-stalled", 0) != 0, text ? text : "",
				  sync_now_ms(), (int64_t)time(NULL));
	return true;
}

static int due_ms(void *arg)
{
	return stall_notice_due_ms(&((struct run_network *)arg)->notice, sync_now_ms());
}

static void on_due(void *arg)
{
	stall_notice_tick(&((struct run_network *)arg)->notice, sync_now_ms());
}

struct launch_watch run_network_watch(struct run_network *n, int sock)
{
	n->sock = sock;
	return (struct launch_watch){
		.fd = sock, .on_ready = on_ready, .due_ms = due_ms, .on_due = on_due, .arg = n
	};
}
