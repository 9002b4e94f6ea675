/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: whatever is accepted prints, and what is printed reads back and prints the same. */
#include <string.h>

#include "package-format/manifest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf first = BUF_INIT(PKG_MANIFEST_MAX), second = BUF_INIT(PKG_MANIFEST_MAX);
	struct pkg_manifest *m = NULL, *again = NULL;
	struct err e;

	if (pkg_manifest_parse((const char *)data, len, &m, &e) == 0 &&
	    pkg_manifest_print(m, &first, &e) == 0) { /* may grow past the limit by its spaces */
		if (pkg_manifest_parse((const char *)first.data, first.len, &again, &e) < 0 ||
		    pkg_manifest_print(again, &second, &e) < 0 || first.len != second.len ||
		    memcmp(first.data, second.data, first.len))
			__builtin_trap();
	}
	pkg_manifest_free(m);
	pkg_manifest_free(again);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
