/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of the model test: making one, comparing two. A difference ends the process with what it is. */
#ifndef FLOE_TESTS_UNION_MODEL_H
#define FLOE_TESTS_UNION_MODEL_H

#include <stdint.h>

int model_prepare(int dir, uint64_t seed);
/* Names and types. A path that is no directory in both is no difference. */
void model_same_listing(int a, int b, const char *path);
/* Everything below. */
void model_same_tree(int a, int b, const char *path);
/* Called when they differ. */
void model_before_exit(void);

#endif
