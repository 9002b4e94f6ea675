/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages are in use: whoever uses one holds a shared lock on DIR/use/ROOT, which the kernel takes
 * back however the process ends. Files without a lock mean nothing; cache_forget_gone removes them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

static void name_of(const struct pkg_digest *root, char ret[PKG_DIGEST_HEX + 4])
{
	char hex[PKG_DIGEST_HEX];

	pkg_digest_hex(root, hex);
	(void)snprintf(ret, PKG_DIGEST_HEX + 4, "use/%s", hex);
}

/* The lock on a file that still has its name. */
static int lock_file(struct stream_cache *c, const char *name, int *ret, struct err *e)
{
	for (;;) {
		auto_fd int fd = openat(c->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat st;

		if (fd < 0)
			return err_sys(e, errno, "%s/%s", c->dir, name);
		while (flock(fd, LOCK_SH) < 0)
			if (errno != EINTR)
				return err_sys(e, errno, "%s/%s", c->dir, name);
		if (fstat(fd, &st) < 0)
			return err_sys(e, errno, "%s/%s", c->dir, name);
		if (st.st_nlink) {
			*ret = fd_steal(&fd);
			return 0;
		}
	}
}

int stream_cache_hold(struct stream_cache *c, const struct pkg_digest *root, struct err *e)
{
	char name[PKG_DIGEST_HEX + 4];
	auto_fd int fd = -1;
	int *leases, rc;

	name_of(root, name);
	if (lock_file(c, name, &fd, e) < 0)
		return -1;
	sync_lock(&c->lock);
	leases = mem_grow(c->leases, c->lease_count + 1, sizeof(*leases), e);
	if (leases) {
		c->leases = leases;
		leases[c->lease_count++] = fd_steal(&fd);
	}
	sync_unlock(&c->lock);
	if (!leases)
		return -1;
	/* An eviction that did not yet see the lock is over when this has been written. */
	sync_lock(&c->change_lock);
	rc = cache_db_use_version(c->change_db, root, e);
	sync_unlock(&c->change_lock);
	return rc;
}

bool cache_lease_is_held(struct stream_cache *c, const struct pkg_digest *root)
{
	char name[PKG_DIGEST_HEX + 4];

	name_of(root, name);
	auto_fd int fd = openat(c->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
