/* SPDX-License-Identifier: Apache-2.0 */
/* REF: what a user names a package by on the command line: a path or an http(s) URL. Never blocks on the
 * network. */
#ifndef FLOE_LAUNCH_REFERENCE_H
#define FLOE_LAUNCH_REFERENCE_H

#include "base/err.h"

/* The source in the form that streaming takes: an absolute path (which must exist and be a file) or a URL.
 * Anything else is ERR_USAGE or ERR_NOTFOUND with a hint. Caller frees. */
char *launch_reference_source(const char *ref, struct err *e) FLOE_MUST_USE;

#endif
