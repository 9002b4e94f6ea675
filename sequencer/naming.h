/* SPDX-License-Identifier: Apache-2.0 */
/* What a package is called when the user does not say: from the installer's command line. Pure functions
 * of memory. */
#ifndef FLOE_SEQ_NAMING_H
#define FLOE_SEQ_NAMING_H

#include "base/mem.h"

/* The thing that a command line installs: "mc" of apt-get install -y mc, of dpkg -i mc_4.8_amd64.deb, of
 * sh -c 'apt-get update; apt-get install mc', "black" of pip install black==22.1; for anything else the
 * installer's own name without its ending. Always a plain name (path_is_plain_name). Caller frees. */
char *seq_name_from_installer(char *const *argv, struct err *e) FLOE_MUST_USE;
/* The nearest plain name to any text; "application" when nothing of it is left. */
char *seq_name_plain(const char *text, struct err *e) FLOE_MUST_USE;

#endif
