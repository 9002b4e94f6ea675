/* SPDX-License-Identifier: Apache-2.0 */
/* floe ls: the files of a package, from its index alone. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "launcher/verbs.h"
#include "package-format/index_cursor.h"

enum { DEPTH_MAX = 2048 };

struct ls {
	struct pkg_index *index;
	bool json, details, recurse;
	json_t *list;
	struct launch_table table;
};

static void print_help(void)
{
	(void)fputs(
		"Usage: floe ls REF [PATH] [-l] [-R] [--json]\n\n"
		"Lists the files of a package. REF is a path or a URL, PATH a path inside the package.\n\n"
		"  -l               modes, owners, sizes, times\n"
		"  -R, --recursive  everything below\n"
		"  --json           for programs\n",
		stdout);
}

static const char *type_name(const struct pkg_inode *i)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFBLK:
		return "block-device";
	default:
		return i->rdev ? "character-device" : "whiteout";
	}
}

static void mode_text(const struct pkg_inode *i, char ret[11])
{
	static const char letters[] = "rwxrwxrwx";
	const uint32_t m = i->mode;

	ret[0] = S_ISREG(m)    ? '-'
		 : S_ISDIR(m)  ? 'd'
		 : S_ISLNK(m)  ? 'l'
		 : S_ISFIFO(m) ? 'p'
		 : S_ISBLK(m)  ? 'b'
			       : 'c';
	for (int b = 0; b < 9; b++)
		ret[1 + b] = m & (0400u >> b) ? letters[b] : '-';
	if (m & S_ISUID)
		ret[3] = ret[3] == 'x' ? 's' : 'S';
	if (m & S_ISGID)
		ret[6] = ret[6] == 'x' ? 's' : 'S';
	if (m & S_ISVTX)
		ret[9] = ret[9] == 'x' ? 't' : 'T';
	ret[10] = 0;
}

static int add_json(struct ls *ls, const char *path, const struct pkg_inode *i, const char *target,
		    struct err *e)
{
	json_t *o =
		json_pack("{s:o, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "path", launch_json_bytes(path),
			  "type", type_name(i), "mode", (int)(i->mode & 07777), "uid", (json_int_t)i->uid,
			  "gid", (json_int_t)i->gid, "links", (json_int_t)i->nlink, "size",
			  (json_int_t)i->size, "mtime", (json_int_t)i->mtime_s, "inode", (json_int_t)i->ino);

	if (o && target)
		(void)json_object_set_new(o, "target", launch_json_bytes(target));
	return launch_json_append(ls->list, o, e);
}

static int add_row(struct ls *ls, const char *path, const struct pkg_inode *i, const char *target,
		   struct err *e)
{
	struct launch_table *t = &ls->table;
	char mode[11], when[32];

	mode_text(i, mode);
	launch_table_time(i->mtime_s, when);
	if (launch_table_add(t, mode, e) < 0 || launch_table_addf(t, e, "%u", i->nlink) < 0 ||
	    launch_table_addf(t, e, "%u", i->uid) < 0 || launch_table_addf(t, e, "%u", i->gid) < 0)
		return -1;
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) {
		if (launch_table_addf(t, e, "%u,%u", major(i->rdev), minor(i->rdev)) < 0)
			return -1;
	} else if (launch_table_addf(t, e, "%llu", (unsigned long long)i->size) < 0) {
		return -1;
	}
	return launch_table_add(t, when, e) < 0 ||
			       launch_table_addf(t, e, "%s%s%s%s", path, target ? " -> " : "",
						 target ? target : "",
						 !strcmp(type_name(i), "whiteout") ? " (whiteout)" : "") < 0
		       ? -1
		       : 0;
}

static int add(struct ls *ls, const char *path, uint64_t ino, struct err *e)
{
	char target[PKG_SYMLINK_MAX + 1];
	struct pkg_inode i;
	auto_free char *shown = NULL;

	if (!ls->json && !ls->details) {
		shown = launch_table_escape(path, e);
		if (shown)
			(void)puts(shown);
		return shown ? 0 : -1;
	}
	if (pkg_index_stat(ls->index, ino, &i, e) < 0 ||
	    (S_ISLNK(i.mode) && pkg_index_readlink(ls->index, ino, target, e) < 0))
		return -1;
	return (ls->json ? add_json : add_row)(ls, path, &i, S_ISLNK(i.mode) ? target : NULL, e);
}

static int list(struct ls *ls, const char *prefix, uint64_t ino, unsigned depth, struct err *e)
{
	auto_pkg_entries entries = { .index = ls->index, .dir = ino };
	const struct pkg_dirent *d;
	int rc;

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%.200s: too deep", prefix);
	while ((rc = pkg_entries_next(&entries, &d, e)) > 0) {
		auto_free char *path = path_join(prefix, d->name, e);

		if (!path || add(ls, path, d->ino, e) < 0)
			return -1;
		/* Directories are numbered upwards on the way down: no loops. */
		if (ls->recurse && S_ISDIR(d->mode) && d->ino > ino &&
		    list(ls, path, d->ino, depth + 1, e) < 0)
			return -1;
	}
	return rc;
}

static int run(struct ls *ls, const char *ref, const char *path, struct err *e)
{
	auto_package struct stream_package *p = NULL;
	struct pkg_inode start;

	if (cmd_package_open(ref, false, false, &p, e) < 0)
		return -1;
	ls->index = stream_package_index(p);
	if (pkg_index_resolve(ls->index, path, &start, e) < 0)
		return -1;
	if (!S_ISDIR(start.mode))
		return add(ls, path, start.ino, e);
	/* -R shows paths inside the package, a plain listing names. */
	return list(ls, ls->recurse && *path ? path : "", start.ino, 0, e);
}

static int print(struct ls *ls, const char *ref, const char *path)
{
	static const char *const heads[] = { "MODE", ">LINKS", ">UID", ">GID", ">SIZE", "MODIFIED", "NAME" };
	struct err e;
	int rc;

	ls->table = (struct launch_table)LAUNCH_TABLE_INIT(heads);
	ls->list = json_array();
	rc = run(ls, ref, path, &e);
	if (rc == 0 && ls->json)
		rc = launch_json_print(json_incref(ls->list));
	else if (rc == 0 && ls->details)
		launch_table_print(&ls->table);
	else if (rc < 0)
		rc = cmd_package_fail(&e);
	json_decref(ls->list);
	launch_table_fini(&ls->table);
	return rc;
}

int cmd_ls(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "recursive", no_argument, NULL, 'R' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	struct ls ls = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "lRh", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			ls.details = true;
			break;
		case 'R':
			ls.recurse = true;
			break;
		case 'j':
			ls.json = true;
			break;
		case 'h':
			print_help();
			return 0;
		default:
			return 125;
		}
	}
	if (argc - optind < 1 || argc - optind > 2) {
		log_error("ls needs a package, and at most one path inside it");
		return 125;
	}
	return print(&ls, argv[optind], argc - optind == 2 ? argv[optind + 1] : "");
}
