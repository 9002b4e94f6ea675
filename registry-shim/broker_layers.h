/* SPDX-License-Identifier: Apache-2.0 */
/* What lies below and above the user's layer of a declared file: the package's defaults, the site's policy,
 * and the host's own file where its settings count. One thread; blocks on the disk. */
#ifndef FLOE_REG_BROKER_LAYERS_H
#define FLOE_REG_BROKER_LAYERS_H

#include "registry-shim/broker.h"
#include "registry-shim/lens.h"
#include "registry-shim/policy.h"

struct broker_layers {
	const struct broker_setup *setup;
	int package_root; /* -1 = none */
	struct reg_policy policy;
};

/* Sets every layer of the file but the user's and its own locks, and the package's text. A text that cannot
 * be read gives no settings; that is no reason not to start. *ret_note: what people should know of a host's
 * file that is not understood and not shown either; NULL = nothing. Caller frees. */
int broker_layers_set(const struct broker_layers *l, const struct broker_declaration *d, const char *file,
		      const struct reg_lens *lens, struct reg_hive *h, char **ret_note,
		      struct err *e) FLOE_MUST_USE;

#endif
