/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk frames: the first four bytes are the announced length, the rest the frame. */
#include <stdlib.h>
#include <string.h>

#include "package-format/chunk.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct pkg_digest digest;
	uint32_t content_len;
	uint8_t *content;
	struct err e;

	if (len < 4)
		return 0;
	memcpy(&content_len, data, 4);
	content_len %= PKG_CHUNK_MAX + 2;
	content = malloc(content_len ? content_len : 1);
	if (content && pkg_chunk_inflate(data + 4, len - 4, content_len, &digest, content, &e) == 0)
		__builtin_trap(); /* a preimage of zero */
	free(content);
	return 0;
}
