/* SPDX-License-Identifier: Apache-2.0 */
/* Tables; see table.h. */
#include "launcher/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void launch_table_fini(struct launch_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->count = t->cap = 0;
}

char *launch_table_escape(const char *text, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);
	const char *done;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		int rc;

		if (*p == '\\')
			rc = buf_add_str(&b, "\\\\", e);
		else if (*p == '\n')
			rc = buf_add_str(&b, "\\n", e);
		else if (*p == '\t')
			rc = buf_add_str(&b, "\\t", e);
		else if (*p < 0x20 || *p == 0x7f)
			rc = buf_printf(&b, e, "\\x%02x", *p);
		else
			rc = buf_add(&b, p, 1, e);
		if (rc < 0)
			return NULL;
	}
	done = buf_text(&b, e);
	return done ? mem_strdup(done, e) : NULL;
}

static int add_owned(struct launch_table *t, char *cell, struct err *e)
{
	if (!cell)
		return -1;
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **grown = mem_grow(t->cells, cap, sizeof(*grown), e);

		if (!grown) {
			free(cell);
			return -1;
		}
		t->cells = grown;
		t->cap = cap;
	}
	t->cells[t->count++] = cell;
	return 0;
}

int launch_table_add(struct launch_table *t, const char *text, struct err *e)
{
	return add_owned(t, launch_table_escape(text, e), e);
}

int launch_table_addf(struct launch_table *t, struct err *e, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return err_set(e, ERR_NOMEM, "not enough memory");
	}
	return launch_table_add(t, text, e);
}

/* Columns on the terminal: UTF-8 continuation bytes take none. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static const char *head_text(const struct launch_table *t, size_t column)
{
	return t->heads[column] + (*t->heads[column] == '>');
}

static size_t column_width(const struct launch_table *t, size_t column)
{
	size_t width = width_of(head_text(t, column));

	for (size_t i = column; i < t->count; i += t->columns)
		if (width_of(t->cells[i]) > width)
			width = width_of(t->cells[i]);
	return width;
}

static void put_cell(const struct launch_table *t, size_t column, const char *text, size_t width)
{
	size_t pad = width - width_of(text);
	bool is_right = *t->heads[column] == '>', is_last = column + 1 == t->columns;

	(void)printf("%*s%s", is_right ? (int)pad : 0, "", text);
	(void)printf("%*s", is_last ? 0 : (int)(is_right ? 2 : pad + 2), "");
	if (is_last)
		(void)putchar('\n');
}

void launch_table_print(const struct launch_table *t)
{
	struct err e;
	auto_free size_t *widths = mem_alloc(t->columns, sizeof(*widths), &e);

	if (!widths)
		return;
	for (size_t c = 0; c < t->columns; c++) {
		widths[c] = column_width(t, c);
		put_cell(t, c, head_text(t, c), widths[c]);
	}
	for (size_t i = 0; i < t->count; i++)
		put_cell(t, i % t->columns, t->cells[i], widths[i % t->columns]);
}

void launch_table_time(long long seconds, char ret[32])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	*ret = 0;
	if (seconds > 0 && localtime_r(&when, &tm))
		(void)strftime(ret, 32, "%Y-%m-%d %H:%M", &tm);
}
