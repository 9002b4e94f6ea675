/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges over HTTP(S): retries, and holding all answers to one object.
 *
 * The first good answer pins the object by its ETag or Last-Modified, and its length; every later answer is
 * compared, and a strong ETag is also sent as If-Match so that the server does not send for nothing.
 * A failed attempt resumes where the bytes stopped. After a redirect the final address is asked
 * directly, until it fails once; not so where the address has a login, which does not come along to all of
 * them.
 *
 * What is long goes over connections of its own; what is short goes over one of these that is free, so that
 * it need not connect, or shares a connection with other short ones. */
#include "streaming/fetch_http.h"

#include <string.h>
#include <strings.h>

#include "base/sync.h"
#include "streaming/http_engine.h"
#include "streaming/origin.h"

enum {
	CONNECT_TIMEOUT_MS = 10000,
	STALL_TIMEOUT_MS = 15000,
	ATTEMPTS = 4,
	RETRY_MS = 300,
	RETRY_MAX_MS = 5000,
	PROGRESS_MIN = 64 * 1024, /* an attempt that brought so much does not count as failed */
};

struct http_fetcher {
	struct stream_fetcher seam;
	struct http_engine *lone, *shared; /* shared: NULL when the address is not of https */
	char *url, *shown;
	bool has_login; /* in the address */

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond cancelled;
	struct stream_fetch_opt opt;
	struct http_pin pin;
	char *moved_to; /* NULL = ask `url` */
	struct stream_counters counters;
	uint64_t random;
	unsigned lone_free; /* connections of `lone` that have served and are free */
	bool has_http2;     /* not known to be without */
	bool is_cancelled, is_distrustful, length_only;
};

static struct http_fetcher *of(struct stream_fetcher *f)
{
	return (struct http_fetcher *)(void *)f;
}

/* Exponential, with a jitter of one half, so that a thousand clients do not come back at once. */
static unsigned pause_ms(struct http_fetcher *f, unsigned failures, unsigned retry_after_s)
{
	unsigned ms = RETRY_MS << (failures < 5 ? failures - 1 : 4);
	unsigned jitter;

	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	sync_lock(&f->lock);
	f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	jitter = (unsigned)(f->random >> 33) % (ms / 2 + 1);
	sync_unlock(&f->lock);
	ms = ms / 2 + jitter;
	if (retry_after_s * 1000 > ms)
		ms = retry_after_s * 1000 < RETRY_MAX_MS ? retry_after_s * 1000 : RETRY_MAX_MS;
	return ms;
}

/* False when cancelled. */
static bool rest(struct http_fetcher *f, unsigned ms)
{
	uint64_t end = sync_now_ms() + ms;
	bool is_cancelled;

	sync_lock(&f->lock);
	for (uint64_t now = sync_now_ms(); !f->is_cancelled && now < end; now = sync_now_ms())
		(void)sync_wait_ms(&f->cancelled, &f->lock, end - now);
	is_cancelled = f->is_cancelled;
	sync_unlock(&f->lock);
	return !is_cancelled;
}

