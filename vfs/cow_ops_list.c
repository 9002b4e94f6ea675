/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that list directories; see cow_ops.h. */
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <string.h>

#include "base/path.h"
#include "vfs/cow_list.h"
#include "vfs/cow_ops.h"
#include "vfs/cow_told.h"

struct listing {
	fuse_req_t req;
	struct cow_union *u;
	fuse_ino_t ino;
	bool is_plus;
	char *data; /* the thread's */
	size_t len, cap;
};

static bool add(void *arg, const char *name, uint64_t ino, unsigned char type, uint64_t next_off)
{
	struct listing *l = arg;
	size_t room = l->cap - l->len, need = fuse_add_direntry(l->req, NULL, 0, name, NULL, 0);
	struct stat st = { .st_ino = ino, .st_mode = DTTOIF(type) };

	if (need > room)
		return false;
	(void)fuse_add_direntry(l->req, l->data + l->len, room, name, &st, (off_t)next_off);
	l->len += need;
	return true;
}

/* A lookup is counted only for what is given to the kernel. Node id 0 = no attributes: the two dots, what the
 * kernel knows, and what cannot be looked at just now. */
static bool add_plus(void *arg, const char *name, uint64_t ino, unsigned char type, uint64_t next_off)
{
	struct listing *l = arg;
	size_t room = l->cap - l->len, need = fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0);
	struct fuse_entry_param reply = { .attr = { .st_ino = ino, .st_mode = DTTOIF(type) } };
	struct cow_entry entry;
	int sys;

	if (need > room)
		return false;
	if (!path_is_dot(name) && !cow_told_lately(l->u->told, l->ino, name)) {
		sys = cow_tree_lookup(l->u, l->ino, name, &entry);
		if (sys == ENOENT) /* gone meanwhile */
			return true;
		if (!sys) {
			cow_ops_fill(l->u, &entry, &reply);
			cow_ops_note_told(l->u, l->ino, name, &entry);
		}
	}
	(void)fuse_add_direntry_plus(l->req, l->data + l->len, room, name, &reply, (off_t)next_off);
	l->len += need;
	return true;
}

/* The reply did not arrive. */
static void take_back(const struct listing *l)
{
	struct fuse_direntplus d;

	for (size_t at = 0; at + sizeof(d) <= l->len; at += FUSE_DIRENTPLUS_SIZE(&d)) {
		memcpy(&d, l->data + at, sizeof(d));
		if (d.entry_out.nodeid)
			cow_forget(l->u, d.entry_out.nodeid, 1);
	}
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool is_plus)
{
	struct listing l = { .req = req, .u = cow_ops_union(req), .ino = ino, .is_plus = is_plus };
	int sys = ENOMEM;

	l.cap = size < COW_REPLY_MAX ? size : COW_REPLY_MAX;
	l.data = cow_ops_buffer(l.cap);
	if (l.data)
		sys = cow_list(l.u, ino, (uint64_t)off, l.cap, is_plus ? add_plus : add, &l);
	if (sys && l.len == 0)
		cow_ops_reply_err(req, sys);
	else if (fuse_reply_buf(req, l.data, l.len) < 0 && is_plus)
		take_back(&l);
}

void cow_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	read_directory(req, ino, size, off, false);
}

void cow_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	read_directory(req, ino, size, off, true);
}
