/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder and its servers say to each other: messages of base/wire.h over a SOCK_SEQPACKET
 * pair that the server inherits as descriptor 3. The server leaves when the holder closes its end.
 * Numbers are u64 fields; "fd 0" is the message's first descriptor.
 *
 * Addresses may carry passwords, and everybody sees command lines: with --addresses-in-environment, SOURCE is
 * for people only, and the variables below have the real one and its mirrors.
 *
 * Package server: floe-package-server --source SOURCE [--addresses-in-environment] [--trust-once] [--offline]
 *                                     [--fail-after SECONDS] [--record] [--dialled]
 *   With --dialled a first connection to SOURCE comes on descriptor 5 (streaming/dial.h).
 *   server: type=progress   text                any number of these, before "opened"
 *   server: type=opened     root=HEX source is-offline, and the fields of launch_info_put
 *                           (launcher/launch_info.h); fd 0: registry defaults, a memfd that holds
 *                           file NUL key NUL value NUL, repeated
 *           or error fields (wire_put_err), and it leaves
 *   holder: type=serve      uid gid [init=BYTES]; fd 0: /dev/fuse, mounted
 *   server: type=serving    init=BYTES          INIT has been answered, or taken over
 *   server: type=stall      is-stalled text     the network went or came back
 *   holder: type=launch     [command]           any time, also first of all: a command (none: the default
 *                                               one) or a program's path; what it touches is learnt
 *   holder: type=ask                            after "serving"; once until it is answered
 *   server: type=verdict    is-replaced         whether the source has another package now,
 *                           is-unknown          or cannot be asked. A few seconds at most
 *   holder: type=stats                          any time after "serving"
 *   server: type=stats      operations lookups reads readdirs getattrs others bytes-read bytes-pushed
 *                           requests bytes-fetched chunks-fetched chunks-cached chunks-wrong
 *                           file-length content-bytes
 *   holder: type=touches                        with --record
 *   server: type=touches    fd 0: a memfd, 24 bytes for each first touch: le64 inode, offset, length
 *
 * Union server (the `fuse` engine): floe-union-server [--upper DIR --work DIR] [--frozen DIR]...
 *                                     [--source SOURCE --root-digest HEX [--addresses-in-environment]
 *                                      [--home PATH] [--trust-once] [--offline] [--fail-after SECONDS]
 *                                      [--record]]
 *                                     [--host PATH] [--map-owners]
 *   Layers, topmost first: the upper, frozen uppers in the order given, the package, the host. Without an
 *   upper nothing can be written; with only --host it is the host view that overlays stand on. The package
 *   must have the root digest that its server has told. An error can come at any time before "serving".
 *   holder: type=serve      uid gid [init=BYTES]; fd 0: /dev/fuse, mounted; fd 1: the node table, a memfd,
 *                           empty or as a dead server left it (then with init); fd 2 (may be missing): a
 *                           lock to hold as long as the server lives
 *   server: type=serving    init=BYTES
 *   server: type=stall      is-stalled text
 *   holder: type=launch     [command]           as above
 *   holder: type=stats
 *   server: type=stats      operations lookups reads writes copy-ups bytes-copied-up nodes table-bytes
 *                           open-fds, and with --record noted: reads of the package so far
 *   holder: type=touches, server: type=touches  with --record, as above
 *   When the holder closes its end, it serves on until it is unmounted, for a few seconds.
 *
 * Environment server (the registry's broker): floe-environment-server --registry DB --run DIR
 *   holder: type=configure  config=PATH NUL LENS NUL DEFAULTS NUL, repeated: the path as the application
 *                           sees it, and the path inside the package whose text is the default ("" = none)
 *                           key=NAME, repeated in the same order: the file's name in keys
 *                           local="merge"|"override" NUL SUBTREE NUL, repeated (registry-shim/broker.h)
 *                           package-root=PATH, where the package is mounted; name version, the package's
 *                           upper=PATH, of the environment
 *                           has-defaults has-policy; fds, where these are 1: registry defaults, policy
 *                           files (registry-shim/policy.h). Again at each launch.
 *   server: type=ready      DIR holds registry.sock, paths (registry-shim/shim_paths.h) and view/
 *           or error fields
 *   holder: type=render     tree=PATH is-idle   after "ready": the environment is mounted there, and the
 *                           files are wanted in it as well; is-idle: no application is running
 *   server: type=rendered   or error fields
 *   holder: type=harvest    is-idle             an application has ended
 *   server: type=harvested  changes refused
 *
 * The sequencer speaks as the holder does, and replaces no server. */
#ifndef FLOE_LAUNCH_SERVER_PROTOCOL_H
#define FLOE_LAUNCH_SERVER_PROTOCOL_H

#define LAUNCH_SERVER_SOURCE_VARIABLE  "FLOE_SERVER_SOURCE"
#define LAUNCH_SERVER_MIRRORS_VARIABLE "FLOE_SERVER_MIRRORS" /* URLs of the same file, one a line */

enum {
	LAUNCH_SERVER_FD = 3,
	LAUNCH_SERVER_DIALLED_FD = 5, /* with --dialled; 4 is CRASH_FD */
};

#endif
