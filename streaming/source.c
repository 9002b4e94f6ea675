/* SPDX-License-Identifier: Apache-2.0 */
/* See source.h. */
#include "streaming/source.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Where the parts of a URL are; a login ends before `host`. */
struct parts {
	size_t authority, host, query;
};

bool stream_source_is_url(const char *source)
{
	return strncasecmp(source, "http://", 7) == 0 || strncasecmp(source, "https://", 8) == 0;
}

static struct parts take_apart(const char *url)
{
	size_t authority = (size_t)(strstr(url, "://") + 3 - url);
	size_t end = authority + strcspn(url + authority, "/?#");
	struct parts p = { authority, authority, authority + strcspn(url + authority, "?#") };

	for (size_t i = authority; i < end; i++)
		if (url[i] == '@')
			p.host = i + 1;
	return p;
}

bool stream_source_has_login(const char *source)
{
	struct parts p;

	if (!stream_source_is_url(source))
		return false;
	p = take_apart(source);
	return p.host > p.authority;
}

char *stream_source_for_people(const char *source, struct err *e)
{
	struct parts p;

	if (!stream_source_is_url(source))
		return mem_strdup(source, e);
	p = take_apart(source);
	return mem_printf(e, "%.*s%.*s", (int)p.authority, source, (int)(p.query - p.host), source + p.host);
}

void stream_source_blot(char *source)
{
	struct parts p;

	if (!stream_source_is_url(source))
		return;
	p = take_apart(source);
	if (p.host > p.authority)
		memset(source + p.authority, '*', p.host - 1 - p.authority);
	if (source[p.query])
		memset(source + p.query + 1, '*', strlen(source + p.query + 1));
}

bool stream_source_find_host(const char *url, struct stream_source_host *ret)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char *host, *port;
	size_t len, digits;

	if (!stream_source_is_url(url))
		return false;
	host = url + take_apart(url).host;
	len = strspn(host, plain);
	port = host + len;
	digits = *port == ':' ? strspn(port + 1, "0123456789") : 0;
	if (!len || len >= sizeof(ret->name) || digits >= sizeof(ret->port) ||
	    !strchr("/?#", port[digits ? digits + 1 : 0]))
		return false;
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s", (int)len, host);
	if (digits)
		(void)snprintf(ret->port, sizeof(ret->port), "%.*s", (int)digits, port + 1);
	else
		(void)snprintf(ret->port, sizeof(ret->port), "%s", url[4] == ':' ? "80" : "443");
	return true;
}
