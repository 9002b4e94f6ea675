/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of a local file; see fetcher.h for the contract. */
#ifndef FLOE_STREAM_FETCH_FILE_H
#define FLOE_STREAM_FETCH_FILE_H

#include "streaming/fetcher.h"

int stream_fetch_file_open(const char *path, struct stream_fetcher **ret, struct err *e) FLOE_MUST_USE;

#endif
