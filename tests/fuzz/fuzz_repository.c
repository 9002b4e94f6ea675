/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of repositories: whatever is accepted prints, and what is printed reads back and prints the same. The
 * signature is looked at, too, though no mutation of it will be right. */
#include <string.h>

#include "package-format/repository.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf first = BUF_INIT(PKG_REPOSITORY_MAX), second = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = NULL, *again = NULL;
	struct pkg_public_key signer;
	struct err e;

	fuzz_any(pkg_repository_check(data, len, &signer, &e));
	if (len > PKG_REPOSITORY_LINE_LEN &&
	    pkg_repository_parse((const char *)data + PKG_REPOSITORY_LINE_LEN, len - PKG_REPOSITORY_LINE_LEN,
				 &r, &e) == 0 &&
	    pkg_repository_print(r, &first, &e) == 0) { /* may grow past the limit by its spaces */
		if (pkg_repository_parse((const char *)first.data, first.len, &again, &e) < 0 ||
		    pkg_repository_print(again, &second, &e) < 0 || first.len != second.len ||
		    memcmp(first.data, second.data, first.len))
			__builtin_trap();
		for (size_t i = 0; i < r->package_count; i++)
			if (!pkg_repository_find(r, r->packages[i].name, r->packages[i].version))
				__builtin_trap();
	}
	pkg_repository_free(r);
	pkg_repository_free(again);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
