/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the holder's directory and socket; see holder_address.h. */
#include "launcher/holder_address.h"

#include <stdint.h>
#include <string.h>

#include "base/path.h"
#include "launcher/holder_protocol.h"

/* FNV-1a, to tell sets of directories apart; a collision only merges two worlds of one user. */
static uint64_t fold(uint64_t h, const char *s)
{
	do
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	while (*s++);
	return h;
}

static char *tag(struct err *e)
{
	auto_free char *data = path_data_dir(false, e);
	auto_free char *config = data ? path_config_dir(false, e) : NULL;
	auto_free char *cache = config ? path_cache_dir(false, e) : NULL;
	auto_free char *home = cache ? path_home(e) : NULL;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	if (!home)
		return NULL;
	h = fold(fold(fold(fold(h, data), config), cache), home);
	return mem_printf(e, "%08x", (unsigned)(h ^ h >> 32));
}

int holder_address_find(bool make, struct holder_address *ret, struct err *e)
{
	auto_free char *runtime = path_runtime_dir(make, e);
	auto_free char *name = runtime ? tag(e) : NULL;
	struct holder_address a = { 0 };

	if (!name)
		return -1;
	a.runtime = path_join(runtime, name, e);
	a.socket = a.runtime ? path_join(a.runtime, LAUNCH_HOLDER_SOCKET, e) : NULL;
	a.lock = a.socket ? path_join(a.runtime, "holder.lock", e) : NULL;
	a.stage = a.lock ? path_join(a.runtime, "stage", e) : NULL;
	a.envs = a.stage ? path_join(a.runtime, "env", e) : NULL;
	if (!a.envs ||
	    (make && (path_make_dirs(a.stage, 0700, e) < 0 || path_make_dirs(a.envs, 0700, e) < 0))) {
		holder_address_fini(&a);
		return -1;
	}
	*ret = a;
	return 0;
}

void holder_address_fini(struct holder_address *a)
{
	free(a->runtime);
	free(a->socket);
	free(a->lock);
	free(a->stage);
	free(a->envs);
	*a = (struct holder_address){ 0 };
}
