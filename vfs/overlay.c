/* SPDX-License-Identifier: Apache-2.0 */
/* One overlay, and the trial whether this machine makes them; see overlay.h and union.h. */
#include "vfs/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "vfs/union.h"

enum { OPTIONS_MAX = 4096 };

/* overlayfs splits its options at ',' and lower layers at ':'; both are escaped by a backslash. */
static int add_escaped(struct buf *b, const char *path, struct err *e)
{
	for (; *path; path++) {
		if (strchr("\\,:", *path) && buf_add(b, "\\", 1, e) < 0)
			return -1;
		if (buf_add(b, path, 1, e) < 0)
			return -1;
	}
	return 0;
}

int vfs_overlay_mount(const struct vfs_overlay *l, struct err *e)
{
	auto_buf struct buf opt = BUF_INIT(OPTIONS_MAX - 1);
	const char *text;

	if (buf_add_str(&opt, "userxattr,index=off,xino=off,lowerdir=", e) < 0)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		if ((i && buf_add(&opt, ":", 1, e) < 0) || add_escaped(&opt, l->lower[i], e) < 0)
			return err_wrap(e, "%s: too many or too long layers", l->target);
	if (buf_add_str(&opt, ",upperdir=", e) < 0 || add_escaped(&opt, l->upper, e) < 0 ||
	    buf_add_str(&opt, ",workdir=", e) < 0 || add_escaped(&opt, l->work, e) < 0)
		return err_wrap(e, "%s: too long paths", l->target);
	text = buf_text(&opt, e);
	if (!text)
		return -1;
	if (mount("floe", l->target, "overlay", MS_NOSUID | MS_NODEV, text) < 0)
		return err_sys(e, errno, "cannot mount the union on %s", l->target);
	return 0;
}

static int probe_in(const char *dir, struct err *e)
{
	auto_free char *lower = path_join(dir, "lower", e);
	auto_free char *upper = path_join(dir, "upper", e);
	auto_free char *work = path_join(dir, "work", e);
	auto_free char *target = path_join(dir, "target", e);
	auto_free char *file = path_join(dir, "target/dir/file", e);
	auto_free char *low_dir = path_join(dir, "lower/dir", e);
	auto_free char *seen = path_join(dir, "target/dir", e);
	struct vfs_overlay l = { .count = 1 };
	int rc = 0;

	if (!lower || !upper || !work || !target || !file || !low_dir || !seen)
		return -1;
	if (path_make_dirs(low_dir, 0700, e) < 0 || path_make_dirs(upper, 0700, e) < 0 ||
	    path_make_dirs(work, 0700, e) < 0 || path_make_dirs(target, 0700, e) < 0)
		return -1;
	l = (struct vfs_overlay){
		.lower = { lower }, .count = 1, .upper = upper, .work = work, .target = target
	};
	if (vfs_overlay_mount(&l, e) < 0) /* of the scratch directory nobody wants to hear */
		return e->sys ? err_sys(e, e->sys, "overlayfs refuses it as an upper") : -1;
	/* Removing a directory of the lower and making it again needs whiteouts and opaque marks. */
	if (rmdir(seen) < 0 || mkdir(seen, 0700) < 0)
		rc = err_sys(e, errno, "the union cannot hide a directory");
	(void)umount2(target, MNT_DETACH);
	return rc;
}

int vfs_union_probe(const char *dir, struct err *e)
{
	auto_free char *scratch = mem_printf(e, "%s/.probe-%ld", dir, (long)getpid());
	struct err ignored;
	int rc;

	if (!scratch || path_make_dirs(scratch, 0700, e) < 0)
		return -1;
	rc = probe_in(scratch, e);
	if (path_remove_tree(AT_FDCWD, scratch, rc < 0 ? &ignored : e) < 0)
		return -1;
	return rc;
}
