/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of floe cache; for floe-tools only. They print what they did on standard output. */
#ifndef FLOE_LAUNCH_CMD_CACHE_H
#define FLOE_LAUNCH_CMD_CACHE_H

#include "streaming/cache.h"
#include "streaming/package.h"

int cmd_cache_status(struct stream_cache *c, const char *dir, bool as_json, struct err *e) FLOE_MUST_USE;
/* Fetches all that is lacking of a package; interrupted or not, what was fetched stays. */
int cmd_cache_fill(struct stream_cache *c, const char *ref, struct err *e) FLOE_MUST_USE;
/* Asks the origin only when the cache does not know the package. */
int cmd_cache_pin(struct stream_cache *c, const char *ref, struct err *e) FLOE_MUST_USE;
int cmd_cache_unpin(struct stream_cache *c, const char *ref, struct err *e) FLOE_MUST_USE;
int cmd_cache_export(struct stream_cache *c, const char *dir, char *const *refs, size_t count,
		     struct err *e) FLOE_MUST_USE;
/* Opens a package, also in a local file, for what was learnt of it in the cache's directory `dir`. Whoever
 * signed it: nothing of its content is shown. On failure *ret is the caller's to close, too. */
int cmd_cache_open_learnt(struct stream_cache *c, const char *dir, const char *ref,
			  struct stream_package **ret, struct err *e) FLOE_MUST_USE;
/* Writes what launches of a package's command taught (NULL = of each of its commands, the default one first)
 * to a file (NULL = standard output), for floe sequence --profile. */
int cmd_cache_profile(struct stream_cache *c, const char *dir, const char *ref, const char *command,
		      const char *out_path, struct err *e) FLOE_MUST_USE;
/* `text` NULL: prints it. "default" goes back to the default. */
int cmd_cache_quota(struct stream_cache *c, const char *text, struct err *e) FLOE_MUST_USE;

#endif
