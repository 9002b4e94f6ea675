/* SPDX-License-Identifier: Apache-2.0 */
/* A package of several origins: which of them have it. */
#include "streaming/fetch_mirrors.h"
#include "streaming/package_state.h"

/* Something else than a package: a login page in between, which may go away. */
static int check_head(void *arg, const uint8_t *head, size_t len, struct err *e)
{
	struct stream_package *p = arg;
	struct pkg_header header;
	bool is_wanted;

	if (len < PKG_HEADER_LEN || pkg_header_decode(head, &header, e) < 0)
		return err_set(e, ERR_FORMAT, "%s: a mirror does not answer with a package", p->shown);
	sync_lock(&p->lock);
	is_wanted = !p->has_wanted || pkg_digest_equal(&p->wanted, &header.root);
	sync_unlock(&p->lock);
	return is_wanted ? 0 : err_set(e, ERR_CHANGED, "%s: a mirror has another version", p->shown);
}

int package_open_origins(struct stream_package *p, const char *source, const struct stream_package_opt *opt,
			 struct err *e)
{
	const char *sources[STREAM_MIRRORS_MAX] = { source };
	const struct stream_mirrors_opt mirrors = { .fetch = opt->fetch,
						    .check = check_head,
						    .check_arg = p };

	if (p->is_file || !opt->mirror_count)
		return stream_fetcher_open(source, &opt->fetch, &p->fetcher, e);
	if (opt->mirror_count >= STREAM_MIRRORS_MAX)
		return err_set(e, ERR_LIMIT, "%zu mirrors: at most %d", opt->mirror_count,
			       STREAM_MIRRORS_MAX - 1);
	for (size_t i = 0; i < opt->mirror_count; i++)
		sources[1 + i] = opt->mirrors[i];
	if (opt->root)
		package_want_root(p, opt->root);
	return stream_fetch_mirrors_open(sources, 1 + opt->mirror_count, &mirrors, &p->fetcher, e);
}

void package_want_root(struct stream_package *p, const struct pkg_digest *root)
{
	sync_lock(&p->lock);
	p->wanted = *root;
	p->has_wanted = true;
	sync_unlock(&p->lock);
}
