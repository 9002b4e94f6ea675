/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_attr_name.h. */
#include "vfs/cow_attr_name.h"

#include <stdio.h>
#include <string.h>

#define OVERLAY "user.overlay."
#define ESCAPED OVERLAY "overlay."

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

bool cow_attr_is_private(const char *shown)
{
	return begins(shown, "user.floe.") || !strcmp(shown, COW_ATTR_OVERRIDE);
}

const char *cow_attr_stored(bool upper_format, const char *shown, char room[COW_ATTR_NAME_SIZE])
{
	int len;

	if (!upper_format || !begins(shown, OVERLAY))
		return shown;
	len = snprintf(room, COW_ATTR_NAME_SIZE, ESCAPED "%s", shown + strlen(OVERLAY));
	return len < COW_ATTR_NAME_SIZE ? room : NULL;
}

const char *cow_attr_shown(bool upper_format, const char *stored, char room[COW_ATTR_NAME_SIZE])
{
	if (cow_attr_is_private(stored))
		return NULL;
	if (!upper_format || !begins(stored, OVERLAY))
		return stored;
	if (!begins(stored, ESCAPED))
		return NULL;
	(void)snprintf(room, COW_ATTR_NAME_SIZE, OVERLAY "%s", stored + strlen(ESCAPED));
	return room;
}
