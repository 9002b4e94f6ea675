/* SPDX-License-Identifier: Apache-2.0 */
/* Lenses for two relatives of INI whose sections nest.
 *
 * "kde", KDE's configuration: [Group][Subgroup] and name=value. Keys are "Group/Subgroup/name", each part
 * with '/' spelled "%2F" and '%' "%25". A name keeps what stands behind it in brackets: "Name[de]",
 * "Path[$e]", "Key[$i]";
 * [$i] behind a group belongs to the header, not to the key. Values are as in INI: escapes are part of them.
 *
 * "gsettings", GLib's keyfile backend: [org/gnome/desktop] and name=value. Keys are "org/gnome/desktop/name";
 * values are GVariant's text, quotes included: 'Adwaita', true, uint32 5. Keys of the section [/] are
 * "%/name". */
#ifndef FLOE_REG_LENS_KDE_H
#define FLOE_REG_LENS_KDE_H

#include "registry-shim/lens_doc.h"

extern const struct reg_lens reg_lens_kde, reg_lens_gsettings;

#endif
