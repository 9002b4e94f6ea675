/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that owns libcurl; see http_engine.h.
 *
 * A transfer lives in its asker's frame. It is handed to the thread through `arriving`, is then touched by
 * both under the engine's mutex, and belongs to the asker again once `is_detached`. The bytes inside the
 * ring are touched without the mutex: the thread writes only free space, the asker reads only filled.
 *
 * The thread also keeps the time of each transfer, since libcurl keeps none of those that it has put aside:
 * for a connection that is to be free, or, with HTTP/2, for others to read from it. One that takes longer
 * than it may to connect, or to bring RATE_MIN, is ended. */
#include "streaming/http_engine.h"

#include <assert.h>
#include <curl/curl.h>
#include <string.h>

#include "base/sync.h"

enum {
	RING_MAX = HTTP_SHARED_MAX,
	RING_MIN = 64 * 1024, /* above curl's largest write, or a transfer could pause for ever */
	REDIRECTS_MAX = 5,
	DISCARD_MAX = 64 * 1024, /* of an error page, to keep the connection */
	RATE_MIN = 1024,         /* bytes a second, on the average of a stall timeout */
	CONNECT_SLACK_MS = 500,  /* libcurl knows better why it cannot connect */
	IDLE_MS = 60000,
	CONNECTIONS_MAX = 20, /* to one host: more than the scheduler asks at once, so that none waits behind
				 one that hangs */
};

struct transfer {
	CURL *easy;
	struct curl_slist *headers;
	char reason[CURL_ERROR_SIZE];
	struct http_engine *engine;
	struct transfer *next; /* in arriving or active */

	/* the thread's own */
	bool is_asking;    /* connected */
	uint64_t since_ms; /* when its time began to count */
	uint64_t came;     /* bytes, from then on */
	unsigned connect_ms, stall_ms;

	/* guarded by engine->lock */
	struct sync_cond changed;
	struct http_answer answer;
	uint8_t *ring;
	size_t cap, start, fill;
	uint64_t discarded;
	bool is_paused, wants_resume, wants_abort, is_detached;
	CURLcode code;
};

struct http_engine {
	CURLM *multi;
	pthread_t thread;
	struct transfer *active; /* the thread's own */
	bool shares;             /* connections, between transfers; constant */

	struct sync_mutex lock;
	struct transfer *arriving; /* guarded by lock */
	bool is_cancelled;         /* guarded by lock */
	bool is_closing;           /* guarded by lock */
};

/* ---- in the engine's thread ------------------------------------------------------------- */

static void count_afresh(struct transfer *t)
{
	t->since_ms = sync_now_ms();
	t->came = 0;
}

static void note_arrival(struct transfer *t, size_t len)
{
	bool is_first = !t->came;

	t->came += len;
	if (t->came >= (uint64_t)t->stall_ms * RATE_MIN / 1000)
		count_afresh(t);
	else if (is_first)
		t->since_ms = sync_now_ms();
}

/* Before each request, those of redirects too. */
static int on_connected(void *arg, char *own, char *other, int own_port, int other_port)
{
	struct transfer *t = arg;

	(void)own, (void)other, (void)own_port, (void)other_port;
	t->is_asking = true;
	count_afresh(t);
	return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;

	note_arrival(t, size * count);
	sync_lock(&t->engine->lock);
	http_answer_line(&t->answer, line, size * count);
	sync_unlock(&t->engine->lock);
	return size * count;
}

static void ring_write(struct transfer *t, const char *data, size_t len)
{
	size_t at = (t->start + t->fill) % t->cap;
	size_t head = len < t->cap - at ? len : t->cap - at;

	memcpy(t->ring + at, data, head);
	memcpy(t->ring, data + head, len - head);
	t->fill += len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count, taken = len;

	note_arrival(t, len);
	sync_lock(&t->engine->lock);
	if (t->wants_abort) {
		taken = CURL_WRITEFUNC_ERROR;
	} else if (t->answer.status != 200 && t->answer.status != 206) {
		t->discarded += len;
		if (t->discarded > DISCARD_MAX)
			taken = CURL_WRITEFUNC_ERROR;
	} else if (len > t->cap - t->fill) {
		t->is_paused = true;
		taken = CURL_WRITEFUNC_PAUSE;
	} else {
		ring_write(t, data, len);
		sync_wake_all(&t->changed);
	}
	sync_unlock(&t->engine->lock);
	return taken;
}

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
	(void)curl_multi_remove_handle(g->multi, t->easy);
	sync_lock(&g->lock);
	t->code = code;
	t->is_detached = true;
	sync_wake_all(&t->changed);
	sync_unlock(&g->lock);
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
		count_afresh(t);
		if (curl_multi_add_handle(g->multi, t->easy) != CURLM_OK)
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
			count_afresh(t);
			(void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
	}
	return !is_closing;
}

