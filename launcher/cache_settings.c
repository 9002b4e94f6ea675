/* SPDX-License-Identifier: Apache-2.0 */
/* The cache and its settings; see cache_settings.h. */
#include "launcher/cache_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/path.h"

enum { FILE_MAX = 64 * 1024 };
#define SIZE_LIMIT 1e18

int launch_size_parse(const char *text, uint64_t *ret, struct err *e)
{
	static const char units[] = "KMGT";
	const char *unit;
	double number;
	char *end;

	number = strtod(text, &end);
	if (end == text || !(number >= 0) || number > 1e15)
		return err_set(e, ERR_USAGE, "%s: not a size; give bytes, or a number with K, M, G or T",
			       text);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit) {
		for (ptrdiff_t i = 0; i <= unit - units; i++)
			number *= 1024;
		end++;
		if (!strcmp(end, "B") || !strcmp(end, "iB"))
			end += strlen(end);
	}
	if (*end || number >= SIZE_LIMIT)
		return err_set(e, ERR_USAGE, "%s: not a size; give bytes, or a number with K, M, G or T",
			       text);
	*ret = (uint64_t)number;
	return 0;
}

void launch_cache_settings_fini(struct launch_cache_settings *s)
{
	free(s->shared_store);
	free(s->metered);
	*s = (struct launch_cache_settings){ 0 };
}

/* ---- reading ---------------------------------------------------------------------------- */

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && strchr(" \t\r", end[-1]))
		*--end = 0;
	return text + strspn(text, " \t");
}

static int set_shared(struct launch_cache_settings *s, const char *dir, struct err *e)
{
	if (*dir && *dir != '/')
		return err_set(e, ERR_FORMAT, "%s: the shared store must be an absolute path", dir);
	free(s->shared_store);
	s->shared_store = *dir ? mem_strdup(dir, e) : NULL;
	return *dir && !s->shared_store ? -1 : 0;
}

static int set_metered(struct launch_cache_settings *s, const char *names, struct err *e)
{
	free(s->metered);
	s->metered = *names ? mem_strdup(names, e) : NULL;
	return *names && !s->metered ? -1 : 0;
}

static int set_seconds(const char *text, unsigned *ret, struct err *e)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > UINT_MAX / 1000)
		return err_set(e, ERR_FORMAT, "%.80s: not a number of seconds", text);
	*ret = (unsigned)n;
	return 0;
}

static int take_line(char *line, struct launch_cache_settings *s, struct err *e)
{
	char *value, *name = trim(line);

	if (!*name || *name == '#')
		return 0;
	value = strchr(name, '=');
	if (!value)
		return err_set(e, ERR_FORMAT, "\"%.80s\": not of the form NAME = VALUE", name);
	*value++ = 0;
	name = trim(name);
	value = trim(value);
	if (!strcmp(name, "quota"))
		return launch_size_parse(value, &s->quota, e);
	if (!strcmp(name, "shared-store"))
		return set_shared(s, value, e);
	if (!strcmp(name, "complete-after"))
		return set_seconds(value, &s->complete_after_s, e);
	if (!strcmp(name, "complete-rate"))
		return launch_size_parse(value, &s->complete_rate, e);
	if (!strcmp(name, "metered"))
		return set_metered(s, value, e);
	return err_set(e, ERR_FORMAT,
		       "\"%.80s\" is none of quota, shared-store, complete-after, complete-rate, metered",
		       name);
}

int launch_cache_settings_parse(char *text, const char *file, struct launch_cache_settings *ret,
				struct err *e)
{
	size_t line_no = 0;

	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		line_no++;
		if (take_line(line, ret, e) < 0)
			return err_wrap(e, "%s:%zu", file, line_no);
	}
	return 0;
}

static char *conf_path(bool make, struct err *e)
{
	auto_free char *dir = path_config_dir(make, e);

	return dir ? path_join(dir, "cache.conf", e) : NULL;
}

/* A file that is not there is an empty one. */
static int read_conf(const char *path, struct buf *ret, struct err *e)
{
	if (fd_read_file(AT_FDCWD, path, ret, e) < 0 && e->sys != ENOENT && e->sys != ENOTDIR)
		return -1;
	return buf_text(ret, e) ? 0 : -1;
}

int launch_cache_settings_read(struct launch_cache_settings *ret, struct err *e)
{
	const char *quota = getenv("FLOE_CACHE_QUOTA"), *shared = getenv("FLOE_SHARED_STORE");
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	auto_free char *path = conf_path(false, e);
	auto_cache_settings struct launch_cache_settings s = LAUNCH_CACHE_SETTINGS_INIT;

	if (!path || read_conf(path, &text, e) < 0 ||
	    launch_cache_settings_parse((char *)text.data, path, &s, e) < 0)
		return -1;
	if (quota && *quota && launch_size_parse(quota, &s.quota, e) < 0)
		return err_wrap(e, "FLOE_CACHE_QUOTA");
	if (shared && set_shared(&s, shared, e) < 0)
		return err_wrap(e, "FLOE_SHARED_STORE");
	*ret = s;
	s.shared_store = NULL;
	s.metered = NULL;
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------- */

static bool is_quota_line(const char *line)
{
	line += strspn(line, " \t");
	if (strncmp(line, "quota", 5) != 0)
		return false;
	line += 5;
	return line[strspn(line, " \t")] == '=';
}

int launch_cache_settings_set_quota(uint64_t quota, struct err *e)
{
	auto_buf struct buf old = BUF_INIT(FILE_MAX), text = BUF_INIT(2 * FILE_MAX);
	auto_free char *path = conf_path(true, e);

	if (!path || read_conf(path, &old, e) < 0)
		return -1;
	for (const char *line = (const char *)old.data; *line;) {
		size_t len = strcspn(line, "\n");

		if (!is_quota_line(line) &&
		    (buf_add(&text, line, len, e) < 0 || buf_add_str(&text, "\n", e) < 0))
			return -1;
		line += len + (line[len] == '\n');
	}
	if (quota && buf_printf(&text, e, "quota = %llu\n", (unsigned long long)quota) < 0)
		return -1;
	return fd_write_file(AT_FDCWD, path, text.data ? text.data : (const void *)"", text.len, 0600, e);
}

/* ---- opening ---------------------------------------------------------------------------- */

static int apply_settings(struct stream_cache *c, struct err *e)
{
	auto_cache_settings struct launch_cache_settings s = { 0 };

	if (launch_cache_settings_read(&s, e) < 0)
		return -1;
	stream_cache_limit(c, s.quota);
	return s.shared_store ? stream_cache_share(c, s.shared_store, e) : 0;
}

int launch_cache_open(struct stream_cache **ret, struct err *ret_note, struct err *e)
{
	auto_free char *dir = path_cache_dir(true, e);

	if (!dir || stream_cache_open(dir, ret, e) < 0)
		return -1;
	if (apply_settings(*ret, ret_note) == 0)
		ret_note->code = ERR_NONE;
	return 0;
}
