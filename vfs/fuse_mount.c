/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse_mount.h"
