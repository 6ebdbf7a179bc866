/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/auth/admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rp_admission_init (rp_admission_t *self, void *context, rp_credentials_t *credentials)
{
    *self = (rp_admission_t){0};
    rp_table_init (&self->names);
    if (!credentials)
        return true;
    self->credentials = rp_credentials_hold (credentials);
    if (!rp_credentials_own (credentials))
        return true;
    self->zap = rp_zap_new (context, credentials);
    return self->zap != NULL;
}

void rp_admission_clear (rp_admission_t *self)
{
    rp_zap_destroy (&self->zap);
    rp_credentials_release (&self->credentials);
    for (size_t slot = 0; self->names.slots && slot <= self->names.mask; slot++)
        free (self->names.slots[slot].item);
    rp_table_clear (&self->names);
}

void rp_admission_change (rp_admission_t *self, rp_credentials_t *credentials)
{
    rp_credentials_t *before = self->credentials;
    self->credentials = rp_credentials_hold (credentials);
    if (self->zap)
        rp_zap_change (self->zap, credentials);
    rp_credentials_release (&before);
}

/*  Returns the one address of a name. NULL when out of memory.  */
static const char *s_name (rp_admission_t *self, const char *name)
{
    uint64_t hash = rp_hash_bytes (name, strlen (name), 0);
    rp_table_cursor_t cursor;
    char *known = rp_table_first (&self->names, hash, &cursor);
    while (known && strcmp (known, name) != 0)
        known = rp_table_next (&self->names, hash, &cursor);
    if (known)
        return known;
    char *copy = strdup (name);
    if (copy && !rp_table_insert (&self->names, hash, copy)) {
        free (copy);
        return NULL;
    }
    return copy;
}

const char *rp_admission_of_message (
  rp_admission_t *self, zmq_msg_t *frame, uint8_t key[RP_KEY_SIZE])
{
    const char *user = zmq_msg_gets (frame, RP_ZAP_USER);
    const char *text = zmq_msg_gets (frame, RP_ZAP_KEY);
    if (!user || !text || !self->credentials || !rp_key_parse (key, text))
        return NULL;
    // The handshake may have been before the key was revoked, or became another principal's.
    const char *principal = rp_credentials_principal (self->credentials, key);
    return principal && strcmp (principal, user) == 0 ? s_name (self, principal) : NULL;
}

const char *rp_admission_again (zmq_msg_t *frame, const char *principal)
{
    const char *user = zmq_msg_gets (frame, RP_ZAP_USER);
    return user && strcmp (principal, user) == 0 ? principal : NULL;
}

bool rp_admission_user (zmq_msg_t *frame, uid_t *user)
{
    static const char local[] = "localhost:"; // and user, group, process
    const char *address = zmq_msg_gets (frame, "Peer-Address");
    if (!address || strncmp (address, local, sizeof local - 1) != 0)
        return false;
    *user = (uid_t) strtoul (address + sizeof local - 1, NULL, 10);
    return true;
}

const char *rp_admission_of_user (rp_admission_t *self, uid_t user)
{
    char name[RP_PRINCIPAL_MAX + 1];
    snprintf (name, sizeof name, "uid:%lu", (unsigned long) user);
    return s_name (self, name);
}

const char *rp_admission_anonymous (rp_admission_t *self)
{
    return s_name (self, RP_PRINCIPAL_ANONYMOUS);
}

bool rp_admission_stands (
  const rp_admission_t *self, const uint8_t key[RP_KEY_SIZE], const char *principal)
{
    const char *now = rp_credentials_principal (self->credentials, key);
    return now && strcmp (now, principal) == 0;
}

static bool s_serves (
  const rp_credentials_t *credentials, const char *principal, const char *service)
{
    return rp_rules_allow (
      rp_credentials_rules (credentials), principal, RP_RULE_SERVE, service, strlen (service));
}

bool rp_admission_lost_server (
  const rp_credentials_t *before, const rp_credentials_t *after, const char *service)
{
    for (size_t index = 0; index < rp_credentials_count (before); index++) {
        const rp_authorized_key_t *key = rp_credentials_key (before, index);
        const char *now = rp_credentials_principal (after, key->key);
        bool same = now && strcmp (now, key->principal) == 0;
        if (s_serves (before, key->principal, service)
            && !(same && s_serves (after, key->principal, service)))
            return true;
    }
    return false;
}
