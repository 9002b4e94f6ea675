/* SPDX-License-Identifier: Apache-2.0 */
/* The last step of making a package; see assemble.h. */
#include "package-format/assemble.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"

enum { COPY_STEP = 1024 * 1024 };

char *pkg_assemble_dir(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".", e);
	return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), e);
}

int pkg_assemble_scratch(const char *out_path, struct err *e)
{
	auto_free char *dir = pkg_assemble_dir(out_path, e);
	auto_free char *name = NULL;
	int fd;

	if (!dir)
		return -1;
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return err_sys(e, errno, "cannot write in %s", dir);
	name = mem_printf(e, "%s/.floe-chunks-XXXXXX", dir);
	if (!name)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot write in %s", dir);
	(void)unlink(name);
	return fd;
}

static int copy_by_hand(int from, uint64_t off, int to, uint64_t len, struct err *e)
{
	auto_free uint8_t *step = mem_alloc(1, COPY_STEP, e);

	if (!step)
		return -1;
	while (len) {
		size_t n = len < COPY_STEP ? (size_t)len : COPY_STEP;

		if (fd_pread_exact(from, step, n, off, e) < 0 || fd_write_all(to, step, n, e) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

/* In the kernel where it can, at the output's position. */
static int copy_run(int from, const struct pkg_run *run, int to, const volatile bool *cancel, struct err *e)
{
	off_t off = (off_t)run->off;
	uint64_t left = run->len;

	while (left) {
		size_t step = left < 64 * COPY_STEP ? (size_t)left : 64 * COPY_STEP;
		ssize_t n;

		if (cancel && *cancel)
			return err_set(e, ERR_INTERRUPTED, "interrupted");
		n = copy_file_range(from, &off, to, NULL, step, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
			return err_sys(e, errno, "copy");
		if (n <= 0)
			return copy_by_hand(from, (uint64_t)off, to, left, e);
		left -= (uint64_t)n;
	}
	return 0;
}

static int write_parts(const struct pkg_assembly *a, int fd, const uint8_t header[PKG_HEADER_LEN],
		       struct err *e)
{
	if (fd_write_all(fd, header, PKG_HEADER_LEN, e) < 0 ||
	    fd_write_all(fd, a->index, a->index_len, e) < 0)
		return -1;
	for (size_t i = 0; i < a->run_count; i++)
		if (copy_run(a->chunks_fd, &a->runs[i], fd, a->cancel, e) < 0)
			return -1;
	return fsync(fd) < 0 ? err_sys(e, errno, "sync") : 0;
}

int pkg_assemble(const struct pkg_assembly *a, const struct pkg_secret_key *key, const char *out_path,
		 struct pkg_header *ret, struct err *e)
{
	auto_free char *dir = pkg_assemble_dir(out_path, e);
	auto_free char *tmp = mem_printf(e, "%s.tmp-%ld", out_path, (long)getpid());
	struct pkg_header h = { .index_stored_len = a->index_len, .index_content_len = a->index_content_len };
	uint8_t header[PKG_HEADER_LEN];
	auto_fd int fd = -1, dir_fd = -1;

	if (!dir || !tmp)
		return -1;
	h.file_len = PKG_HEADER_LEN + a->index_len;
	h.feature_block_end = h.file_len + a->feature_block_len;
	for (size_t i = 0; i < a->run_count; i++)
		h.file_len += a->runs[i].len;
	pkg_digest_of(a->index, a->index_len, &h.index_digest);
	if (pkg_header_encode(&h, key, header, e) < 0)
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(e, errno, "%s", dir);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(e, errno, "cannot write %s", tmp);
	if (write_parts(a, fd, header, e) < 0) {
		(void)unlink(tmp);
		return err_wrap(e, "%s", out_path);
	}
	if (rename(tmp, out_path) < 0) {
		int sys = errno;

		(void)unlink(tmp);
		return err_sys(e, sys, "%s", out_path);
	}
	if (fsync(dir_fd) < 0 && errno != EINVAL)
		return err_sys(e, errno, "%s", dir);
	*ret = h;
	return 0;
}
