/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/client_queue.h"

static uint64_t s_hash (
  const rp_dispatch_t *self, const rp_peer_t *client, const rp_service_t *service)
{
    return rp_hash_pair (
      rp_pool_handle (&client->pooled), rp_pool_handle (&service->pooled), self->seed);
}

static void s_begin (rp_lane_t *lane, rp_peer_t *client, rp_service_t *service)
{
    rp_list_init (&lane->requests);
    lane->client = client;
    lane->service = service;
}

/*  A lane of the pool, for a client that uses several services at a time.  */
static rp_lane_t *s_take (rp_dispatch_t *self, rp_peer_t *client, rp_service_t *service)
{
    rp_lane_t *lane = rp_pool_take (&self->lanes);
    if (!lane)
        return NULL;
    if (!rp_table_insert (&self->lanes_by_pair, s_hash (self, client, service), lane)) {
        rp_pool_give (&self->lanes, lane);
        return NULL;
    }
    s_begin (lane, client, service);
    return lane;
}

/*  When the client's own lane is another service's, or was the last time.  */
static rp_lane_t *s_find (rp_dispatch_t *self, rp_peer_t *client, rp_service_t *service)
{
    uint64_t hash = s_hash (self, client, service);
    rp_table_cursor_t cursor;
    rp_lane_t *lane = rp_table_first (&self->lanes_by_pair, hash, &cursor);
    while (lane && (lane->client != client || lane->service != service))
        lane = rp_table_next (&self->lanes_by_pair, hash, &cursor);
    if (lane)
        return lane;
    if (client->lane.open > 0)
        return s_take (self, client, service);
    s_begin (&client->lane, client, service);
    return &client->lane;
}

rp_lane_t *rp_lane_open (rp_dispatch_t *self, rp_peer_t *client, rp_service_t *service)
{
    // Without open requests its service may be gone, and another be in the same place: as well.
    rp_lane_t *lane = &client->lane;
    if (lane->service != service)
        lane = s_find (self, client, service);
    if (lane)
        lane->open++;
    return lane;
}

void rp_lane_close (rp_dispatch_t *self, rp_lane_t *lane)
{
    rp_peer_t *client = lane->client;
    if (--lane->open > 0 || lane == &client->lane)
        return;
    rp_table_remove (&self->lanes_by_pair, s_hash (self, client, lane->service), lane);
    rp_pool_give (&self->lanes, lane);
}

void rp_lane_put (rp_request_t *request, bool front)
{
    rp_lane_t *lane = request->lane;
    rp_list_t *queue = &lane->service->queue;
    bool idle = rp_list_is_empty (&lane->requests);
    if (front)
        rp_list_prepend (&lane->requests, &request->node);
    else
        rp_list_append (&lane->requests, &request->node);
    if (idle && front)
        rp_list_prepend (queue, &lane->node);
    else if (idle)
        rp_list_append (queue, &lane->node);
}

void rp_lane_take (rp_request_t *request)
{
    rp_lane_t *lane = request->lane;
    rp_list_remove (&request->node);
    if (rp_list_is_empty (&lane->requests))
        rp_list_remove (&lane->node);
}

void rp_lane_end_turn (rp_lane_t *lane)
{
    if (rp_list_is_empty (&lane->requests))
        return;
    rp_list_remove (&lane->node);
    rp_list_append (&lane->service->queue, &lane->node);
}
