/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of keys; see lens_part.h. */
#include "registry-shim/lens_part.h"

#include <string.h>

int doc_spell(const char *name, size_t len, struct buf *ret, struct err *e)
{
	size_t plain = 0;

	if (len == 0)
		return buf_add(ret, "%", 1, e);
	for (size_t i = 0; i < len; i++) {
		if (name[i] != '/' && name[i] != '%')
			continue;
		if (buf_add(ret, name + plain, i - plain, e) < 0 ||
		    buf_add(ret, name[i] == '/' ? "%2F" : "%25", 3, e) < 0)
			return -1;
		plain = i + 1;
	}
	return buf_add(ret, name + plain, len - plain, e);
}

int doc_unspell(const char *part, size_t len, struct buf *ret, struct err *e)
{
	if (len == 1 && *part == '%')
		return 0;
	if (len == 0)
		return err_set(e, ERR_USAGE, "a part of a key without a name is written %%");
	for (size_t i = 0; i < len; i++) {
		char c = part[i];

		if (c == '%' && len - i >= 3 && !memcmp(part + i, "%2F", 3))
			c = '/';
		else if (c == '%' && (len - i < 3 || memcmp(part + i, "%25", 3) != 0))
			return err_set(e, ERR_USAGE, "%.*s: in a key '%%' is written %%25", (int)len, part);
		if (part[i] == '%')
			i += 2;
		if (buf_add(ret, &c, 1, e) < 0)
			return -1;
	}
	return 0;
}
