/*  Streams of the chaos load: each client has one open at a time, whose request and reply come in parts.

    SPDX-License-Identifier: MPL-2.0

    The body of the request is that of any request of the load, with the number of parts behind it, and comes in parts or
    whole. The reply's parts are "REQUEST TASK INDEX" and then padding, so that one which is missing, comes twice, or is of
    another start is noticed. Now and then the reader stops for a while, or cancels.

    Thread-safety: a stream belongs to one thread.
*/

#ifndef RIPOSTE_CHAOS_STREAMS_H
#define RIPOSTE_CHAOS_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include <riposte/client.h>

#define CHAOS_STREAM_SERVICE "stream"

typedef struct chaos_streams chaos_streams_t;

/*  prefix: what names of requests begin with. random: a function that draws a number below its bound. Ends the process
    when out of memory. The caller destroys it, before its client.  */
chaos_streams_t *chaos_streams_new (rp_client_t *client,
  const char *party,
  const char *prefix,
  unsigned (*draw) (void *arg, unsigned bound),
  void *arg);

/*  Writes and reads what can be written and read now, and begins the next stream when it is due and may. True if one is
    open. Of one that has ended, *status is the status, otherwise -1; wrong counts what did not fit.  */
bool chaos_streams_turn (chaos_streams_t *self, bool may_begin, int *status, unsigned *wrong);

void chaos_streams_destroy (chaos_streams_t **self_p);

#endif
