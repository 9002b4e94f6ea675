/* SPDX-License-Identifier: Apache-2.0 */
/* See authorities.h. */
#include "streaming/authorities.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fd.h"
#include "streaming/curl_library.h"

enum { HASH_DIGITS = 8 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool in_directory;

/* As of 5ad8a5d6.0 */
static bool is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_DIGITS && strcmp(name + HASH_DIGITS, ".0") == 0;
}

static void look(void)
{
	const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
	auto_closedir DIR *dir = NULL;
	struct dirent *d;

	/* Other TLS libraries read the whole directory. The path is told from 7.70 on. */
	if (info->age < CURLVERSION_SEVENTH || !info->capath || !info->ssl_version ||
	    strncmp(info->ssl_version, "OpenSSL/", strlen("OpenSSL/")) != 0)
		return;
	dir = opendir(info->capath);
	while (dir && (d = readdir(dir)))
		if (is_hashed(d->d_name)) {
			atomic_store(&in_directory, true);
			return;
		}
}

bool authorities_in_directory(void)
{
	(void)pthread_once(&once, look);
	return atomic_load(&in_directory);
}

void authorities_are_elsewhere(void)
{
	atomic_store(&in_directory, false);
}
