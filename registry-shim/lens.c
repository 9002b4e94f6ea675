/* SPDX-License-Identifier: Apache-2.0 */
/* The list of lenses; see lens.h. */
#include "registry-shim/lens.h"

#include <string.h>

#include "base/path.h"
#include "registry-shim/lens_augeas.h"
#include "registry-shim/lens_ini.h"
#include "registry-shim/lens_json.h"
#include "registry-shim/lens_kde.h"
#include "registry-shim/lens_properties.h"
#include "registry-shim/lens_shell.h"
#include "registry-shim/lens_toml.h"
#include "registry-shim/lens_wine.h"
#include "registry-shim/lens_xfconf.h"
#include "registry-shim/lens_yaml.h"

/* In the order in which a text is tried. */
static const struct reg_lens *const lenses[] = { &reg_lens_gsettings,  &reg_lens_kde,    &reg_lens_wine,
						 &reg_lens_properties, &reg_lens_toml,   &reg_lens_yaml,
						 &reg_lens_json,       &reg_lens_xfconf, &reg_lens_ini,
						 &reg_lens_shell };

const struct reg_lens *reg_lens_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(lenses); i++)
		if (!strcmp(lenses[i]->name, name))
			return lenses[i];
	return augeas_lens(name);
}

const char *reg_lens_name(const struct reg_lens *l)
{
	return l->name;
}

bool reg_lens_is_joint(const struct reg_lens *l)
{
	return l->apply;
}

const char *reg_lens_names(void)
{
	return "gsettings, ini, json, kde, properties, shell, toml, wine, xfconf, yaml, and "
	       "augeas:MODULE for Augeas' lenses";
}

const struct reg_lens *reg_lens_of_name(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(lenses); i++)
		if (doc_is_named(lenses[i], path_base(path)))
			return lenses[i];
	return NULL;
}

const struct reg_lens *reg_lens_guess(const char *path, const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(lenses); i++)
		if (lenses[i]->fits(path_base(path), text, len))
			return lenses[i];
	return NULL;
}
