/* SPDX-License-Identifier: Apache-2.0 */
/* The text that names a package's origin: an http://, https:// or file:// URL, or a path. It may hold
 * secrets: a login before the host, a token in the query. libc only; any thread; nothing here blocks. */
#ifndef FLOE_STREAM_SOURCE_H
#define FLOE_STREAM_SOURCE_H

#include <stdbool.h>

#include "base/mem.h"

/* True for http:// and https://, in any case of letters. */
bool stream_source_is_url(const char *source);
/* Does it have a user, and perhaps a password, before the host? */
bool stream_source_has_login(const char *source);
/* The source without user, password, query and fragment: what messages may show. Caller frees. */
char *stream_source_for_people(const char *source, struct err *e) FLOE_MUST_USE;
/* Writes stars over what _for_people leaves out: for a command line that others can see. */
void stream_source_blot(char *source);

/* Where to connect to, as a name server and libcurl are asked. */
struct stream_source_host {
	char name[254], port[6];
};

/* False for a URL without a plain host name or IPv4 address, as one that still has to be decoded. */
bool stream_source_find_host(const char *url, struct stream_source_host *ret);

#endif
