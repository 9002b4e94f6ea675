/* SPDX-License-Identifier: Apache-2.0 */
/* See host_devices.h. */
#include "vfs/host_devices.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "base/sync.h"

enum { KNOWN = 64, REMEMBER_MS = 2000 };

struct known {
	dev_t dev;
	uint64_t until_ms; /* 0 = an empty place */
	bool is_ours;
};

struct host_devices {
	struct sync_mutex lock;
	struct known known[KNOWN]; /* guarded by lock */
};

int host_devices_open(struct host_devices **ret, struct err *e)
{
	struct host_devices *d = mem_alloc(1, sizeof(*d), e);

	if (!d)
		return -1;
	sync_mutex_init(&d->lock);
	*ret = d;
	return 0;
}

void host_devices_close(struct host_devices *d)
{
	if (!d)
		return;
	sync_mutex_fini(&d->lock);
	free(d);
}

/* mountinfo: id parent major:minor root target options [tags...] - type source options */
static bool is_ours_in_mountinfo(dev_t dev)
{
	auto_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		const char *type = strstr(line, " - ");
		unsigned major_no, minor_no;

		if (sscanf(line, "%*u %*u %u:%u", &major_no, &minor_no) == 2 && type &&
		    makedev(major_no, minor_no) == dev)
			return !strncmp(type + 3, "fuse.floe ", 10);
	}
	return false;
}

bool host_devices_is_ours(struct host_devices *d, dev_t dev)
{
	uint64_t now = sync_now_ms();
	struct known *k = &d->known[dev % KNOWN];
	bool is_known, is_ours;

	sync_lock(&d->lock);
	is_known = k->dev == dev && k->until_ms > now;
	is_ours = k->is_ours;
	sync_unlock(&d->lock);
	if (is_known)
		return is_ours;
	is_ours = is_ours_in_mountinfo(dev);
	sync_lock(&d->lock);
	*k = (struct known){ .dev = dev, .until_ms = now + REMEMBER_MS, .is_ours = is_ours };
	sync_unlock(&d->lock);
	return is_ours;
}
