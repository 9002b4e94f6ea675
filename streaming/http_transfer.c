/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer as libcurl sees it; see http_transfer.h. */
#include "streaming/http_transfer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "streaming/authorities.h"
#include "streaming/origin.h"

enum {
	RING_MAX = HTTP_SHARED_MAX,
	RING_MIN = 64 * 1024,    /* above curl's largest write, or a transfer could pause for ever */
	DISCARD_MAX = 64 * 1024, /* of an error page, to keep the connection */
	RATE_MIN = 1024,         /* bytes a second, on the average of a stall timeout */
};

/* ---- in the engine's thread ------------------------------------------------------------- */

void transfer_count_afresh(struct transfer *t)
{
	t->since_ms = sync_now_ms();
	t->came = 0;
}

/* What was slow once counts for a while. */
static void note_answer(struct http_engine *g, uint64_t took_ms)
{
	uint64_t faded = g->answer_ms - g->answer_ms / 8;

	g->answer_ms = took_ms > faded ? took_ms : faded;
}

static void note_arrival(struct transfer *t, size_t len)
{
	bool is_first = !t->came;

	if (!t->has_begun)
		note_answer(t->engine, sync_now_ms() - t->since_ms);
	t->has_begun = true;
	t->came += len;
	if (t->came >= (uint64_t)t->stall_ms * RATE_MIN / 1000)
		transfer_count_afresh(t);
	else if (is_first)
		t->since_ms = sync_now_ms();
}

/* Before each request, those of redirects too. */
static int on_connected(void *arg, char *own, char *other, int own_port, int other_port)
{
	struct transfer *t = arg;
	long made = 1;

	(void)own, (void)other, (void)own_port, (void)other_port;
	(void)curl->easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &made);
	t->is_reused = !made;
	t->is_asking = true;
	transfer_count_afresh(t);
	return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;

	if (t->knocked.fd >= 0 && purpose == CURLSOCKTYPE_IPCXN) {
		t->taken = fd_steal(&t->knocked.fd);
		return t->taken;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct transfer *t = arg;
	bool is_knocked = fd == t->taken;

	(void)purpose;
	t->taken = -1;
	return is_knocked ? CURL_SOCKOPT_ALREADY_CONNECTED : CURL_SOCKOPT_OK;
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

/* ---- in the asker's thread -------------------------------------------------------------- */

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *grown = curl->slist_append(*list, line);

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

static bool set_origin(CURL *easy, const struct stream_origin *o)
{
	bool bad = false;

#define SET(option, value) (bad |= curl->easy_setopt(easy, option, value) != CURLE_OK)
	if (o->certificate) {
		SET(CURLOPT_SSLCERT, o->certificate);
		SET(CURLOPT_SSLKEY, o->key ? o->key : o->certificate);
		SET(CURLOPT_KEYPASSWD, ""); /* or OpenSSL asks for it on the terminal */
	}
	if (o->ca) {
		SET(CURLOPT_CAINFO, o->ca);
		SET(CURLOPT_CAPATH, NULL);
	}
#undef SET
	return !bad;
}

/* Makes it go over the connection that was begun before everything else, if that leads where it goes. */
static bool use_knocked(struct transfer *t, const struct http_get *get)
{
	bool bad = false;

	t->taken = -1;
	if (!stream_knock_take(get->url, &t->knocked))
		return true;
	t->resolve = curl->slist_append(NULL, t->knocked.resolve);
#define SET(option, value) (bad |= curl->easy_setopt(t->easy, option, value) != CURLE_OK)
	SET(CURLOPT_RESOLVE, t->resolve);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	SET(CURLOPT_SOCKOPTDATA, t);
#undef SET
	return t->resolve && !bad;
}

int transfer_init(struct transfer *t, struct http_engine *g, const struct http_get *get, struct err *e)
{
	char range[64];
	bool bad = false;

	t->engine = g;
	t->knocked.fd = -1;
	t->connect_ms = get->connect_timeout_ms;
	t->stall_ms = get->stall_timeout_ms;
	t->cap = get->len < RING_MIN ? RING_MIN : get->len > RING_MAX ? RING_MAX : get->len;
	t->ring = mem_alloc(t->cap, 1, e);
	t->easy = curl->easy_init();
	if (!t->ring || !t->easy)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (set_headers(t, get, e) < 0)
		return -1;
	bad = !use_knocked(t, get);
	(void)snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)get->off,
		       (unsigned long long)(get->off + get->len - 1));
#define SET(option, value) (bad |= curl->easy_setopt(t->easy, option, value) != CURLE_OK)
	SET(CURLOPT_URL, get->url);
	SET(CURLOPT_RANGE, range);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	/* A login in the address goes before; neither follows a redirect to another origin. */
	SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	SET(CURLOPT_FOLLOWLOCATION, get->origin ? 0L : 1L);
	SET(CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
	SET(CURLOPT_HTTP_VERSION, (long)(g->shares ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_BUFFERSIZE, 256L * 1024);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)get->connect_timeout_ms);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, t);
	SET(CURLOPT_FRESH_CONNECT, (long)t->is_fresh);
	SET(CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server when a transfer ends before it answers */
	SET(CURLOPT_USERAGENT, "floe/" FLOE_VERSION);
	SET(CURLOPT_ERRORBUFFER, t->reason);
	SET(CURLOPT_PRIVATE, (char *)t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
#undef SET
	bad |= get->origin && !set_origin(t->easy, get->origin);
	t->asks_directory = !(get->origin && get->origin->ca) && authorities_in_directory();
	bad |= t->asks_directory && curl->easy_setopt(t->easy, CURLOPT_CAINFO, NULL) != CURLE_OK;
	return bad ? err_set(e, ERR_UNSUPPORTED, "libcurl refuses our options") : 0;
}

void transfer_fini(struct transfer *t)
{
	if (t->easy)
		curl->easy_cleanup(t->easy);
	curl->slist_free_all(t->headers);
	curl->slist_free_all(t->resolve);
	free(t->knocked.resolve);
	fd_close(t->knocked.fd);
	free(t->ring);
	sync_cond_fini(&t->changed);
}

/* Maps curl's verdict; called when the transfer ended by itself. */
int transfer_error(struct transfer *t, struct http_result *ret, struct err *e)
{
	const char *why = t->reason[0] ? t->reason : curl->easy_strerror(t->code);
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
			       HTTP_REDIRECTS_MAX);
	case CURLE_UNSUPPORTED_PROTOCOL: /* or none, as of HTTP/0.9 */
		(void)curl->easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
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

void transfer_note_route(struct transfer *t, const struct http_get *get, struct http_result *ret)
{
	char *address = NULL, *next = NULL;
	long redirects = 0, version = 0;
	struct err ignored;

	(void)curl->easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	(void)curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &address);
	(void)curl->easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
	ret->is_http1 =
		ret->is_judged && (version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1);
	ret->requests = 1 + (unsigned)redirects;
	if (redirects && ret->is_judged && address)
		ret->moved_to = mem_strdup(address, &ignored);
	/* When it was to follow, this would be the one redirect too many. */
	if (get->origin && !ret->is_judged)
		(void)curl->easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &next);
	if (next)
		ret->moved_to = mem_strdup(next, &ignored);
	ret->is_redirect = next && ret->moved_to;
}
