/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's sockets: the holder's descriptor and the clients at RUN/registry.sock, in one poll loop.
 *
 * Clients are the applications: whatever one sends or fails to read costs it its connection and nobody else
 * anything. The one silent longest makes room when BROKER_CLIENTS_MAX are connected. */
#ifndef FLOE_REG_BROKER_SERVE_H
#define FLOE_REG_BROKER_SERVE_H

#include "registry-shim/broker.h"

enum { BROKER_CLIENTS_MAX = 64 };

/* Serves until the holder closes `control`, then harvests a last time. `on_control` answers the holder's
 * messages on that descriptor; -1 from it ends the service. */
typedef int broker_control_fn(struct broker *b, struct wire_in *m, int control, struct err *e);
int broker_serve(struct broker *b, int control, broker_control_fn *on_control, struct err *e) FLOE_MUST_USE;

#endif
