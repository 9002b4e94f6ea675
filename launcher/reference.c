/* SPDX-License-Identifier: Apache-2.0 */
/* References to packages; see reference.h. */
#include "launcher/reference.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/path.h"

char *launch_reference_source(const char *ref, struct err *e)
{
	auto_free char *path = NULL;
	struct stat st;

	if (!*ref) {
		(void)err_set(e, ERR_USAGE, "empty package reference: give a path or a URL");
		return NULL;
	}
	if (!strncasecmp(ref, "http://", 7) || !strncasecmp(ref, "https://", 8))
		return mem_strdup(ref, e);
	if (!strncasecmp(ref, "file://", 7))
		ref += 7;
	else if (strstr(ref, "://")) {
		(void)err_set(e, ERR_USAGE, "%s: only http, https and file URLs are understood", ref);
		return NULL;
	}
	path = path_absolute(ref, e);
	if (!path)
		return NULL;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT && !strchr(ref, '/'))
			(void)err_set(e, ERR_NOTFOUND, "%s: no such package file (give a path or a URL)",
				      ref);
		else
			(void)err_sys(e, errno, "%s", ref);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(e, ERR_USAGE, "%s: not a package file", ref);
		return NULL;
	}
	return mem_steal(path);
}
