/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that owns libcurl; see http_engine.h.
 *
 * The thread also keeps the time of each transfer, since libcurl keeps none of those that it has put aside:
 * for a connection that is to be free, or, with HTTP/2, for others to read from it. One that takes longer
 * than it may to connect, or to bring RATE_MIN, is ended. */
#include "streaming/http_engine.h"

#include <assert.h>
#include <string.h>

#include "streaming/authorities.h"
#include "streaming/http_transfer.h"

enum {
	CONNECT_SLACK_MS = 500, /* libcurl knows better why it cannot connect */
	IDLE_MS = 60000,
	STALE_MIN_MS =
		1000,     /* a kept connection that brings nothing for so long, and for STALE_FACTOR times */
	STALE_FACTOR = 4, /* what answers take, is taken for dead */
	LOOK_MS = 1000,   /* has the machine slept in the middle of a transfer? */
	CONNECTIONS_MAX = 20, /* to one host: more than the scheduler asks at once, so that none waits behind
				 one that hangs */
};

/* ---- in the engine's thread ------------------------------------------------------------- */

static bool is_paused(struct transfer *t)
{
	bool yes;

	sync_lock(&t->engine->lock);
	yes = t->is_paused;
	sync_unlock(&t->engine->lock);
	return yes;
}

static void detach(struct http_engine *g, struct transfer *t, CURLcode code)
{
	struct transfer **at = &g->active;

	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	(void)curl->multi_remove_handle(g->multi, t->easy);
	sync_lock(&g->lock);
	t->code = code;
	t->is_detached = true;
	sync_wake_all(&t->changed);
	sync_unlock(&g->lock);
}

/* Ends what waits for bytes that cannot come any more: of all connections, or those of one of our addresses.
 */
static void end_lost(struct http_engine *g, const char *address)
{
	struct transfer *next;

	g->changed_ms = sync_now_ms();
	for (struct transfer *t = g->active; t; t = next) {
		char *own = NULL;

		next = t->next;
		(void)curl->easy_getinfo(t->easy, CURLINFO_LOCAL_IP, &own);
		if (address && (!own || strcmp(own, address) != 0))
			continue;
		(void)snprintf(t->reason, sizeof(t->reason), "%s",
			       address ? "this machine's address has changed" : "the machine has slept");
		detach(g, t, CURLE_RECV_ERROR);
	}
}

static void look_at_network(struct http_engine *g)
{
	char address[NET_ADDRESS_MAX];

	if (net_change_slept(&g->change))
		end_lost(g, NULL);
	while (net_change_next(&g->change, address))
		end_lost(g, address);
}

/* libcurl would hand it any that it thinks alive. It reckons in seconds. */
static void keep_from_old_connections(const struct http_engine *g, struct transfer *t)
{
	uint64_t age_s = (sync_now_ms() - g->changed_ms) / 1000;

	if (g->changed_ms)
		(void)curl->easy_setopt(t->easy, CURLOPT_MAXLIFETIME_CONN, (long)(age_s ? age_s : 1));
}

/* Attaches what arrived, resumes and aborts as asked. False when it is time to end. */
static bool take_orders(struct http_engine *g)
{
	struct transfer *arrived, *next;
	bool is_cancelled, is_closing;

	sync_lock(&g->lock);
	arrived = g->arriving;
	g->arriving = NULL;
	is_cancelled = g->is_cancelled;
	is_closing = g->is_closing;
	sync_unlock(&g->lock);
	for (struct transfer *t = arrived; t; t = next) {
		next = t->next;
		t->next = g->active;
		g->active = t;
		transfer_count_afresh(t);
		keep_from_old_connections(g, t);
		if (curl->multi_add_handle(g->multi, t->easy) != CURLM_OK)
			detach(g, t, CURLE_FAILED_INIT);
	}
	for (struct transfer *t = g->active; t; t = next) {
		bool abort, resume;

		next = t->next;
		sync_lock(&g->lock);
		abort = t->wants_abort || is_cancelled;
		resume = t->wants_resume;
		if (resume)
			t->wants_resume = t->is_paused = false;
		sync_unlock(&g->lock);
		if (abort)
			detach(g, t, CURLE_ABORTED_BY_CALLBACK);
		if (!abort && resume) {
			transfer_count_afresh(t);
			(void)curl->easy_pause(t->easy, CURLPAUSE_CONT);
		}
	}
	return !is_closing;
}

/* How long it may take until something comes. What is on its way over a connection that has died while it was
 * idle (a router forgot it, a network was left) would be waited for in vain: it is asked for once more over a
 * fresh one, long before the server counts as silent. */
static uint64_t allowed_ms(const struct http_engine *g, const struct transfer *t)
{
	uint64_t stale = STALE_MIN_MS + STALE_FACTOR * g->answer_ms;

	if (!t->is_asking)
		return (uint64_t)t->connect_ms + CONNECT_SLACK_MS;
	return t->is_reused && !t->has_begun && stale < t->stall_ms ? stale : t->stall_ms;
}

