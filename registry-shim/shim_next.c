/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the functions behind the wrappers; see shim.h. Found one by one at first use: a process pays for
 * those it calls. A successful dlsym allocates nothing. */
#include <dlfcn.h>
#include <errno.h>

#include "registry-shim/shim.h"

/* Only functions that return int are missing anywhere: __xstat and its kin, close_range, renameat2. */
static long not_there(void)
{
	errno = ENOSYS;
	return -1;
}

void *shim_next(void *_Atomic *slot, const char *name)
{
	void *p = atomic_load_explicit(slot, memory_order_acquire);
	int saved;

	if (p)
		return p;
	saved = errno;
	p = dlsym(RTLD_NEXT, name);
	if (!p)
		p = (void *)not_there;
	errno = saved;
	atomic_store_explicit(slot, p, memory_order_release);
	return p;
}
