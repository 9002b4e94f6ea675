/* SPDX-License-Identifier: Apache-2.0 */
/* Has anything of floe's died of late? */
#include <time.h>

#include "base/mem.h"
#include "launcher/crash_report.h"
#include "launcher/doctor.h"

enum { RECENT_S = 7 * 24 * 3600 };

void doctor_look_at_crashes(struct doctor_report *r)
{
	struct launch_crash_summary found;
	struct err e;
	auto_free char *dir = launch_crash_dir(&e);

	if (!dir || launch_crash_summarise(dir, time(NULL) - RECENT_S, &found, &e) < 0)
		doctor_add(r, DOCTOR_WARN, "crash reports", NULL, "%s", e.msg);
	else if (found.count)
		doctor_add(r, DOCTOR_WARN, "crash reports",
			   "read it, and please tell floe's makers; it may be deleted",
			   "%u in the last week, the last one %s/%s", found.count, dir, found.name);
	else
		doctor_add(r, DOCTOR_OK, "crash reports", NULL, "none in the last week");
}