static unsigned value_or(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

/* What one request needs to know, copied out from under the lock. Caller frees *ret_url. */
static int prepare(struct http_fetcher *f, struct http_get *get, char **ret_url, bool *ret_is_moved,
		   unsigned *ret_attempts, struct err *e)
{
	sync_lock(&f->lock);
	get->pin = f->pin;
	get->no_cache = f->is_distrustful;
	get->ranges_only = f->opt.ranges_only;
	get->connect_timeout_ms = value_or(f->opt.connect_timeout_ms, CONNECT_TIMEOUT_MS);
	get->stall_timeout_ms = value_or(f->opt.stall_timeout_ms, STALL_TIMEOUT_MS);
	*ret_attempts = value_or(f->opt.attempts, ATTEMPTS);
	*ret_is_moved = f->moved_to != NULL;
	*ret_url = mem_strdup(f->moved_to ? f->moved_to : f->url, e);
	sync_unlock(&f->lock);
	get->url = *ret_url;
	return *ret_url ? 0 : -1;
}

/* Between the network and the reader's sink: keeps the counters true while a long answer comes, and passes
 * over what comes before the range from a server that knows none. */
struct counted {
	struct http_fetcher *f;
	stream_sink_fn *sink;
	void *arg;
	uint64_t off, skip; /* of the attempt: where it begins, and what is still to be passed over */
};

/* Holds to the object of the first good answer, from before its bytes are used. ERR_CHANGED when a request
 * that ran beside this one pinned another. */
static int pin(void *arg, const struct http_result *r, struct err *e)
{
	struct counted *c = arg;
	struct http_fetcher *f = c->f;
	bool differs = false;

	c->skip = r->answer.status == 200 ? c->off : 0;
	sync_lock(&f->lock);
	if (!f->pin.is_set) {
		http_pin_set(&f->pin, &r->answer, r->size);
		f->pin.length_only = f->length_only;
	} else {
		differs = r->size != f->pin.size;
	}
	f->counters.wholes += r->answer.status == 200;
	sync_unlock(&f->lock);
	return differs ? err_set(e, ERR_CHANGED, "the file on the server was replaced") : 0;
}

/* Keeps what an attempt taught. */
static void learn(struct http_fetcher *f, struct http_result *r, bool was_moved, bool failed)
{
	sync_lock(&f->lock);
	f->counters.requests += r->requests;
	if ((r->moved_to && !f->has_login) || (failed && was_moved)) {
		free(f->moved_to);
		f->moved_to = mem_steal(r->moved_to);
	}
	sync_unlock(&f->lock);
}

static struct http_engine *take_engine(struct http_fetcher *f, uint64_t len)
{
	struct http_engine *g = f->lone;

	sync_lock(&f->lock);
	if (f->lone_free)
		f->lone_free--;
	else if (f->has_http2 && len <= HTTP_SHARED_MAX)
		g = f->shared;
	sync_unlock(&f->lock);
	return g;
}

static void give_engine(struct http_fetcher *f, const struct http_engine *g, bool is_good, bool is_http1)
{
	sync_lock(&f->lock);
	f->lone_free += g == f->lone && is_good;
	f->has_http2 &= g == f->lone || !is_http1;
	sync_unlock(&f->lock);
}

static int ask_once(struct http_fetcher *f, struct http_get *get, struct http_result *r, struct err *e)
{
	auto_origin struct stream_origin origin = { 0 };
	struct http_engine *engine;
	int rc;

	*r = (struct http_result){ 0 };
	if (stream_origin_find(get->url, &origin, e) < 0)
		return -1;
	get->origin = origin.is_set ? &origin : NULL;
	engine = take_engine(f, get->len);
	rc = http_engine_get(engine, get, r, e);
	give_engine(f, engine, rc == 0, r->is_http1);
	get->origin = NULL;
	return rc;
}

/* Where an origin has settings of its own its redirects are followed here: each address with its own ones. */
static int ask(struct http_fetcher *f, struct http_get *get, struct http_result *r, struct err *e)
{
	auto_free char *url = NULL;
	unsigned requests = 0;
	int rc;

	for (unsigned hops = 0;; hops++) {
		rc = ask_once(f, get, r, e);
		requests += r->requests;
		if (!r->is_redirect)
			break;
		free(url);
		url = mem_steal(r->moved_to);
		get->url = url;
		if (hops == HTTP_REDIRECTS_MAX)
			return err_set(e, ERR_NET,
				       "the server redirects in a circle (more than %d redirects)",
				       HTTP_REDIRECTS_MAX);
		if (!stream_source_is_url(url))
			return err_set(e, ERR_NET, "redirected to a protocol other than http and https");
	}
	r->requests = requests;
	if (url && r->is_judged && !r->moved_to)
		r->moved_to = mem_steal(url);
	return rc;
}

/* One request for what is left; *done counts what the sink has taken. */
static int attempt(struct http_fetcher *f, struct http_get *get, uint64_t *done, unsigned *ret_attempts,
		   bool *ret_retry, unsigned *ret_after_s, struct err *e)
{
	auto_free char *url = NULL;
	struct http_get now = *get;
	struct http_result r;
	bool was_moved;
	int rc;

	*ret_retry = false;
	if (prepare(f, &now, &url, &was_moved, ret_attempts, e) < 0)
		return -1;
	now.off += *done;
	now.len -= *done;
	if (now.pin.is_set && now.off >= now.pin.size) {
		*done = get->len;
		return 0;
	}
	if (now.pin.is_set && now.len > now.pin.size - now.off)
		now.len = now.pin.size - now.off;
	now.if_match = now.pin.is_set && !now.pin.length_only && http_etag_is_strong(now.pin.etag)
			       ? now.pin.etag
			       : NULL;
	((struct counted *)get->sink_arg)->off = now.off;
	rc = ask(f, &now, &r, e);
	if (r.answer.status == 200)
		r.delivered = r.delivered > now.off ? r.delivered - now.off : 0;
	*done += r.delivered;
	*ret_after_s = r.answer.retry_after_s;
	/* An address that we were redirected to may have been meant for a moment only. */
	*ret_retry = r.may_retry || (was_moved && !r.is_judged && rc < 0 && e->code != ERR_INTERRUPTED);
	if (rc == 0)
		*done = get->len;
	learn(f, &r, was_moved, rc < 0);
	free(r.moved_to);
	return rc;
}

static int count(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct counted *c = arg;
	struct http_fetcher *f = c->f;
	size_t passed = c->skip < len ? (size_t)c->skip : len;
	int rc;

	sync_lock(&f->lock);
	f->counters.bytes += len;
	f->counters.waiting--;
	sync_unlock(&f->lock);
	c->skip -= passed;
	rc = c->sink(c->arg, data + passed, len - passed, e);
	sync_lock(&f->lock);
	f->counters.waiting++;
	sync_unlock(&f->lock);
	return rc;
}

static int read_with_retries(struct http_fetcher *f, struct http_get *get, struct err *e)
{
	unsigned failures = 0, attempts, after_s = 0;
	uint64_t done = 0, len = get->len;

	while (done < len) {
		uint64_t before = done;
		bool may_retry;

		if (attempt(f, get, &done, &attempts, &may_retry, &after_s, e) == 0)
			continue;
		failures = done - before >= PROGRESS_MIN ? 1 : failures + 1;
		if (e->code == ERR_INTERRUPTED)
			return -1;
		if (!may_retry || failures >= attempts)
			return err_wrap(e, "fetching %s", f->shown);
		if (!rest(f, pause_ms(f, failures, after_s)))
			return err_set(e, ERR_INTERRUPTED, "cancelled");
	}
	return 0;
}

static int http_read(struct stream_fetcher *seam, uint64_t off, uint64_t len, stream_sink_fn *sink, void *arg,
		     struct err *e)
{
	struct http_fetcher *f = of(seam);
	struct counted counted = { .f = f, .sink = sink, .arg = arg };
	struct http_get get = { .off = off,
				.len = len,
				.sink = count,
				.sink_arg = &counted,
				.on_judged = pin,
				.judged_arg = &counted };
	int rc;

	sync_lock(&f->lock);
	f->counters.waiting++;
	sync_unlock(&f->lock);
	rc = read_with_retries(f, &get, e);
	sync_lock(&f->lock);
	f->counters.waiting--;
	sync_unlock(&f->lock);
	return rc;
}

static void http_cancel(struct stream_fetcher *seam)
{
	struct http_fetcher *f = of(seam);

	sync_lock(&f->lock);
	f->is_cancelled = true;
	sync_wake_all(&f->cancelled);
	sync_unlock(&f->lock);
	http_engine_cancel(f->lone);
	if (f->shared)
		http_engine_cancel(f->shared);
}

static void http_close(struct stream_fetcher *seam)
{
	struct http_fetcher *f = of(seam);

	http_engine_close(f->lone);
	http_engine_close(f->shared);
	sync_cond_fini(&f->cancelled);
	sync_mutex_fini(&f->lock);
	free(f->moved_to);
	free(f->url);
	free(f->shown);
	free(f);
}

static void http_counters(struct stream_fetcher *seam, struct stream_counters *ret)
{
	sync_lock(&of(seam)->lock);
	*ret = of(seam)->counters;
	sync_unlock(&of(seam)->lock);
}

static uint64_t http_size(struct stream_fetcher *seam)
{
	uint64_t size;

	sync_lock(&of(seam)->lock);
	size = of(seam)->pin.size;
	sync_unlock(&of(seam)->lock);
	return size;
}

static void http_identity(struct stream_fetcher *seam, char ret[STREAM_IDENTITY_MAX])
{
	struct http_pin pin;

	sync_lock(&of(seam)->lock);
	pin = of(seam)->pin;
	sync_unlock(&of(seam)->lock);
	if (!pin.is_set)
		ret[0] = '\0';
	else if (http_etag_is_strong(pin.etag))
		(void)snprintf(ret, STREAM_IDENTITY_MAX, "%s", pin.etag);
	else
		(void)snprintf(ret, STREAM_IDENTITY_MAX, "%s;%llu", pin.modified,
			       (unsigned long long)pin.size);
}

static void http_retune(struct stream_fetcher *seam, const struct stream_fetch_opt *opt)
{
	sync_lock(&of(seam)->lock);
	of(seam)->opt = *opt;
	sync_unlock(&of(seam)->lock);
}

static bool http_distrust(struct stream_fetcher *seam)
{
	sync_lock(&of(seam)->lock);
	of(seam)->is_distrustful = true;
	sync_unlock(&of(seam)->lock);
	return false;
}

static void http_unpin(struct stream_fetcher *seam, bool length_only)
{
	sync_lock(&of(seam)->lock);
	of(seam)->pin = (struct http_pin){ 0 };
	of(seam)->length_only = length_only;
	sync_unlock(&of(seam)->lock);
}

static const struct stream_fetcher_ops http_ops = {
	.read = http_read,
	.cancel = http_cancel,
	.close = http_close,
	.counters = http_counters,
	.size = http_size,
	.identity = http_identity,
	.retune = http_retune,
	.distrust = http_distrust,
	.unpin = http_unpin,
};

int stream_fetch_http_open(const char *url, const struct stream_fetch_opt *opt, struct stream_fetcher **ret,
			   struct err *e)
{
	struct http_fetcher *f = mem_alloc(1, sizeof(*f), e);

	if (!f)
		return -1;
	f->seam.ops = &http_ops;
	if (opt)
		f->opt = *opt;
	f->random = sync_now_ms() ^ (uint64_t)(uintptr_t)f;
	sync_mutex_init(&f->lock);
	sync_cond_init(&f->cancelled);
	f->has_login = stream_source_has_login(url);
	f->url = mem_strdup(url, e);
	f->shown = stream_source_for_people(url, e);
	f->has_http2 = strncasecmp(url, "https:", 6) == 0;
	if (!f->url || !f->shown || http_engine_open(false, &f->lone, e) < 0 ||
	    (f->has_http2 && http_engine_open(true, &f->shared, e) < 0)) {
		http_close(&f->seam);
		return -1;
	}
	*ret = &f->seam;
	return 0;
}
