/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions and ranges; see cmd_serve_request.h. */
#include "launcher/cmd_serve_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void serve_validators_of(const struct stat *st, struct serve_validators *ret)
{
	struct tm tm;

	(void)snprintf(ret->etag, sizeof(ret->etag), "\"%jx-%jx-%jx%08lx\"", (uintmax_t)st->st_ino,
		       (uintmax_t)st->st_size, (uintmax_t)st->st_mtim.tv_sec,
		       (unsigned long)st->st_mtim.tv_nsec);
	ret->mtime_s = st->st_mtim.tv_sec;
	ret->len = (uint64_t)st->st_size;
	ret->modified[0] = '\0';
	if (gmtime_r(&st->st_mtim.tv_sec, &tm))
		(void)strftime(ret->modified, sizeof(ret->modified), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* True when the list of tags holds ours; "*" is any. A weak tag equals ours only in a weak comparison. */
static bool tags_hold(const char *list, const char *etag, bool weakly)
{
	size_t len = strlen(etag);

	while (*list) {
		bool is_weak;

		list += strspn(list, " \t,");
		if (*list == '*')
			return true;
		is_weak = strncmp(list, "W/", 2) == 0;
		if (is_weak)
			list += 2;
		if (*list != '"')
			return false;
		if (strncmp(list, etag, len) == 0 && (weakly || !is_weak))
			return true;
		list = strchr(list + 1, '"');
		if (!list)
			return false;
		list++;
	}
	return false;
}

static bool take_date(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	if (!end || *end)
		return false;
	*ret = (int64_t)timegm(&tm);
	return true;
}

/* 0 when the request may go on. */
static unsigned judge_preconditions(const struct serve_request *r, const struct serve_validators *v)
{
	int64_t date;

	if (r->if_match) {
		if (!tags_hold(r->if_match, v->etag, false))
			return 412;
	} else if (r->if_unmodified_since && take_date(r->if_unmodified_since, &date) && v->mtime_s > date) {
		return 412;
	}
	if (r->if_none_match) {
		if (tags_hold(r->if_none_match, v->etag, true))
			return 304;
	} else if (r->if_modified_since && take_date(r->if_modified_since, &date) && v->mtime_s <= date) {
		return 304;
	}
	return 0;
}

static bool take_number(const char **p, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;

	while (**p >= '0' && **p <= '9') {
		uint64_t digit = (uint64_t)(**p - '0');

		v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
		(*p)++;
	}
	*ret = v;
	return *p > start;
}

enum range_kind { RANGE_NONE, RANGE_GOOD, RANGE_BEYOND };

static enum range_kind take_range(const char *text, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
	uint64_t first, last = UINT64_MAX;

	if (strncasecmp(text, "bytes=", 6) != 0)
		return RANGE_NONE;
	text += 6;
	text += strspn(text, " \t");
	if (*text == '-') {
		text++;
		if (!take_number(&text, &last) || *text)
			return RANGE_NONE;
		if (!last || !size)
			return RANGE_BEYOND;
		*ret_len = last < size ? last : size;
		*ret_off = size - *ret_len;
		return RANGE_GOOD;
	}
	if (!take_number(&text, &first) || *text++ != '-')
		return RANGE_NONE;
	if (*text && (!take_number(&text, &last) || *text || last < first))
		return RANGE_NONE;
	if (first >= size)
		return RANGE_BEYOND;
	*ret_off = first;
	*ret_len = (last < size - 1 ? last : size - 1) - first + 1;
	return RANGE_GOOD;
}

struct serve_verdict serve_judge(const struct serve_request *r, const struct serve_validators *v)
{
	struct serve_verdict whole = { 200, 0, v->len }, part = { 206, 0, 0 };
	unsigned status = judge_preconditions(r, v);

	if (status)
		return (struct serve_verdict){ status, 0, 0 };
	/* Ranges are defined for GET alone. */
	if (r->is_head || !r->range)
		return whole;
	if (r->if_range && strcmp(r->if_range, v->etag) != 0 && strcmp(r->if_range, v->modified) != 0)
		return whole;
	switch (take_range(r->range, v->len, &part.off, &part.len)) {
	case RANGE_GOOD:
		return part;
	case RANGE_BEYOND:
		return (struct serve_verdict){ 416, 0, 0 };
	default:
		return whole;
	}
}
