/* SPDX-License-Identifier: Apache-2.0 */
/* Sleep, by the clock that counts it and the one that does not; addresses, by what the kernel tells every
 * process that asks: rtnetlink(7), one message to a datagram for each address. */
#include "streaming/net_change.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"

enum { SLEEP_MIN_MS = 10000, MESSAGE_MAX = 8192 };

static int64_t clock_ms(clockid_t id)
{
	struct timespec t = { 0 };

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t asleep_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);
}

void net_change_init(struct net_change *c)
{
	struct sockaddr_nl addresses = { .nl_family = AF_NETLINK,
					 .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };

	c->asleep_ms = asleep_ms();
	c->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&addresses, sizeof(addresses)) == 0)
		return;
	fd_close(c->fd);
	c->fd = -1;
}

void net_change_fini(struct net_change *c)
{
	fd_close(c->fd);
}

bool net_change_slept(struct net_change *c)
{
	int64_t now = asleep_ms(), slept = now - c->asleep_ms;

	c->asleep_ms = now;
	return slept >= SLEEP_MIN_MS;
}

/* Those of a single link do not matter: they come and go with the devices of containers. */
static bool take_address(const struct nlmsghdr *head, char ret[NET_ADDRESS_MAX])
{
	const struct ifaddrmsg *m = NLMSG_DATA(head);
	const void *found = NULL;
	unsigned len = m->ifa_family == AF_INET ? 4 : 16;
	int left = (int)IFA_PAYLOAD(head);

	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (RTA_PAYLOAD(a) == len &&
		    (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && !found)))
			found = RTA_DATA(a);
	return found && m->ifa_scope != RT_SCOPE_LINK &&
	       inet_ntop(m->ifa_family, found, ret, NET_ADDRESS_MAX);
}

bool net_change_next(struct net_change *c, char ret[NET_ADDRESS_MAX])
{
	union {
		struct nlmsghdr head;
		char room[MESSAGE_MAX];
	} u;

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = c->fd < 0
				    ? -1
				    : recvfrom(c->fd, &u, sizeof(u), 0, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return false;
		if (from.nl_pid == 0 && NLMSG_OK(&u.head, (size_t)n) && u.head.nlmsg_type == RTM_DELADDR &&
		    u.head.nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)) && take_address(&u.head, ret))
			return true;
	}
}
