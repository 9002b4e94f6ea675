/* SPDX-License-Identifier: Apache-2.0 */
/* The whole run; see sequence.h.
 *
 * A package without a launch phase or profile is written to its place at once. With one, it is first written
 * into the working directory, launched from there, and laid out anew to its place, so that an interrupted run
 * leaves nothing behind. */
#include "sequencer/sequence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sync.h"
#include "sequencer/detect.h"
#include "sequencer/draft.h"
#include "sequencer/known.h"
#include "sequencer/learn_touches.h"
#include "sequencer/pack.h"
#include "sequencer/propose.h"
#include "sequencer/report.h"
#include "sequencer/session.h"
#include "streaming/package.h"

struct run {
	const struct seq_request *request;
	struct seq_workspace workspace;
	struct seq_capture capture;
	struct seq_rules rules;
	struct seq_effects effects;
	struct seq_dpkg packages;
	struct seq_lesson lesson;
	struct pkg_manifest *manifest;
	struct pkg_secret_key *key;
	struct seq_report report;
	char *source, *prefix, *out_path;
	uint64_t start_ms;
};

static void run_fini(struct run *r)
{
	struct err e;

	seq_capture_fini(&r->capture);
	seq_rules_fini(&r->rules);
	seq_effects_fini(&r->effects);
	seq_dpkg_fini(&r->packages);
	seq_lesson_fini(&r->lesson);
	pkg_manifest_free(r->manifest);
	pkg_key_close(r->key);
	free(r->source);
	free(r->prefix);
	free(r->out_path);
	if (r->workspace.dir && r->workspace.keep)
		log_note("kept the working directory %s", r->workspace.dir);
	if (seq_workspace_close(&r->workspace, &e) < 0)
		log_error("%s", e.msg);
}

/* ---- key ----------------------------------------------------------------------------------------- */

static int load_key(struct run *r, struct err *e)
{
	const char *name = r->request->key_name ? r->request->key_name : "default";
	auto_free char *config = path_config_dir(true, e);
	struct pkg_public_key public;

	if (!config)
		return -1;
	if (pkg_key_load(config, name, &r->key, e) < 0) {
		char hex[PKG_KEY_HEX];

		if (e->code != ERR_NOTFOUND || r->request->key_name)
			return -1;
		if (pkg_key_generate(config, name, &public, e) < 0 ||
		    pkg_key_load(config, name, &r->key, e) < 0)
			return -1;
		pkg_key_hex(&public, hex);
		log_note("made a signing key, %s/keys/%s.key; others trust it with: floe key trust %s",
			 config, name, hex);
	}
	pkg_key_public(r->key, &public);
	pkg_key_hex(&public, r->report.signer);
	return 0;
}

/* ---- capture -------------------------------------------------------------------------------------- */

static int load_rules(struct run *r, struct err *e)
{
	auto_free char *path = NULL;

	/* A directory was put together by hand: nothing in it is junk unless somebody says so. */
	if (!r->request->rules_path && !r->request->installer)
		return 0;
	path = r->request->rules_path ? mem_strdup(r->request->rules_path, e) : seq_rules_default_path(e);
	return path ? seq_rules_load(path, &r->rules, e) : -1;
}

static int read_packages(struct run *r, const char *upper, struct err *e)
{
	auto_free char *status = path_join(upper, "var/lib/dpkg/status", e);
	auto_buf struct buf after = BUF_INIT(SEQ_DPKG_TEXT_MAX), before = BUF_INIT(SEQ_DPKG_TEXT_MAX);
	struct seq_dpkg old = { 0 };
	struct err ignored;
	int rc;

	if (!status)
		return -1;
	if (fd_read_file(AT_FDCWD, status, &after, &ignored) < 0)
		return 0; /* the installer was no package manager, or another one */
	if (fd_read_file(AT_FDCWD, "/var/lib/dpkg/status", &before, &ignored) < 0)
		buf_reset(&before);
	rc = seq_dpkg_parse((const char *)after.data, after.len, &r->packages, e);
	if (rc == 0 && before.len)
		rc = seq_dpkg_parse((const char *)before.data, before.len, &old, e);
	if (rc == 0)
		seq_dpkg_keep_new(&r->packages, &old);
	seq_dpkg_fini(&old);
	return rc;
}

