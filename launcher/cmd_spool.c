/* SPDX-License-Identifier: Apache-2.0 */
/* See cmd_spool.h. */
#include "launcher/cmd_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "launcher/cmd_package.h"

enum { SPOOL_UNUSED, SPOOL_IN_ORDER, SPOOL_WAITS };

int cmd_spool_init(struct cmd_spool *s, struct stream_package *p, struct err *e)
{
	struct pkg_index_counts counts;

	pkg_index_counts(stream_package_index(p), &counts);
	*s = (struct cmd_spool){ .fd = -1, .ahead = { .package = p, .count = counts.chunks } };
	s->uses = mem_alloc(counts.chunks, 1, e);
	s->offs = mem_alloc(counts.chunks, sizeof(*s->offs), e);
	s->ahead.wanted = s->uses;
	return s->uses && s->offs ? 0 : -1;
}

void cmd_spool_fini(struct cmd_spool *s)
{
	fd_close(s->fd);
	free(s->uses);
	free(s->offs);
}

void cmd_spool_plan(struct cmd_spool *s, uint32_t chunk_idx)
{
	if (chunk_idx >= s->ahead.count) /* told of when it is used */
		return;
	if (chunk_idx < s->highest)
		s->uses[chunk_idx] = SPOOL_WAITS;
	else if (!s->uses[chunk_idx])
		s->uses[chunk_idx] = SPOOL_IN_ORDER;
	if (chunk_idx > s->highest)
		s->highest = chunk_idx;
}

/* ---- what waits ------------------------------------------------------------------------------ */

static int make_file(int dir_fd, struct err *e)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[48];

	if (fd >= 0)
		return fd;
	(void)snprintf(name, sizeof(name), ".floe-spool-%ld", (long)getpid());
	(void)unlinkat(dir_fd, name, 0);
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot make a temporary file");
	(void)unlinkat(dir_fd, name, 0);
	return fd;
}

static int get(struct cmd_spool *s, uint32_t idx, struct stream_chunk **ret, struct err *e)
{
	if (cmd_ahead_reach(&s->ahead, idx, e) < 0)
		return -1;
	return stream_package_chunk(s->ahead.package, idx, cmd_package_is_interrupted, NULL, ret, e);
}

static int store(struct cmd_spool *s, uint32_t idx, uint64_t *end, struct err *e)
{
	struct stream_chunk *chunk;
	int rc;

	if (get(s, idx, &chunk, e) < 0)
		return -1;
	rc = fd_pwrite_all(s->fd, chunk->data, chunk->len, *end, e);
	s->offs[idx] = *end;
	*end += chunk->len;
	stream_chunk_unref(s->ahead.package, chunk);
	return rc < 0 ? err_wrap(e, "the temporary file") : 0;
}

static int count_waiting(const struct cmd_spool *s, uint64_t *ret, struct err *e)
{
	struct pkg_chunk_info info;

	*ret = 0;
	for (uint32_t i = 0; i < s->ahead.count; i++) {
		if (s->uses[i] != SPOOL_WAITS)
			continue;
		if (pkg_index_chunk(stream_package_index(s->ahead.package), i, &info, e) < 0)
			return -1;
		*ret += info.content_len;
	}
	return 0;
}

int cmd_spool_fill(struct cmd_spool *s, int dir_fd, struct err *e)
{
	struct log_progress progress;
	uint64_t total, end = 0;
	int rc = 0;

	if (count_waiting(s, &total, e) < 0)
		return -1;
	s->ahead.mark = SPOOL_WAITS;
	if (total) {
		s->fd = make_file(dir_fd, e);
		if (s->fd < 0)
			return -1;
		log_progress_start(&progress, "fetching", total, true);
		for (uint32_t i = 0; rc == 0 && i < s->ahead.count; i++) {
			if (s->uses[i] == SPOOL_WAITS)
				rc = store(s, i, &end, e);
			log_progress_step(&progress, end);
		}
		log_progress_end(&progress);
	}
	s->ahead.next = s->ahead.passed = 0;
	s->ahead.outstanding = 0;
	s->ahead.mark = SPOOL_IN_ORDER;
	return rc;
}

/* ---- using ----------------------------------------------------------------------------------- */

static int write_waiting(struct cmd_spool *s, const struct pkg_extent *x, int fd, struct err *e)
{
	auto_free uint8_t *bytes = mem_alloc(x->len, 1, e);

	if (!bytes || fd_pread_exact(s->fd, bytes, x->len, s->offs[x->chunk_idx] + x->chunk_off, e) < 0)
		return -1;
	return fd_pwrite_all(fd, bytes, x->len, x->file_off, e);
}

int cmd_spool_write(struct cmd_spool *s, const struct pkg_extent *x, int fd, struct err *e)
{
	struct pkg_chunk_info info;
	struct stream_chunk *chunk;
	int rc;

	if (pkg_index_chunk(stream_package_index(s->ahead.package), x->chunk_idx, &info, e) < 0)
		return -1;
	if (x->chunk_off > info.content_len || x->len > info.content_len - x->chunk_off)
		return err_set(e, ERR_FORMAT, "package index: an extent leaves its chunk");
	if (s->uses[x->chunk_idx] == SPOOL_WAITS)
		return write_waiting(s, x, fd, e);
	if (get(s, x->chunk_idx, &chunk, e) < 0)
		return -1;
	rc = fd_pwrite_all(fd, chunk->data + x->chunk_off, x->len, x->file_off, e);
	stream_chunk_unref(s->ahead.package, chunk);
	return rc;
}
