/* SPDX-License-Identifier: Apache-2.0 */
/* The text file NAME/environment; see environment_record.h. Written by us, but the user may have edited it:
 * unknown keys and lines without "=" are let be, a missing or later format is not. */
#include "launcher/environment_record.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"

#define RECORD "environment"
#define FORMAT 1

enum { RECORD_MAX = 64 * 1024 };

static int set_field(char **field, const char *value, size_t len, struct err *e)
{
	char *copy = mem_strndup(value, len, e);

	if (!copy)
		return -1;
	free(*field);
	*field = copy;
	return 0;
}

static int64_t parse_seconds(const char *value, size_t len)
{
	int64_t n = 0;

	for (size_t i = 0; i < len && value[i] >= '0' && value[i] <= '9' && n < INT64_MAX / 16; i++)
		n = n * 10 + (value[i] - '0');
	return n;
}

static int parse_line(struct launch_environment *env, const char *key, size_t key_len, const char *value,
		      size_t len, bool *has_format, struct err *e)
{
	const struct {
		const char *key;
		char **field;
	} fields[] = {
		{ "package", &env->package }, { "version", &env->version }, { "root", &env->root },
		{ "source", &env->source },   { "engine", &env->engine },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strlen(fields[i].key) == key_len && !memcmp(fields[i].key, key, key_len))
			return set_field(fields[i].field, value, len, e);
	if (key_len == 7 && !memcmp(key, "created", 7))
		env->created_s = parse_seconds(value, len);
	if (key_len == 6 && !memcmp(key, "format", 6)) {
		if (parse_seconds(value, len) != FORMAT)
			return err_set(e, ERR_UNSUPPORTED,
				       "environment %s was made by a newer floe (format %.*s)", env->name,
				       (int)(len < 20 ? len : 20), value);
		*has_format = true;
	}
	return 0; /* keys of later versions are let be */
}

int launch_environment_record_read(struct launch_environment *env, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(RECORD_MAX);
	auto_free char *path = path_join(env->dir, RECORD, e);
	bool has_format = false;
	const char *p, *end;

	if (!path || fd_read_file(AT_FDCWD, path, &b, e) < 0)
		return -1;
	if (b.len && memchr(b.data, 0, b.len))
		return err_set(e, ERR_FORMAT, "%s: damaged", path);
	p = buf_text(&b, e);
	if (!p)
		return -1;
	for (; *p; p = *end ? end + 1 : end) {
		const char *equals;

		end = strchrnul(p, '\n');
		equals = memchr(p, '=', (size_t)(end - p));
		if (equals && parse_line(env, p, (size_t)(equals - p), equals + 1, (size_t)(end - equals - 1),
					 &has_format, e) < 0)
			return -1;
	}
	if (!has_format)
		return err_set(e, ERR_FORMAT, "%s: damaged", path);
	return 0;
}

int launch_environment_record_write(int dir_fd, const struct launch_environment_record *r, struct err *e)
{
	const char *const values[] = { r->package, r->version, r->root, r->source, r->engine };
	auto_buf struct buf b = BUF_INIT(RECORD_MAX);

	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (strchr(values[i], '\n'))
			return err_set(e, ERR_FORMAT,
				       "a name, version, source or engine with a line break in it");
	if (buf_printf(&b, e,
		       "format=%d\npackage=%s\nversion=%s\nroot=%s\nsource=%s\nengine=%s\ncreated=%lld\n",
		       FORMAT, r->package, r->version, r->root, r->source, r->engine,
		       (long long)r->created_s) < 0)
		return -1;
	return fd_write_file(dir_fd, RECORD, b.data, b.len, 0600, e);
}
