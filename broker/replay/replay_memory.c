/*  SPDX-License-Identifier: MPL-2.0  */

#include <stdlib.h>
#include <string.h>

#include "broker/replay/replays_state.h"
#include "common/base/check.h"

/*  ---- Owners --------------------------------------------------------------------------------- */

rp_replay_owner_t *rp_replay_owner (rp_replays_t *self, const char *principal)
{
    size_t size = strlen (principal);
    RP_CHECK (size <= RP_PRINCIPAL_MAX);
    uint64_t hash = rp_hash_bytes (principal, size, self->options.seed);
    rp_table_cursor_t cursor;
    rp_replay_owner_t *owner = rp_table_first (&self->owners_by_name, hash, &cursor);
    while (owner && strcmp (owner->name, principal) != 0)
        owner = rp_table_next (&self->owners_by_name, hash, &cursor);
    if (owner || !(owner = rp_pool_take (&self->owners)))
        return owner;
    if (!rp_table_insert (&self->owners_by_name, hash, owner)) {
        rp_pool_give (&self->owners, owner);
        return NULL;
    }
    owner->hash = hash;
    memcpy (owner->name, principal, size + 1);
    rp_heap_node_init (&owner->place);
    rp_list_init (&owner->results);
    return owner;
}

void rp_replay_leave_owner (rp_replays_t *self, rp_replay_owner_t *owner)
{
    if (owner->executions > 0)
        return;
    rp_table_remove (&self->owners_by_name, owner->hash, owner);
    rp_pool_give (&self->owners, owner);
}

/*  The heap has the smallest key first.  */
static uint64_t s_place (const rp_replay_owner_t *owner)
{
    return UINT64_MAX - owner->bytes;
}

static void s_count (rp_replays_t *self, rp_replay_t *replay, uint64_t bytes)
{
    rp_replay_owner_t *owner = replay->owner;
    replay->bytes += bytes;
    owner->bytes += bytes;
    self->figures.bytes += bytes;
    if (rp_heap_has (&owner->place))
        rp_heap_update (&self->largest, &owner->place, s_place (owner));
}

void rp_replay_grow (rp_replays_t *self, rp_replay_t *replay, uint64_t bytes)
{
    s_count (self, replay, bytes);
}

void rp_replay_shrink (rp_replays_t *self, rp_replay_t *replay, uint64_t bytes)
{
    s_count (self, replay, 0 - bytes);
}

/*  ---- Executions ----------------------------------------------------------------------------- */

static uint64_t s_hash (const rp_replays_t *self,
  const rp_replay_owner_t *owner,
  const rp_head_t *head,
  const char *key,
  uint8_t key_size)
{
    uint64_t service = rp_hash_bytes (head->name, head->name_size, self->options.seed);
    return rp_hash_pair (
      rp_hash_bytes (key, key_size, self->options.seed), service ^ owner->hash, self->options.seed);
}

rp_replay_t *rp_replay_find (const rp_replays_t *self,
  const rp_replay_owner_t *owner,
  const rp_head_t *head,
  const char *key,
  uint8_t key_size)
{
    uint64_t hash = s_hash (self, owner, head, key, key_size);
    rp_table_cursor_t cursor;
    rp_replay_t *replay = rp_table_first (&self->replays_by_key, hash, &cursor);
    while (
      replay
      && (replay->owner != owner || replay->service_size != head->name_size
          || replay->key_size != key_size || memcmp (replay->name, head->name, head->name_size) != 0
          || memcmp (replay->name + head->name_size, key, key_size) != 0))
        replay = rp_table_next (&self->replays_by_key, hash, &cursor);
    return replay;
}

rp_replay_t *rp_replay_new (rp_replays_t *self,
  rp_replay_owner_t *owner,
  const rp_head_t *head,
  const char *key,
  uint8_t key_size)
{
    size_t size = (size_t) head->name_size + key_size;
    rp_replay_t *replay = rp_pool_take (&self->replays);
    if (!replay)
        return NULL;
    replay->hash = s_hash (self, owner, head, key, key_size);
    replay->name = malloc (size);
    if (!replay->name || !rp_table_insert (&self->replays_by_key, replay->hash, replay)) {
        free (replay->name);
        rp_pool_give (&self->replays, replay);
        return NULL;
    }
    memcpy (replay->name, head->name, head->name_size);
    memcpy (replay->name + head->name_size, key, key_size);
    replay->service_size = head->name_size;
    replay->key_size = key_size;
    replay->owner = owner;
    owner->executions++;
    rp_list_init (&replay->waiters);
    rp_replay_grow (self, replay, RP_REPLAY_COST + size);
    return replay;
}

