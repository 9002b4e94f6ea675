/* SPDX-License-Identifier: Apache-2.0 */
/* The index of copied-up files that have several names below: /.floe/links in the upper; see cow_upper.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_upper_state.h"

enum { KEY_MAX = 80, LAYER_SHOWN = 28 };

/* The layer's key to be read by people, and its FNV-1a hash (Fowler, Noll, Vo) to be told from others: of
 * those few, which end in digests. */
void cow_links_key(const char *layer_key, uint64_t dev, uint64_t ino, char ret[96])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char shown[LAYER_SHOWN + 1];
	size_t len = 0;

	for (const char *p = layer_key; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
		if (len < LAYER_SHOWN)
			shown[len++] = plain ? *p : '_';
	}
	shown[len] = 0;
	(void)snprintf(ret, KEY_MAX + 1, "%s.%016" PRIx64 ".%" PRIx64 ".%" PRIx64, shown, hash, dev, ino);
}

/* ---- the directory ------------------------------------------------------------------------------ */

int cow_links_dir(const struct cow_upper *u)
{
	return atomic_load_explicit(&u->links, memory_order_acquire);
}

int cow_links_open(struct cow_upper *u)
{
	auto_fd int own = openat(u->root, ".floe", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;

	if (own >= 0)
		fd = openat(own, "links", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	atomic_store_explicit(&u->links, fd_steal(&fd), memory_order_release);
	return 0;
}

/* Whatever the umask. */
static int make_dir(int dir, const char *name, mode_t mode)
{
	if (mkdirat(dir, name, mode) == 0)
		return fchmodat(dir, name, mode, 0) < 0 ? errno : 0;
	return errno == EEXIST ? 0 : errno;
}

/* In a root that its owner may not write, too. */
static int make_own(const struct cow_upper *u)
{
	int sys = make_dir(u->root, ".floe", 0755);
	struct stat st;

	if (sys != EACCES || fstat(u->root, &st) < 0 || fchmod(u->root, (st.st_mode & 07777) | 0300) < 0)
		return sys;
	sys = make_dir(u->root, ".floe", 0755);
	return fchmod(u->root, st.st_mode & 07777) < 0 ? errno : sys;
}

static int make_index_locked(struct cow_upper *u) SYNC_REQUIRES(u->lock)
{
	auto_fd int own = -1;
	int sys;

	if (cow_links_dir(u) >= 0)
		return 0;
	sys = make_own(u);
	if (sys)
		return sys;
	own = openat(u->root, ".floe", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (own < 0)
		return errno;
	sys = make_dir(own, "links", 0700);
	if (!sys)
		sys = cow_links_open(u);
	return !sys && cow_links_dir(u) < 0 ? EIO : sys;
}

static int make_index(struct cow_upper *u)
{
	int sys;

	if (cow_links_dir(u) >= 0)
		return 0;
	sync_lock(&u->lock);
	sys = make_index_locked(u);
	sync_unlock(&u->lock);
	return sys;
}

/* ---- entries ------------------------------------------------------------------------------------ */

int cow_links_stat(const struct cow_upper *u, const char *key, struct stat *ret)
{
	int links = cow_links_dir(u);
	struct stat st;

	if (links < 0)
		return ENOENT;
	if (fstatat(links, key, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	*ret = st;
	return 0;
}

bool cow_links_is_alone(const struct cow_upper *u)
{
	const struct dirent *e;
	bool is_alone = true;
	DIR *d = NULL;
	int fd = -1;

	if (cow_links_dir(u) >= 0)
		fd = openat(u->root, ".floe", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		d = fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return false;
	}
	while (is_alone && (e = readdir(d)))
		is_alone = path_is_dot(e->d_name) || strcmp(e->d_name, "links") == 0;
	(void)closedir(d);
	return is_alone;
}

static bool is_same_file(int dir, const char *name, int other_dir, const char *other)
{
	struct stat a, b;

	return fstatat(dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(other_dir, other, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int set_count(int dir, const char *name, unsigned count)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", count);

	return cow_upper_attr_set(dir, name, COW_ATTR_LINKS, text, (size_t)len);
}

/* The entry comes last: what is in the index has its count. */
int cow_links_add(struct cow_upper *u, const char *key, int dir, const char *name, unsigned count)
{
	int sys = cow_upper_use(u, COW_FEATURE_LINKS);

	if (!sys)
		sys = make_index(u);
	if (!sys)
		sys = cow_upper_attr_set(dir, name, COW_ATTR_KEY, key, strlen(key));
	if (!sys)
		sys = set_count(dir, name, count);
	if (sys)
		return sys;
	if (linkat(dir, name, cow_links_dir(u), key, 0) == 0)
		return 0;
	sys = errno;
	return sys == EEXIST && is_same_file(dir, name, cow_links_dir(u), key) ? 0 : sys;
}

int cow_links_place(struct cow_upper *u, const char *key, int dir, const char *name)
{
	int links = cow_links_dir(u), sys;
	struct cow_temp t;

	if (links < 0)
		return ENOENT;
	if (cow_upper_noted_ino(u, links, key)) {
		sys = cow_upper_set_impure(u, dir);
		if (sys)
			return sys;
	}
	if (linkat(links, key, dir, name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return errno;
	sys = cow_temp_link(u, links, key, &t);
	if (sys)
		return sys;
	sys = cow_temp_place(u, &t, dir, name);
	cow_temp_drop(u, &t);
	return sys;
}

int cow_links_count(const struct cow_upper *u, int dir, const char *name, unsigned *ret)
{
	unsigned long count;
	char text[16], *end;
	size_t len;
	int sys = cow_upper_attr_get(dir, name, COW_ATTR_LINKS, text, sizeof(text) - 1, &len);

	(void)u;
	if (sys)
		return sys;
	text[len] = 0;
	errno = 0;
	count = strtoul(text, &end, 10);
	if (errno || !len || *end || *text < '0' || *text > '9' || count > UINT32_MAX)
		return EIO;
	*ret = (unsigned)count;
	return 0;
}

static int leave_index(const struct cow_upper *u, int dir, const char *name)
{
	int links = cow_links_dir(u), sys;
	char key[KEY_MAX + 1];
	size_t len;

	if (links < 0)
		return 0;
	sys = cow_upper_attr_get(dir, name, COW_ATTR_KEY, key, KEY_MAX, &len);
	if (sys)
		return sys == ENODATA ? 0 : sys;
	key[len] = 0;
	if (memchr(key, '/', len) || !is_same_file(dir, name, links, key))
		return 0;
	return unlinkat(links, key, 0) < 0 && errno != ENOENT ? errno : 0;
}

int cow_links_set_count(struct cow_upper *u, int dir, const char *name, unsigned count)
{
	int sys = set_count(dir, name, count);

	return sys || count ? sys : leave_index(u, dir, name);
}
