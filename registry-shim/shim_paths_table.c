/* SPDX-License-Identifier: Apache-2.0 */
/* The declared paths inside the application: RUN/paths in fixed tables, read once; see shim.h.
 *
 * Looking a path up compares its last part's length and text with the declared ones. Only on a hit is the
 * path made absolute, first as text, then through the kernel's view of its directory (for symbolic links). */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_paths.h"
#include "registry-shim/shim_sys.h"
#ifdef REG_SHIM_TEST_RUN_FROM_ENV
#include <stdlib.h>
#endif

enum { TEXT_MAX = 256 * 1024, RUN_MAX = 256 };

/* What every process looks at comes first: few pages are touched at its start. */
static struct {
	atomic_int count;
	uint64_t base_lens; /* bit min(length, 63) of every declared last part */
	char view[RUN_MAX], drafts[RUN_MAX], socket[RUN_MAX];
	struct {
		const char *path, *base, *name;
		size_t path_len, base_len;
		bool is_whole;
		char view[RUN_MAX + SHIM_NAME_MAX];
	} files[SHIM_FILES_MAX];
	char text[TEXT_MAX];
} table;

enum { EMPTY, LOADING, READY };
static atomic_int state = EMPTY;

/* ---- loading -------------------------------------------------------------------------------- */

static void join(char *ret, size_t cap, const char *a, const char *b, const char *c)
{
	const char *parts[] = { a, b, c };
	size_t len = 0;

	for (int i = 0; i < 3; i++)
		for (const char *s = parts[i]; *s && len + 1 < cap; s++)
			ret[len++] = *s;
	ret[len] = 0;
}

static const char *run_dir(void)
{
#ifdef REG_SHIM_TEST_RUN_FROM_ENV
	const char *r = getenv("FLOE_SHIM_TEST_RUN");

	if (r)
		return r;
#endif
	return REG_SHIM_RUN;
}

/* One line "path TAB name TAB kind", in place. */
static void add_file(char *line, char *end)
{
	char *tab = memchr(line, '\t', (size_t)(end - line)), *kind;
	const char *base;

	if (!tab || table.count == SHIM_FILES_MAX || *line != '/')
		return;
	*tab = *end = 0;
	kind = strchr(tab + 1, '\t');
	base = strrchr(line, '/') + 1;
	if (!*base || !kind || (size_t)(kind - tab) > SHIM_NAME_MAX || strlen(line) >= SHIM_PATH_MAX)
		return;
	*kind = 0;
	table.files[table.count].path = line;
	table.files[table.count].path_len = strlen(line);
	table.files[table.count].base = base;
	table.files[table.count].base_len = strlen(base);
	table.files[table.count].name = tab + 1;
	table.files[table.count].is_whole = !strcmp(kind + 1, "whole");
	join(table.files[table.count].view, sizeof(table.files[0].view), table.view, "/", tab + 1);
	table.base_lens |= 1ull << (strlen(base) < 63 ? strlen(base) : 63);
	table.count++;
}

static void load(void)
{
	char path[RUN_MAX];
	size_t len;
	ssize_t n;
	int fd;

	join(table.view, sizeof(table.view), run_dir(), "/view", "");
	join(table.drafts, sizeof(table.drafts), run_dir(), "/drafts", "");
	join(table.socket, sizeof(table.socket), run_dir(), "/registry.sock", "");
	join(path, sizeof(path), run_dir(), "/paths", "");
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return;
	n = sys_read(fd, table.text, TEXT_MAX); /* a small regular file comes whole */
	len = n > 0 ? (size_t)n : 0;
	sys_close(fd);
	for (char *line = table.text, *end; (end = memchr(line, '\n', len)); line = end + 1) {
		len -= (size_t)(end + 1 - line);
		add_file(line, end);
	}
}

/* A caller that finds another thread loading waits a moment; a signal handler that interrupted the loading
 * must not wait for it, so after that moment the path passes untranslated. */
static bool is_loaded(void)
{
	int expected = EMPTY, saved = errno;

	if (atomic_load_explicit(&state, memory_order_acquire) == READY)
		return true;
	if (atomic_compare_exchange_strong(&state, &expected, LOADING)) {
		load();
		atomic_store_explicit(&state, READY, memory_order_release);
		errno = saved;
		return true;
	}
	for (int i = 0; i < 1000 && atomic_load_explicit(&state, memory_order_acquire) != READY; i++)
		sched_yield();
	return atomic_load_explicit(&state, memory_order_acquire) == READY;
}

/* ---- looking up ----------------------------------------------------------------------------- */

const char *shim_declared_path(int file)
{
	return table.files[file].path;
}

const char *shim_view_path(int file)
{
	return table.files[file].view;
}

const char *shim_view_name(int file)
{
	return table.files[file].name;
}

const char *shim_view_dir(void)
{
	return table.view;
}

const char *shim_drafts_dir(void)
{
	return table.drafts;
}

bool shim_is_whole(int file)
{
	return table.files[file].is_whole;
}

const char *shim_socket_path(void)
{
	return table.socket;
}

