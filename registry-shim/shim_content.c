/* SPDX-License-Identifier: Apache-2.0 */
/* What is in files; see shim.h. */
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

bool shim_digest(int fd, uint64_t *ret)
{
	unsigned char block[4096];
	off_t at = 0;
	long n;

	*ret = HASH_SEED;
	while ((n = syscall(SYS_pread64, fd, block, sizeof(block), at)) > 0) {
		*ret = hash_bytes(*ret, block, (size_t)n);
		at += n;
	}
	return n == 0;
}

bool shim_copy_content(int from, int to)
{
	char block[4096];
	ssize_t n;

	while ((n = sys_read(from, block, sizeof(block))) > 0)
		for (ssize_t done = 0, w; done < n; done += w) {
			w = sys_write(to, block + done, (size_t)(n - done));
			if (w <= 0)
				return false;
		}
	return n == 0;
}

int shim_open_to_read(int fd)
{
	char path[32] = "/proc/self/fd/", digits[12];
	size_t n = 0, len = strlen(path);

	do
		digits[n++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	while (n > 0)
		path[len++] = digits[--n];
	return sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
}

bool shim_is_in_view(int fd, int file)
{
	struct stat st, view;
	int saved = errno;
	bool is = sys_fstat(fd, &st) == 0 && st.st_nlink > 0 &&
		  syscall(SYS_newfstatat, AT_FDCWD, shim_view_path(file), &view, AT_SYMLINK_NOFOLLOW) == 0 &&
		  view.st_ino == st.st_ino && view.st_dev == st.st_dev;

	errno = saved;
	return is;
}
