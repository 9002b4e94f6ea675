/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the `floe` command. Each lives in launcher/cmd_NAME.c (or sequencer/cmd_NAME.c) and looks like
 * main: argv[0] is the verb's name. It parses its own options with getopt_long, answers --help on standard
 * output with status 0, reports errors with log_error, and returns the exit status (0; 125 floe failed; 126
 * refused by trust or policy; 127 no such command). Listings take --json. */
#ifndef FLOE_LAUNCH_VERBS_H
#define FLOE_LAUNCH_VERBS_H

int cmd_info(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_extract(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_repo(int argc, char **argv);
int cmd_add(int argc, char **argv);
int cmd_remove(int argc, char **argv);
int cmd_update(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_search(int argc, char **argv);
int cmd_sequence(int argc, char **argv);
int cmd_env(int argc, char **argv);
int cmd_registry(int argc, char **argv);
int cmd_cache(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
