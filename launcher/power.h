/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the machine runs on its battery; source: Documentation/ABI/testing/sysfs-class-power. Any thread;
 * reads a few small files of the kernel's. */
#ifndef FLOE_LAUNCH_POWER_H
#define FLOE_LAUNCH_POWER_H

#include <stdbool.h>

/* True when a battery of the machine's discharges and no supply is connected; false when that is not known.
 */
bool launch_power_is_battery(void);
/* The same by another directory than /sys/class/power_supply, open as `fd` (borrowed). */
bool launch_power_is_battery_at(int fd);

#endif
