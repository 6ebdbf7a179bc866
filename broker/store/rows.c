/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/rows.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"

/*  Small pieces share chunks of this size; larger ones have one each.  */
#define S_CHUNK 16384u

typedef struct s_chunk {
    struct s_chunk *next;
    size_t used;
    size_t size;
    alignas (max_align_t) unsigned char bytes[];
} s_chunk_t;

typedef struct {
    rp_store_rows_t rows;
    size_t job_room;
    size_t service_room;
    size_t broker_room;
    size_t ended_room;
    size_t bytes;      /* of chunks */
    s_chunk_t *chunks; /* the first one has room */
} s_rows_t;

static s_rows_t *s_of (rp_store_rows_t *rows)
{
    return RP_CONTAINER (rows, s_rows_t, rows);
}

rp_store_rows_t *rp_rows_new (void)
{
    s_rows_t *self = calloc (1, sizeof *self);
    return self ? &self->rows : NULL;
}

void rp_rows_destroy (rp_store_rows_t **self_p)
{
    if (!*self_p)
        return;
    s_rows_t *self = s_of (*self_p);
    while (self->chunks) {
        s_chunk_t *next = self->chunks->next;
        free (self->chunks);
        self->chunks = next;
    }
    free (self->rows.jobs);
    free (self->rows.services);
    free (self->rows.brokers);
    free (self->rows.ended);
    free (self);
    *self_p = NULL;
}

/*  Makes room for one item more.  */
static void *s_grown (void *items, size_t count, size_t *room, size_t item_size)
{
    if (count < *room)
        return items;
    size_t larger = *room ? *room * 2 : 1;
    void *grown = realloc (items, larger * item_size);
    if (grown)
        *room = larger;
    return grown;
}

rp_store_row_t *rp_rows_add_job (rp_store_rows_t *self)
{
    rp_store_row_t *jobs =
      s_grown (self->jobs, self->count, &s_of (self)->job_room, sizeof *self->jobs);
    if (!jobs)
        return NULL;
    self->jobs = jobs;
    jobs[self->count] = (rp_store_row_t){.id = 0};
    return &jobs[self->count++];
}

rp_store_service_t *rp_rows_add_service (rp_store_rows_t *self)
{
    rp_store_service_t *services =
      s_grown (self->services, self->service_count, &s_of (self)->service_room, sizeof *services);
    if (!services)
        return NULL;
    self->services = services;
    services[self->service_count] = (rp_store_service_t){.waiting = 0};
    return &services[self->service_count++];
}

rp_store_broker_t *rp_rows_add_broker (rp_store_rows_t *self)
{
    rp_store_broker_t *brokers =
      s_grown (self->brokers, self->broker_count, &s_of (self)->broker_room, sizeof *brokers);
    if (!brokers)
        return NULL;
    self->brokers = brokers;
    brokers[self->broker_count] = (rp_store_broker_t){.id = 0};
    return &brokers[self->broker_count++];
}

rp_store_ended_t *rp_rows_add_ended (rp_store_rows_t *self)
{
    rp_store_ended_t *ended =
      s_grown (self->ended, self->ended_count, &s_of (self)->ended_room, sizeof *ended);
    if (!ended)
        return NULL;
    self->ended = ended;
    ended[self->ended_count] = (rp_store_ended_t){.id = 0};
    return &ended[self->ended_count++];
}

static s_chunk_t *s_chunk_new (size_t size)
{
    s_chunk_t *chunk = calloc (1, sizeof *chunk + size);
    if (chunk)
        chunk->size = size;
    return chunk;
}

void *rp_rows_room (rp_store_rows_t *self, size_t size)
{
    s_chunk_t **chunks = &s_of (self)->chunks;
    size = (size + alignof (max_align_t) - 1) / alignof (max_align_t) * alignof (max_align_t);
    s_chunk_t *chunk = *chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        bool large = size > S_CHUNK / 4;
        chunk = s_chunk_new (large ? size : S_CHUNK);
        if (!chunk)
            return NULL;
        s_of (self)->bytes += chunk->size;
        s_chunk_t **place = large && *chunks ? &(*chunks)->next : chunks;
        chunk->next = *place;
        *place = chunk;
    }
    void *room = chunk->bytes + chunk->used;
    chunk->used += size;
    return room;
}

size_t rp_rows_bytes (rp_store_rows_t *self)
{
    return self ? s_of (self)->bytes : 0;
}

bool rp_rows_copy (rp_store_rows_t *self, const void *data, size_t size, rp_store_span_t *copy)
{
    if (size == 0) { // most rows have several
        *copy = (rp_store_span_t){.data = "", .size = 0};
        return true;
    }
    char *bytes = rp_rows_room (self, size + 1);
    if (!bytes)
        return false;
    memcpy (bytes, data, size);
    *copy = (rp_store_span_t){.data = bytes, .size = size};
    return true;
}
