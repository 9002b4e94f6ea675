/* SPDX-License-Identifier: Apache-2.0 */
/* Notes on files of an upper; see upper_note.h. */
#include "sequencer/upper_note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

bool seq_note_whiteout(const char *source, const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return st->st_rdev == 0;
	return S_ISREG(st->st_mode) && st->st_size == 0 &&
	       lgetxattr(source, "user.overlay.whiteout", NULL, 0) >= 0;
}

bool seq_note_opaque(const char *source)
{
	char value[2];

	return lgetxattr(source, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static bool read_note(const char *source, const char *name, char *ret, size_t cap)
{
	ssize_t len = lgetxattr(source, name, ret, cap - 1);

	if (len <= 0)
		return false;
	ret[len] = 0;
	return true;
}

bool seq_note_redirect(const char *source, char ret[PATH_MAX])
{
	return seq_note_opaque(source) && read_note(source, "user.floe.redirect", ret, PATH_MAX) &&
	       *ret == '/';
}

void seq_note_override(const char *source, struct stat *st)
{
	unsigned uid, gid, mode;
	char text[96];

	if (!read_note(source, "user.containers.override_stat", text, sizeof(text)) ||
	    sscanf(text, "%u:%u:%o", &uid, &gid, &mode) != 3)
		return;
	st->st_uid = uid;
	st->st_gid = gid;
	st->st_mode = (st->st_mode & S_IFMT) | (mode & 07777);
}

unsigned seq_note_links(const char *source)
{
	char text[32];

	return read_note(source, "user.floe.links", text, sizeof(text)) ? (unsigned)strtoul(text, NULL, 10)
									: 0;
}

bool seq_note_is_one(const char *xattr)
{
	static const char *const begins[] = { "user.overlay.", "user.floe." };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!strncmp(xattr, begins[i], strlen(begins[i])))
			return true;
	return !strcmp(xattr, "user.containers.override_stat");
}
