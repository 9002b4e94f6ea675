/* SPDX-License-Identifier: Apache-2.0 */
/* `floe run`: from a reference to a running application and its exit status. */
#ifndef FLOE_LAUNCH_RUN_H
#define FLOE_LAUNCH_RUN_H

/* Like main; returns the exit status, or ends by the signal that ended the application. */
int launch_run(int argc, char **argv);

#endif
