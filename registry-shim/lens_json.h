/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON lens: one object, with comments and trailing commas where they are found (JSONC).
 *
 * Keys are the names on the way, "editor/rulers", each with '/' spelled "%2F", '%' "%25" and an empty name
 * "%"; "editor.fontSize" is one name. A value is a string's text as it is, and everything else in JSON's
 * spelling: 12, true, null, and whole arrays ([80, 120]: half of a list is of no use to anybody). A string
 * that reads like one of these is spelled in quotes, "12", and any string may be given so. An object has no
 * value of its own, only its keys; one that has lost them all stays as {}.
 *
 * Numbers keep their spelling. What is written is spelled in the manner of its neighbours. A member whose
 * name no key can spell (U+0000, half a surrogate pair) is kept and has no key. Nesting: JSON_DEPTH_MAX. */
#ifndef FLOE_REG_LENS_JSON_H
#define FLOE_REG_LENS_JSON_H

#include "registry-shim/lens_doc.h"

enum { JSON_DEPTH_MAX = 1000 };

extern const struct reg_lens reg_lens_json;

#endif
