/* SPDX-License-Identifier: Apache-2.0 */
/* The lens FUZZ_LENS under any text: parse and render give the same bytes; what is set is read back; what is
 * unset is gone; and a rendered document parses again and says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry-shim/lens.h"
#include "tests/fuzz/fuzz.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_rendering(const struct reg_doc *d, const void *want, size_t len)
{
	struct buf out = BUF_INIT(2 * (size_t)REG_TEXT_MAX);
	struct err e;

	check(reg_doc_render(d, &out, &e) == 0 && out.len == len && (!len || !memcmp(out.data, want, len)));
	buf_fini(&out);
}

/* After a change: what the document says is what its text says. */
static void check_reading(const struct reg_lens *l, const struct reg_doc *d, const char *key,
			  const char *value)
{
	struct buf out = BUF_INIT(2 * (size_t)REG_TEXT_MAX);
	struct reg_doc *again;
	struct err e;
	const char *got;

	check(reg_doc_render(d, &out, &e) == 0);
	check(reg_doc_parse(l, (char *)out.data, out.len, &again, &e) == 0);
	got = reg_doc_get(again, key);
	check(value ? got && !strcmp(got, value) : !got);
	reg_doc_free(again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct reg_lens *l = reg_lens_find(FUZZ_LENS);
	const char *key, *value;
	struct reg_doc *d;
	struct err e;
	size_t n = 0;

	(void)reg_lens_guess("x", (const char *)data, len);
	if (reg_doc_parse(l, (const char *)data, len, &d, &e) < 0)
		return 0;
	check_rendering(d, data, len);
	for (size_t pos = 0; n < 3 && reg_doc_next(d, &pos, &key, &value); n++) {
		char *k = strdup(key), *v = strdup(value);

		struct buf before = BUF_INIT(2 * (size_t)REG_TEXT_MAX);

		check(reg_doc_render(d, &before, &e) == 0 && reg_doc_set(d, k, v, &e) == 0);
		check_rendering(d, before.data, before.len);
		buf_fini(&before);
		if (n == 0 && reg_doc_set(d, k, "new", &e) == 0)
			check_reading(l, d, k, "new");
		(void)reg_doc_set(d, k, v, &e);
		if (n == 1) {
			if (reg_doc_unset(d, k, &e) == 0)
				check_reading(l, d, k, NULL);
			else /* which only Augeas' may refuse */
				check(!strncmp(FUZZ_LENS, "augeas:", 7) && e.code == ERR_USAGE);
			if (reg_doc_set(d, k, v, &e) == 0)
				check_reading(l, d, k, v);
			n = 3;
		}
		free(k);
		free(v);
	}
	if (len < 200 && !memchr(data, 0, len)) { /* the text itself as a key and as a value */
		char text[200] = { 0 };

		memcpy(text, data, len);
		if (*text && reg_doc_set(d, text, "x", &e) == 0)
			check_reading(l, d, text, "x");
		if (reg_doc_set(d, "s/k", text, &e) == 0)
			check_reading(l, d, "s/k", reg_doc_get(d, "s/k"));
	}
	reg_doc_free(d);
	return 0;
}
