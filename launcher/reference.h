/* SPDX-License-Identifier: Apache-2.0 */
/* REF: what a user names a package by on the command line: a path, an http(s) URL, or NAME[@VERSION] or
 * REPOSITORY/NAME[@VERSION] of a subscribed repository. libc only; never blocks on the network. */
#ifndef FLOE_LAUNCH_REFERENCE_H
#define FLOE_LAUNCH_REFERENCE_H

#include "launcher/catalogue.h"

/* Fills source, and for names also the rest (root NULL = whatever is there). A path must exist and be a file.
 * A file that is not called *.floe is found by a path with a '/' in it, or when no package has its name.
 * ERR_USAGE or ERR_NOTFOUND with a hint otherwise. _fini is due after success. */
int launch_reference_resolve(const char *ref, struct launch_found *ret, struct err *e) FLOE_MUST_USE;
/* The source alone. Caller frees. */
char *launch_reference_source(const char *ref, struct err *e) FLOE_MUST_USE;

#endif
