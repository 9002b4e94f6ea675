/* SPDX-License-Identifier: Apache-2.0 */
/* IS_SANITIZED: 1 in a build for address or thread sanitizer, with either compiler; tests that take long
 * natively do less there. */
#ifndef FLOE_TESTS_UNIT_SANITIZED_H
#define FLOE_TESTS_UNIT_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
