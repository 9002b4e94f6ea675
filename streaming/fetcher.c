/* SPDX-License-Identifier: Apache-2.0 */
/* Which fetcher a source needs. */
#include "streaming/fetcher.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "streaming/fetch_file.h"
#include "streaming/fetch_http.h"

/* "file:///a%20b" -> "/a b". */
static char *path_of_file_url(const char *url, struct err *e)
{
	auto_free char *path = NULL;
	const char *in = url + strlen("file://");
	char *out;

	if (strncasecmp(in, "localhost/", 10) == 0)
		in += strlen("localhost");
	if (*in != '/') {
		(void)err_set(e, ERR_USAGE, "%s: a file URL begins with file:///", url);
		return NULL;
	}
	path = mem_strdup(in, e);
	if (!path)
		return NULL;
	for (out = path; *in; out++) {
		char c = *in++;

		if (c == '%') {
			char hex[3] = { in[0], in[0] ? in[1] : '\0', '\0' };

			if (bytes_from_hex(hex, &c, 1) < 0 || c == '\0') {
				(void)err_set(e, ERR_USAGE, "%s: bad %%-escape", url);
				return NULL;
			}
			in += 2;
		}
		*out = c;
	}
	*out = '\0';
	return mem_steal(path);
}

int stream_fetcher_open(const char *source, const struct stream_fetch_opt *opt, struct stream_fetcher **ret,
			struct err *e)
{
	if (stream_source_is_url(source))
		return stream_fetch_http_open(source, opt, ret, e);
	if (strncasecmp(source, "file://", 7) == 0) {
		auto_free char *path = path_of_file_url(source, e);

		return path ? stream_fetch_file_open(path, ret, e) : -1;
	}
	return stream_fetch_file_open(source, ret, e);
}
