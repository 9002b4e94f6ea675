/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the network is paid for by the byte, as far as the kernel's files tell: the way out (the default
 * route) is a modem for mobile networks or a telephone by Bluetooth, or has one of the names that the user
 * has given. That a wireless network is a telephone's is known to network managers only, and not asked of
 * them. Any thread; reads a few small files of the kernel's. */
#ifndef FLOE_LAUNCH_METERED_H
#define FLOE_LAUNCH_METERED_H

#include <stdbool.h>

/* `names`: of interfaces, as patterns of the shell's, with spaces between; NULL = none. False when it is not
 * known. */
bool launch_metered_is(const char *names);
/* The same by another directory than / that has proc/net and sys/class/net, open as `fd` (borrowed). */
bool launch_metered_is_at(int fd, const char *names);

#endif
