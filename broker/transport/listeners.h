/*  Listeners: all of a broker's, with the endpoints that they are bound to.

    SPDX-License-Identifier: MPL-2.0

    Listener 0 is there from the start. With a key it speaks CURVE; then the first ipc endpoint makes a
    listener without, because CURVE holds for a whole socket, and the kernel tells whose process is at the
    other end anyway. While the broker's key is replaced by another, a listener beside it speaks CURVE with
    the next key, for those who know that one already.

    Thread-safety: none.
*/

#ifndef RP_LISTENERS_H
#define RP_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/listener.h"

typedef struct {
    void *context;                  /* not owned */
    const uint8_t *secret_key;      /* of the broker, 32 bytes, not owned; NULL: no CURVE */
    const uint8_t *next_secret_key; /* that of the listener beside; NULL: none */
    const char *domain;             /* for ZAP */
    const char *serve_domain; /* likewise, of a plain service's back: before the service's name */
    int64_t max_frame;        /* bytes */
    int backlog;              /* messages that may wait for one peer */
    int ipc_mode;             /* permissions of ipc sockets; -1: by the umask */
} rp_listeners_options_t;

typedef struct {
    rp_listener_t list[RP_LISTENERS_MAX];
    size_t count;
    rp_listeners_options_t options;
    uint8_t ipc;  /* number of the listener without CURVE; 0: none yet */
    uint8_t next; /* number of the listener with the next key; 0: none yet */
    char **endpoints;
    size_t endpoint_count;
} rp_listeners_t;

/*  Opens listener 0. False with errno; self may be cleared all the same.  */
bool rp_listeners_init (rp_listeners_t *self, const rp_listeners_options_t *options);

/*  Closes all of them; messages may still leave for linger_ms.  */
void rp_listeners_clear (rp_listeners_t *self, int linger_ms);

/*  Binds one more endpoint. 0, or -1 with errno, for rp_endpoint_explain; EMFILE when there are too
    many listeners.  */
int rp_listeners_bind (rp_listeners_t *self, const char *endpoint);

/*  The same for those who know the broker's next key.  */
int rp_listeners_bind_next (rp_listeners_t *self, const char *endpoint);

/*  Opens one side of a plain service, and binds it.  */
int rp_listeners_bind_plain (
  rp_listeners_t *self, const char *service, rp_listener_kind_t kind, const char *endpoint);

/*  Returns a bound endpoint, with its real port, in the order of binding; NULL behind the last.  */
const char *rp_listeners_endpoint (const rp_listeners_t *self, size_t index);

#endif
