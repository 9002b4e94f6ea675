/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: scoped ownership, growing buffers that know their maximum, and an arena.
 *
 * Nothing here aborts on lack of memory: allocation failures come back as ERR_NOMEM.
 * No function blocks. A buf or an arena belongs to one thread at a time. */
#ifndef FLOE_BASE_MEM_H
#define FLOE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "base/err.h"

/* ---- scoped ownership ------------------------------------------------------------------- */

#define auto_free   __attribute__((cleanup(mem_free_ptr)))
#define auto_fclose __attribute__((cleanup(mem_fclose_ptr)))

static inline void mem_free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void mem_fclose_ptr(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

/* Hands out what an auto_* variable owns, leaving NULL behind. */
#define mem_steal(p)                                                                                         \
	(__extension__({                                                                                     \
		__typeof__(p) mem_stolen_ = (p);                                                             \
		(p) = NULL;                                                                                  \
		mem_stolen_;                                                                                 \
	}))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* malloc / calloc / realloc of count*size with the overflow checked; the caller frees.
 * NULL with *e filled on failure. A count or size of 0 yields a valid, freeable pointer. */
void *mem_alloc(size_t count, size_t size, struct err *e) FLOE_MUST_USE; /* zero-filled */
void *mem_grow(void *old, size_t count, size_t size, struct err *e) FLOE_MUST_USE;
char *mem_strdup(const char *s, struct err *e) FLOE_MUST_USE;
char *mem_strndup(const char *s, size_t len, struct err *e) FLOE_MUST_USE;
char *mem_printf(struct err *e, const char *fmt, ...) FLOE_PRINTF(2, 3) FLOE_MUST_USE;

/* ---- buf: bytes that grow up to a maximum given at creation ------------------------------ */

struct buf {
	uint8_t *data; /* owned; NULL while empty. buf_text() keeps a NUL behind the content */
	size_t len;
	size_t cap;
	size_t max;
};

#define BUF_INIT(max_len)                                                                                    \
	{                                                                                                    \
		NULL, 0, 0, (max_len)                                                                        \
	}
#define auto_buf __attribute__((cleanup(buf_fini)))

void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory */
/* ERR_LIMIT when the maximum would be passed, ERR_NOMEM; the content stays as it was. */
int buf_reserve(struct buf *b, size_t extra, struct err *e) FLOE_MUST_USE;
int buf_add(struct buf *b, const void *data, size_t len, struct err *e) FLOE_MUST_USE;
int buf_add_str(struct buf *b, const char *s, struct err *e) FLOE_MUST_USE;
int buf_printf(struct buf *b, struct err *e, const char *fmt, ...) FLOE_PRINTF(3, 4) FLOE_MUST_USE;
/* The content as a NUL-terminated string, borrowed until the next change; NULL on lack of memory. */
const char *buf_text(struct buf *b, struct err *e) FLOE_MUST_USE;

/* ---- arena: many small allocations, freed as one ----------------------------------------- */

struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes handed out */
	size_t max;
};

#define ARENA_INIT(max_len)                                                                                  \
	{                                                                                                    \
		NULL, 0, (max_len)                                                                           \
	}

void arena_fini(struct arena *a);
/* Zero-filled, aligned to 16, lives until arena_fini. ERR_LIMIT past the maximum. */
void *arena_alloc(struct arena *a, size_t count, size_t size, struct err *e) FLOE_MUST_USE;
char *arena_strndup(struct arena *a, const char *s, size_t len, struct err *e) FLOE_MUST_USE;

#endif
