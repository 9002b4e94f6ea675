/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for Wine's registry files (user.reg) and texts that regedit writes (REGEDIT4).
 *
 * Keys are the parts of a registry key and a value's name, "Software/Wine/Direct3D/renderer", each with '/'
 * spelled
 * "%2F" and '%' "%25"; "@" is a key's default value. A value is a string's text, and everything else as the
 * file spells it: dword:00000001, hex:01,02, str(2):"%TEMP%". A string that reads like one of these, or with
 * escapes other than \\ and \", is spelled in quotes, "dword:1". The times that Wine keeps are left as they
 * are.
 *
 * A text without one of the known first lines is refused; texts in UTF-16 are not understood. */
#ifndef FLOE_REG_LENS_WINE_H
#define FLOE_REG_LENS_WINE_H

#include "registry-shim/lens_doc.h"

extern const struct reg_lens reg_lens_wine;

#endif
