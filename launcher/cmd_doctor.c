/* SPDX-License-Identifier: Apache-2.0 */
/* floe doctor: looks at everything that floe needs and says what to do. The status is 0 when floe can run. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "launcher/doctor.h"
#include "launcher/json_output.h"
#include "launcher/verbs.h"

static const char *const words[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail" };

void doctor_add(struct doctor_report *r, enum doctor_state state, const char *subject, const char *advice,
		const char *fmt, ...)
{
	struct doctor_finding *f;
	va_list ap;

	if (r->count == ARRAY_LEN(r->findings))
		return;
	f = &r->findings[r->count++];
	*f = (struct doctor_finding){ .subject = subject, .state = state, .advice = advice };
	va_start(ap, fmt);
	(void)vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

static bool can_run(const struct doctor_report *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->findings[i].state == DOCTOR_FAIL)
			return false;
	return true;
}

static void print_text(const struct doctor_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct doctor_finding *f = &r->findings[i];

		(void)printf("%-4s  %-23s  %s\n", words[f->state], f->subject, f->detail);
		if (f->advice && f->state != DOCTOR_OK)
			(void)printf("%-4s  %-23s  -> %s\n", "", "", f->advice);
	}
	(void)puts(can_run(r) ? "floe can run here" : "floe cannot run here yet");
}

static int print_json(const struct doctor_report *r)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct doctor_finding *f = &r->findings[i];

		(void)json_array_append_new(checks,
					    json_pack("{s:s, s:s, s:o, s:s?}", "subject", f->subject, "state",
						      words[f->state], "detail", launch_json_bytes(f->detail),
						      "advice", f->advice));
	}
	return launch_json_print(json_pack("{s:b, s:o}", "can_run", can_run(r), "checks", checks));
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	struct doctor_report r = { .count = 0 };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			(void)puts("Usage: floe doctor [--json]\n\n"
				   "Looks at all that floe needs, and says what to do where something is "
				   "missing.\n"
				   "Status 0 when floe can run here, 125 when not.");
			return 0;
		}
		if (c != 'j')
			return 125;
		json = true;
	}
	if (optind < argc) {
		log_error("doctor takes no arguments");
		return 125;
	}
	doctor_look_at_kernel(&r);
	doctor_look_at_place(&r);
	doctor_look_at_crashes(&r);
	if (json && print_json(&r) != 0)
		return 125;
	if (!json)
		print_text(&r);
	return can_run(&r) ? 0 : 125;
}
