/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text; see bytes.h. */
#include "base/bytes.h"

#include <stdio.h>

_Static_assert(sizeof(struct le16) == 2 && sizeof(struct le32) == 4 && sizeof(struct le64) == 8,
	       "wire integers have no padding");

void bytes_to_hex(const void *data, size_t len, char *ret)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		*ret++ = digit[p[i] >> 4];
		*ret++ = digit[p[i] & 15];
	}
	*ret = 0;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int bytes_from_hex(const char *hex, void *ret, size_t len)
{
	uint8_t *out = ret;

	for (size_t i = 0; i < len; i++) {
		int hi = nibble(hex[2 * i]);
		int lo = hi < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (lo < 0)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return hex[2 * len] ? -1 : 0;
}

void bytes_human(uint64_t len, char ret[32])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)len;
	int i = 0;

	while (v >= 1024 && i < 6) {
		v /= 1024;
		i++;
	}
	(void)snprintf(ret, 32, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
}
