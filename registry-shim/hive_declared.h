/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker knows of the declared files, for `floe registry`: it has the hive alone, and no package. As
 * hive.h for threads and blocking. */
#ifndef FLOE_REG_HIVE_DECLARED_H
#define FLOE_REG_HIVE_DECLARED_H

#include "registry-shim/hive.h"

struct reg_declared {
	const char *file;
	const char *lens; /* as the package says; perhaps one that nobody knows */
	const char *note; /* for people: why settings of it do not count; "" = they do */
};
/* Replaces what was known. */
int reg_hive_set_declared(struct reg_hive *h, const struct reg_declared *list, size_t count,
			  struct err *e) FLOE_MUST_USE;
/* The name of a file's lens; *ret NULL when it is not declared. Caller frees. */
int reg_hive_declared_lens(struct reg_hive *h, const char *file, char **ret, struct err *e) FLOE_MUST_USE;
typedef int reg_declared_fn(void *arg, const struct reg_declared *d, struct err *e);
/* In order of the files' names. */
int reg_hive_each_declared(struct reg_hive *h, reg_declared_fn *fn, void *arg, struct err *e) FLOE_MUST_USE;

#endif
