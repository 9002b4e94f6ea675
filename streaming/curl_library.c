/* SPDX-License-Identifier: Apache-2.0 */
/* See curl_library.h. */
#include "streaming/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBRARY "libcurl.so.4" /* the name has been the same since 2006 */

static struct curl_library functions;
const struct curl_library *const curl = &functions;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct err failure;

static int load(struct err *e)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	CURLcode code;

	if (!library)
		return err_set(e, ERR_UNSUPPORTED, "%s: the network cannot be used", dlerror());
#define TAKE(name)                                                                                           \
	*(void **)&functions.name = dlsym(library, "curl_" #name);                                           \
	if (!functions.name)                                                                                 \
		return err_set(e, ERR_UNSUPPORTED, "%s is too old: it has no curl_%s", LIBRARY, #name);
	CURL_LIBRARY_FUNCTIONS(TAKE)
#undef TAKE
	code = curl->global_init(CURL_GLOBAL_DEFAULT);
	if (code != CURLE_OK)
		return err_set(e, ERR_UNSUPPORTED, "libcurl cannot start: %s", curl->easy_strerror(code));
	return 0;
}

static void load_once(void)
{
	(void)!load(&failure);
}

int curl_library_load(struct err *e)
{
	(void)pthread_once(&once, load_once);
	if (failure.code == ERR_NONE)
		return 0;
	*e = failure;
	return -1;
}