static int capture_session(struct run *r, struct launch_status *status, struct err *e)
{
	const struct seq_request *q = r->request;
	struct seq_session session = { .workspace = &r->workspace,
				       .installer = q->installer,
				       .engine = q->engine,
				       .cancel = q->cancel };
	auto_free char *upper = path_join(r->workspace.dir, "upper", e);
	struct seq_scan scan = { .dir = upper,
				 .home = SEQ_SESSION_HOME,
				 .session_paths = seq_session_paths(),
				 .uid = getuid(),
				 .gid = getgid(),
				 .cancel = q->cancel };

	if (!upper)
		return -1;
	log_note("running %s in a session; nothing on this system changes", q->installer[0]);
	if (seq_session_run(&session, status, e) < 0)
		return -1;
	if (*q->cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if ((status->is_signal || status->code) && !q->keep_going)
		return err_set(e, ERR_IO, "%s %s %d: no package made (--keep-going makes one all the same)",
			       q->installer[0], status->is_signal ? "died of signal" : "failed with status",
			       status->code);
	log_detail("scanning %s", upper);
	if (seq_scan_upper(&scan, &r->capture, &r->report.scan, e) < 0)
		return -1;
	return read_packages(r, upper, e);
}

static int capture_directory(struct run *r, struct err *e)
{
	const struct seq_request *q = r->request;
	struct seq_scan scan = { .dir = q->from_dir, .uid = getuid(), .gid = getgid(), .cancel = q->cancel };

	if (!strncmp(q->prefix, "@home", 5) && (!q->prefix[5] || q->prefix[5] == '/'))
		r->prefix = mem_strdup(q->prefix, e);
	else if (*q->prefix == '/')
		r->prefix = path_absolute(q->prefix, e);
	else
		return err_set(e, ERR_USAGE, "--prefix %s: give an absolute path, or @home/...", q->prefix);
	return r->prefix ? seq_scan_tree(&scan, r->prefix, &r->capture, e) : -1;
}

static int count_taken(const struct run *r, struct err *e)
{
	struct seq_totals t;

	seq_report_totals(&r->capture, &t);
	if (!t.files && !t.links && !t.deleted)
		return err_set(e, ERR_NOTFOUND, "%s left nothing to package", r->source);
	return 0;
}

/* ---- manifest -------------------------------------------------------------------------------------- */

static int add_environment(struct pkg_manifest *m, const char *spec, struct err *e)
{
	const char *equals = strchr(spec, '=');
	auto_free char *name = NULL;

	if (!equals || equals == spec)
		return err_set(e, ERR_USAGE, "--env %s: give NAME=VALUE", spec);
	name = mem_strndup(spec, (size_t)(equals - spec), e);
	return name ? seq_draft_env(m, name, equals + 1, e) : -1;
}

typedef int rule_fn(struct pkg_manifest *m, const char *word, const char *path, struct err *e);

/* WORD:PATH. A path in our home is meant for everybody's. */
static int add_rule(struct pkg_manifest *m, const char *option, const char *spec, rule_fn *fn, struct err *e)
{
	const char *colon = strchr(spec, ':');
	auto_free char *home = path_home(e);
	auto_free char *word = NULL, *path = NULL;

	if (!home)
		return -1;
	if (!colon || !colon[1])
		return err_set(e, ERR_USAGE, "%s %s: a path is missing", option, spec);
	word = mem_strndup(spec, (size_t)(colon - spec), e);
	if (!word)
		return -1;
	if (colon[1] == '/' && path_is_below(colon + 1, home))
		path = path_join("@home", colon + 1 + strlen(home), e);
	else
		path = mem_strdup(colon + 1, e);
	return path ? fn(m, word, path, e) : -1;
}

/* Declares the files that are settings without a doubt, with what the installer has put there as defaults. */
static int take_proposals(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->lesson.proposal_count; i++) {
		const struct seq_proposal *p = &r->lesson.proposals[i];
		auto_free char *spec = p->is_certain ? mem_printf(e, "%s:%s", p->path, p->lens) : NULL;

		if (p->is_certain &&
		    (!spec || seq_pack_declare_config(r->manifest, &r->capture, spec, e) < 0))
			return -1;
	}
	return 0;
}

