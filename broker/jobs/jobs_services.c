/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/earlier.h"

/*  Attempts of a service that are noted or running, for each request that its workers can hold: the next
    ones are written while these run.  */
#define S_AHEAD_WINDOWS 2u
#define S_ACTIVE_MAX 4096u
/*  How long what is known of a service's workers holds, µs.  */
#define S_ROOM_US 20000
/*  The pause of a service for whose attempts the core had no room, µs.  */
#define S_HELD_US 100000

/*  ---- Services ------------------------------------------------------------------------------- */

bool rp_job_key_is_before (rp_job_key_t one, rp_job_key_t other)
{
    return one.due < other.due || (one.due == other.due && one.id < other.id);
}

rp_jobs_service_t *rp_jobs_look_up (const rp_jobs_t *self, const char *name, size_t size)
{
    uint64_t hash = rp_hash_bytes (name, size, self->options.seed);
    rp_table_cursor_t cursor;
    rp_jobs_service_t *service = rp_table_first (&self->services_by_name, hash, &cursor);
    while (service && (service->name_size != size || memcmp (service->name, name, size) != 0))
        service = rp_table_next (&self->services_by_name, hash, &cursor);
    return service;
}

rp_jobs_service_t *rp_jobs_get_service (rp_jobs_t *self, const char *name, size_t size)
{
    rp_jobs_service_t *service = rp_jobs_look_up (self, name, size);
    if (service)
        return service;
    if (size > RP_WIRE_NAME_MAX || !(service = rp_pool_take (&self->services)))
        return NULL;
    service->hash = rp_hash_bytes (name, size, self->options.seed);
    rp_heap_node_init (&service->look);
    if (!rp_table_insert (&self->services_by_name, service->hash, service)) {
        rp_pool_give (&self->services, service);
        return NULL;
    }
    if (!rp_heap_push (&self->looks, &service->look, (uint64_t) RP_JOBS_NEVER)) {
        rp_table_remove (&self->services_by_name, service->hash, service);
        rp_pool_give (&self->services, service);
        return NULL;
    }
    rp_heap_init (&service->waiting);
    service->asked = INT64_MIN / 2;
    service->whole = true;
    service->next_due = RP_JOBS_NEVER;
    service->name_size = (uint8_t) size;
    memcpy (service->name, name, size);
    return service;
}

void rp_jobs_leave_service (rp_jobs_t *self, rp_jobs_service_t *service)
{
    if (service->open > 0 || service->loads)
        return;
    rp_heap_remove (&self->looks, &service->look);
    rp_table_remove (&self->services_by_name, service->hash, service);
    rp_heap_clear (&service->waiting);
    rp_pool_give (&self->services, service);
}

void rp_jobs_look_at (rp_jobs_t *self, rp_jobs_service_t *service, int64_t due)
{
    uint64_t key = self->looks.entries[service->look.position].key;
    if (due < (int64_t) key)
        rp_heap_update (&self->looks, &service->look, (uint64_t) (due < 0 ? 0 : due));
}

uint32_t rp_jobs_room (rp_jobs_t *self, rp_jobs_service_t *service)
{
    if (self->draining)
        return 0;
    if (self->time.now - service->asked >= S_ROOM_US) {
        rp_service_info_t info;
        service->asked = self->time.now;
        service->room = 0;
        if (rp_dispatch_find_service (
              self->options.core, self->time.now, service->name, service->name_size, &info)) {
            uint64_t room = info.window * S_AHEAD_WINDOWS;
            service->room = (uint32_t) (room < S_ACTIVE_MAX ? room : S_ACTIVE_MAX);
        }
    }
    return service->room > service->active ? service->room - service->active : 0;
}

void rp_jobs_hold_back (rp_jobs_t *self, rp_jobs_service_t *service)
{
    service->share = 1;
    service->shared = 0;
    service->pause = rp_later (service->pause, self->time.now + S_HELD_US);
}

void rp_jobs_share (rp_jobs_t *self, rp_jobs_service_t *service)
{
    if (++service->shared < service->share)
        return;
    service->shared = 0;
    service->share = service->share < S_ACTIVE_MAX ? service->share * 2 : 0;
    service->pause = rp_later (service->pause, self->time.now + S_HELD_US);
}

void rp_jobs_leave_behind (rp_jobs_t *self, rp_jobs_service_t *service, rp_job_key_t key)
{
    if (service->loads && rp_job_key_is_before (key, service->passed))
        service->passed = key;
    if (service->whole) {
        service->whole = false;
        service->horizon = (rp_job_key_t){key.due, key.id - 1};
        service->next_due = key.due;
    }
    else {
        if (!rp_job_key_is_before (service->horizon, key))
            service->horizon = (rp_job_key_t){key.due, key.id - 1};
        service->next_due = rp_earlier (service->next_due, key.due);
    }
    rp_jobs_look_at (self, service, key.due);
}
