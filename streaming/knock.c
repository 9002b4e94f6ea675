/* SPDX-License-Identifier: Apache-2.0 */
/* See knock.h. */
#include "streaming/knock.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/curl_library.h"
#include "streaming/dial.h"

enum { PATIENCE_MS = 1000 };

static struct knock {
	struct stream_source_host host; /* these four are set before the thread comes */
	uint64_t began_ms;
	int dialled;
	bool is_begun;

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	bool is_over;  /* there is or will be nothing to take */
	int fd;        /* -1 = not yet */
	char *address; /* of fd */
} knock = { .fd = -1 };

static int left_ms(uint64_t of_ms)
{
	uint64_t end = knock.began_ms + of_ms, now = sync_now_ms();

	return end > now ? (int)(end - now) : 0;
}

/* ---- the thread ------------------------------------------------------------------------- */

static void load_library(void)
{
	struct err ignored;

	(void)!curl_library_load(&ignored);
}

/* One that nobody wants is not kept. */
static void offer(int fd, char *address)
{
	sync_lock(&knock.lock);
	if (!knock.is_over) {
		knock.fd = fd;
		knock.address = address;
		fd = -1;
		address = NULL;
	}
	knock.is_over |= knock.fd < 0;
	sync_wake_all(&knock.changed);
	while (!knock.is_over && sync_wait_ms(&knock.changed, &knock.lock, (uint64_t)left_ms(PATIENCE_MS)))
		;
	knock.is_over = true;
	if (knock.fd >= 0) {
		fd = knock.fd;
		address = knock.address;
		knock.fd = -1;
		knock.address = NULL;
	}
	sync_unlock(&knock.lock);
	fd_close(fd);
	free(address);
}

static void *knock_main(void *unused)
{
	struct stream_dialled d;
	uint64_t until_ms = knock.began_ms + PATIENCE_MS;

	if (knock.dialled >= 0) {
		load_library();
		(void)stream_dial_receive(knock.dialled, until_ms, &d);
		fd_close(knock.dialled);
	} else {
		(void)stream_dial(&knock.host, until_ms, load_library, &d);
	}
	offer(d.fd, d.address);
	return unused;
}

/* ---- the rest of the process ------------------------------------------------------------ */

void stream_knock(const char *url, int dialled)
{
	if (knock.is_begun || !stream_dial_is_possible(url, &knock.host)) {
		fd_close(dialled);
		return;
	}
	sync_mutex_init(&knock.lock);
	sync_cond_init(&knock.changed);
	knock.began_ms = sync_now_ms();
	knock.dialled = dialled;
	knock.is_begun = sync_run_detached(knock_main, NULL) == 0;
	if (!knock.is_begun)
		fd_close(dialled);
}

bool stream_knock_take(const char *url, struct stream_knocked *ret)
{
	auto_free char *address = NULL;
	struct stream_source_host host;
	struct err ignored;
	auto_fd int fd = -1;

	if (!knock.is_begun || !stream_source_find_host(url, &host) ||
	    strcmp(host.name, knock.host.name) != 0 || strcmp(host.port, knock.host.port) != 0)
		return false;
	sync_lock(&knock.lock);
	while (!knock.is_over && knock.fd < 0 &&
	       sync_wait_ms(&knock.changed, &knock.lock, (uint64_t)left_ms(PATIENCE_MS)))
		;
	fd = knock.fd;
	address = knock.address;
	knock.fd = -1;
	knock.address = NULL;
	knock.is_over = true;
	sync_wake_all(&knock.changed);
	sync_unlock(&knock.lock);
	if (fd < 0)
		return false;
	ret->resolve = mem_printf(&ignored, "+%s:%s:%s", host.name, host.port, address);
	ret->fd = ret->resolve ? fd_steal(&fd) : -1;
	return ret->resolve != NULL;
}
