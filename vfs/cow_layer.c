/* SPDX-License-Identifier: Apache-2.0 */
/* What all layers share; see cow_layer.h. */
#include "vfs/cow_layer.h"

#include "base/fd.h"

void cow_layer_close(struct cow_layer *l)
{
	if (l)
		l->ops->close(l);
}

void cow_handle_close(struct cow_handle *h)
{
	fd_close(fd_steal(&h->fd));
}
