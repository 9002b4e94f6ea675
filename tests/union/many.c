/* SPDX-License-Identifier: Apache-2.0 */
/* Many names at once.
 *
 *   many make DIR FILES NAMES   FILES files in directories of 1,000 each, and one directory, `wide`, of NAMES
 * more many find DIR               looks at everything below; says how many files there are many list DIR
 * lists one directory; says how many names it has, each once */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OF_DIRECTORY = 1000, FTW_FDS = 16 };

static unsigned long files;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || close(fd) < 0)
		die(path);
}

static int make(unsigned long count, unsigned long names)
{
	char path[64];

	for (unsigned long i = 0; i < count; i++) {
		if (i % OF_DIRECTORY == 0) {
			(void)snprintf(path, sizeof(path), "d%lu", i / OF_DIRECTORY);
			if (mkdir(path, 0755) < 0)
				die(path);
		}
		(void)snprintf(path, sizeof(path), "d%lu/file%06lu", i / OF_DIRECTORY, i);
		make_file(path);
	}
	if (mkdir("wide", 0755) < 0)
		die("wide");
	for (unsigned long i = 0; i < names; i++) {
		(void)snprintf(path, sizeof(path), "wide/name%06lu", i);
		make_file(path);
	}
	return 0;
}

static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_NS || type == FTW_DNR)
		die(path);
	files += type == FTW_F;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(void)
{
	size_t count = 0, cap = 0;
	char **names = NULL;
	DIR *d = opendir(".");

	if (!d)
		die("opendir");
	errno = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (count == cap) {
			cap = cap ? 2 * cap : 1024;
			names = realloc(names, cap * sizeof(*names));
			if (!names)
				die("memory");
		}
		names[count++] = strdup(e->d_name);
	}
	if (errno)
		die("readdir");
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 1; i < count; i++)
		if (!strcmp(names[i - 1], names[i])) {
			fprintf(stderr, "many: %s is listed twice\n", names[i]);
			return 1;
		}
	printf("%zu\n", count - 2);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && chdir(argv[2]) < 0)
		die(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "make"))
		return make(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	if (argc == 3 && !strcmp(argv[1], "find")) {
		if (nftw(".", count_file, FTW_FDS, FTW_PHYS) != 0)
			die("nftw");
		printf("%lu\n", files);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "list"))
		return list();
	fprintf(stderr, "usage: many make DIR FILES NAMES | many find|list DIR\n");
	return 2;
}
