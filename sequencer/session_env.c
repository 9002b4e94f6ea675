/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of installers; see session_env.h. */
#include "sequencer/session_env.h"

#include <string.h>
#include <unistd.h>

#include "sequencer/session.h"

const char seq_session_policy[] = "#!/bin/sh\nexit 101\n";

/* Downloading as another user needs that user; there is none. */
const char seq_session_apt[] = "APT::Sandbox::User \"root\";\n"
			       "DPkg::Use-Pty \"0\";\n"
			       "Dpkg::Progress-Fancy \"0\";\n";

static const char *const fixed[] = {
	"HOME=" SEQ_SESSION_HOME,
	"USER=root",
	"LOGNAME=root",
	"SHELL=/bin/sh",
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"DEBIAN_FRONTEND=noninteractive",
	"DEBIAN_PRIORITY=critical",
	"NEEDRESTART_MODE=l",
	"APT_CONFIG=" SEQ_SESSION_APT,
	"APT_LISTCHANGES_FRONTEND=none",
	/* Synchronising each file to a disk that is thrown away is the larger part of unpacking. The first
	 * two are dpkg's own defaults, which naming any replaces. */
	"DPKG_FORCE=security-mac,downgrade,unsafe-io",
	"PIP_ROOT_USER_ACTION=ignore",
};

/* Of the user's desktop session, of their account, or of a preloaded library. */
static const char *const dropped[] = {
	"XDG_",     "DBUS_",       "LD_",       "MAIL=",      "OLDPWD=",  "SUDO_",
	"SSH_",     "GPG_",        "TMPDIR=",   "DISPLAY=",   "WAYLAND_", "XAUTHORITY=",
	"SESSION_", "PYTHONPATH=", "PERL5LIB=", "BASH_FUNC_", "ENV=",     "BASH_ENV=",
};

static bool is_dropped(const char *variable)
{
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (!strncmp(variable, dropped[i], strlen(dropped[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (!strncmp(variable, fixed[i], strcspn(fixed[i], "=") + 1))
			return true;
	return false;
}

char **seq_session_environment(struct err *e)
{
	size_t count = 0, kept = 0;
	const char **list;

	while (environ && environ[count])
		count++;
	list = mem_alloc(count + ARRAY_LEN(fixed) + 1, sizeof(*list), e);
	if (!list)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!is_dropped(environ[i]))
			list[kept++] = environ[i];
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		list[kept++] = fixed[i];
	return (char **)list;
}
