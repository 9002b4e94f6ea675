/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim knows: RUN/paths, written by the broker before the application starts.
 *
 *   one line per declared configuration file: absolute path TAB name in view/ LF
 *
 * Inside the application's namespace RUN is /.floe/run and the library /.floe/lib/libfloe-shim.so. */
#ifndef FLOE_REG_SHIM_PATHS_H
#define FLOE_REG_SHIM_PATHS_H

#define REG_SHIM_RUN     "/.floe/run"
#define REG_SHIM_LIBRARY "/.floe/lib/libfloe-shim.so"
#define REG_SHIM_PATHS   REG_SHIM_RUN "/paths"
#define REG_SHIM_VIEW    REG_SHIM_RUN "/view"
#define REG_SHIM_SOCKET  REG_SHIM_RUN "/registry.sock"

/* RUN/view/.removed-NAME: the shim's note of a removal that no broker was there to take. */
#define REG_SHIM_REMOVED_PREFIX ".removed-"

#endif
