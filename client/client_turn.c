/*  The client's turn: passes messages to the core, and carries out the core's orders.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>
#include <sys/eventfd.h>

#include "client/client_state.h"
#include "common/base/uninitialized.h"
#include "common/wire/head.h"

/*  Messages received in one turn, at most: a broker that floods must not hold up the timers.  */
#define S_BUDGET 1024

/*  Bytes of a reply, at most. Replies of the broker itself may be over its limit for bodies.  */
#define S_REPLY_MAX ((size_t) 0x40000000u + RP_WIRE_HEAD_MAX)

/*  Tells the thread that waits for a call, or has its stream, that something came.  */
static void s_notify (rp_client_t *self, rp_call_t *call)
{
    const rp_stream_t *stream = (rp_stream_t *) call->exchange.stream;
    rp_pump_notify_on (self->pump, call);
    if (stream && stream->event_fd >= 0)
        eventfd_write (stream->event_fd, 1);
}

/*  ---- Ends ----------------------------------------------------------------------------------- */

/*  Gives an ended call to the thread that waits for it, to its callback, or to collect.  */
static void s_hand_over (rp_client_t *self, rp_call_t *call)
{
    if (call->awaited) {
        call->done = true;
        s_notify (self, call);
    }
    else if (call->callback) {
        self->undelivered++;
        rp_list_append (&self->callbacks, &call->node);
        rp_pump_notify_on (self->pump, &self->callbacks);
    }
    else {
        if (rp_list_is_empty (&self->ended)) {
            rp_pump_notify_on (self->pump, &self->ended);
            if (self->event_fd >= 0)
                eventfd_write (self->event_fd, 1);
        }
        rp_list_append (&self->ended, &call->node);
    }
}

static void s_end (rp_client_t *self, rp_call_t *call)
{
    const rp_exchange_t *exchange = &call->exchange;
    const rp_stream_t *stream = (rp_stream_t *) exchange->stream;
    rp_reply_t *reply = &call->reply;
    reply->id = exchange->id;
    reply->tag = call->tag;
    reply->total_us = (uint64_t) (exchange->ended - exchange->submitted);
    if (reply->status == RP_OK) // unless rp_reply_fill failed
        reply->status = exchange->status;
    if (exchange->unseen && reply->attempts == 0)
        reply->attempts = 1; // 0 would mean that it never ran
    if (exchange->end != RP_END_REPLY)
        reply->text = reply->own_text = rp_explain_end (&self->core, call);
    if (stream && stream->excess) { // however the broker ended it
        reply->status = RP_UNKNOWN;
        reply->text = rp_explain_excess ();
    }
    s_hand_over (self, call);
}

/*  ---- Orders --------------------------------------------------------------------------------- */

static void s_say (rp_client_t *self, rp_head_t *head, int64_t now)
{
    if (head->command == RP_COMMAND_HELLO) {
        head->key = self->name;
        head->key_size = (uint8_t) strlen (self->name);
    }
    if (rp_channel_send_head (self->channel, head) != 0 && head->command == RP_COMMAND_HELLO)
        rp_client_core_failed (&self->core, "the transport did not take HELLO", now);
}

/*  States in a stream's headers the window that this broker allows: another may have allowed less, or more. If there is
    no memory for that, the window stays the one stated; a broker that allows less refuses the request, and says why.  */
static void s_state_window (rp_call_t *call)
{
    rp_stream_t *stream = (rp_stream_t *) call->exchange.stream;
    rp_flow_reader_t *reader = &stream->flows.reader;
    if (reader->window == stream->stated)
        return;
    if (rp_call_put_number (call, RP_STREAM_WINDOW, reader->window) == RP_OK)
        stream->stated = reader->window;
    else
        rp_flow_begin (reader, stream->stated, reader->most);
}

static void s_send (rp_client_t *self, rp_client_order_t *order, int64_t now)
{
    rp_call_t *call = (rp_call_t *) order->exchange;
    if (call->exchange.stream)
        s_state_window (call);
    size_t size = rp_call_prepare (call, &order->head);
    uint8_t *room = size ? rp_channel_room (self->channel, size) : NULL;
    if (room) {
        rp_call_write (call, &order->head, room, size);
        return;
    }
    rp_message_t *message = rp_call_message (call, &order->head, &self->messages);
    if (message && rp_channel_send (self->channel, &self->messages, &message) == 0) {
        // With several brokers, it may be sent again; and after a signal, or when a part was lost, by its caller.
        bool given_back = call->exchange.stream || (call->awaited && self->interruptible);
        if (self->core.config.endpoint_count < 2 && !given_back)
            rp_call_sent (call);
        return;
    }
    rp_message_destroy (&self->messages, &message);
    rp_client_core_unsent (&self->core, order->exchange, now);
}

