/*  A doubly linked list of intrusive nodes. An item is in one list per node that it embeds.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_LIST_H
#define RP_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rp_list_node {
    struct rp_list_node *next;
    struct rp_list_node *previous;
} rp_list_node_t;

/*  A ring through the head, so that no operation has a special case.  */
typedef struct {
    rp_list_node_t ring;
} rp_list_t;

static inline void rp_list_init (rp_list_t *self)
{
    self->ring.next = self->ring.previous = &self->ring;
}

static inline bool rp_list_is_empty (const rp_list_t *self)
{
    return self->ring.next == &self->ring;
}

static inline void rp_list_insert_before (rp_list_node_t *place, rp_list_node_t *node)
{
    node->next = place;
    node->previous = place->previous;
    place->previous->next = node;
    place->previous = node;
}

static inline void rp_list_append (rp_list_t *self, rp_list_node_t *node)
{
    rp_list_insert_before (&self->ring, node);
}

static inline void rp_list_prepend (rp_list_t *self, rp_list_node_t *node)
{
    rp_list_insert_before (self->ring.next, node);
}

/*  Takes a node out of its list.  */
static inline void rp_list_remove (rp_list_node_t *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = node->previous = NULL;
}

/*  The first node, or NULL.  */
static inline rp_list_node_t *rp_list_first (const rp_list_t *self)
{
    return rp_list_is_empty (self) ? NULL : self->ring.next;
}

/*  The last node, or NULL.  */
static inline rp_list_node_t *rp_list_last (const rp_list_t *self)
{
    return rp_list_is_empty (self) ? NULL : self->ring.previous;
}

/*  The next node of this list, or NULL at the end.  */
static inline rp_list_node_t *rp_list_next (const rp_list_t *self, const rp_list_node_t *node)
{
    return node->next == &self->ring ? NULL : node->next;
}

#endif
