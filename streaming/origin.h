/* SPDX-License-Identifier: Apache-2.0 */
/* What the user has set for one origin (scheme, host and port), in ~/.config/floe/origins.conf:
 *
 *   [https://apps.example.org]
 *   certificate = /home/ann/.certs/ann.pem      shown to this server when it asks who we are
 *   key = /home/ann/.certs/ann.key              of the certificate; without: in the same file
 *   ca = /home/ann/.certs/example-ca.pem        whom to believe that it is this server, instead of the
 * system's
 *
 * with # before comments and the port in the brackets when it is not 443. Any thread; reads a local file. */
#ifndef FLOE_STREAM_ORIGIN_H
#define FLOE_STREAM_ORIGIN_H

#include <stdbool.h>

#include "base/err.h"

struct stream_origin { /* paths, owned; NULL = not set */
	char *certificate, *key, *ca;
	bool is_set;
};

/* *ret is all zeros when nothing is set for the URL's origin. ERR_FORMAT names the line that is wrong,
 * wherever it is in the file. */
int stream_origin_find(const char *url, struct stream_origin *ret, struct err *e) FLOE_MUST_USE;
/* The same of a text, which is changed; `file` for messages. */
int stream_origin_parse(char *text, const char *file, const char *url, struct stream_origin *ret,
			struct err *e) FLOE_MUST_USE;
void stream_origin_fini(struct stream_origin *o);
#define auto_origin __attribute__((cleanup(stream_origin_fini)))

#endif
