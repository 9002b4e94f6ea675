/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for --json; see json_output.h. */
#include "launcher/json_output.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Length of the well-formed UTF-8 sequence that p starts with (RFC 3629), 0 for none. */
static size_t sequence_len(const uint8_t *p)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
	};

	for (size_t len = 1; len <= ARRAY_LEN(forms); len++) {
		uint32_t point = p[0] & (uint8_t)~forms[len - 1].mask;

		if ((p[0] & forms[len - 1].mask) != forms[len - 1].lead)
			continue;
		for (size_t i = 1; i < len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (p[i] & 0x3f);
		}
		if (point < forms[len - 1].least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
			return 0;
		return len;
	}
	return 0;
}

json_t *launch_json_bytes(const char *bytes)
{
	auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);
	const char *p = bytes, *text;
	struct err e;

	while (*p) {
		size_t len = sequence_len((const uint8_t *)p);

		if ((len ? buf_add(&b, p, len, &e) : buf_add_str(&b, "\xef\xbf\xbd", &e)) < 0)
			return NULL;
		p += len ? len : 1;
	}
	text = buf_text(&b, &e);
	return text ? json_string(text) : NULL;
}

json_t *launch_json_bytes_or_null(const char *bytes)
{
	return bytes ? launch_json_bytes(bytes) : json_null();
}

int launch_json_append(json_t *list, json_t *row, struct err *e)
{
	return json_array_append_new(list, row) < 0 ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

int launch_json_print(json_t *root)
{
	int rc = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;

	json_decref(root);
	if (rc < 0) {
		log_error("cannot print JSON: not enough memory, or the output is closed");
		return 125;
	}
	(void)putchar('\n');
	return 0;
}
