/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of one origin; see origin.h. */
#include "streaming/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/source.h"

enum { FILE_MAX = 64 * 1024 };

void stream_origin_fini(struct stream_origin *o)
{
	free(o->certificate);
	free(o->key);
	free(o->ca);
	*o = (struct stream_origin){ 0 };
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && strchr(" \t\r", end[-1]))
		*--end = 0;
	return text + strspn(text, " \t");
}

/* "https://Ann@Host:443/path" -> "https://host"; NULL with *e when it is not an https address. */
static char *origin_of(const char *url, struct err *e)
{
	auto_free char *bare = NULL;
	char *end, *host;

	if (strncasecmp(url, "https://", 8) != 0) {
		(void)err_set(e, ERR_FORMAT, "\"%.80s\": not an address of the form https://HOST[:PORT]",
			      url);
		return NULL;
	}
	bare = stream_source_for_people(url, e);
	if (!bare)
		return NULL;
	host = bare + 8;
	host[strcspn(host, "/?#")] = 0;
	for (char *c = bare; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	end = host + strlen(host);
	if (end - host > 4 && strcmp(end - 4, ":443") == 0)
		end[-4] = 0;
	return mem_steal(bare);
}

static int take_setting(char *line, struct stream_origin *ret, struct err *e)
{
	char *value = strchr(line, '='), **slot, *name;

	if (!value)
		return err_set(e, ERR_FORMAT, "\"%.80s\": neither [ORIGIN] nor NAME = FILE", line);
	*value++ = 0;
	name = trim(line);
	value = trim(value);
	slot = !strcmp(name, "certificate") ? &ret->certificate
	       : !strcmp(name, "key")       ? &ret->key
	       : !strcmp(name, "ca")        ? &ret->ca
					    : NULL;
	if (!slot)
		return err_set(e, ERR_FORMAT, "\"%.80s\" is none of certificate, key, ca", name);
	if (*value != '/')
		return err_set(e, ERR_FORMAT, "%.80s: the file must be an absolute path", name);
	free(*slot);
	*slot = mem_strdup(value, e);
	return *slot ? 0 : -1;
}

/* `at` is the section that the line is in: the wanted one's, or another's. */
static int take_line(char *line, const char *origin, struct stream_origin *ret, struct stream_origin *others,
		     struct stream_origin **at, struct err *e)
{
	size_t len;

	line = trim(line);
	len = strlen(line);
	if (!len || *line == '#')
		return 0;
	if (*line == '[') {
		auto_free char *named = NULL;

		if (line[len - 1] != ']')
			return err_set(e, ERR_FORMAT, "\"%.80s\" has no ]", line);
		line[len - 1] = 0;
		named = origin_of(trim(line + 1), e);
		if (!named)
			return -1;
		*at = strcmp(named, origin) == 0 ? ret : others;
		(*at)->is_set = true;
		return 0;
	}
	if (!*at)
		return err_set(e, ERR_FORMAT, "\"%.80s\" comes before any [ORIGIN]", line);
	return take_setting(line, *at, e);
}

int stream_origin_parse(char *text, const char *file, const char *url, struct stream_origin *ret,
			struct err *e)
{
	auto_origin struct stream_origin found = { 0 }, others = { 0 };
	auto_free char *origin = origin_of(url, e);
	struct stream_origin *at = NULL;
	size_t line_no = 0;

	if (!origin)
		return -1;
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		line_no++;
		if (take_line(line, origin, &found, &others, &at, e) < 0)
			return err_wrap(e, "%s:%zu", file, line_no);
	}
	*ret = found;
	found = (struct stream_origin){ 0 };
	return 0;
}

int stream_origin_find(const char *url, struct stream_origin *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	auto_free char *dir = NULL, *path = NULL;

	*ret = (struct stream_origin){ 0 };
	if (strncasecmp(url, "https://", 8) != 0)
		return 0;
	dir = path_config_dir(false, e);
	path = dir ? path_join(dir, "origins.conf", e) : NULL;
	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &text, e) < 0)
		return e->sys == ENOENT || e->sys == ENOTDIR ? 0 : -1;
	if (!buf_text(&text, e))
		return -1;
	return stream_origin_parse((char *)text.data, path, url, ret, e);
}
