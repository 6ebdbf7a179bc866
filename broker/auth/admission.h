/*  Admission: the credentials in force, and who a sender is by them.

    SPDX-License-Identifier: MPL-2.0

    Who sent a message that begins a session is found with that message: a key that is revoked, or becomes
    another principal's, ends the connection. Names of principals are kept until the end, so that
    equal names have one address, and a connection can hold one.

    Thread-safety: none.
*/

#ifndef RP_ADMISSION_H
#define RP_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zmq.h>

#include "broker/auth/credentials.h"
#include "broker/auth/zap.h"
#include "common/base/table.h"

typedef struct {
    rp_credentials_t *credentials; /* held; NULL: security is off */
    rp_zap_t *zap;                 /* NULL: nobody has a key */
    rp_table_t names;              /* of principals */
} rp_admission_t;

/*  Holds the credentials (NULL: security is off), and starts ZAP if they have the broker's keys. False
    with errno; self may be cleared all the same.  */
bool rp_admission_init (rp_admission_t *self, void *context, rp_credentials_t *credentials);

/*  After all sockets are closed.  */
void rp_admission_clear (rp_admission_t *self);

/*  Other credentials are in force from now on.  */
void rp_admission_change (rp_admission_t *self, rp_credentials_t *credentials);

/*  Returns who sent a message that came over a listener with CURVE, and its key. frame: the last frame,
    since the first has no properties after a wait (libzmq 4.3.4). NULL: nobody that may be here (any
    more), or out of memory.  */
const char *rp_admission_of_message (
  rp_admission_t *self, zmq_msg_t *frame, uint8_t key[RP_KEY_SIZE]);

/*  Returns principal if another message of a secure connection is from it too; otherwise NULL. Whether
    its key still is authorized is not asked.  */
const char *rp_admission_again (zmq_msg_t *frame, const char *principal);

/*  Finds the user whose process sent a message over ipc, by libzmq's own note of the connection, which no
    peer can write. False if the message did not come over ipc; then *user stays.  */
bool rp_admission_user (zmq_msg_t *frame, uid_t *user);

/*  Returns the principal of a user of this machine ("uid:1000"). NULL when out of memory.  */
const char *rp_admission_of_user (rp_admission_t *self, uid_t user);

/*  Returns the principal of those without a key. NULL when out of memory.  */
const char *rp_admission_anonymous (rp_admission_t *self);

/*  True if the key still is that principal's.  */
bool rp_admission_stands (
  const rp_admission_t *self, const uint8_t key[RP_KEY_SIZE], const char *principal);

/*  True if somebody who may serve this by the one credentials may not by the other.  */
bool rp_admission_lost_server (
  const rp_credentials_t *before, const rp_credentials_t *after, const char *service);

#endif
