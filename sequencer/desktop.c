/* SPDX-License-Identifier: Apache-2.0 */
/* Desktop entries; see desktop.h. */
#include "sequencer/desktop.h"

#include <string.h>

void seq_desktop_fini(struct seq_desktop *d)
{
	free(d->name);
	free(d->exec);
	free(d->icon);
	free(d->mime_types);
	free(d->program);
	*d = (struct seq_desktop){ 0 };
}

static bool key_is(const char *line, size_t len, const char *key, const char **ret_value, size_t *ret_len)
{
	size_t n = strlen(key);
	const char *p = line + n, *end = line + len;

	if (len <= n || strncmp(line, key, n))
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p != '=')
		return false;
	p++;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*ret_value = p;
	*ret_len = (size_t)(end - p);
	return true;
}

/* The first value of a key counts. */
static int keep(char **field, const char *value, size_t len, struct err *e)
{
	if (*field)
		return 0;
	*field = mem_strndup(value, len, e);
	return *field ? 0 : -1;
}

static int take_line(struct seq_desktop *d, const char *line, size_t len, bool *is_application, struct err *e)
{
	const char *v;
	size_t n;

	if (key_is(line, len, "Type", &v, &n))
		*is_application = n == 11 && !strncmp(v, "Application", n);
	if (key_is(line, len, "NoDisplay", &v, &n) || key_is(line, len, "Hidden", &v, &n))
		d->no_display |= n == 4 && !strncmp(v, "true", n);
	if (key_is(line, len, "Terminal", &v, &n))
		d->is_terminal = n == 4 && !strncmp(v, "true", n);
	if (key_is(line, len, "Name", &v, &n))
		return keep(&d->name, v, n, e);
	if (key_is(line, len, "Exec", &v, &n))
		return keep(&d->exec, v, n, e);
	if (key_is(line, len, "Icon", &v, &n))
		return keep(&d->icon, v, n, e);
	if (key_is(line, len, "MimeType", &v, &n))
		return keep(&d->mime_types, v, n, e);
	return 0;
}

/* "env A=b /usr/bin/x %U" means x. */
static int find_program(struct seq_desktop *d, struct err *e)
{
	auto_free char **words = NULL;
	size_t i = 0;

	if (seq_words_split(d->exec, &words, e) < 0)
		return -1;
	if (words[0] && (!strcmp(words[0], "env") || !strcmp(words[0], "/usr/bin/env")))
		for (i = 1; words[i] && (strchr(words[i], '=') || words[i][0] == '-'); i++)
			;
	if (!words[i] || !*words[i])
		return err_set(e, ERR_FORMAT, "Exec is empty");
	d->program = mem_strdup(words[i], e);
	return d->program ? 0 : -1;
}

int seq_desktop_parse(const char *text, size_t len, struct seq_desktop *ret, struct err *e)
{
	struct seq_desktop d = { 0 };
	bool in_entry = false, is_application = false;
	int rc = 0;

	if (len > SEQ_DESKTOP_TEXT_MAX || memchr(text, 0, len))
		return err_set(e, ERR_FORMAT, "not a desktop entry");
	for (const char *p = text, *end = text + len; rc == 0 && p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((eol ? eol : end) - p);

		if (*p == '[')
			in_entry = n >= 15 && !strncmp(p, "[Desktop Entry]", 15);
		else if (in_entry)
			rc = take_line(&d, p, n, &is_application, e);
		p += n + 1;
	}
	if (rc == 0 && (!is_application || !d.exec))
		rc = err_set(e, ERR_FORMAT, "not an application's desktop entry");
	if (rc == 0)
		rc = find_program(&d, e);
	if (rc < 0) {
		seq_desktop_fini(&d);
		return -1;
	}
	*ret = d;
	return 0;
}

/* One word from *line to *out, which has room for all of it. False at the end of the line. */
static bool take_word(const char **line, char **out, bool *ret_open)
{
	const char *p = *line;
	char quote = 0;

	p += strspn(p, " \t\r\n");
	if (!*p)
		return false;
	for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
		if (*p == '\\' && quote != '\'' && p[1])
			*(*out)++ = *++p;
		else if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else
			*(*out)++ = *p;
	}
	*(*out)++ = 0;
	*line = p;
	*ret_open = quote != 0;
	return true;
}

int seq_words_split(const char *line, char ***ret, struct err *e)
{
	size_t len = strlen(line), max = len / 2 + 2, count = 0;
	char **words = mem_alloc(1, max * sizeof(*words) + len + 2, e);
	bool open = false;
	char *out;

	if (!words)
		return -1;
	out = (char *)(words + max);
	for (char *start = out; take_word(&line, &out, &open); start = out)
		words[count++] = start;
	if (open) {
		free(words);
		return err_set(e, ERR_USAGE, "a quote does not end: %s", line);
	}
	*ret = words;
	return 0;
}
