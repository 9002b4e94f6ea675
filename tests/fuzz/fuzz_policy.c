/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of settings (export, import, policy files): refused or understood, and what is understood comes back
 * from its own text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry-shim/policy.h"
#include "registry-shim/setting_line.h"
#include "tests/fuzz/fuzz.h"

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void write_again(const struct reg_policy_rule *r)
{
	auto_buf struct buf text = BUF_INIT(16 * 1024 * 1024);
	auto_reg_line l = { 0 };
	struct err e;

	if (reg_line_add(&text, "lock", r->file, r->key, r->value, &e) < 0 || !buf_text(&text, &e))
		abort();
	if (text.data[text.len - 1] != '\n' || memchr(text.data, '\n', text.len - 1))
		abort();
	text.data[text.len - 1] = 0;
	if (reg_line_parse((char *)text.data, &l, &e) < 0 || !is_same(l.file, r->file) ||
	    !is_same(l.key, r->key) || !is_same(l.value, r->value))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_reg_policy policy = { 0 }, unpacked = { 0 };
	auto_free char *text = malloc(len + 1);
	struct err e;

	if (!text)
		abort();
	memcpy(text, data, len);
	text[len] = 0;
	if (reg_policy_parse(text, "fuzzed", &policy, &e) == 0)
		for (size_t i = 0; i < policy.count; i++)
			write_again(&policy.rules[i]);
	(void)!reg_policy_unpack((const char *)data, len, &unpacked, &e);
	return 0;
}
