/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of lazy files: a layer whose one file is made up of its offsets (or has a
 * descriptor), and directories on each file
 * system there is: the temporary directory's, tmpfs, and (for root, in a mount namespace of its own) ext4
 * with small blocks, xfs and btrfs in image files where their mkfs is installed. Include in one file of a
 * program only. */
#ifndef FLOE_TESTS_LAZY_FIXTURE_H
#define FLOE_TESTS_LAZY_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/unit/cmocka_all.h"
#include "vfs/cow_content.h"

/* ---- the layer -------------------------------------------------------------------------- */

struct fake_layer {
	struct cow_layer layer; /* first */
	uint64_t size;
	atomic_uint_fast64_t bytes_read;
	unsigned delay_us; /* at most, per read */
	int fails;         /* errno of every read */
};

/* Never zero, so that a hole that shows is told from content; different in neighbouring blocks. */
static uint8_t old_byte(uint64_t off)
{
	return (uint8_t)(1 + (off * 7 + (off >> 12) * 13 + (off >> 20)) % 127);
}

static int fake_read(struct cow_layer *l, const struct cow_handle *h, uint64_t off, size_t size, void *buf,
		     size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	struct fake_layer *f = (struct fake_layer *)l;
	uint8_t *to = buf;

	if (is_over && is_over(arg))
		return EINTR;
	if (f->fails)
		return f->fails;
	if (f->delay_us)
		(void)usleep((unsigned)rand() % f->delay_us);
	if (h->fd >= 0 && !l->is_frozen_upper) {
		ssize_t n = pread(h->fd, buf, size, (off_t)off);

		*ret_got = n < 0 ? 0 : (size_t)n;
		return n < 0 ? errno : 0;
	}
	if (off >= f->size)
		size = 0;
	else if (size > f->size - off)
		size = (size_t)(f->size - off);
	for (size_t i = 0; i < size; i++)
		to[i] = old_byte(off + i);
	atomic_fetch_add(&f->bytes_read, size);
	*ret_got = size;
	return 0;
}

static const struct cow_layer_ops fake_ops = { .read = fake_read };

static struct fake_layer fake_layer_of(uint64_t size)
{
	static char key[] = "package:00ff";

	return (struct fake_layer){ .layer = { .ops = &fake_ops, .is_streamed = true, .key = key },
				    .size = size };
}

/* ---- places ----------------------------------------------------------------------------- */

struct place {
	const char *name;
	char path[64];
	bool is_mounted;
};
static struct place places[8];
static size_t place_count;
static char place_root[] = "/tmp/floe-test-lazy-XXXXXX";

static struct place *add_place(const char *name)
{
	struct place *p = &places[place_count++];

	p->name = name;
	(void)snprintf(p->path, sizeof(p->path), "%s/%s", place_root, name);
	if (mkdir(p->path, 0700) < 0)
		abort();
	return p;
}

static void add_image(const char *name, const char *mkfs)
{
	struct place *p = add_place(name);
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "PATH=$PATH:/usr/sbin:/sbin; command -v %.*s >/dev/null && truncate -s 400M %s.img && "
		       "%s %s.img "
		       "&& mount -o loop %s.img %s",
		       (int)strcspn(mkfs, " "), mkfs, p->path, mkfs, p->path, p->path, p->path);
	if (freopen("/dev/null", "r", stdin) && system(command) == 0)
		p->is_mounted = true;
	else
		place_count--;
}

static int make_places(void **state)
{
	(void)state;
	if (!mkdtemp(place_root))
		return -1;
	(void)add_place("temporary");
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 0;
	add_place("tmpfs")->is_mounted = true;
	if (mount("tmpfs", places[1].path, "tmpfs", 0, "size=200M") < 0)
		return -1;
	add_image("ext4", "mkfs.ext4 -q -F -b 1024");
	add_image("xfs", "mkfs.xfs -q -f");
	add_image("btrfs", "mkfs.btrfs -q -f");
	return 0;
}

static int remove_places(void **state)
{
	char command[128];

	(void)state;
	for (size_t i = 0; i < place_count; i++) {
		print_message("on %s\n", places[i].name);
		if (places[i].is_mounted)
			(void)umount2(places[i].path, MNT_DETACH);
	}
	(void)snprintf(command, sizeof(command), "rm -rf %s", place_root);
	return system(command);
}

/* ---- lazy files ------------------------------------------------------------------------- */

/* An empty file without a name. */
static int new_file(const struct place *p)
{
	int fd = open(p->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fail_msg("%s: %s", p->path, strerror(errno));
	return fd;
}

static struct cow_lazy *open_lazy(int fd, struct fake_layer *layer)
{
	struct cow_handle origin = { .fd = -1, .dev = 5, .ino = 42 };
	struct cow_lazy *z = NULL;

	assert_int_equal(cow_lazy_open(fd, &layer->layer, &origin, &z), 0);
	return z;
}

static struct cow_lazy *make_lazy(int fd, struct fake_layer *layer)
{
	struct cow_lazy_origin o = { .limit = layer->size, .dev = 5, .ino = 42, .path = "usr/lib/big file" };

	strcpy(o.key, layer->layer.key);
	assert_int_equal(cow_lazy_make(fd, &o), 0);
	return open_lazy(fd, layer);
}

static bool has_attribute(int fd)
{
	return fgetxattr(fd, "user.floe.lazy", NULL, 0) >= 0;
}

#endif
