/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and judging the head of an HTTP answer; see http_answer.h. */
#include "streaming/http_answer.h"

#include <string.h>
#include <strings.h>

/* Digits at *p up to `end`; false when there are none or too many. */
static bool take_number(const char **p, const char *end, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;

	while (*p < end && **p >= '0' && **p <= '9') {
		if (*p - start >= 18)
			return false;
		v = v * 10 + (uint64_t)(**p - '0');
		(*p)++;
	}
	*ret = v;
	return *p > start;
}

static bool take_text(const char **p, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *p) < n || strncasecmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

/* "bytes 0-99/1234", the total possibly "*". */
static void take_range(struct http_answer *a, const char *p, const char *end)
{
	uint64_t first, last, total = 0;
	bool has_total;

	a->has_range = false;
	if (!take_text(&p, end, "bytes "))
		return;
	if (!take_number(&p, end, &first) || !take_text(&p, end, "-") || !take_number(&p, end, &last) ||
	    !take_text(&p, end, "/"))
		return;
	has_total = take_number(&p, end, &total);
	if (!has_total && !take_text(&p, end, "*"))
		return;
	if (p != end || last < first || (has_total && last >= total))
		return;
	a->has_range = true;
	a->has_total = has_total;
	a->first = first;
	a->last = last;
	a->total = total;
}

static void take_validator(char ret[HTTP_VALIDATOR_MAX], const char *p, const char *end)
{
	size_t n = (size_t)(end - p);

	ret[0] = '\0';
	if (n >= HTTP_VALIDATOR_MAX || memchr(p, '\0', n))
		return;
	memcpy(ret, p, n);
	ret[n] = '\0';
}

void http_answer_line(struct http_answer *a, const char *line, size_t len)
{
	const char *end = line + len, *colon, *p = line;
	uint64_t number;

	while (end > line && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (take_text(&p, end, "HTTP/")) {
		*a = (struct http_answer){ 0 };
		p = memchr(line, ' ', (size_t)(end - line));
		if (p && p++ && take_number(&p, end, &number) && number < 1000)
			a->status = (int)number;
		return;
	}
	colon = memchr(line, ':', (size_t)(end - line));
	if (!colon)
		return;
	p = colon + 1;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	len = (size_t)(colon - line);
	if (len == 13 && strncasecmp(line, "Content-Range", len) == 0) {
		take_range(a, p, end);
	} else if (len == 14 && strncasecmp(line, "Content-Length", len) == 0) {
		a->has_length = take_number(&p, end, &a->length) && p == end;
	} else if (len == 16 && strncasecmp(line, "Content-Encoding", len) == 0) {
		if (!take_text(&p, end, "identity") || p != end)
			a->is_encoded = true;
	} else if (len == 4 && strncasecmp(line, "ETag", len) == 0) {
		take_validator(a->etag, p, end);
	} else if (len == 13 && strncasecmp(line, "Last-Modified", len) == 0) {
		take_validator(a->modified, p, end);
	} else if (len == 11 && strncasecmp(line, "Retry-After", len) == 0) {
		if (take_number(&p, end, &number) && p == end)
			a->retry_after_s = number < 60 ? (unsigned)number : 60;
	}
}

bool http_etag_is_strong(const char *etag)
{
	size_t n = strlen(etag);

	return n >= 2 && etag[0] == '"' && etag[n - 1] == '"';
}

static int judge_status(const struct http_answer *a, const struct http_pin *pin, bool *ret_retry,
			struct err *e)
{
	switch (a->status) {
	case 0:
		*ret_retry = true;
		return err_set(e, ERR_NET, "the server's answer is not HTTP");
	case 404:
	case 410:
		return err_set(e, ERR_NOTFOUND, "no such file on the server (status %d)", a->status);
	case 412:
		return err_set(e, ERR_CHANGED, "the file on the server was replaced (status 412)");
	case 416:
		if (pin->is_set)
			return err_set(e, ERR_CHANGED, "the file on the server became shorter (status 416)");
		return err_set(e, ERR_NET, "the server refuses the range (status 416): is the file empty?");
	case 401:
		return err_set(
			e, ERR_NET,
			"the server wants a login that it knows (status 401): give one in ~/.netrc or in the "
			"address");
	case 403:
	case 407:
		return err_set(e, ERR_NET, "the server denies access (status %d)", a->status);
	default:
		*ret_retry = a->status >= 500 || a->status == 408 || a->status == 425 || a->status == 429;
		return err_set(e, ERR_NET, "the server answers with status %d", a->status);
	}
}

static int judge_pin(const struct http_answer *a, const struct http_pin *pin, uint64_t size, struct err *e)
{
	if (!pin->is_set)
		return 0;
	if (size != pin->size)
		return err_set(e, ERR_CHANGED, "the file on the server is now %llu bytes long, not %llu",
			       (unsigned long long)size, (unsigned long long)pin->size);
	if (pin->length_only)
		return 0;
	if (pin->etag[0] && strcmp(a->etag, pin->etag) != 0)
		return err_set(e, ERR_CHANGED, "the file on the server was replaced (another ETag)");
	/* A strong tag decides alone: servers behind a balancer may differ in the time of one file. */
	if (!http_etag_is_strong(pin->etag) && pin->modified[0] && strcmp(a->modified, pin->modified) != 0)
		return err_set(e, ERR_CHANGED, "the file on the server was replaced (another Last-Modified)");
	return 0;
}

int http_answer_judge(const struct http_answer *a, uint64_t off, uint64_t len, const struct http_pin *pin,
		      bool ranges_only, uint64_t *ret_len, uint64_t *ret_size, bool *ret_retry, struct err *e)
{
	uint64_t size, want;

	*ret_retry = false;
	if (a->status != 200 && a->status != 206)
		return judge_status(a, pin, ret_retry, e);
	if (a->is_encoded)
		return err_set(e, ERR_UNSUPPORTED,
			       "the server compresses ranges (Content-Encoding), against our request");
	if (a->status == 200) {
		if (!a->has_length)
			return err_set(e, ERR_UNSUPPORTED, "the server does not serve ranges, nor a length");
		size = a->length;
	} else {
		if (!a->has_range || !a->has_total)
			return err_set(e, ERR_NET, "the server's Content-Range is missing or malformed");
		size = a->total;
	}
	if (judge_pin(a, pin, size, e) < 0)
		return -1;
	want = off >= size ? 0 : size - off < len ? size - off : len;
	if (a->status == 200 && want < size && ranges_only)
		return err_set(e, ERR_UNSUPPORTED, "the server does not serve ranges (status 200 for 206)");
	if (a->status == 206 &&
	    (a->first != off || a->last - a->first + 1 != want || (a->has_length && a->length != want)))
		return err_set(e, ERR_NET, "the server answers with bytes %llu-%llu instead of %llu-%llu",
			       (unsigned long long)a->first, (unsigned long long)a->last,
			       (unsigned long long)off, (unsigned long long)(off + len - 1));
	*ret_len = a->status == 200 && want ? off + want : want;
	*ret_size = size;
	return 0;
}

void http_pin_set(struct http_pin *pin, const struct http_answer *a, uint64_t size)
{
	pin->is_set = true;
	pin->size = size;
	memcpy(pin->etag, a->etag, sizeof(pin->etag));
	memcpy(pin->modified, a->modified, sizeof(pin->modified));
}
