/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/curve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include <riposte/error.h>

static int __attribute__ ((format (printf, 2, 3)))
s_refuse (rp_curve_t *self, const char *format, ...)
{
    va_list list;
    va_start (list, format);
    vsnprintf (self->problem, sizeof self->problem, format, list);
    va_end (list);
    return RP_USAGE;
}

static void s_take_pair (rp_curve_t *self, const rp_certificate_t *certificate, bool is_made)
{
    memcpy (self->public_key, certificate->public_key, sizeof self->public_key);
    memcpy (self->secret_key, certificate->secret_key, sizeof self->secret_key);
    self->has_pair = true;
    self->is_made = is_made;
}

int rp_curve_set_key_file (rp_curve_t *self, const char *path)
{
    rp_certificate_t certificate = {0};
    self->problem[0] = '\0';
    if (!path)
        return s_refuse (self, "no key file is named");
    if (!rp_certificate_load (&certificate, path, self->problem))
        return RP_USAGE;
    bool whole = certificate.has_secret;
    if (whole)
        s_take_pair (self, &certificate, false);
    rp_certificate_forget (&certificate);
    return whole ? RP_OK
                 : s_refuse (
                   self, "%s has no secret key; name the file that ends with .key_secret", path);
}

int rp_curve_set_server_key (rp_curve_t *self, const char *text)
{
    uint8_t key[RP_KEY_SIZE];
    self->problem[0] = '\0';
    if (!text)
        return s_refuse (self, "no key of the broker is named");
    if (!rp_key_find (key, text, self->problem))
        return RP_USAGE;
    memcpy (self->server_key, key, sizeof key);
    self->has_server = true;
    return RP_OK;
}

int rp_curve_set_keys (
  rp_curve_t *self, const char *public_key, const char *secret_key, const char *server_key)
{
    rp_certificate_t pair = {.has_secret = true};
    uint8_t server[RP_KEY_SIZE];
    char derived[RP_KEY_TEXT];
    self->problem[0] = '\0';
    bool parsed =
      public_key && secret_key && server_key && rp_key_parse (pair.public_key, public_key)
      && rp_key_parse (pair.secret_key, secret_key) && rp_key_parse (server, server_key);
    bool belongs =
      parsed && zmq_curve_public (derived, secret_key) == 0 && strcmp (derived, public_key) == 0;
    if (belongs) {
        s_take_pair (self, &pair, false);
        memcpy (self->server_key, server, sizeof server);
        self->has_server = true;
    }
    rp_certificate_forget (&pair);
    if (!parsed)
        return s_refuse (self, "a key is 40 characters of Z85; make one: riposte keys new NAME");
    return belongs ? RP_OK
                   : s_refuse (self, "the public key is not that of the secret key; give a pair");
}

int rp_curve_complete (rp_curve_t *self)
{
    self->problem[0] = '\0';
    if (self->has_pair && !self->has_server)
        return s_refuse (self, "a key is given, and not that of the broker, which has to prove who "
                               "it is; name its key too (--server-key)");
    if (!self->has_server)
        return RP_OK;
    if (zmq_has ("curve") != 1) {
        snprintf (self->problem, sizeof self->problem,
          "this libzmq was built without CURVE; install one with it");
        return RP_SYSTEM;
    }
    if (self->has_pair)
        return RP_OK;
    rp_certificate_t certificate = {0};
    if (!rp_certificate_new (&certificate))
        return RP_SYSTEM;
    s_take_pair (self, &certificate, true);
    rp_certificate_forget (&certificate);
    return RP_OK;
}

bool rp_curve_applies (const rp_curve_t *self, const char *endpoint)
{
    return self && self->has_server && strncmp (endpoint, "tcp://", 6) == 0;
}

void rp_curve_forget (rp_curve_t *self)
{
    explicit_bzero (self, sizeof *self);
}
