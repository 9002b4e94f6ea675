/* SPDX-License-Identifier: Apache-2.0 */
/* References to packages; see reference.h. */
#include "launcher/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/path.h"

static int resolve_path(const char *ref, struct launch_found *ret, struct err *e)
{
	struct stat st;

	if (stat(ref, &st) < 0)
		return err_sys(e, errno, "%s", ref);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: not a package file", ref);
	ret->source = path_absolute(ref, e);
	return ret->source ? 0 : -1;
}

static bool is_file_name(const char *ref)
{
	size_t len = strlen(ref);

	return *ref == '/' || *ref == '.' || (len > 5 && !strcmp(ref + len - 5, ".floe"));
}

/* A name; or a file whose name does not look like one. */
static int resolve_name(const char *ref, struct launch_found *ret, struct err *e)
{
	bool has_slash = strchr(ref, '/') != NULL;
	struct stat st;

	if (has_slash && stat(ref, &st) == 0)
		return resolve_path(ref, ret, e);
	if (launch_catalogue_find(ref, ret, e) == 0)
		return 0;
	if (e->code == ERR_NOTFOUND && !has_slash && stat(ref, &st) == 0 && S_ISREG(st.st_mode))
		return resolve_path(ref, ret, e);
	return -1;
}

int launch_reference_resolve(const char *ref, struct launch_found *ret, struct err *e)
{
	*ret = (struct launch_found){ 0 };
	if (!*ref)
		return err_set(e, ERR_USAGE, "empty package reference: give a path, a URL or a name");
	if (!strncasecmp(ref, "http://", 7) || !strncasecmp(ref, "https://", 8)) {
		ret->source = mem_strdup(ref, e);
		return ret->source ? 0 : -1;
	}
	if (!strncasecmp(ref, "file://", 7))
		return resolve_path(ref + 7, ret, e);
	if (strstr(ref, "://"))
		return err_set(e, ERR_USAGE, "%s: only http, https and file URLs are understood", ref);
	return is_file_name(ref) ? resolve_path(ref, ret, e) : resolve_name(ref, ret, e);
}

char *launch_reference_source(const char *ref, struct err *e)
{
	struct launch_found found;
	char *source;

	if (launch_reference_resolve(ref, &found, e) < 0)
		return NULL;
	source = mem_steal(found.source);
	launch_found_fini(&found);
	return source;
}
