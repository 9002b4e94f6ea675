/* SPDX-License-Identifier: Apache-2.0 */
/* What an ordinary file system does, tried on a union; what is otherwise, and where. See case.c for how to
 * run it, case.h for how a case is written. */
#include "tests/union/case_lists.h"
#include "tests/union/case_run.h"

static const struct case_difference differences[] = {
#define OVERLAY(name, reason)                                                                                \
	{                                                                                                    \
		"overlay", name, reason, true                                                                \
	}
#define NO_DIR_RENAME(name) OVERLAY(name, "directories of the layers below cannot be renamed (EXDEV)")
#define NO_LINKS(name)      OVERLAY(name, "a copied-up name leaves its hard links")
	OVERLAY("map_shared_before_copy_up",
		"a shared mapping made before the copy-up shows the old content"),
	OVERLAY("open_is_free", "opening for writing copies the whole file"),
	OVERLAY("seek_data_and_holes", "holes are filled by the copy-up"),
	OVERLAY("copy_keeps_holes", "holes are filled by the copy-up"),
	OVERLAY("deleted_lower_has_no_links",
		"fstat of a deleted object of a layer below shows its links there"),
	OVERLAY("dotdot_of_merged", "\"..\" is listed with another number than the directory has"),
	OVERLAY("deleted_lower_is_changed",
		"fchmod and the like fail (EEXIST) on a deleted file of a layer below"),
	OVERLAY("numbers_of_special_files@after", "st_ino of a copied-up object changes at the next mount"),
	{ "overlay", "numbers_stay@after", "st_ino of a copied-up object changes at the next mount", false },
	{ "overlay", "numbers_survive_rename@after", "st_ino of a copied-up object changes at the next mount",
	  false },
	{ "overlay", "link_to_lower", "a new name of a file of a layer below has another st_ino", false },
	NO_LINKS("numbers_of_links_stay"),
	NO_LINKS("rename_links_of_one_file"),
	NO_LINKS("links_survive_copy_up"),
	OVERLAY("links_deleted_below", "names deleted or replaced before a copy-up are still counted"),
	NO_LINKS("links_count_down"),
	NO_LINKS("links_count_after_remount"),
	NO_LINKS("links_are_renamed"),
	NO_LINKS("links_of_symlinks"),
	NO_LINKS("links_are_replaced"),
	NO_DIR_RENAME("numbers_survive_rename_of_dir"),
	NO_DIR_RENAME("lower_beyond_path_max"),
	NO_DIR_RENAME("rename_dir_lower"),
	NO_DIR_RENAME("rename_dir_merged"),
	NO_DIR_RENAME("rename_dir_changed_before"),
	NO_DIR_RENAME("rename_dir_twice"),
	NO_DIR_RENAME("rename_dir_back"),
	NO_DIR_RENAME("rename_dir_and_make_again"),
	NO_DIR_RENAME("rename_dir_over_empty"),
	NO_DIR_RENAME("rename_dir_exchange"),
	NO_DIR_RENAME("rename_current_directory"),
	NO_DIR_RENAME("rename_dir_then_delete"),
	NO_DIR_RENAME("rename_dir_keeps_links"),
	NO_DIR_RENAME("list_numbers_of_moved"),
	{ "fuse", "links_deleted_below", "names deleted or replaced before a copy-up are still counted",
	  true },
	{ "fuse", "numbers_of_special_files@after",
	  "st_ino of a copied-up symbolic link, FIFO or socket changes at the next mount", true },
	{ NULL, NULL, NULL, false },
};

int main(int argc, char **argv)
{
	static const struct test_case *const lists[] = {
		cases_content,    cases_space,  cases_copy,    cases_names,  cases_rename,
		cases_rename_dir, cases_delete, cases_list,    cases_links,  cases_times,
		cases_owners,     cases_attrs,  cases_unnamed, cases_kernel, NULL,
	};

	return case_main(argc, argv, lists, differences);
}
