/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of a local file. The descriptor is held open, so replacing the file by rename goes unnoticed
 * and harms nobody; writing into it shows in its size or times and is ERR_CHANGED. */
#include "streaming/fetch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

enum { BLOCK = 16 * 1024 /* on the stack */ };

struct file_fetcher {
	struct stream_fetcher seam;
	int fd;
	uint64_t size;
	char identity[STREAM_IDENTITY_MAX];
	atomic_bool is_cancelled;
	atomic_uint_fast64_t bytes;
};

static struct file_fetcher *of(struct stream_fetcher *f)
{
	return (struct file_fetcher *)(void *)f;
}

static void identity_of(const struct stat *st, char ret[STREAM_IDENTITY_MAX])
{
	(void)snprintf(ret, STREAM_IDENTITY_MAX, "%ju:%ju:%jd:%jd.%09ld", (uintmax_t)st->st_dev,
		       (uintmax_t)st->st_ino, (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec,
		       st->st_mtim.tv_nsec);
}

static int check_unchanged(struct file_fetcher *f, struct err *e)
{
	char now[STREAM_IDENTITY_MAX];
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_sys(e, errno, "stat");
	identity_of(&st, now);
	if (strcmp(now, f->identity) != 0)
		return err_set(e, ERR_CHANGED, "the file was written to while in use");
	return 0;
}

static int file_read(struct stream_fetcher *seam, uint64_t off, uint64_t len, stream_sink_fn *sink, void *arg,
		     struct err *e)
{
	struct file_fetcher *f = of(seam);
	uint8_t block[BLOCK];

	if (off >= f->size)
		return 0;
	if (len > f->size - off)
		len = f->size - off;
	while (len) {
		size_t n = len < BLOCK ? len : BLOCK;

		if (atomic_load(&f->is_cancelled))
			return err_set(e, ERR_INTERRUPTED, "cancelled");
		if (fd_pread_exact(f->fd, block, n, off, e) < 0)
			return -1;
		atomic_fetch_add(&f->bytes, n);
		if (sink(arg, block, n, e) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return check_unchanged(f, e);
}

static void file_cancel(struct stream_fetcher *seam)
{
	atomic_store(&of(seam)->is_cancelled, true);
}

static void file_close(struct stream_fetcher *seam)
{
	fd_close(of(seam)->fd);
	free(of(seam));
}

static void file_counters(struct stream_fetcher *seam, struct stream_counters *ret)
{
	*ret = (struct stream_counters){ .requests = 0, .bytes = atomic_load(&of(seam)->bytes) };
}

static uint64_t file_size(struct stream_fetcher *seam)
{
	return of(seam)->size;
}

static void file_identity(struct stream_fetcher *seam, char ret[STREAM_IDENTITY_MAX])
{
	memcpy(ret, of(seam)->identity, STREAM_IDENTITY_MAX);
}

static void file_retune(struct stream_fetcher *seam, const struct stream_fetch_opt *opt)
{
	(void)seam;
	(void)opt;
}

static bool file_distrust(struct stream_fetcher *seam)
{
	(void)seam;
	return false;
}

static void file_unpin(struct stream_fetcher *seam, bool length_only)
{
	(void)seam; /* an open descriptor is always the same file */
	(void)length_only;
}

static const struct stream_fetcher_ops file_ops = {
	.read = file_read,
	.cancel = file_cancel,
	.close = file_close,
	.counters = file_counters,
	.size = file_size,
	.identity = file_identity,
	.retune = file_retune,
	.distrust = file_distrust,
	.unpin = file_unpin,
};

int stream_fetch_file_open(const char *path, struct stream_fetcher **ret, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO by mistake must not hang. */
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct file_fetcher *f;
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: not a file", path);
	f = mem_alloc(1, sizeof(*f), e);
	if (!f)
		return -1;
	f->seam.ops = &file_ops;
	f->fd = fd_steal(&fd);
	f->size = (uint64_t)st.st_size;
	identity_of(&st, f->identity);
	*ret = &f->seam;
	return 0;
}
