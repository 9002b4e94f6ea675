/* SPDX-License-Identifier: Apache-2.0 */
/* floe extract: a package's files in a directory. Works by directory descriptors and plain names, so that
 * neither the package's symbolic links nor what lies in the target directory can lead outside of it. Owners,
 * set-uid bits and devices are not restored: what is extracted belongs to who extracts it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/cmd_extract.h"
#include "launcher/cmd_package.h"
#include "launcher/verbs.h"

enum { DEPTH_MAX = 2048 };

static void print_help(void)
{
	(void)fputs(
		"Usage: floe extract REF [-C DIR] [--overwrite] [--no-trust] [PATH...]\n\n"
		"Writes a package's files, or only those below each PATH, to DIR (the current directory).\n"
		"Owners, set-uid bits and devices are not restored. Without --overwrite nothing that is\n"
		"there already is touched.\n\n"
		"  -C DIR       where to; made when it is not there\n"
		"  --overwrite  replace files that are there\n"
		"  --no-trust   whoever signed the package\n",
		stdout);
}

static int extract_one(struct cmd_extract *x, int dir_fd, const char *name, const char *path, uint64_t ino,
		       unsigned depth, struct err *e);

static int extract_entries(struct cmd_extract *x, int fd, const char *path, uint64_t ino, unsigned depth,
			   struct err *e)
{
	auto_pkg_entries entries = { .index = x->index, .dir = ino };
	const struct pkg_dirent *d;
	int rc;

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%.200s: too deep", path);
	while ((rc = pkg_entries_next(&entries, &d, e)) > 0) {
		auto_free char *below = path_join(path, d->name, e);

		if (!below || extract_one(x, fd, d->name, below, d->ino, depth + 1, e) < 0)
			return -1;
	}
	return rc;
}

static int extract_directory(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
			     const struct pkg_inode *i, unsigned depth, struct err *e)
{
	bool is_new;
	auto_fd int fd = cmd_extract_dir(dir_fd, name, path, &is_new, e);

	if (fd < 0 || extract_entries(x, fd, path, i->ino, depth, e) < 0)
		return -1;
	return is_new || x->overwrite ? cmd_extract_finish(x, fd, path, i, e) : 0;
}

static void skip(struct cmd_extract *x, const char *path, const struct pkg_inode *i)
{
	x->skipped++;
	log_detail("%s: %s, left out", path, S_ISCHR(i->mode) && !i->rdev ? "a whiteout" : "a device");
}

static int extract_one(struct cmd_extract *x, int dir_fd, const char *name, const char *path, uint64_t ino,
		       unsigned depth, struct err *e)
{
	struct pkg_inode i;

	if (cmd_package_is_interrupted(NULL))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (pkg_index_stat(x->index, ino, &i, e) < 0)
		return -1;
	x->files++;
	switch (i.mode & S_IFMT) {
	case S_IFDIR:
		return extract_directory(x, dir_fd, name, path, &i, depth, e);
	case S_IFREG:
		return cmd_extract_file(x, dir_fd, name, path, &i, e);
	case S_IFLNK:
		return cmd_extract_symlink(x, dir_fd, name, path, &i, e);
	case S_IFIFO:
		return cmd_extract_fifo(x, dir_fd, name, path, &i, e);
	default:
		x->files--;
		skip(x, path, &i);
		return 0;
	}
}

/* ---- beforehand ------------------------------------------------------------------------------ */

static int plan_file(struct cmd_extract *x, const struct pkg_inode *i, struct err *e)
{
	struct pkg_extents extents = { .index = x->index, .ino = i->ino, .end = i->size };
	const struct pkg_extent *at;
	int rc;

	/* Of several names only the first brings the content. */
	if (i->nlink > 1 && i->ino < x->inode_count && x->is_planned[i->ino]++)
		return 0;
	while ((rc = pkg_extents_next(&extents, &at, e)) > 0) {
		cmd_spool_plan(&x->spool, at->chunk_idx);
		x->total += at->len;
	}
	return rc;
}

/* Which chunks will be used, in the order of extract_one. */
static int plan(struct cmd_extract *x, uint64_t ino, unsigned depth, struct err *e)
{
	auto_pkg_entries entries = { .index = x->index, .dir = ino };
	const struct pkg_dirent *d;
	struct pkg_inode i;
	int rc;

	if (pkg_index_stat(x->index, ino, &i, e) < 0)
		return -1;
	if (S_ISREG(i.mode))
		return plan_file(x, &i, e);
	if (!S_ISDIR(i.mode))
		return 0;
	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "directories are too deep");
	while ((rc = pkg_entries_next(&entries, &d, e)) > 0)
		if (plan(x, d->ino, depth + 1, e) < 0)
			return -1;
	return rc;
}

