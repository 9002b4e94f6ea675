/* SPDX-License-Identifier: Apache-2.0 */
/* Environments on disk: one directory per environment, below DATA/envs/.
 *
 *   NAME/environment   "key=value" lines: format=1, package, version, root, source, engine (as asked for),
 *                      created (seconds)
 *   NAME/upper/        what was written (vfs/upper.h)
 *   NAME/work/         overlayfs's own, or the fuse engine's (vfs/cow_upper.h)
 *   NAME/registry.db   settings (registry-shim/hive.h)
 *   NAME/lock          flock: shared = being used or looked at, exclusive = being reset or removed
 *
 * Creation is atomic (built under a hidden temporary name, then renamed). libc only. Any thread; blocks on
 * the disk, and on nothing else: a lock that is taken is ERR_BUSY at once. */
#ifndef FLOE_LAUNCH_ENVIRONMENT_H
#define FLOE_LAUNCH_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct launch_environment {
	char *name;
	char *dir;   /* absolute */
	char *upper; /* DIR/upper */
	char *work;
	char *registry;                          /* DIR/registry.db; may not exist */
	char *package, *version, *root, *source; /* of the last launch; never NULL, may be "" */
	char *engine;                            /* asked for (launcher/engine.h); "" = auto */
	int64_t created_s;
	int64_t used_s; /* when it was last noted (below), or made */
	int lock_fd;    /* held until close */
	bool is_new;    /* launch_environment_make has just made it */
};

#define auto_environment __attribute__((cleanup(launch_environment_close_ptr)))

enum launch_environment_use { LAUNCH_ENV_SHARED, LAUNCH_ENV_EXCLUSIVE };

/* ERR_NOTFOUND, ERR_BUSY ("in use; floe stop NAME"), ERR_USAGE for a name that is none. */
int launch_environment_open(const char *name, enum launch_environment_use use,
			    struct launch_environment **ret, struct err *e) FLOE_MUST_USE;
/* Opens (shared), after making it if it is not there: is_new then. */
int launch_environment_make(const char *name, struct launch_environment **ret, struct err *e) FLOE_MUST_USE;
void launch_environment_close(struct launch_environment *env); /* NULL ok */
static inline void launch_environment_close_ptr(struct launch_environment **env)
{
	launch_environment_close(*env);
}
/* Notes what is being run in it, and that it was used now; written only when something differs. */
int launch_environment_note(struct launch_environment *env, const char *package, const char *version,
			    const char *root, const char *source, struct err *e) FLOE_MUST_USE;
/* Notes the engine for the next mount. */
int launch_environment_set_engine(struct launch_environment *env, const char *engine,
				  struct err *e) FLOE_MUST_USE;
/* Back to nothing written: files, settings, or both. Needs the exclusive lock. Each of the two is old or new
 * after a crash. */
int launch_environment_reset(struct launch_environment *env, bool files, bool settings,
			     struct err *e) FLOE_MUST_USE;
/* Removes it; closes env also on failure. Needs the exclusive lock. */
int launch_environment_remove(struct launch_environment *env, struct err *e) FLOE_MUST_USE;
/* Names, sorted; NULL-terminated array, one allocation that the caller frees. Leftovers of interrupted
 * creations and removals are cleaned on the way. */
int launch_environment_names(char ***ret, struct err *e) FLOE_MUST_USE;

#endif
