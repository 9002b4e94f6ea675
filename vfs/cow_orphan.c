/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted files that the kernel may still use: work/orphans/ID; see cow_upper.h. A file there whose ID
 * somebody else gets is stale: its owner died before it could remove it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_upper_state.h"

#define ON_ITS_WAY "o-"

int cow_orphans_dir(const struct cow_upper *u)
{
	return u->orphans;
}

void cow_orphan_text(uint64_t id, char ret[24])
{
	(void)snprintf(ret, 24, "%" PRIu64, id);
}

void cow_orphan_tmp_text(uint64_t id, char ret[32])
{
	(void)snprintf(ret, 32, ON_ITS_WAY "%" PRIu64, id);
}

/* ---- becoming one ----------------------------------------------------------------------------- */

static int remove_stale(struct cow_upper *u, const char *text)
{
	return unlinkat(u->orphans, text, 0) < 0 && errno != ENOENT ? errno : 0;
}

/* Not to replace matters: were the stale file another name of this one, rename would do nothing. */
int cow_orphan_take(struct cow_upper *u, int dir, const char *name, uint64_t id, unsigned flags)
{
	char text[24];
	int sys;

	cow_orphan_text(id, text);
	if (renameat2(dir, name, u->orphans, text, RENAME_NOREPLACE | flags) == 0)
		return 0;
	if (errno != EEXIST)
		return errno;
	sys = remove_stale(u, text);
	if (!sys && renameat2(dir, name, u->orphans, text, RENAME_NOREPLACE | flags) < 0)
		sys = errno;
	return sys;
}

int cow_orphan_link(struct cow_upper *u, int dir, const char *name, uint64_t id)
{
	char text[24];
	int sys;

	cow_orphan_text(id, text);
	if (linkat(dir, name, u->orphans, text, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return errno;
	sys = remove_stale(u, text);
	return !sys && linkat(dir, name, u->orphans, text, 0) < 0 ? errno : sys;
}

/* Before the exchange there is a whiteout under that name, afterwards the orphan. */
bool cow_orphan_arrive(struct cow_upper *u, const char *name)
{
	struct stat st;
	bool is_whiteout;
	char *end;
	uint64_t id;

	if (strncmp(name, ON_ITS_WAY, sizeof(ON_ITS_WAY) - 1) != 0)
		return false;
	id = strtoull(name + sizeof(ON_ITS_WAY) - 1, &end, 10);
	if (*end || cow_upper_lookup(u, u->tmp, name, &st, &is_whiteout) != 0 || is_whiteout)
		return false;
	return cow_orphan_take(u, u->tmp, name, id, 0) == 0;
}

/* ---- being one -------------------------------------------------------------------------------- */

int cow_orphan_name(struct cow_upper *u, uint64_t id, int dir, const char *name)
{
	char text[24];

	cow_orphan_text(id, text);
	return cow_upper_put(u, u->orphans, text, dir, name);
}

void cow_orphan_remove(struct cow_upper *u, uint64_t id)
{
	char text[24];

	cow_orphan_text(id, text);
	(void)unlinkat(u->orphans, text, 0);
}