/* Others from before are not used again: they went the same way. */
static void give_up_stale(struct http_engine *g, struct transfer *t)
{
	g->changed_ms = sync_now_ms();
	t->is_stale = true;
	detach(g, t, CURLE_RECV_ERROR);
}

/* Ends what takes too long; how many milliseconds until there may be something to end. */
static int watch(struct http_engine *g)
{
	uint64_t now = sync_now_ms(), wait = g->active ? LOOK_MS : IDLE_MS;
	struct transfer *next;

	for (struct transfer *t = g->active; t; t = next) {
		uint64_t allowed = allowed_ms(g, t);
		uint64_t passed = now > t->since_ms ? now - t->since_ms : 0;

		next = t->next;
		if (is_paused(t)) /* it is the asker who takes his time */
			continue;
		if (passed < allowed) {
			wait = allowed - passed < wait ? allowed - passed : wait;
			continue;
		}
		if (t->is_asking && allowed < t->stall_ms) {
			give_up_stale(g, t);
			continue;
		}
		(void)snprintf(t->reason, sizeof(t->reason), "%s within %u.%u s",
			       !t->is_asking ? "no connection"
			       : t->came     ? "less than 1 KiB/s"
					     : "nothing",
			       (unsigned)(allowed / 1000), (unsigned)(allowed % 1000 / 100));
		detach(g, t, CURLE_OPERATION_TIMEDOUT);
	}
	return (int)wait;
}

static void engine_perform(struct http_engine *g)
{
	int running, left;
	CURLMsg *msg;

	(void)curl->multi_perform(g->multi, &running);
	while ((msg = curl->multi_info_read(g->multi, &left))) {
		struct transfer *t = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		detach(g, t, code);
	}
}

static void *engine_main(void *arg)
{
	struct http_engine *g = arg;

	struct curl_waitfd change;

	net_change_init(&g->change);
	change = (struct curl_waitfd){ .fd = g->change.fd, .events = CURL_WAIT_POLLIN };
	for (;;) {
		look_at_network(g);
		if (!take_orders(g))
			break;
		engine_perform(g);
		(void)curl->multi_poll(g->multi, &change, g->change.fd >= 0, watch(g), NULL);
	}
	net_change_fini(&g->change);
	return NULL;
}

/* ---- in the asker's thread -------------------------------------------------------------- */

/* Tells the engine to let go and waits until it has; short, since the engine never blocks. */
static void abort_and_wait(struct transfer *t)
{
	struct http_engine *g = t->engine;

	sync_lock(&g->lock);
	t->wants_abort = true;
	sync_unlock(&g->lock);
	(void)curl->multi_wakeup(g->multi);
	sync_lock(&g->lock);
	while (!t->is_detached)
		sync_wait(&t->changed, &g->lock);
	sync_unlock(&g->lock);
}

/* Waits for bytes or the end; *ret_len = 0 at the end. The piece stays valid until ring_release. */
static void ring_wait(struct transfer *t, const uint8_t **ret, size_t *ret_len)
{
	struct http_engine *g = t->engine;

	sync_lock(&g->lock);
	while (!t->fill && !t->is_detached)
		sync_wait(&t->changed, &g->lock);
	*ret = t->ring + t->start;
	*ret_len = t->fill < t->cap - t->start ? t->fill : t->cap - t->start;
	sync_unlock(&g->lock);
}

static void ring_release(struct transfer *t, size_t len)
{
	struct http_engine *g = t->engine;
	bool wake = false;

	sync_lock(&g->lock);
	t->start = (t->start + len) % t->cap;
	t->fill -= len;
	if (t->is_paused && !t->wants_resume && t->cap - t->fill >= t->cap / 2)
		t->wants_resume = wake = true;
	sync_unlock(&g->lock);
	if (wake)
		(void)curl->multi_wakeup(g->multi);
}

/* Hands the body to the sink. On return the transfer may still be attached. */
static int pump(struct transfer *t, const struct http_get *get, struct http_result *ret, struct err *e)
{
	uint64_t want = 0;

	for (;;) {
		const uint8_t *piece;
		size_t len, use;

		ring_wait(t, &piece, &len);
		if (!ret->is_judged && (len || t->code == CURLE_OK)) {
			sync_lock(&t->engine->lock);
			ret->answer = t->answer;
			sync_unlock(&t->engine->lock);
			if (http_answer_judge(&ret->answer, get->off, get->len, &get->pin, get->ranges_only,
					      &want, &ret->size, &ret->may_retry, e) < 0)
				return -1;
			ret->is_judged = true;
			if (get->on_judged && get->on_judged(get->judged_arg, ret, e) < 0)
				return -1;
		}
		if (!len)
			break;
		use = len < want - ret->delivered ? len : want - ret->delivered;
		if (use && get->sink(get->sink_arg, piece, use, e) < 0)
			return -1;
		ret->delivered += use;
		if (ret->answer.status == 200 && ret->delivered == want)
			return 0; /* a whole file, of which we wanted no more */
		if (use < len)
			return err_set(e, ERR_NET, "the server sends more than it announced");
		ring_release(t, len);
	}
	if (t->code == CURLE_OK && ret->delivered == want)
		return 0;
	if (t->code == CURLE_OK) {
		ret->may_retry = true;
		return err_set(e, ERR_NET, "the server closed the connection too early");
	}
	/* An error page that was too long to be drained: its status says more than curl does. */
	if (t->code == CURLE_WRITE_ERROR && t->discarded)
		return http_answer_judge(&t->answer, get->off, get->len, &get->pin, get->ranges_only, &want,
					 &ret->size, &ret->may_retry, e);
	return transfer_error(t, ret, e);
}