/* Ends what takes too long; how many milliseconds until there may be something to end. */
static int watch(struct http_engine *g)
{
	uint64_t now = sync_now_ms(), wait = IDLE_MS;
	struct transfer *next;

	for (struct transfer *t = g->active; t; t = next) {
		uint64_t allowed = t->is_asking ? t->stall_ms : (uint64_t)t->connect_ms + CONNECT_SLACK_MS;
		uint64_t passed = now > t->since_ms ? now - t->since_ms : 0;

		next = t->next;
		if (is_paused(t)) /* it is the asker who takes his time */
			continue;
		if (passed < allowed) {
			wait = allowed - passed < wait ? allowed - passed : wait;
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

	(void)curl_multi_perform(g->multi, &running);
	while ((msg = curl_multi_info_read(g->multi, &left))) {
		struct transfer *t = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		detach(g, t, code);
	}
}

static void *engine_main(void *arg)
{
	struct http_engine *g = arg;

	while (take_orders(g)) {
		engine_perform(g);
		(void)curl_multi_poll(g->multi, NULL, 0, watch(g), NULL);
	}
	return NULL;
}

/* ---- in the asker's thread -------------------------------------------------------------- */

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *grown = curl_slist_append(*list, line);

	if (!grown)
		return false;
	*list = grown;
	return true;
}

static int set_headers(struct transfer *t, const struct http_get *get, struct err *e)
{
	bool ok = add_header(&t->headers, "Accept-Encoding: identity");

	if (ok && get->if_match) {
		auto_free char *line = mem_printf(e, "If-Match: %s", get->if_match);

		ok = line && add_header(&t->headers, line);
	}
	if (ok && get->no_cache)
		ok = add_header(&t->headers, "Cache-Control: no-cache") &&
		     add_header(&t->headers, "Pragma: no-cache");
	return ok ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int transfer_init(struct transfer *t, struct http_engine *g, const struct http_get *get, struct err *e)
{
	char range[64];
	bool bad = false;

	t->engine = g;
	t->connect_ms = get->connect_timeout_ms;
	t->stall_ms = get->stall_timeout_ms;
	t->cap = get->len < RING_MIN ? RING_MIN : get->len > RING_MAX ? RING_MAX : get->len;
	t->ring = mem_alloc(t->cap, 1, e);
	t->easy = curl_easy_init();
	if (!t->ring || !t->easy)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (set_headers(t, get, e) < 0)
		return -1;
	(void)snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)get->off,
		       (unsigned long long)(get->off + get->len - 1));
#define SET(option, value) (bad |= curl_easy_setopt(t->easy, option, value) != CURLE_OK)
	SET(CURLOPT_URL, get->url);
	SET(CURLOPT_RANGE, range);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	/* A login in the address goes before; neither follows a redirect to another origin. */
	SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	SET(CURLOPT_HTTP_VERSION, (long)(g->shares ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_BUFFERSIZE, 256L * 1024);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)get->connect_timeout_ms);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, t);
	SET(CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server when a transfer ends before it answers */
	SET(CURLOPT_USERAGENT, "floe/" FLOE_VERSION);
	SET(CURLOPT_ERRORBUFFER, t->reason);
	SET(CURLOPT_PRIVATE, (char *)t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
#undef SET
	return bad ? err_set(e, ERR_UNSUPPORTED, "libcurl refuses our options") : 0;
}

static void transfer_fini(struct transfer *t)
{
	if (t->easy)
		curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->ring);
	sync_cond_fini(&t->changed);
}

/* Tells the engine to let go and waits until it has; short, since the engine never blocks. */
static void abort_and_wait(struct transfer *t)
{
	struct http_engine *g = t->engine;

	sync_lock(&g->lock);
	t->wants_abort = true;
	sync_unlock(&g->lock);
	(void)curl_multi_wakeup(g->multi);
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
		(void)curl_multi_wakeup(g->multi);
}

