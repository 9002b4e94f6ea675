/* SPDX-License-Identifier: Apache-2.0 */
/* The TOML lens. Source: TOML v1.0.0.
 *
 * Keys are the names on the way, through [tables] and dotted names alike, "tool/black/line-length", each with
 * '/' spelled "%2F", '%' "%25" and an empty name "%". A value is a string's text, and everything else in
 * TOML's spelling: 12, true, 1979-05-27, and whole arrays and inline tables. A string that reads like one of
 * these is spelled in quotes, "12", and any string may be given so. Tables in arrays ([[x]]) are kept and
 * have no keys.
 *
 * A string keeps its kind of quotes where the new text allows it; a string over several lines becomes one
 * line when it is changed. Brackets are nested up to TOML_DEPTH_MAX. */
#ifndef FLOE_REG_LENS_TOML_H
#define FLOE_REG_LENS_TOML_H

#include "registry-shim/lens_doc.h"

enum { TOML_DEPTH_MAX = 1000 };

extern const struct reg_lens reg_lens_toml;

#endif