static void s_open (rp_client_t *self, const char *endpoint, int64_t now)
{
    const char *reason;
    if (rp_channel_open (self->channel, endpoint, &reason) != 0)
        rp_client_core_failed (&self->core, reason, now);
    rp_pump_kick (self->pump); // the leader may be polling the old descriptors
}

/*  Carries out the core's orders. True if the socket was used.  */
static bool s_obey (rp_client_t *self, int64_t now)
{
    bool used = false;
    RP_UNINITIALIZED rp_client_order_t order;
    while (rp_client_core_may_order (&self->core)
           && rp_client_core_next_order (&self->core, &order, now))
        switch (order.kind) {
            case RP_CLIENT_OPEN:
                s_open (self, order.endpoint, now);
                used = true;
                break;
            case RP_CLIENT_CLOSE:
                rp_channel_close (self->channel, order.orderly ? RP_CLIENT_LINGER_MS : 0);
                break;
            case RP_CLIENT_SAY:
                s_say (self, &order.head, now);
                used = true;
                break;
            case RP_CLIENT_SEND:
                s_send (self, &order, now);
                used = true;
                break;
            case RP_CLIENT_ENDED:
                s_end (self, (rp_call_t *) order.exchange);
                break;
        }
    return used;
}

/*  ---- Receiving ------------------------------------------------------------------------------ */

/*  Takes a part or a GRANT for a stream. A part that was not granted, or cannot be kept, ends the request.  */
static void s_take_part (rp_client_t *self,
  rp_call_t *call,
  const uint8_t *frame,
  size_t size,
  const rp_head_t *head,
  rp_message_t **message_p,
  int64_t now)
{
    rp_stream_t *stream = (rp_stream_t *) call->exchange.stream;
    if (head->command == RP_COMMAND_REPLY && !stream->lost && !stream->excess) {
        uint64_t weight =
          (message_p ? (*message_p)->bytes : size) - head->size + head->headers_size;
        stream->excess = !rp_flow_came (&stream->flows.reader, weight, now);
        stream->lost =
          !stream->excess && !rp_part_add (&stream->parts, frame, size, head, message_p);
        if (stream->excess || stream->lost)
            rp_client_core_cancel (&self->core, call->exchange.id, now);
    }
    s_notify (self, call);
}

/*  Takes an answer to a call for all workers. One that cannot be kept ends the request.  */
static void s_take_answer (rp_client_t *self,
  rp_call_t *call,
  const uint8_t *frame,
  size_t size,
  const rp_head_t *head,
  rp_message_t *message,
  int64_t now)
{
    if (!rp_answer_take (call, frame, size, head, message, now)) {
        call->reply.status = RP_UNKNOWN;
        rp_client_core_cancel (&self->core, call->exchange.id, now);
    }
    s_notify (self, call);
}

/*  message_p is NULL if the frame lies in a bundle.  */
static void s_take_frame (
  rp_client_t *self, const uint8_t *frame, size_t size, rp_message_t **message_p, int64_t now)
{
    RP_UNINITIALIZED rp_head_t head;
    if (rp_wire_decode (&head, frame, size) != RP_WIRE_ERROR_NONE) {
        self->core.ignored++;
        return;
    }
    if (head.command == RP_COMMAND_WELCOME && head.flags & RP_FLAG_BUNDLES)
        rp_channel_set_bundles (self->channel);
    rp_call_t *call = (rp_call_t *) rp_client_core_message (&self->core, &head, now);
    if (!call)
        return;
    if (head.flags & RP_FLAG_MORE || head.command == RP_COMMAND_GRANT) {
        if (call->exchange.all)
            s_take_answer (self, call, frame, size, &head, message_p ? *message_p : NULL, now);
        else
            s_take_part (self, call, frame, size, &head, message_p, now);
        return;
    }
    bool taken = message_p ? rp_reply_fill (&call->reply, *message_p, &head)
                           : rp_reply_copy (&call->reply, frame, size, &head);
    if (!taken) {
        call->reply.status = RP_UNKNOWN;
        call->reply.text = "a reply came, but there was no memory for it";
    }
}

