/* SPDX-License-Identifier: Apache-2.0 */
/* The user's chunk cache as everybody opens it, and its settings: ~/.config/floe/cache.conf, lines of
 *
 *   quota = 20G             bytes, or a number with K, M, G or T
 *   shared-store = /path    a store that is asked before the network
 *   complete-after = 30     seconds without a read after which the rest of a running package is fetched;
 *                           0 = never
 *   metered = usb0 wwan*    interfaces that are paid for by the byte, besides those that are known to be
 *                           (metered.h): no such fetching over them
 *   complete-rate = 2M      at most so many bytes a second for that; 0 = as many as come
 *
 * with # before comments; the environment's FLOE_CACHE_QUOTA and FLOE_SHARED_STORE go before them (an empty
 * FLOE_SHARED_STORE = none). Any thread; only local disks are touched, and the shared store's. */
#ifndef FLOE_LAUNCH_CACHE_SETTINGS_H
#define FLOE_LAUNCH_CACHE_SETTINGS_H

#include "streaming/cache.h"

struct launch_cache_settings {
	uint64_t quota;     /* bytes; 0 = the default */
	char *shared_store; /* owned; NULL = none */
	char *metered;      /* owned; NULL = none */
	unsigned complete_after_s;
	uint64_t complete_rate; /* bytes a second; 0 = no limit */
};
#define LAUNCH_CACHE_SETTINGS_INIT                                                                           \
	{                                                                                                    \
		.complete_after_s = 30                                                                       \
	}

void launch_cache_settings_fini(struct launch_cache_settings *s);
#define auto_cache_settings __attribute__((cleanup(launch_cache_settings_fini)))

/* ERR_FORMAT names the line that is wrong. */
int launch_cache_settings_read(struct launch_cache_settings *ret, struct err *e) FLOE_MUST_USE;
/* The same of a text (which is changed), without the environment; `file` for messages. */
int launch_cache_settings_parse(char *text, const char *file, struct launch_cache_settings *ret,
				struct err *e) FLOE_MUST_USE;
/* Writes the quota (0 = the default) into cache.conf; other lines stay as they are. */
int launch_cache_settings_set_quota(uint64_t quota, struct err *e) FLOE_MUST_USE;

/* "1500", "20M", "1.5G", "2GiB". ERR_USAGE. */
int launch_size_parse(const char *text, uint64_t *ret, struct err *e) FLOE_MUST_USE;

/* Opens the user's cache with these settings. What is wrong with the settings or with the shared store does
 * not keep it from being opened: it goes into *ret_note (code ERR_NONE = nothing) for whoever can tell the
 * user. */
int launch_cache_open(struct stream_cache **ret, struct err *ret_note, struct err *e) FLOE_MUST_USE;

#endif
