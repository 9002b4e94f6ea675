/* SPDX-License-Identifier: Apache-2.0 */
/* What `floe` asks of the holder: messages of base/wire.h over RUNTIME/holder.sock (SOCK_SEQPACKET). One
 * request per connection; a "launch" connection stays open as long as anything of the launch lives.
 * Only the same user may connect (SO_PEERCRED).
 *
 *   launch   source=... [env=NAME] [ephemeral=u64] [trust-once=u64] [offline=u64] [fail-after=u64] home=PATH
 *     answers: progress text=...; then
 *     launched name= version= root= env= tree=PATH  config-count=u64  manifest=<JSON>
 *              engine=overlay   descriptors: 0 user namespace (absent as root: has-user-namespace=0), last:
 * mount namespace then the client sends started  pid=u64 (of the init, in the holder's view) command=... and
 * closes when the last process is gone. list     -> row, repeated, then end row: kind=launch  pid= env= name=
 * version= command= started-s=u64 (wall clock) source= row: kind=package pid= name= version= root= source=
 * and the fields of a server's "stats" row: kind=environment name= launches=u64 engine= stop     [env=NAME]
 * [pid=u64] [signal=u64]   nothing named = everything
 *            -> stopped count=u64
 *   drop     env=NAME      lets go of an environment that nobody uses -> dropped, or error ERR_BUSY
 *   leave    [force=u64]   the holder goes, unless launches live -> leaving, or error ERR_BUSY
 * Every request may be answered by error fields instead. */
#ifndef FLOE_LAUNCH_HOLDER_PROTOCOL_H
#define FLOE_LAUNCH_HOLDER_PROTOCOL_H

#define LAUNCH_HOLDER_SOCKET "holder.sock"

#endif
