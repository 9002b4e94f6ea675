/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when it is first needed: with all that it stands on it is some forty libraries, which cost
 * milliseconds and megabytes that a launch from a file or from the cache does without. */
#ifndef FLOE_STREAM_CURL_LIBRARY_H
#define FLOE_STREAM_CURL_LIBRARY_H

#include <curl/curl.h>

#include "base/mem.h"

#define CURL_LIBRARY_FUNCTIONS(X)                                                                            \
	X(easy_cleanup)                                                                                      \
	X(easy_getinfo)                                                                                      \
	X(easy_init)                                                                                         \
	X(easy_pause)                                                                                        \
	X(easy_setopt)                                                                                       \
	X(easy_strerror)                                                                                     \
	X(global_init)                                                                                       \
	X(multi_add_handle)                                                                                  \
	X(multi_cleanup)                                                                                     \
	X(multi_info_read)                                                                                   \
	X(multi_init)                                                                                        \
	X(multi_perform)                                                                                     \
	X(multi_poll)                                                                                        \
	X(multi_remove_handle)                                                                               \
	X(multi_setopt)                                                                                      \
	X(multi_wakeup)                                                                                      \
	X(slist_append)                                                                                      \
	X(slist_free_all)                                                                                    \
	X(version_info)

/* curl->easy_init is curl_easy_init, and so on. */
#define CURL_LIBRARY_MEMBER(name) __typeof__(curl_##name) *name;
struct curl_library {
	CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_MEMBER)
};

/* Good once curl_library_load has succeeded. */
extern const struct curl_library *const curl;

/* Loads and initialises it, once for the process. Any thread. ERR_UNSUPPORTED: it is not to be had. */
int curl_library_load(struct err *e) FLOE_MUST_USE;

#endif