static int plan_path(struct cmd_extract *x, const char *path, struct err *e)
{
	struct pkg_inode i;

	if (pkg_index_resolve(x->index, path, &i, e) < 0)
		return -1;
	return plan(x, i.ino, 0, e);
}

static int plan_all(struct cmd_extract *x, char **paths, struct err *e)
{
	struct pkg_index_counts counts;
	int rc = 0;

	pkg_index_counts(x->index, &counts);
	x->inode_count = counts.inodes + 1;
	x->is_planned = mem_alloc(x->inode_count, 1, e);
	if (!x->is_planned || cmd_spool_init(&x->spool, x->package, e) < 0)
		return -1;
	for (char **p = paths; rc == 0 && *p; p++)
		rc = plan_path(x, *p, e);
	return rc;
}

/* ---- one path after the other ---------------------------------------------------------------- */

/* One PATH: its parents are made as they are in the package, then it is extracted where it belongs. */
static int extract_path(struct cmd_extract *x, const char *path, struct err *e)
{
	struct pkg_inode here;
	auto_free char *done = mem_strdup("", e);
	auto_fd int fd = -1;

	if (!done || pkg_index_resolve(x->index, path, &here, e) < 0 ||
	    pkg_index_stat(x->index, PKG_ROOT_INO, &here, e) < 0)
		return -1;
	fd = fcntl(x->root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "descriptor");
	path += strspn(path, "/");
	if (!*path)
		return extract_entries(x, fd, "", PKG_ROOT_INO, 0, e);
	for (;;) {
		size_t len = strcspn(path, "/");
		auto_free char *name = mem_strndup(path, len, e);
		char *longer = name ? path_join(done, name, e) : NULL;
		bool is_new;
		int sub;

		free(done);
		done = longer;
		if (!done || pkg_index_lookup(x->index, here.ino, name, len, &here, e) < 0)
			return -1;
		path += len;
		path += strspn(path, "/");
		if (!*path)
			return extract_one(x, fd, name, done, here.ino, 0, e);
		sub = cmd_extract_dir(fd, name, done, &is_new, e);
		if (sub < 0)
			return -1;
		if (is_new && fchmod(sub, here.mode & 0777) < 0) {
			fd_close(sub);
			return err_sys(e, errno, "%s", done);
		}
		fd_close(fd);
		fd = sub;
	}
}

static void fini(struct cmd_extract *x)
{
	for (size_t k = 0; k < x->link_count; k++)
		free(x->links[k].path);
	free(x->links);
	fd_close(x->root_fd);
	cmd_spool_fini(&x->spool);
	free(x->is_planned);
	stream_package_close(x->package);
}

static int extract(struct cmd_extract *x, const char *ref, bool check_trust, const char *dir, char **paths,
		   struct err *e)
{
	char root[] = "", *everything[] = { root, NULL };
	int rc = 0;

	if (cmd_package_open(ref, check_trust, !*paths, &x->package, e) < 0 ||
	    path_make_dirs(dir, 0777, e) < 0)
		return -1;
	x->index = stream_package_index(x->package);
	x->root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root_fd < 0)
		return err_sys(e, errno, "%s", dir);
	if (!*paths)
		paths = everything;
	if (plan_all(x, paths, e) < 0 || cmd_spool_fill(&x->spool, x->root_fd, e) < 0)
		return -1;
	log_progress_start(&x->progress, "extracting", x->total, true);
	for (char **p = paths; rc == 0 && *p; p++)
		rc = extract_path(x, *p, e);
	log_progress_end(&x->progress);
	return rc;
}

int cmd_extract(int argc, char **argv)
{
	static const struct option options[] = { { "overwrite", no_argument, NULL, 'o' },
						 { "no-trust", no_argument, NULL, 'n' },
						 { "directory", required_argument, NULL, 'C' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	__attribute__((cleanup(fini))) struct cmd_extract x = { .root_fd = -1, .spool = { .fd = -1 } };
	const char *dir = ".";
	bool check_trust = true;
	struct err e;
	int c;

	while ((c = getopt_long(argc, argv, "C:h", options, NULL)) != -1) {
		switch (c) {
		case 'C':
			dir = optarg;
			break;
		case 'o':
			x.overwrite = true;
			break;
		case 'n':
			check_trust = false;
			break;
		case 'h':
			print_help();
			return 0;
		default:
			return 125;
		}
	}
	if (argc == optind) {
		log_error("extract needs a package: a path or a URL");
		return 125;
	}
	cmd_package_catch_signals();
	if (extract(&x, argv[optind], check_trust, dir, argv + optind + 1, &e) < 0)
		return cmd_package_fail(&e);
	if (x.skipped)
		log_note("%llu whiteouts and devices were left out (-v names them)",
			 (unsigned long long)x.skipped);
	log_note("extracted %llu files and directories to %s", (unsigned long long)x.files, dir);
	return 0;
}
