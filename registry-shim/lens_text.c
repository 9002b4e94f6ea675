/* SPDX-License-Identifier: Apache-2.0 */
/* Characters; see lens_text.h. */
#include "registry-shim/lens_text.h"

size_t text_skip_blanks(const char *s, size_t at, size_t len)
{
	while (at < len && (s[at] == ' ' || s[at] == '\t'))
		at++;
	return at;
}

static bool is_surrogate(unsigned long c)
{
	return c >= 0xd800 && c <= 0xdfff;
}

int text_add_code_point(unsigned long c, struct buf *ret, struct err *e)
{
	size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	char b[4];

	if (c == 0 || c > 0x10ffff || is_surrogate(c))
		return err_set(e, ERR_FORMAT, "U+%04lX is no character of a text", c);
	for (size_t i = more; i > 0; i--, c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(more ? (0xff00 >> (more + 1) & 0xff) | c : c);
	return buf_add(ret, b, more + 1, e);
}

size_t text_code_point(const char *s, size_t len, unsigned long *ret)
{
	static const unsigned long least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)*s;
	size_t more = first < 0x80   ? 0
		      : first < 0xc0 ? 4
		      : first < 0xe0 ? 1
		      : first < 0xf0 ? 2
		      : first < 0xf8 ? 3
				     : 4;
	unsigned long c = more ? first & (0x3fU >> more) : first;

	if (more > 3 || more >= len)
		return 0;
	for (size_t i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || is_surrogate(c))
		return 0;
	*ret = c;
	return more + 1;
}

long text_hex(const char *s, size_t len, size_t digits)
{
	long v = 0;

	if (len < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		char c = s[i], low = (char)(c | 0x20);

		if (!(c >= '0' && c <= '9') && !(low >= 'a' && low <= 'f'))
			return -1;
		v = v << 4 | (c <= '9' ? c - '0' : low - 'a' + 10);
	}
	return v;
}

size_t text_utf16(const char *s, size_t len, unsigned long *ret)
{
	long c = text_hex(s, len, 4), low;

	if (c <= 0 || (c >= 0xdc00 && c <= 0xdfff))
		return 0;
	*ret = (unsigned long)c;
	if (c < 0xd800 || c > 0xdbff)
		return 4;
	low = len > 6 && s[4] == '\\' && s[5] == 'u' ? text_hex(s + 6, len - 6, 4) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*ret = 0x10000 + ((unsigned long)(c - 0xd800) << 10) + (unsigned long)(low - 0xdc00);
	return 10;
}

int text_string_value(const char *spelled, size_t len,
		      int (*read)(const char *spelled, size_t len, struct buf *ret, struct err *e),
		      bool (*is_spelled)(const char *text, size_t len), struct buf *ret, struct err *e)
{
	size_t start = ret->len;
	int none = read(spelled, len, ret, e);

	if (none < 0)
		return -1;
	if (none == 0 && (ret->len == start || !is_spelled((char *)ret->data + start, ret->len - start)))
		return 0;
	ret->len = start;
	return buf_add(ret, spelled, len, e);
}