static int draft_manifest(struct run *r, struct err *e)
{
	const struct seq_request *q = r->request;
	struct seq_detect detect = {
		.name = q->name,
		.version = q->version,
		.summary = q->summary,
		.commands = q->commands,
		.command_count = q->command_count,
		.launches = q->launches,
		.launch_count = q->launch_count,
		.installer = q->installer,
		.prefix = r->prefix,
		.packages = &r->packages,
	};

	if (seq_detect_manifest(&r->capture, &detect, &r->manifest, e) < 0)
		return -1;
	for (size_t i = 0; i < q->config_count; i++)
		if (seq_pack_declare_config(r->manifest, &r->capture, q->configs[i], e) < 0)
			return -1;
	if (seq_known_declare_default(r->manifest, &r->capture, e) < 0 ||
	    seq_known_declare_gsettings(r->manifest, &r->capture, e) < 0 ||
	    seq_propose(&r->capture, &r->lesson, e) < 0 || take_proposals(r, e) < 0)
		return -1;
	for (size_t i = 0; i < q->env_count; i++)
		if (add_environment(r->manifest, q->envs[i], e) < 0)
			return -1;
	for (size_t i = 0; i < q->path_count; i++)
		if (add_rule(r->manifest, "--path", q->paths[i], seq_draft_path_rule, e) < 0)
			return -1;
	for (size_t i = 0; i < q->local_count; i++)
		if (add_rule(r->manifest, "--local", q->locals[i], seq_draft_local_rule, e) < 0)
			return -1;
	for (size_t i = 0; i < r->effects.count; i++)
		if (seq_draft_note(r->manifest, r->effects.notes[i], e) < 0)
			return -1;
	if (!r->manifest->command_count)
		log_note("found no command to run; name one with --command NAME=PATH");
	return 0;
}

/* ---- packing and learning --------------------------------------------------------------------------- */

struct progress {
	struct log_progress line;
	bool is_started;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;

	if (!p->is_started)
		log_progress_start(&p->line, "packing", total, true);
	p->is_started = true;
	log_progress_step(&p->line, done);
}

static int pack(struct run *r, const char *out_path, struct err *e)
{
	struct progress progress = { .is_started = false };
	struct seq_pack p = {
		.capture = &r->capture,
		.manifest = r->manifest,
		.key = r->key,
		.out_path = out_path,
		.level = r->request->level,
		.cancel = r->request->cancel,
		.progress = on_progress,
		.progress_arg = &progress,
	};
	int rc = seq_pack_write(&p, &r->report.written, e);

	if (progress.is_started)
		log_progress_end(&progress.line);
	return rc;
}

/* A launch that fails teaches little; the package is made all the same, and its user should know. */
static void warn_of_failure(const struct seq_learned *l)
{
	if (l->end == SEQ_LAUNCH_EXITED && l->code)
		log_note("%s exited with status %d: %s", l->command, l->code, l->last_words);
	else if (l->end == SEQ_LAUNCH_KILLED)
		log_note("%s died of signal %d: %s", l->command, l->code, l->last_words);
}

static int learn(struct run *r, const char *package, struct err *e)
{
	struct seq_learn l = {
		.workspace = &r->workspace,
		.package = package,
		.root = &r->report.written.root,
		.engine = r->request->engine,
		.manifest = r->manifest,
		.seconds_max = r->request->launch_seconds,
		.cancel = r->request->cancel,
	};

	for (size_t i = 0; i < r->request->launch_count; i++) {
		log_note("launching %s to learn what it needs", r->request->launches[i]);
		if (seq_learn_launch(&l, r->request->launches[i], &r->lesson, e) < 0)
			return -1;
		warn_of_failure(&r->lesson.launches[r->lesson.launch_count - 1]);
	}
	return take_proposals(r, e);
}

static void close_package(struct stream_package **p)
{
	stream_package_close(*p);
}

static int take_profiles(struct run *r, const char *package, struct err *e)
{
	__attribute__((cleanup(close_package))) struct stream_package *p = NULL;
	const struct seq_request *q = r->request;

	if (q->profile_count && stream_package_open(package, &(struct stream_package_opt){ 0 }, &p, e) < 0)
		return -1;
	for (size_t i = 0; i < q->profile_count; i++) {
		size_t count;

		if (seq_learn_profile(q->profiles[i], stream_package_index(p), &r->lesson, &count, e) < 0)
			return err_wrap(e, "--profile");
		if (!count)
			log_note("--profile %s: this package has nothing of what it names", q->profiles[i]);
	}
	return 0;
}

