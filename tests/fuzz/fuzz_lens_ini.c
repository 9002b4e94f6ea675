/* SPDX-License-Identifier: Apache-2.0 */
/* The INI lens under any text: parse and render give the same bytes; what is set is read back; what is unset
 * is gone; and a rendered document parses again. */
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

static void check_rendering(const struct reg_lens *l, const struct reg_doc *d, const void *want, size_t len)
{
	struct buf out = BUF_INIT(2 * (size_t)REG_TEXT_MAX);
	struct err e;

	check(l->render(d, &out, &e) == 0 && out.len == len && (!len || !memcmp(out.data, want, len)));
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

	check(l->render(d, &out, &e) == 0);
	check(l->parse((char *)out.data, out.len, &again, &e) == 0);
	got = l->get(again, key);
	check(value ? got && !strcmp(got, value) : !got);
	l->free(again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct reg_lens *l = reg_lens_find("ini");
	const char *key, *value;
	struct reg_doc *d;
	struct err e;
	size_t n = 0;

	(void)reg_lens_guess("x", (const char *)data, len);
	if (l->parse((const char *)data, len, &d, &e) < 0)
		return 0;
	check_rendering(l, d, data, len);
	for (size_t pos = 0; n < 3 && l->next(d, &pos, &key, &value); n++) {
		char *k = strdup(key), *v = strdup(value);

		check(l->set(d, k, v, &e) == 0);
		check_rendering(l, d, data, len);
		if (n == 0 && l->set(d, k, "new", &e) == 0)
			check_reading(l, d, k, "new");
		(void)l->set(d, k, v, &e);
		if (n == 1) {
			l->unset(d, k);
			check_reading(l, d, k, NULL);
			if (l->set(d, k, v, &e) == 0)
				check_reading(l, d, k, v);
			n = 3;
		}
		free(k);
		free(v);
	}
	if (len < 200 && !memchr(data, 0, len)) { /* the text itself as a key and as a value */
		char text[200] = { 0 };

		memcpy(text, data, len);
		if (*text && l->set(d, text, "x", &e) == 0)
			check_reading(l, d, text, "x");
		if (l->set(d, "s/k", text, &e) == 0)
			check_reading(l, d, "s/k", text);
	}
	l->free(d);
	return 0;
}
