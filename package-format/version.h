/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two versions is the newer one. Never blocks. */
#ifndef FLOE_PKG_VERSION_H
#define FLOE_PKG_VERSION_H

/* < 0 when `a` is older than `b`, 0 when neither is newer, > 0 when it is newer. The order is that of Debian
 * packages (deb-version(7)): "epoch:upstream-revision", numbers by value, letters before other signs, and "~"
 * before everything, even the end. Any text has its place in it. */
int pkg_version_compare(const char *a, const char *b);

#endif
