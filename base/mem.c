/* SPDX-License-Identifier: Apache-2.0 */
/* Memory helpers; see mem.h. */
#include "base/mem.h"

#include <stdarg.h>
#include <string.h>

enum { ARENA_BLOCK = 64 * 1024, ARENA_ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	_Alignas(ARENA_ALIGN) uint8_t bytes[];
};

static int product(size_t count, size_t size, size_t *ret, struct err *e)
{
	if (__builtin_mul_overflow(count, size, ret))
		return err_set(e, ERR_LIMIT, "allocation of %zu x %zu bytes is too large", count, size);
	return 0;
}

void *mem_alloc(size_t count, size_t size, struct err *e)
{
	size_t len;
	void *p;

	if (product(count, size, &len, e) < 0)
		return NULL;
	p = calloc(1, len ? len : 1);
	if (!p)
		(void)err_set(e, ERR_NOMEM, "out of memory (%zu bytes)", len);
	return p;
}

void *mem_grow(void *old, size_t count, size_t size, struct err *e)
{
	size_t len;
	void *p;

	if (product(count, size, &len, e) < 0)
		return NULL;
	p = realloc(old, len ? len : 1);
	if (!p)
		(void)err_set(e, ERR_NOMEM, "out of memory (%zu bytes)", len);
	return p;
}

char *mem_strndup(const char *s, size_t len, struct err *e)
{
	char *p = mem_alloc(len + 1, 1, e);

	if (p && len)
		memcpy(p, s, len);
	return p;
}

char *mem_strdup(const char *s, struct err *e)
{
	return mem_strndup(s, strlen(s), e);
}

char *mem_printf(struct err *e, const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0) {
		(void)err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return p;
}

/* ---- buf ---------------------------------------------------------------------------------- */

void buf_fini(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
}

int buf_reserve(struct buf *b, size_t extra, struct err *e)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, extra, &need) || need > b->max)
		return err_set(e, ERR_LIMIT, "more than %zu bytes", b->max);
	if (need < b->cap) /* one byte stays free for buf_text's NUL */
		return 0;
	cap = b->cap ? b->cap : 256;
	while (cap <= need)
		cap *= 2;
	p = mem_grow(b->data, cap, 1, e);
	if (!p)
		return -1;
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len, struct err *e)
{
	if (buf_reserve(b, len, e) < 0)
		return -1;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *e)
{
	return buf_add(b, s, strlen(s), e);
}

int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap, again;
	int n, rc = 0;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		rc = err_set(e, ERR_FORMAT, "cannot format text");
	else
		rc = buf_reserve(b, (size_t)n, e);
	if (rc == 0) {
		(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
	return rc;
}

const char *buf_text(struct buf *b, struct err *e)
{
	if (buf_reserve(b, 0, e) < 0)
		return NULL;
	b->data[b->len] = 0;
	return (const char *)b->data;
}

/* ---- arena -------------------------------------------------------------------------------- */

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}

void *arena_alloc(struct arena *a, size_t count, size_t size, struct err *e)
{
	struct arena_block *blk = a->blocks;
	size_t len, total;
	void *p;

	if (product(count, size, &len, e) < 0)
		return NULL;
	if (__builtin_add_overflow(len, (size_t)ARENA_ALIGN - 1, &len)) {
		(void)err_set(e, ERR_LIMIT, "allocation too large");
		return NULL;
	}
	len &= ~((size_t)ARENA_ALIGN - 1);
	if (__builtin_add_overflow(a->used, len, &total) || total > a->max) {
		(void)err_set(e, ERR_LIMIT, "more than %zu bytes of memory needed", a->max);
		return NULL;
	}
	if (!blk || blk->cap - blk->used < len) {
		size_t cap = len > ARENA_BLOCK ? len : ARENA_BLOCK;

		blk = mem_alloc(1, sizeof(*blk) + cap, e);
		if (!blk)
			return NULL;
		blk->cap = cap;
		blk->next = a->blocks;
		a->blocks = blk;
	}
	p = blk->bytes + blk->used;
	blk->used += len;
	a->used = total;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len, struct err *e)
{
	char *p = arena_alloc(a, len + 1, 1, e);

	if (p && len)
		memcpy(p, s, len);
	return p;
}