/*  Returns true if the budget was used up, and there may be more messages.  */
static bool s_receive (rp_client_t *self, int64_t now)
{
    for (int budget = S_BUDGET; budget > 0; budget--) {
        size_t size;
        const uint8_t *frame = rp_channel_unbundle (self->channel, &size);
        if (frame) {
            s_take_frame (self, frame, size, NULL, now);
            continue;
        }
        rp_message_t *message = NULL;
        rp_received_t received =
          rp_channel_receive (self->channel, &self->messages, S_REPLY_MAX, &message);
        if (received == RP_RECEIVED_ERROR)
            rp_client_core_failed (&self->core, zmq_strerror (zmq_errno ()), now);
        if (received == RP_RECEIVED_NONE || received == RP_RECEIVED_ERROR)
            return false;
        if (received == RP_RECEIVED)
            s_take_frame (
              self, rp_message_data (message), rp_message_size (message), &message, now);
        else
            self->core.ignored++;
        rp_message_destroy (&self->messages, &message);
    }
    return true;
}

static void s_take_events (rp_client_t *self, int64_t now)
{
    const char *reason = NULL;
    for (rp_channel_event_t event;
         (event = rp_channel_next_event (self->channel, &reason)) != RP_CHANNEL_NOTHING;)
        if (event == RP_CHANNEL_FOUND)
            rp_client_core_found (&self->core, rp_channel_found (self->channel), now);
        else if (event == RP_CHANNEL_CONNECTED)
            rp_client_core_connected (&self->core, now);
        else {
            // Messages from before the end: replies, a BYE with its reason.
            while (s_receive (self, now))
                ;
            if (event == RP_CHANNEL_DENIED)
                rp_client_core_denied (&self->core, reason, now);
            else
                rp_client_core_failed (&self->core, reason, now);
            return;
        }
}

/*  ---- The turn ------------------------------------------------------------------------------- */

/*  A look costs a system call: while the connection stands, only if the poll saw something.  */
static bool s_has_events (const rp_client_t *self)
{
    return self->core.link.state != RP_LINK_UP
           || rp_pump_is_readable (self->pump, rp_channel_event_descriptor (self->channel));
}

bool rp_client_push (rp_client_t *self, bool more, int64_t now)
{
    bool slow = self->core.link.slow;
    s_obey (self, now);
    if (slow && !self->core.link.slow)
        rp_pump_kick (self->pump); // the leader may poll for longer than the broker now has
    bool waits = more && now - self->pushed < RP_CLIENT_BUSY_US
                 && rp_channel_waiting (self->channel) < RP_CLIENT_OUTBOX;
    self->pushed = now;
    if (!waits)
        rp_channel_flush (self->channel);
    return !rp_channel_is_armed (self->channel); // large messages were sent in any case
}

/*  Opening and sending may take the wake-up of a message that comes at the same moment, so
    receiving comes last.  */
int64_t rp_client_turn (void *owner, int64_t now)
{
    rp_client_t *self = owner;
    rp_link_state_t before = self->core.link.state;
    int64_t next;
    bool more;
    s_obey (self, now);
    rp_channel_flush (self->channel);
    do {
        if (s_has_events (self))
            s_take_events (self, now);
        more = s_receive (self, now);
        next = rp_client_core_tick (&self->core, now);
        if (s_obey (self, now))
            rp_channel_flush (self->channel);
    } while (!rp_channel_is_armed (self->channel) && !more);
    if (self->core.link.state != before)
        rp_pump_notify_on (self->pump, &self->core.link);
    // The next request may wait (rp_client_push), and the leader will not know of it by then.
    bool may_wait = !rp_list_is_empty (&self->ended) && now - self->pushed < RP_PUMP_IDLE_US;
    if (may_wait && next > now + RP_PUMP_IDLE_US)
        next = now + RP_PUMP_IDLE_US;
    return more ? now : next;
}

int rp_client_descriptors (void *owner, int *descriptors)
{
    rp_client_t *self = owner;
    return rp_channel_descriptors (self->channel, descriptors);
}

void rp_client_deliver (void *owner)
{
    rp_client_t *self = owner;
    if (!rp_pump_lock (self->pump))
        return;
    for (rp_list_node_t *node; (node = rp_list_first (&self->callbacks));) {
        rp_list_remove (node);
        rp_call_t *call = RP_CONTAINER (node, rp_call_t, node);
        self->delivering = true;
        rp_pump_unlock_idle (self->pump);
        call->callback (rp_call_become_reply (call), call->arg);
        if (!rp_pump_lock (self->pump))
            return; // the callback forked, and this is the child
        self->undelivered--;
    }
    if (self->delivering)
        rp_pump_notify_on (self->pump, &self->callbacks); // destroy waits for the last one
    self->delivering = false;
    rp_pump_unlock_idle (self->pump);
}
