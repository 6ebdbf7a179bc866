/*  Held conversations: those that peers of HTTP have begun and not ended, each with an id that only its
    beginner knows.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_HELD_H
#define RP_HELD_H

#include <stdint.h>

#include <riposte/client.h>

#include "common/base/list.h"
#include "common/base/table.h"
#include "gateway/translate.h"

typedef struct {
    rp_list_node_t node; /* in by_use, or while a request is open in in_use */
    uint64_t hash;
    int64_t used;  /* µs, when its last request ended */
    unsigned open; /* requests */
    rp_conversation_t *conversation;
    char service[RP_WIRE_NAME_MAX + 1];
    char id[RP_CONVERSATION_ID + 1];
} rp_held_t;

typedef struct {
    rp_table_t by_id;
    rp_list_t by_use; /* by last use */
    rp_list_t in_use;
    uint64_t seed;
    uint64_t most; /* held at once */
} rp_held_all_t;

void rp_held_init (rp_held_all_t *self, uint64_t most);

/*  Ends all conversations.  */
void rp_held_clear (rp_held_all_t *self);

/*  Begins a conversation. NULL with errno: EAGAIN (there are too many), ENOMEM, EINVAL (service), EIO
    (no random bytes).  */
rp_held_t *rp_held_begin (
  rp_held_all_t *self, rp_client_t *client, const char *service, int64_t now);

/*  Finds a conversation of this service; NULL if there is none.  */
rp_held_t *rp_held_find (const rp_held_all_t *self, const char *service, const char *id);

/*  Notes that a request of the conversation begins: it does not expire until this has ended.  */
void rp_held_enter (rp_held_all_t *self, rp_held_t *held);

/*  Notes that a request of the conversation has ended.  */
void rp_held_leave (rp_held_all_t *self, rp_held_t *held, int64_t now);

/*  Ends a conversation; its open requests end too.  */
void rp_held_end (rp_held_all_t *self, rp_held_t *held);

/*  Ends the conversations that nobody has used for so long (µs). Returns when to call again;
    INT64_MAX: not before there is another one.  */
int64_t rp_held_expire (rp_held_all_t *self, int64_t idle, int64_t now);

#endif
