/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder and its servers say to each other: messages of base/wire.h over a SOCK_SEQPACKET
 * pair that the server inherits as descriptor 3. The server leaves when the holder closes its end.
 *
 * Package server: floe-package-server --source SOURCE [--trust-once] [--offline] [--fail-after SECONDS]
 * [--record] server: type=progress  text=...                       any number, before "opened" server:
 * type=opened    root=HEX name=... version=... source=... is-offline=u64 manifest=<JSON> descriptor 0:
 * registry defaults, a memfd with file NUL key NUL value NUL, repeated or   error fields (wire_put_err), then
 * it leaves holder: type=serve     uid=u64 gid=u64 [init=<bytes>]  descriptor 0: /dev/fuse, mounted server:
 * type=serving   init=<bytes>                    INIT has been answered holder: type=stats any time after
 * that server: type=stats     operations=u64 lookups= reads= readdirs= getattrs= others= bytes-read=
 * bytes-pushed= requests= bytes-fetched= chunks-fetched= chunks-cached= chunks-wrong= file-length=
 * content-bytes=     (u64 each) holder: type=touches                                   with --record server:
 * type=touches   descriptor 0: a memfd, 24 bytes each: le64 inode, le64 offset, le64 length server:
 * type=stall     is-stalled=u64 text=...         the network went or came back
 *
 * Environment server (the registry's broker): floe-environment-server --registry DB --run DIR
 *   holder: type=configure  config=<path NUL lens NUL defaults-path-or-empty NUL>, repeated, absolute paths
 * as the application sees them; key=<path's name in keys>, repeated in the same order; descriptor 0: registry
 * defaults as above server: type=ready      DIR holds: registry.sock, paths (see registry-shim/shim_paths.h),
 * view/ or   error fields holder: type=harvest    after an application has ended server: type=harvested
 * changes=u64
 *
 * Host view: floe-host-view --root PATH
 *   holder: type=serve     uid=u64 gid=u64                 descriptor 0: /dev/fuse, mounted
 *   server: type=serving */
#ifndef FLOE_LAUNCH_SERVER_PROTOCOL_H
#define FLOE_LAUNCH_SERVER_PROTOCOL_H

enum { LAUNCH_SERVER_FD = 3 };

#endif