/* The first request starts the thread. */
static int begin_locked(struct http_engine *g, struct err *e) SYNC_REQUIRES(g->lock)
{
	if (g->multi)
		return 0;
	if (curl_library_load(e) < 0)
		return -1;
	g->multi = curl->multi_init();
	if (!g->multi)
		return err_set(e, ERR_NOMEM, "out of memory");
	(void)curl->multi_setopt(g->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_MAX);
	if (pthread_create(&g->thread, NULL, engine_main, g) == 0)
		return 0;
	(void)curl->multi_cleanup(g->multi);
	g->multi = NULL;
	return err_set(e, ERR_NOMEM, "cannot start a thread");
}

static int begin(struct http_engine *g, struct err *e)
{
	int rc;

	sync_lock(&g->lock);
	rc = begin_locked(g, e);
	sync_unlock(&g->lock);
	return rc;
}

/* Did it fail since the directory of authorities does not vouch for the server, and may the bundle? */
static bool is_doubted(const struct transfer *t)
{
	if (!t->asks_directory || t->code != CURLE_PEER_FAILED_VERIFICATION)
		return false;
	authorities_are_elsewhere();
	return true;
}

/* *ret_again: nothing has come, over a kept connection that was dead, or from a server that was doubted too
 * early. The next attempt cannot fail for the same reason. */
static int get_once(struct http_engine *g, const struct http_get *get, bool is_fresh, bool *ret_again,
		    struct http_result *ret, struct err *e)
{
	struct transfer t = { .is_fresh = is_fresh };
	bool is_cancelled;
	int rc;

	*ret = (struct http_result){ 0 };
	*ret_again = false;
	sync_cond_init(&t.changed);
	if (transfer_init(&t, g, get, e) < 0) {
		transfer_fini(&t);
		return -1;
	}
	sync_lock(&g->lock);
	is_cancelled = g->is_cancelled;
	if (!is_cancelled) {
		t.next = g->arriving;
		g->arriving = &t;
	}
	sync_unlock(&g->lock);
	if (is_cancelled) {
		transfer_fini(&t);
		return err_set(e, ERR_INTERRUPTED, "cancelled");
	}
	(void)curl->multi_wakeup(g->multi);
	rc = pump(&t, get, ret, e);
	abort_and_wait(&t);
	transfer_note_route(&t, get, ret);
	*ret_again = rc < 0 && (t.is_stale || is_doubted(&t));
	transfer_fini(&t);
	return rc;
}

int http_engine_get(struct http_engine *g, const struct http_get *get, struct http_result *ret, struct err *e)
{
	bool again = false;
	int rc;

	*ret = (struct http_result){ 0 };
	assert(!g->shares || get->len <= HTTP_SHARED_MAX);
	if (begin(g, e) < 0)
		return -1;
	do {
		unsigned requests = ret->requests;

		free(ret->moved_to);
		rc = get_once(g, get, again, &again, ret, e);
		ret->requests += requests;
	} while (again);
	return rc;
}

/* ---- lifecycle -------------------------------------------------------------------------- */

int http_engine_open(bool shares, struct http_engine **ret, struct err *e)
{
	struct http_engine *g = mem_alloc(1, sizeof(*g), e);

	if (!g)
		return -1;
	g->shares = shares;
	sync_mutex_init(&g->lock);
	*ret = g;
	return 0;
}

void http_engine_cancel(struct http_engine *g)
{
	sync_lock(&g->lock);
	g->is_cancelled = true;
	if (g->multi)
		(void)curl->multi_wakeup(g->multi);
	sync_unlock(&g->lock);
}

void http_engine_close(struct http_engine *g)
{
	if (!g)
		return;
	sync_lock(&g->lock);
	g->is_closing = true;
	sync_unlock(&g->lock);
	if (g->multi) {
		(void)curl->multi_wakeup(g->multi);
		(void)pthread_join(g->thread, NULL);
		(void)curl->multi_cleanup(g->multi);
	}
	sync_mutex_fini(&g->lock);
	free(g);
}