/* Maps curl's verdict; called when the transfer ended by itself. */
static int transfer_error(struct transfer *t, struct http_result *ret, struct err *e)
{
	const char *why = t->reason[0] ? t->reason : curl_easy_strerror(t->code);
	bool is_cancelled;
	long redirects = 0;

	sync_lock(&t->engine->lock);
	is_cancelled = t->engine->is_cancelled;
	sync_unlock(&t->engine->lock);
	if (is_cancelled)
		return err_set(e, ERR_INTERRUPTED, "cancelled");
	switch (t->code) {
	case CURLE_TOO_MANY_REDIRECTS:
		return err_set(e, ERR_NET, "the server redirects in a circle (more than %d redirects)",
			       REDIRECTS_MAX);
	case CURLE_UNSUPPORTED_PROTOCOL: /* or none, as of HTTP/0.9 */
		(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
		ret->may_retry = !redirects;
		if (!redirects)
			return err_set(e, ERR_NET, "the server's answer is not HTTP");
		return err_set(e, ERR_NET, "redirected to a protocol other than http and https");
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
		return err_set(e, ERR_NET, "%s", why);
	case CURLE_OUT_OF_MEMORY:
		return err_set(e, ERR_NOMEM, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		ret->may_retry = true;
		return err_set(e, ERR_NET, "the server does not answer in time (%s)", why);
	case CURLE_PARTIAL_FILE:
		ret->may_retry = true;
		return err_set(e, ERR_NET, "the server closed the connection too early");
	default:
		ret->may_retry = true;
		return err_set(e, ERR_NET, "%s", why);
	}
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
			if (http_answer_judge(&ret->answer, get->off, get->len, &get->pin, &want, &ret->size,
					      &ret->may_retry, e) < 0)
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
			return 0; /* a whole file, of which we wanted the beginning */
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
		return http_answer_judge(&t->answer, get->off, get->len, &get->pin, &want, &ret->size,
					 &ret->may_retry, e);
	return transfer_error(t, ret, e);
}

static void note_route(struct transfer *t, struct http_result *ret)
{
	char *address = NULL;
	long redirects = 0, version = 0;
	struct err ignored;

	(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	(void)curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &address);
	(void)curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
	ret->is_http1 =
		ret->is_judged && (version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1);
	ret->requests = 1 + (unsigned)redirects;
	if (redirects && ret->is_judged && address)
		ret->moved_to = mem_strdup(address, &ignored);
}

int http_engine_get(struct http_engine *g, const struct http_get *get, struct http_result *ret, struct err *e)
{
	struct transfer t = { 0 };
	bool is_cancelled;
	int rc;

	*ret = (struct http_result){ 0 };
	assert(!g->shares || get->len <= HTTP_SHARED_MAX);
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
	(void)curl_multi_wakeup(g->multi);
	rc = pump(&t, get, ret, e);
	abort_and_wait(&t);
	note_route(&t, ret);
	transfer_fini(&t);
	return rc;
}

/* ---- lifecycle -------------------------------------------------------------------------- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_engine_open(bool shares, struct http_engine **ret, struct err *e)
{
	struct http_engine *g;

	(void)pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK)
		return err_set(e, ERR_UNSUPPORTED, "libcurl cannot start: %s",
			       curl_easy_strerror(curl_ready));
	g = mem_alloc(1, sizeof(*g), e);
	if (!g)
		return -1;
	g->shares = shares;
	g->multi = curl_multi_init();
	if (!g->multi) {
		free(g);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	(void)curl_multi_setopt(g->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_MAX);
	sync_mutex_init(&g->lock);
	if (pthread_create(&g->thread, NULL, engine_main, g) != 0) {
		(void)curl_multi_cleanup(g->multi);
		sync_mutex_fini(&g->lock);
		free(g);
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	}
	*ret = g;
	return 0;
}

void http_engine_cancel(struct http_engine *g)
{
	sync_lock(&g->lock);
	g->is_cancelled = true;
	sync_unlock(&g->lock);
	(void)curl_multi_wakeup(g->multi);
}

void http_engine_close(struct http_engine *g)
{
	if (!g)
		return;
	sync_lock(&g->lock);
	g->is_closing = true;
	sync_unlock(&g->lock);
	(void)curl_multi_wakeup(g->multi);
	(void)pthread_join(g->thread, NULL);
	(void)curl_multi_cleanup(g->multi);
	sync_mutex_fini(&g->lock);
	free(g);
}
