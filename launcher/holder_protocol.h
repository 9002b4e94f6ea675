/* SPDX-License-Identifier: Apache-2.0 */
/* What floe asks of the holder: messages of base/wire.h over holder.sock (SOCK_SEQPACKET,
 * launcher/holder_address.h says where). One request per connection. Only the same user may connect
 * (SO_PEERCRED). Numbers are u64 fields. Every request may be answered by error fields instead.
 * Who starts the holder is its first client, on a connection that it inherits as descriptor 3; it closes that
 * without an answer when another holder serves already.
 *
 *   type=launch    source home                   what to run, for whom
 *                  [command]                     none is the default one; only learnt by
 *                  [env] [ephemeral] [engine] [trust-once] [offline] [fail-after]
 *                  [root]                        the digest that the package must have
 *                  [start]                       the length of header, index and primary feature block
 *                  [mirrors]                     URLs of the same file, one a line
 *                  [variable=NAME=VALUE]...      for its servers' environment: proxies
 *                  [has-policy] [has-dialled]    fds, where these are 1: policy files, packed
 *                                                (registry-shim/policy.h); where a first connection to source
 *                                                comes (streaming/dial.h)
 *     progress     text                            any number of these, then
 *     launched     root env tree engine engine-why has-config filter=BPF package=<the message "opened" of
 *                  the package server>; descriptors: 0 the union's lock, for the init to hold; 1 the mount
 *                  namespace; 2 the user namespace (not as root)
 *     started      pid command                     from the client: the init, as the holder sees it
 *     stall        is-stalled text                 to the client, any time: the network went or came back
 *     The connection is the launch's lease: it closes when the last process inside has gone.
 *
 *   type=list      rows, then end with holder=PID
 *     row          kind=launch       pid env name version source command started-s (wall clock)
 *     row          kind=package      pid name version root source restarts, and the server's "stats"
 *     row          kind=environment  pid (of the settings' server) name engine engine-why launches,
 *                                    and with the fuse engine union-pid union-restarts
 *
 *   type=stop      [env] [pid] [signal]            nothing named: everything; SIGKILL, else SIGTERM and,
 *                                                  after a while, SIGKILL
 *     stopped      count                           when they have gone
 *
 *   type=drop      env                             lets go of an environment that nobody uses
 *     dropped      or ERR_BUSY
 *
 *   type=leave     [force]                         the holder goes, unless launches live
 *     leaving      or ERR_BUSY */
#ifndef FLOE_LAUNCH_HOLDER_PROTOCOL_H
#define FLOE_LAUNCH_HOLDER_PROTOCOL_H

#define LAUNCH_HOLDER_SOCKET "holder.sock"

enum { HOLDER_FIRST_CLIENT_FD = 3 };

#endif
