/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of a file an HTTP request gets, by RFC 9110: preconditions (section 13) and one range
 * (section 14). Pure; never blocks. For `floe serve`. */
#ifndef FLOE_LAUNCH_CMD_SERVE_REQUEST_H
#define FLOE_LAUNCH_CMD_SERVE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct serve_request { /* header values, NULL = absent; borrowed */
	const char *range, *if_range, *if_match, *if_none_match, *if_modified_since, *if_unmodified_since;
	bool is_head;
};

enum { SERVE_VALIDATOR_MAX = 80 };
struct serve_validators {
	char etag[SERVE_VALIDATOR_MAX];     /* strong, with its quotes */
	char modified[SERVE_VALIDATOR_MAX]; /* an HTTP date */
	int64_t mtime_s;
	uint64_t len;
};

struct serve_verdict {
	unsigned status;   /* 200, 206, 304, 412, 416 */
	uint64_t off, len; /* of the body, for 200 and 206 */
};

void serve_validators_of(const struct stat *st, struct serve_validators *ret);
/* Several ranges, malformed ones and other units are ignored, as a server may: the whole file. */
struct serve_verdict serve_judge(const struct serve_request *r, const struct serve_validators *v);

#endif
