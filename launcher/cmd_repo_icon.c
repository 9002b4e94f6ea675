/* SPDX-License-Identifier: Apache-2.0 */
/* The icon that a package shows in a catalogue: what its desktop entries name, found as the icon theme
 * specification has it, in the theme that every other falls back to. Of the sizes the one nearest to 64
 * pixels first. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/cmd_repo.h"

enum { ENTRY_MAX = 256 * 1024, ENTRIES_MAX = 32, LINKS_MAX = 8 };

static const char *const places[] = {
	"icons/hicolor/64x64/apps/%s.png",
	"icons/hicolor/128x128/apps/%s.png",
	"icons/hicolor/96x96/apps/%s.png",
	"icons/hicolor/scalable/apps/%s.svg",
	"icons/hicolor/256x256/apps/%s.png",
	"icons/hicolor/48x48/apps/%s.png",
	"pixmaps/%s.png",
	"pixmaps/%s.svg",
	"icons/hicolor/512x512/apps/%s.png",
	"icons/hicolor/32x32/apps/%s.png",
};

/* A regular file, through links. */
static int find(struct pkg_index *x, const char *path, struct pkg_inode *ret, struct err *e)
{
	auto_free char *at = mem_printf(e, "%s%s", *path == '/' ? "" : "/", path);
	char target[PKG_SYMLINK_MAX + 1];

	for (int links = 0; at && links < LINKS_MAX; links++) {
		auto_free char *next = NULL;
		const char *base = path_base(at);

		if (pkg_index_resolve(x, at, ret, e) < 0)
			return -1;
		if (S_ISREG(ret->mode))
			return 0;
		if (!S_ISLNK(ret->mode))
			break;
		if (pkg_index_readlink(x, ret->ino, target, e) < 0)
			return -1;
		next = *target == '/' ? mem_strdup(target, e)
				      : mem_printf(e, "%.*s%s", (int)(base - at), at, target);
		free(at);
		at = next ? path_absolute(next, e) : NULL;
	}
	return at ? err_set(e, ERR_NOTFOUND, "%s: not a file", path) : -1;
}

static int read_small(struct stream_package *p, const char *path, struct buf *ret, struct err *e)
{
	struct pkg_inode inode;
	size_t len;

	if (find(stream_package_index(p), path, &inode, e) < 0)
		return -1;
	if (!inode.size || inode.size > ret->max)
		return err_set(e, ERR_LIMIT, "%s: empty, or larger than %zu bytes", path, ret->max);
	buf_reset(ret);
	if (buf_reserve(ret, inode.size, e) < 0 ||
	    stream_package_read(p, &inode, 0, inode.size, ret->data, &len, cmd_package_is_interrupted, NULL,
				e) < 0)
		return -1;
	ret->len = len;
	return 0;
}

/* What it says it is. */
static bool is_picture(const struct buf *b, bool is_svg)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a };

	if (is_svg)
		return memmem(b->data, b->len, "<svg", 4) != NULL;
	return b->len > sizeof(png) && !memcmp(b->data, png, sizeof(png));
}

static int take(struct stream_package *p, const char *path, struct buf *ret, bool *ret_is_svg, struct err *e)
{
	size_t len = strlen(path);
	bool is_svg = len > 4 && !strcmp(path + len - 4, ".svg");

	if (read_small(p, path, ret, e) < 0)
		return -1;
	if (!is_picture(ret, is_svg))
		return err_set(e, ERR_FORMAT, "%s: neither PNG nor SVG", path);
	*ret_is_svg = is_svg;
	return 0;
}

/* "Icon=" of the entry's main group; caller frees. */
static char *icon_name(const char *text, struct err *e)
{
	const char *at = strstr(text, "[Desktop Entry]");

	for (at = at ? strchr(at, '\n') : NULL; at && at[1] && at[1] != '['; at = strchr(at + 1, '\n')) {
		const char *value = at + 1 + 4;

		if (strncmp(at + 1, "Icon", 4) != 0)
			continue;
		value += strspn(value, " \t");
		if (*value++ != '=')
			continue;
		value += strspn(value, " \t");
		return mem_strndup(value, strcspn(value, "\r\n"), e);
	}
	(void)err_set(e, ERR_NOTFOUND, "a desktop entry without an icon");
	return NULL;
}

static int search_below(struct stream_package *p, const char *share, const char *name, struct buf *ret,
			bool *ret_is_svg, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *rest = strstr(places[i], "%s");
		auto_free char *path = mem_printf(e, "%s/%.*s%s%s", share, (int)(rest - places[i]), places[i],
						  name, rest + 2);

		if (!path)
			return -1;
		if (take(p, path, ret, ret_is_svg, e) == 0)
			return 0;
	}
	return err_set(e, ERR_NOTFOUND, "no icon called %.80s", name);
}

static int icon_of_entry(struct stream_package *p, const char *entry, struct buf *ret, bool *ret_is_svg,
			 struct err *e)
{
	auto_buf struct buf text = BUF_INIT(ENTRY_MAX);
	const char *below = strstr(entry, "/applications/"), *content;
	auto_free char *share = NULL, *name = NULL;
	size_t len;

	if (read_small(p, entry, &text, e) < 0)
		return -1;
	content = buf_text(&text, e);
	name = content ? icon_name(content, e) : NULL;
	if (!name)
		return -1;
	if (*name == '/')
		return take(p, name, ret, ret_is_svg, e);
	if (strchr(name, '/'))
		return err_set(e, ERR_NOTFOUND, "%.80s: not the name of an icon", name);
	len = strlen(name);
	if (len > 4 && (!strcmp(name + len - 4, ".png") || !strcmp(name + len - 4, ".svg")))
		name[len - 4] = 0;
	share = mem_printf(e, "%.*s", below ? (int)(below - entry) : 0, entry);
	if (!share)
		return -1;
	if (*share && search_below(p, share, name, ret, ret_is_svg, e) == 0)
		return 0;
	return search_below(p, "/usr/share", name, ret, ret_is_svg, e);
}

int cmd_repo_icon(struct stream_package *p, struct buf *ret, bool *ret_is_svg, struct err *e)
{
	const struct pkg_manifest *m = pkg_index_manifest(stream_package_index(p));

	(void)err_set(e, ERR_NOTFOUND, "there is no desktop entry");
	for (size_t i = 0; i < m->desktop_file_count && i < ENTRIES_MAX; i++)
		if (icon_of_entry(p, m->desktop_files[i], ret, ret_is_svg, e) == 0)
			return 0;
	return -1;
}
