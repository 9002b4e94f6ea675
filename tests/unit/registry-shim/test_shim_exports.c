/* SPDX-License-Identifier: Apache-2.0 */
/* The shim against what this machine's libc exports: every function that takes a path or acts on a
 * descriptor's file is wrapped, or stands in test_shim_exports_list.h with the reason why not. A function
 * that a newer libc brings fails until somebody has put it into one of the two. Also what the shim itself
 * imports and needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/unit/registry-shim/test_shim_exports_list.h"

/* ---- a shared library's dynamic symbols ------------------------------------------------------ */

struct library {
	struct buf bytes;
	const ElfW(Sym) * symbols;
	const ElfW(Versym) * versions;
	const ElfW(Verdef) * definitions;
	const ElfW(Dyn) * dynamic;
	const char *names;
	size_t count;
};

static struct library libc_library, shim_library;

static void read_library(struct library *l, const char *path)
{
	const ElfW(Ehdr) * head;
	const ElfW(Shdr) * sections;
	struct err e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	l->bytes = (struct buf)BUF_INIT(64 * 1024 * 1024);
	if (fd < 0 || fd_read_to_end(fd, &l->bytes, &e) < 0)
		fail_msg("cannot read %s", path);
	fd_close(fd);
	head = (const void *)l->bytes.data;
	sections = (const void *)(l->bytes.data + head->e_shoff);
	for (size_t i = 0; i < head->e_shnum; i++) {
		const void *at = l->bytes.data + sections[i].sh_offset;

		if (sections[i].sh_type == SHT_DYNSYM) {
			l->symbols = at;
			l->count = sections[i].sh_size / sizeof(*l->symbols);
			l->names = (const char *)l->bytes.data + sections[sections[i].sh_link].sh_offset;
		} else if (sections[i].sh_type == SHT_GNU_versym) {
			l->versions = at;
		} else if (sections[i].sh_type == SHT_GNU_verdef) {
			l->definitions = at;
		} else if (sections[i].sh_type == SHT_DYNAMIC) {
			l->dynamic = at;
		}
	}
	assert_non_null(l->symbols);
}

static const char *version_of(const struct library *l, size_t i)
{
	unsigned version = l->versions[i] & 0x7fffu;

	for (const ElfW(Verdef) *d = l->definitions;; d = (const void *)((const char *)d + d->vd_next)) {
		if (d->vd_ndx == version)
			return l->names + ((const ElfW(Verdaux) *)((const char *)d + d->vd_aux))->vda_name;
		if (!d->vd_next)
			return "";
	}
}

/* The name of the i-th symbol when it is an exported function, else NULL. */
static const char *exported(const struct library *l, size_t i)
{
	unsigned type = ELF64_ST_TYPE(l->symbols[i].st_info);

	if (l->symbols[i].st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC))
		return NULL;
	/* For libc's own libraries: programs cannot link to these. */
	if (l->definitions && !strcmp(version_of(l, i), "GLIBC_PRIVATE"))
		return NULL;
	return l->names + l->symbols[i].st_name;
}

static bool has_export(const struct library *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		const char *s = exported(l, i);

		if (s && !strcmp(s, name))
			return true;
	}
	return false;
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libc.so.6"))
		return 0;
	*(const char **)arg = info->dlpi_name;
	return 1;
}

static int setup(void **state)
{
	char self[4096], path[5000];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *libc = NULL;

	(void)state;
	assert_true(n > 0);
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/../lib/floe/libfloe-shim.so", self);
	read_library(&shim_library, path);
	dl_iterate_phdr(find_libc, &libc);
	assert_non_null(libc);
	read_library(&libc_library, libc);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&shim_library.bytes);
	buf_fini(&libc_library.bytes);
	return 0;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at++)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static bool is_excepted(const char *name)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
		if (has_word(exceptions[i].names, name))
			return true;
	return false;
}

static bool is_of_family(const char *name)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (strstr(name, families[i]))
			return true;
	return false;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_all_are_classified(void **state)
{
	size_t wrapped = 0, missing = 0;

	(void)state;
	for (size_t i = 0; i < libc_library.count; i++) {
		const char *name = exported(&libc_library, i);

		if (!name)
			continue;
		if (has_export(&shim_library, name)) {
			wrapped++;
		} else if (is_of_family(name) && !is_excepted(name)) {
			print_message("%s is neither wrapped nor on the list of exceptions\n", name);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
	assert_true(wrapped > 100); /* the libraries were really read */
}

/* An exception that is wrapped after all, or a name that was never libc's, is a mistake in the list. */
static void test_exceptions_are_true(void **state)
{
	bool is_known_libc = !strcmp(gnu_get_libc_version(), "2.36");

	(void)state;
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		char *words = strdup(exceptions[i].names), *rest = NULL;

		for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
			if (has_export(&shim_library, w))
				fail_msg("%s is an exception, and wrapped", w);
			if (is_known_libc && !has_export(&libc_library, w))
				fail_msg("%s is an exception, and not there", w);
		}
		free(words);
	}
}

static void test_nothing_else_is_exported(void **state)
{
	(void)state;
	for (size_t i = 0; i < shim_library.count; i++) {
		const char *name = exported(&shim_library, i);

		if (name && !has_export(&libc_library, name))
			fail_msg("%s is exported and hides no function of libc", name);
	}
}

static void test_only_libc_is_needed(void **state)
{
	size_t needed = 0;

	(void)state;
	for (const ElfW(Dyn) *d = shim_library.dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag != DT_NEEDED)
			continue;
		assert_string_equal(shim_library.names + d->d_un.d_val, "libc.so.6");
		needed++;
	}
	assert_int_equal(needed, 1);
}

/* What may allocate or lock is not even linked, but for the copy that realpath() gives its caller. */
static void test_nothing_allocates(void **state)
{
	static const char refused[] =
		"malloc calloc realloc free aligned_alloc posix_memalign strndup asprintf printf snprintf "
		"sprintf "
		"setenv getline opendir pthread_mutex_lock pthread_once pthread_setspecific __tls_get_addr";

	(void)state;
	for (size_t i = 1; i < shim_library.count; i++) {
		const char *name = shim_library.names + shim_library.symbols[i].st_name;

		if (shim_library.symbols[i].st_shndx == SHN_UNDEF && has_word(refused, name))
			fail_msg("the shim calls %s", name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_classified),       cmocka_unit_test(test_exceptions_are_true),
		cmocka_unit_test(test_nothing_else_is_exported), cmocka_unit_test(test_only_libc_is_needed),
		cmocka_unit_test(test_nothing_allocates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
