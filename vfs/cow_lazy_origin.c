/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a sparse file a lazy one: its attribute. See cow_content.h for the form. Everything in it is
 * checked: the upper may have been copied about, or written by others. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "vfs/cow_lazy.h"
#include "vfs/cow_sparse.h"

#define ATTRIBUTE "user.floe.lazy"
enum { VALUE_MAX = sizeof(((struct cow_lazy_origin *)0)->path) + 256 };

/* A decimal number as we write it (no sign, no leading zeros) and the blank behind it. */
static bool take_number(const char **p, uint64_t *ret)
{
	uint64_t n = 0;
	const char *s = *p;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1] != ' '))
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	if (*s != ' ')
		return false;
	*p = s + 1;
	*ret = n;
	return true;
}

static bool take_word(const char **p, char *ret, size_t cap)
{
	size_t len = strcspn(*p, " ");

	if (len == 0 || len >= cap || (*p)[len] != ' ')
		return false;
	memcpy(ret, *p, len);
	ret[len] = '\0';
	*p += len + 1;
	return true;
}

/* Attributes can be had only by whom the mode lets read and write, even through an open descriptor; owners
 * can let themselves, for a moment. After a failed call. */
static bool gain_access(int fd, mode_t *ret_was)
{
	int sys = errno;
	struct stat st;

	if (sys != EACCES || fstat(fd, &st) < 0 || (st.st_mode & 0600) == 0600 ||
	    fchmod(fd, (st.st_mode & 07777) | 0600) < 0) {
		errno = sys;
		return false;
	}
	*ret_was = st.st_mode & 07777;
	return true;
}

static void lose_access(int fd, mode_t was)
{
	int sys = errno;

	(void)fchmod(fd, was);
	errno = sys;
}

static ssize_t get(int fd, char *value)
{
	ssize_t len = fgetxattr(fd, ATTRIBUTE, value, VALUE_MAX);
	mode_t was;

	if (len < 0 && gain_access(fd, &was)) {
		len = fgetxattr(fd, ATTRIBUTE, value, VALUE_MAX);
		lose_access(fd, was);
	}
	return len;
}

/* NULL: it goes. */
static int set(int fd, const char *value, size_t len)
{
	int rc = value ? fsetxattr(fd, ATTRIBUTE, value, len, 0) : fremovexattr(fd, ATTRIBUTE);
	mode_t was;

	if (rc < 0 && gain_access(fd, &was)) {
		rc = value ? fsetxattr(fd, ATTRIBUTE, value, len, 0) : fremovexattr(fd, ATTRIBUTE);
		lose_access(fd, was);
	}
	return rc < 0 ? errno : 0;
}

int cow_lazy_read_origin(int fd, struct cow_lazy_origin *ret)
{
	auto_free char *value = malloc(VALUE_MAX + 1);
	struct cow_lazy_origin o;
	uint64_t version;
	const char *p = value;
	ssize_t len;

	if (!value)
		return ENOMEM;
	len = get(fd, value);
	if (len < 0)
		return errno == ENOTSUP ? ENODATA : errno == ERANGE ? EINVAL : errno;
	value[len] = '\0';
	if (strlen(value) != (size_t)len || !take_number(&p, &version) || version != 1 ||
	    !take_number(&p, &o.limit) || o.limit > INT64_MAX || !take_word(&p, o.key, sizeof(o.key)) ||
	    !take_number(&p, &o.dev) || !take_number(&p, &o.ino) || strlen(p) >= sizeof(o.path))
		return EINVAL;
	strcpy(o.path, p);
	*ret = o;
	return 0;
}

int cow_lazy_write_origin(int fd, const struct cow_lazy_origin *o)
{
	auto_free char *value = NULL;
	int len;

	if (o->limit > INT64_MAX || o->key[0] == '\0' || strchr(o->key, ' '))
		return EINVAL;
	len = asprintf(&value, "1 %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %s", o->limit, o->key, o->dev,
		       o->ino, o->path);
	if (len < 0) {
		value = NULL;
		return ENOMEM;
	}
	return set(fd, value, (size_t)len);
}

int cow_lazy_remove_origin(int fd)
{
	int error = set(fd, NULL, 0);

	return error == ENODATA ? 0 : error;
}

static int set_size(int fd, uint64_t size)
{
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static int make_hollow(int fd, uint64_t size)
{
	uint64_t block, data;
	int error = cow_sparse_block(fd, &block);

	if (!error)
		error = cow_sparse_probe(fd, block);
	if (!error)
		error = set_size(fd, size);
	if (!error)
		error = cow_sparse_data(fd, 0, &data);
	/* Small files may lie in the inode, and are data then. */
	return !error && data != UINT64_MAX ? EOPNOTSUPP : error;
}

int cow_lazy_make(int fd, const struct cow_lazy_origin *o)
{
	struct stat st;
	int error;

	if (fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode) || st.st_size != 0 || o->limit > INT64_MAX)
		return EINVAL;
	error = make_hollow(fd, o->limit);
	if (!error) /* last: until now the file was only sparse */
		error = cow_lazy_write_origin(fd, o);
	if (error)
		(void)!set_size(fd, 0);
	return error;
}
