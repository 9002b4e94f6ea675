/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's view of the index's frames: a file system with one immutable file, which SQLite neither locks nor
 * looks beside for a journal. Reads are all it does. */
#include <string.h>

#include "package-format/index_db.h"

struct frames_file {
	sqlite3_file base;
	struct pkg_index *index;
};

static int file_close(sqlite3_file *file)
{
	(void)file;
	return SQLITE_OK;
}

/* SQLite holds the index's lock whenever it reads: every statement runs under it. */
static int file_read(sqlite3_file *file, void *ret, int amount, sqlite3_int64 off)
{
	struct pkg_index *x = ((struct frames_file *)file)->index;
	uint64_t end = pkg_index_frames_len(x->frames), start = (uint64_t)off;
	size_t len = (size_t)amount, there = start < end ? (size_t)(end - start) : 0;

	if (there > len)
		there = len;
	memset((uint8_t *)ret + there, 0, len - there);
	if (there && pkg_index_frames_read(x->frames, start, there, ret, &x->read_err) < 0)
		return SQLITE_IOERR_READ;
	return there < len ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 off)
{
	(void)file, (void)data, (void)len, (void)off;
	return SQLITE_READONLY;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 len)
{
	(void)file, (void)len;
	return SQLITE_READONLY;
}

static int file_nothing(sqlite3_file *file, int what)
{
	(void)file, (void)what;
	return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)pkg_index_frames_len(((struct frames_file *)file)->index->frames);
	return SQLITE_OK;
}

static int file_reserved(sqlite3_file *file, int *ret)
{
	(void)file;
	*ret = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int what, void *arg)
{
	(void)file, (void)what, (void)arg;
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int file_traits(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_nothing,
	.xFileSize = file_size,
	.xLock = file_nothing,
	.xUnlock = file_nothing,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	file->pMethods = NULL;
	if (!name || !(flags & SQLITE_OPEN_MAIN_DB))
		return SQLITE_CANTOPEN;
	((struct frames_file *)file)->index = vfs->pAppData;
	file->pMethods = &file_methods;
	if (ret_flags)
		*ret_flags = SQLITE_OPEN_READONLY;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs, (void)name, (void)sync;
	return SQLITE_READONLY;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	(void)vfs, (void)name, (void)flags;
	*ret = 0;
	return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int cap, char *ret)
{
	(void)vfs;
	(void)sqlite3_snprintf(cap, ret, "%s", name);
	return SQLITE_OK;
}

/* Neither chance nor time has a place in an index. */
static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret)
{
	(void)vfs;
	memset(ret, 0, (size_t)len);
	return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs, (void)us;
	return 0;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
	(void)vfs;
	*ret = 0;
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int cap, char *ret)
{
	(void)vfs, (void)cap, (void)ret;
	return 0;
}

int pkg_index_vfs_open(struct pkg_index *x)
{
	(void)sqlite3_snprintf((int)sizeof(x->vfs_name), x->vfs_name, "floe-index-%p", (void *)x);
	x->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct frames_file),
		.mxPathname = 64,
		.zName = x->vfs_name,
		.pAppData = x,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
	};
	/* Found by its name, once; what is open goes on without the registration. */
	int rc = sqlite3_vfs_register(&x->vfs, 0);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_open_v2("index", &x->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, x->vfs_name);
	(void)sqlite3_vfs_unregister(&x->vfs);
	return rc;
}
