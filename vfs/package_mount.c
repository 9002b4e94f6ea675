/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/package_mount.h"
