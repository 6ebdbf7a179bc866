/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/reading.h"

static bool s_reads (const rp_reading_t *self, size_t waits, const rp_traffic_t *traffic)
{
    size_t enough = self->waits / RP_READING_WINDOWS;
    if (enough < RP_READING_BYTES)
        enough = RP_READING_BYTES;
    if (traffic && traffic->counted)
        return traffic->sent - self->sent >= enough;
    return waits + enough <= self->waits || (traffic && !traffic->unread);
}

bool rp_reading_is_stalled (
  rp_reading_t *self, size_t waits, const rp_traffic_t *traffic, int64_t now)
{
    bool fresh = now - self->looked > 2 * RP_READING_LOOK_US; // too little waited meanwhile to look
    self->looked = now;
    if (!fresh && now - self->since < RP_READING_WINDOW_US)
        return false;
    bool stalled = !fresh && !s_reads (self, waits, traffic);
    self->since = now;
    self->waits = waits;
    self->sent = traffic ? traffic->sent : 0;
    return stalled;
}
