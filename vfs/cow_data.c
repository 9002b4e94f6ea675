/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing and the like, by node id; see cow_change.h. What is written is brought to the upper first;
 * everything goes to where the content is now, never to where it was when somebody opened the file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_change.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_dir.h"
#include "vfs/cow_file.h"

/* For reading. *ret NULL: the content may not be read, which shows as none. */
static int ref_readable(struct cow_union *u, uint64_t id, struct cow_file **ret)
{
	struct cow_node n;
	int sys = cow_file_ref(u, id, ret);

	if (sys != EACCES)
		return sys;
	*ret = NULL;
	/* Only below: what is in the upper has content, and to show none would be a lie. */
	return cow_nodes_get(u->nodes, id, &n) == 0 && n.identity.layer != COW_UPPER ? 0 : sys;
}

/* Where f's bytes are, as cow_content.h wants it. */
static struct cow_source source_of(const struct cow_union *u, const struct cow_file *f)
{
	struct cow_source s = { .fd = -1, .lazy = f->lazy };

	if (f->layer == COW_UPPER) {
		s.fd = f->fd;
	} else if (f->lazy) {
		s.fd = f->handle.fd;
	} else {
		s.layer = u->layers[f->layer];
		s.handle = &f->handle;
	}
	return s;
}

/* EAGAIN: it is not in the upper. */
static int try_writable(struct cow_union *u, uint64_t id, struct cow_file **ret)
{
	struct cow_file *f;
	int sys = cow_file_ref(u, id, &f);

	if (sys)
		return sys;
	if (f->layer == COW_UPPER && f->is_writable) {
		*ret = f;
		return 0;
	}
	sys = f->layer == COW_UPPER ? EACCES : EAGAIN;
	cow_file_unref(u, f);
	return sys;
}

/* In the upper, for writing. */
static int ref_writable(struct cow_union *u, uint64_t id, struct cow_file **ret)
{
	enum { TRIES = 100 };

	if (!u->upper)
		return EROFS;
	for (int i = 0; i < TRIES; i++) {
		int sys = try_writable(u, id, ret);

		if (sys != EAGAIN && (sys != EACCES || i > 0))
			return sys;
		if (sys == EACCES) /* its mode may be another since it was opened; or it is below */
			cow_cache_forget(u->files, id);
		sys = cow_copy_up(u, id, COW_COPY_ALL);
		if (sys)
			return sys;
	}
	return EIO;
}

/* ---- reading and writing ---------------------------------------------------------------- */

int cow_read(struct cow_union *u, uint64_t id, void *buf, size_t size, uint64_t off, size_t *ret_got,
	     bool (*is_over)(void *arg), void *arg)
{
	struct cow_source s;
	struct cow_file *f;
	int sys = ref_readable(u, id, &f);

	if (sys)
		return sys;
	if (!f) {
		*ret_got = 0;
		return 0;
	}
	s = source_of(u, f);
	if (s.fd >= 0)
		sys = cow_content_read(s.fd, s.lazy, buf, size, off, ret_got, is_over, arg);
	else
		sys = s.layer->ops->read(s.layer, s.handle, off, size, buf, ret_got, is_over, arg);
	cow_file_unref(u, f);
	return sys;
}

