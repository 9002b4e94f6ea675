/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim knows: RUN/paths, written by the broker before the application starts.
 *
 *   one line per declared configuration file: absolute path TAB name in view/ TAB kind LF
 *
 * kind: "keys" when a lens may understand it, "whole" when none does.
 *
 * Inside the application's namespace RUN is /.floe/run and the library /.floe/lib/libfloe-shim.so. */
#ifndef FLOE_REG_SHIM_PATHS_H
#define FLOE_REG_SHIM_PATHS_H

#define REG_SHIM_RUN     "/.floe/run"
#define REG_SHIM_LIBRARY "/.floe/lib/libfloe-shim.so"
#define REG_SHIM_PATHS   REG_SHIM_RUN "/paths"
#define REG_SHIM_VIEW    REG_SHIM_RUN "/view"
#define REG_SHIM_SOCKET  REG_SHIM_RUN "/registry.sock"

/* RUN/drafts/PID.NUMBER.MODE.APPEND[.BASE]-NAME: what a program is writing (broker_draft.h). PID as the
 * program sees itself, NUMBER to tell its drafts apart, MODE the file's in octal when it was opened, APPEND
 * "w", or where in the draft that begins which is to be appended, BASE the digest (base/hash.h, in hex) of
 * the text that it began as a copy of, NAME in view/. */

/* RUN/view/.removed-NAME: the shim's note of a removal that no broker was there to take. */
#define REG_SHIM_REMOVED_PREFIX ".removed-"

#endif
