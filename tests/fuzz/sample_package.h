/* SPDX-License-Identifier: Apache-2.0 */
/* A small package with something of everything, for those who take it apart. */
#ifndef FLOE_FUZZ_SAMPLE_PACKAGE_H
#define FLOE_FUZZ_SAMPLE_PACKAGE_H

#include <stdint.h>

#include "base/err.h"

/* Makes `out`, whose files have the content of the file `content`; the key that signs it is made in `dir`
 * when there is none. */
int sample_package_make(const char *dir, const char *out, const char *content, uint64_t content_len,
			struct err *e) FLOE_MUST_USE;

#endif