static bool has_suid(mode_t mode)
{
	return (mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

/* The mode that shows may be noted beside the file's own. Capabilities are gone already: the kernel takes
 * them off at any write, the server's as well. */
static int kill_suid(struct cow_union *u, const struct cow_file *f)
{
	const struct cow_attrs kill = { .kill_suid = true };
	struct cow_entry ignored;
	struct stat st, shown;
	int sys = 0;

	if (fstat(f->fd, &st) < 0)
		return errno;
	shown = st;
	if (cow_upper_has(u->upper, COW_FEATURE_OWNER))
		sys = cow_upper_override(u->upper, f->fd, "", &shown);
	if (!sys && has_suid(shown.st_mode))
		sys = cow_setattr(u, f->node, &kill, &ignored);
	return sys;
}

int cow_write(struct cow_union *u, uint64_t id, const void *buf, size_t size, uint64_t off, bool kills_suid,
	      size_t *ret_put)
{
	struct cow_file *f;
	size_t put = 0;
	int sys = ref_writable(u, id, &f);

	if (sys)
		return sys;
	sys = cow_content_write(f->fd, f->lazy, buf, size, off, &put);
	if (!sys && kills_suid && put > 0)
		sys = kill_suid(u, f);
	cow_file_unref(u, f);
	if (!sys)
		*ret_put = put;
	return sys;
}

int cow_kill_suid(struct cow_union *u, uint64_t id)
{
	struct cow_file *f;
	int sys = ref_writable(u, id, &f);

	if (sys)
		return sys;
	sys = kill_suid(u, f);
	cow_file_unref(u, f);
	return sys;
}

int cow_allocate(struct cow_union *u, uint64_t id, int mode, uint64_t off, uint64_t len)
{
	struct cow_file *f;
	int sys = ref_writable(u, id, &f);

	if (sys)
		return sys;
	sys = cow_content_allocate(f->fd, f->lazy, mode, off, len);
	cow_file_unref(u, f);
	return sys;
}

/* ---- holes ------------------------------------------------------------------------------ */

/* In a layer that has no descriptor all is data. */
static int seek_in_layer(const struct cow_source *s, uint64_t off, int whence, uint64_t *ret)
{
	struct cow_found found;
	int sys;

	if (s->handle->fd >= 0)
		return cow_content_seek(s->handle->fd, NULL, off, whence, ret);
	sys = s->layer->ops->stat(s->layer, s->handle, &found);
	if (sys)
		return sys;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return EINVAL;
	if (off >= (uint64_t)found.st.st_size)
		return ENXIO;
	*ret = whence == SEEK_DATA ? off : (uint64_t)found.st.st_size;
	return 0;
}

int cow_seek(struct cow_union *u, uint64_t id, uint64_t off, int whence, uint64_t *ret)
{
	struct cow_source s;
	struct cow_file *f;
	int sys = ref_readable(u, id, &f);

	if (sys || !f)
		return sys ? sys : ENXIO;
	s = source_of(u, f);
	sys = s.fd >= 0 ? cow_content_seek(s.fd, s.lazy, off, whence, ret)
			: seek_in_layer(&s, off, whence, ret);
	cow_file_unref(u, f);
	return sys;
}

/* ---- from file to file, and to the disk ------------------------------------------------- */

int cow_copy_range(struct cow_union *u, uint64_t in, uint64_t off_in, uint64_t out, uint64_t off_out,
		   uint64_t len, uint64_t *ret_copied)
{
	struct cow_file *from, *to;
	struct cow_source s;
	int sys = ref_writable(u, out, &to);

	if (sys)
		return sys;
	/* After the copy-up, for it may be the same file. */
	sys = ref_readable(u, in, &from);
	if (!sys && from) {
		s = source_of(u, from);
		sys = cow_content_copy(&s, off_in, to->fd, to->lazy, off_out, len, ret_copied);
		cow_file_unref(u, from);
	} else if (!sys) {
		*ret_copied = 0;
	}
	cow_file_unref(u, to);
	return sys;
}

static int sync_dir(struct cow_union *u, uint64_t id)
{
	auto_fd int fd = -1;
	struct cow_dir *d;
	int sys = cow_dir_ref(u, id, &d);

	if (sys)
		return sys;
	if (d->upper >= 0) {
		fd = openat(d->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			sys = errno;
	}
	cow_dir_unref(u, d);
	return sys;
}

int cow_fsync(struct cow_union *u, uint64_t id, bool data_only)
{
	struct cow_file *f;
	struct cow_node n;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (sys)
		return sys;
	if (S_ISDIR(n.type))
		return sync_dir(u, id);
	if (!S_ISREG(n.type) || n.identity.layer != COW_UPPER)
		return 0;
	sys = cow_file_ref(u, id, &f);
	if (sys)
		return sys;
	if (f->layer == COW_UPPER && (data_only ? fdatasync(f->fd) : fsync(f->fd)) < 0)
		sys = errno;
	cow_file_unref(u, f);
	return sys;
}
