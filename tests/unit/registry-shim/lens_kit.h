/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of one lens: what it reads, what a change makes of a text, and what it refuses. */
#ifndef FLOE_TESTS_LENS_KIT_H
#define FLOE_TESTS_LENS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "registry-shim/lens.h"

static inline struct reg_doc *kit_parse(const char *lens, const char *text)
{
	struct reg_doc *d = NULL;
	struct err e;

	assert_non_null(reg_lens_find(lens));
	if (reg_doc_parse(reg_lens_find(lens), text, strlen(text), &d, &e) < 0)
		fail_msg("%s: %s: %s", lens, e.msg, text);
	return d;
}

static inline void kit_assert_renders(const struct reg_doc *d, const char *want)
{
	auto_buf struct buf got = BUF_INIT(64 * 1024 * 1024);
	struct err e;

	assert_int_equal(reg_doc_render(d, &got, &e), 0);
	assert_non_null(buf_text(&got, &e));
	assert_string_equal((char *)got.data, want);
}

/* "key=value" lines: all keys in order. */
static inline void kit_assert_reads(const char *lens, const char *text, const char *want)
{
	auto_buf struct buf got = BUF_INIT(1024 * 1024);
	struct reg_doc *d = kit_parse(lens, text);
	const char *key, *value;
	struct err e;

	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
		assert_int_equal(buf_printf(&got, &e, "%s=%s\n", key, value), 0);
	assert_string_equal(buf_text(&got, &e), want);
	reg_doc_free(d);
}

/* value NULL: unset. */
static inline void kit_assert_after(const char *lens, const char *text, const char *key, const char *value,
				    const char *want)
{
	struct reg_doc *d = kit_parse(lens, text), *again;
	const char *a, *b;
	struct err e;

	if (!value)
		assert_int_equal(reg_doc_unset(d, key, &e), 0);
	else if (reg_doc_set(d, key, value, &e) < 0)
		fail_msg("%s = %s: %s", key, value, e.msg);
	kit_assert_renders(d, want);
	again = kit_parse(lens, want);
	a = reg_doc_get(d, key);
	b = reg_doc_get(again, key);
	assert_true(!a == !b && !a == !value);
	if (a)
		assert_string_equal(a, b);
	reg_doc_free(d);
	reg_doc_free(again);
}

/* The document stays as it was. */
static inline void kit_assert_cannot(const char *lens, const char *text, const char *key, const char *value)
{
	struct reg_doc *d = kit_parse(lens, text);
	struct err e;

	if (reg_doc_set(d, key, value, &e) == 0)
		fail_msg("%s took %s = %s", lens, key, value);
	assert_int_equal(e.code, ERR_USAGE);
	kit_assert_renders(d, text);
	reg_doc_free(d);
}

/* `why`: what the message begins with. */
static inline void kit_assert_refused(const char *lens, const char *text, const char *why)
{
	struct reg_doc *d = NULL;
	struct err e;

	if (reg_doc_parse(reg_lens_find(lens), text, strlen(text), &d, &e) == 0)
		fail_msg("%s took %s", lens, text);
	assert_int_equal(e.code, ERR_FORMAT);
	if (strncmp(e.msg, why, strlen(why)) != 0)
		fail_msg("%s: \"%s\" and not \"%s\"", text, e.msg, why);
	assert_null(d);
}

static inline void kit_assert_guess(const char *path, const char *text, const char *want)
{
	const struct reg_lens *l = reg_lens_guess(path, text, strlen(text));

	if (!want)
		assert_null(l);
	else if (!l || strcmp(reg_lens_name(l), want) != 0)
		fail_msg("%s is taken for %s", path, l ? reg_lens_name(l) : "nothing");
}

#endif