/* Removes ".", ".." and doubled slashes from an absolute path, in place. */
static size_t normalise(char *path)
{
	char *out = path;

	for (const char *in = path; *in;) {
		size_t len;

		while (*in == '/')
			in++;
		len = strcspn(in, "/");
		if (len == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (len && !(len == 1 && *in == '.')) {
			*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	*out = 0;
	return (size_t)(out - path);
}

static int find_exact(const char *path, size_t len)
{
	for (int i = 0; i < table.count; i++)
		if (table.files[i].path_len == len && !memcmp(table.files[i].path, path, len))
			return i;
	return -1;
}

/* The directory that a relative path starts from, as text; 0 when unknown. */
static size_t start_dir(int dirfd, char *ret, size_t cap)
{
	char link[32] = "/proc/self/fd/", digits[12];
	size_t at = strlen(link), n = 0;
	ssize_t len;

	if (dirfd == AT_FDCWD) {
		len = syscall(SYS_getcwd, ret, cap);
		return len > 1 && ret[0] == '/' ? (size_t)len - 1 : 0;
	}
	if (dirfd < 0)
		return 0;
	for (int v = dirfd; n == 0 || v; v /= 10)
		digits[n++] = (char)('0' + v % 10);
	while (n)
		link[at++] = digits[--n];
	link[at] = 0;
	len = sys_readlink(link, ret, cap - 1);
	if (len <= 0 || ret[0] != '/')
		return 0;
	ret[len] = 0;
	return (size_t)len;
}

/* The same file by way of symbolic links: its directory as the kernel names it. */
static int find_resolved(int dirfd, const char *path, const char *base)
{
	char dir[SHIM_PATH_MAX];
	size_t len = (size_t)(base - path), base_len = strlen(base);
	int fd, file = -1;

	if (len + 2 > sizeof(dir))
		return -1;
	memcpy(dir, path, len);
	memcpy(dir + len, ".", 2);
	fd = sys_openat(dirfd, dir, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return -1;
	len = start_dir(fd, dir, sizeof(dir));
	if (len && len + base_len + 2 <= sizeof(dir)) {
		dir[len] = '/';
		memcpy(dir + len + 1, base, base_len + 1);
		file = find_exact(len == 1 ? dir + 1 : dir, len == 1 ? base_len + 1 : len + 1 + base_len);
	}
	sys_close(fd);
	return file;
}

static __attribute__((noinline)) int find_slow(int dirfd, const char *path, size_t path_len, const char *base)
{
	char full[2 * SHIM_PATH_MAX];
	size_t len = 0;
	int saved = errno, file = -1;

	if (path_len >= SHIM_PATH_MAX)
		return -1;
	if (*path != '/')
		len = start_dir(dirfd, full, SHIM_PATH_MAX);
	if (*path == '/' || len) {
		full[len] = '/';
		memcpy(full + len + 1, path, path_len + 1);
		file = find_exact(full, normalise(full));
	}
	if (file < 0)
		file = find_resolved(dirfd, path, base);
	errno = saved;
	return file;
}

bool shim_has_files(void)
{
	return is_loaded() && table.count > 0;
}

void shim_forget_files(void)
{
	atomic_store(&table.count, 0);
}

int shim_find(int dirfd, const char *path)
{
	const char *base;
	size_t len, base_len;

	if (!path || !is_loaded() || table.count == 0)
		return -1;
	len = strlen(path);
	for (base = path + len; base > path && base[-1] != '/';)
		base--;
	base_len = (size_t)(path + len - base);
	if (!(table.base_lens >> (base_len < 63 ? base_len : 63) & 1))
		return -1;
	for (int i = 0; i < table.count; i++)
		if (table.files[i].base_len == base_len && !memcmp(table.files[i].base, base, base_len))
			return find_slow(dirfd, path, len, base);
	return -1;
}

size_t shim_fd_path(int fd, char *ret, size_t cap)
{
	return is_loaded() && table.count > 0 ? start_dir(fd, ret, cap) : 0;
}

int shim_find_name(const char *name)
{
	for (int i = 0; i < table.count; i++)
		if (!strcmp(table.files[i].name, name))
			return i;
	return -1;
}

/* `suffix`: what the kernel says behind the path. */
static int find_open(int fd, const char *suffix)
{
	char path[SHIM_PATH_MAX];
	size_t len = shim_fd_path(fd, path, sizeof(path)), dir_len = strlen(table.view),
	       suffix_len = strlen(suffix);

	if (len <= dir_len + suffix_len || memcmp(path, table.view, dir_len) != 0 || path[dir_len] != '/' ||
	    strcmp(path + len - suffix_len, suffix) != 0)
		return -1;
	path[len - suffix_len] = 0;
	for (int i = 0; i < table.count; i++)
		if (!strcmp(table.files[i].view, path))
			return i;
	return -1;
}

int shim_find_fd(int fd)
{
	return find_open(fd, "");
}

int shim_find_lost_fd(int fd)
{
	return find_open(fd, " (deleted)");
}
