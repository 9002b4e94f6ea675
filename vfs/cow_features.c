/* SPDX-License-Identifier: Apache-2.0 */
/* The feature marker of an upper; see cow_upper.h. libc only: the holder asks it which engine may serve. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "vfs/cow_upper_state.h"

static const struct {
	enum cow_feature bit;
	const char *name;
} known[] = {
	{ COW_FEATURE_REDIRECT, "redirect" },
	{ COW_FEATURE_LINKS, "links" },
	{ COW_FEATURE_LAZY, "lazy" },
	{ COW_FEATURE_OWNER, "owner" },
};

void cow_features_text(unsigned features, char ret[COW_FEATURES_TEXT_MAX])
{
	size_t len = 0;

	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (features & known[i].bit)
			len += (size_t)snprintf(ret + len, COW_FEATURES_TEXT_MAX - len, "%s%s",
						len ? " " : "", known[i].name);
}

static unsigned feature_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i].name) == len && !memcmp(known[i].name, name, len))
			return known[i].bit;
	return 0;
}

static int parse(const char *upper, const char *text, unsigned *ret, struct err *e)
{
	unsigned features = 0;

	for (;;) {
		size_t len;
		unsigned bit;

		text += strspn(text, " ");
		len = strcspn(text, " ");
		if (!len)
			break;
		bit = feature_of(text, len);
		if (!bit)
			return err_set(e, ERR_UNSUPPORTED, "%s was made by a newer floe: it uses \"%.*s\"",
				       upper, (int)(len > 40 ? 40 : len), text);
		features |= bit;
		text += len;
	}
	*ret = features;
	return 0;
}

int cow_upper_features(const char *upper, unsigned *ret, struct err *e)
{
	char text[512];
	ssize_t len = getxattr(upper, COW_ATTR_FEATURES, text, sizeof(text) - 1);

	if (len < 0 && (errno == ENODATA || errno == ENOTSUP || errno == ENOENT)) {
		*ret = 0;
		return 0;
	}
	if (len < 0 && errno == ERANGE)
		return err_set(e, ERR_UNSUPPORTED, "%s was made by a newer floe: it uses much", upper);
	if (len < 0)
		return err_sys(e, errno, "%s", upper);
	text[len] = 0;
	return parse(upper, text, ret, e);
}