void rp_replay_forget_key (rp_replays_t *self, rp_replay_t *replay)
{
    if (replay->withdrawn)
        return;
    rp_table_remove (&self->replays_by_key, replay->hash, replay);
    replay->withdrawn = true;
}

/*  Takes a result out of the lists of results.  */
static void s_leave_results (rp_replays_t *self, rp_replay_t *replay)
{
    rp_replay_owner_t *owner = replay->owner;
    rp_list_remove (&replay->aged);
    rp_list_remove (&replay->owned);
    self->figures.results--;
    if (rp_list_is_empty (&owner->results))
        rp_heap_remove (&self->largest, &owner->place);
}

void rp_replay_free (rp_replays_t *self, rp_replay_t *replay)
{
    RP_CHECK (rp_list_is_empty (&replay->waiters));
    rp_replay_owner_t *owner = replay->owner;
    rp_replay_forget_key (self, replay);
    if (replay->aged.next)
        s_leave_results (self, replay);
    rp_actions_drop (self->actions, replay->result);
    rp_replay_shrink (self, replay, replay->bytes);
    free (replay->name);
    rp_pool_give (&self->replays, replay);
    owner->executions--;
    rp_replay_leave_owner (self, owner);
}

/*  ---- Memory --------------------------------------------------------------------------------- */

static rp_replay_t *s_oldest (const rp_replay_owner_t *owner)
{
    return RP_CONTAINER (rp_list_first (&owner->results), rp_replay_t, owned);
}

/*  Forgets the oldest result of an owner before its time.  */
static void s_evict (rp_replays_t *self, rp_replay_owner_t *owner)
{
    self->figures.evicted++;
    rp_replay_free (self, s_oldest (owner));
}

static rp_replay_owner_t *s_largest (const rp_replays_t *self)
{
    rp_heap_node_t *node = rp_heap_first (&self->largest, NULL);
    return node ? RP_CONTAINER (node, rp_replay_owner_t, place) : NULL;
}

bool rp_replay_make_room (rp_replays_t *self, rp_replay_owner_t *owner, uint64_t bytes)
{
    uint64_t most = self->options.limits->replay_bytes;
    bool fits = true;
    owner->executions++; // it stays, though its last result may go
    while (fits && self->figures.bytes + bytes > most) {
        rp_replay_owner_t *largest = s_largest (self);
        fits = largest && (largest == owner || largest->bytes >= owner->bytes + bytes);
        if (fits)
            s_evict (self, largest);
    }
    owner->executions--;
    return fits;
}

void rp_replay_remember (
  rp_replays_t *self, rp_replay_t *replay, rp_payload_t *result, uint64_t bytes)
{
    rp_replay_owner_t *owner = replay->owner;
    uint64_t most = self->options.limits->replay_bytes;
    replay->result = result;
    // One that has no room for itself forgets no other.
    if (replay->bytes + bytes > most
        || (!rp_heap_has (&owner->place)
            && !rp_heap_push (&self->largest, &owner->place, s_place (owner)))) {
        self->figures.evicted++;
        rp_replay_free (self, replay);
        return;
    }
    replay->ended = self->now;
    rp_list_append (&owner->results, &replay->owned);
    rp_list_append (&self->results, &replay->aged);
    self->figures.results++;
    rp_replay_grow (self, replay, bytes);
    // What is still to be sent in this turn, or is being sent, stays until the next.
    rp_replay_owner_t *largest;
    while (self->figures.bytes > most && (largest = s_largest (self))
           && self->turn - s_oldest (largest)->wanted > 1)
        s_evict (self, largest);
}

int64_t rp_replay_tidy (rp_replays_t *self)
{
    while (self->figures.bytes > self->options.limits->replay_bytes && s_largest (self))
        s_evict (self, s_largest (self));
    int64_t keep = (int64_t) self->options.limits->replay_keep * 1000;
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->results))) {
        rp_replay_t *replay = RP_CONTAINER (node, rp_replay_t, aged);
        if (replay->ended + keep > self->now)
            return replay->ended + keep;
        rp_replay_free (self, replay);
    }
    return INT64_MAX;
}
