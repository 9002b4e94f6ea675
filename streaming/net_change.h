/* SPDX-License-Identifier: Apache-2.0 */
/* Signs that connections are dead though nobody has said so: the machine has slept, or an address that it had
 * is gone (another network, a tunnel that ended). One thread; nothing here blocks. */
#ifndef FLOE_STREAM_NET_CHANGE_H
#define FLOE_STREAM_NET_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

enum { NET_ADDRESS_MAX = 46 }; /* of its text, with the end */

struct net_change {
	int fd; /* readable when there may be something to look at; -1: only sleep is noticed */
	int64_t asleep_ms;
};

void net_change_init(struct net_change *c);
void net_change_fini(struct net_change *c);
/* Has the machine slept since this was last asked? Shorter sleeps than connections survive do not count. */
bool net_change_slept(struct net_change *c);
/* The next address that is gone, as inet_ntop writes it. False when there is no more. */
bool net_change_next(struct net_change *c, char ret[NET_ADDRESS_MAX]);

#endif
