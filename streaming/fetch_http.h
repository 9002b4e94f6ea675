/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges over HTTP(S); see fetcher.h for the contract. */
#ifndef FLOE_STREAM_FETCH_HTTP_H
#define FLOE_STREAM_FETCH_HTTP_H

#include "streaming/fetcher.h"

int stream_fetch_http_open(const char *url, const struct stream_fetch_opt *opt, struct stream_fetcher **ret,
			   struct err *e) FLOE_MUST_USE;

#endif