static int produce(struct run *r, struct err *e)
{
	struct pkg_writer_report packed;
	auto_free char *first = NULL;

	if (!r->request->launch_count && !r->request->profile_count)
		return pack(r, r->out_path, e);
	first = path_join(r->workspace.dir, "first.floe", e);
	if (!first || pack(r, first, e) < 0 || learn(r, first, e) < 0 || take_profiles(r, first, e) < 0)
		return -1;
	packed = r->report.written;
	if (pkg_writer_relayout(first, r->lesson.touches, r->lesson.touch_count, r->manifest, r->key,
				r->out_path, &r->report.written, e) < 0)
		return -1;
	/* What copying chunks does not count. */
	if (!r->report.written.content_bytes)
		r->report.written.content_bytes = packed.content_bytes;
	if (!r->report.written.chunks_shared)
		r->report.written.chunks_shared = packed.chunks_shared;
	return 0;
}

/* ---- report ------------------------------------------------------------------------------------------ */

static int write_report(struct run *r, const struct launch_status *status, struct err *e)
{
	auto_buf struct buf shown = BUF_INIT(SEQ_REPORT_MAX), full = BUF_INIT(SEQ_REPORT_MAX);
	const struct seq_request *q = r->request;
	size_t len = q->report_path ? strlen(q->report_path) : 0;
	bool json_file = q->json || (len > 5 && !strcmp(q->report_path + len - 5, ".json"));

	r->report.out_path = r->out_path;
	r->report.source = r->source;
	r->report.capture = &r->capture;
	r->report.rules = &r->rules;
	r->report.effects = &r->effects;
	r->report.packages = &r->packages;
	r->report.manifest = r->manifest;
	r->report.lesson = &r->lesson;
	r->report.installer_status = status->is_signal ? 128 + status->code : status->code;
	r->report.elapsed_ms = sync_now_ms() - r->start_ms;
	if (q->report_path) {
		if ((json_file ? seq_report_json(&r->report, &full, e)
			       : seq_report_text(&r->report, true, &full, e)) < 0 ||
		    fd_write_file(AT_FDCWD, q->report_path, full.data, full.len, 0644, e) < 0)
			return err_wrap(e, "report");
	}
	if (log_get_level() == LOG_QUIET && !q->json)
		return 0;
	if ((q->json ? seq_report_json(&r->report, &shown, e)
		     : seq_report_text(&r->report, log_get_level() == LOG_VERBOSE, &shown, e)) < 0)
		return -1;
	return fd_write_all(STDOUT_FILENO, shown.data, shown.len, e);
}

static char *describe_source(const struct seq_request *q, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	const char *text;

	if (!q->installer)
		return mem_strdup(q->from_dir, e);
	for (char **a = q->installer; *a; a++)
		if (buf_printf(&b, e, "%s%s", a == q->installer ? "" : " ", *a) < 0)
			return NULL;
	text = buf_text(&b, e);
	return text ? mem_strdup(text, e) : NULL;
}

static int run_all(struct run *r, struct launch_status *status, struct err *e)
{
	r->source = describe_source(r->request, e);
	r->out_path = r->source ? path_absolute(r->request->out_path, e) : NULL;
	if (!r->out_path || load_key(r, e) < 0 || load_rules(r, e) < 0 ||
	    seq_workspace_open(r->request->keep_dir, &r->workspace, e) < 0)
		return -1;
	if ((r->request->installer ? capture_session(r, status, e) : capture_directory(r, e)) < 0)
		return -1;
	seq_rules_apply(&r->rules, &r->capture);
	if (count_taken(r, e) < 0 || seq_effects_find(&r->capture, NULL, &r->effects, e) < 0 ||
	    draft_manifest(r, e) < 0 || produce(r, e) < 0)
		return -1;
	return write_report(r, status, e);
}

int seq_run(const struct seq_request *q, struct launch_status *ret_status, struct err *e)
{
	struct run r = {
		.request = q,
		.workspace = { .lock_fd = -1 },
		.capture = SEQ_CAPTURE_INIT,
		.start_ms = sync_now_ms(),
	};
	int rc;

	*ret_status = (struct launch_status){ 0 };
	rc = run_all(&r, ret_status, e);
	run_fini(&r);
	return rc;
}
