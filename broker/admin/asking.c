/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/asking.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/program/bell.h"

rp_asking_question_t *rp_asking_question_new (const char *name, size_t size, json_t *params)
{
    rp_asking_question_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    RP_CHECK (size < sizeof self->name);
    memcpy (self->name, name, size);
    self->params = params;
    return self;
}

void rp_asking_question_destroy (rp_asking_question_t **self_p)
{
    if (*self_p) {
        json_decref ((*self_p)->params);
        json_decref ((*self_p)->answer);
    }
    free (*self_p);
    *self_p = NULL;
}

bool rp_asking_init (rp_asking_t *self)
{
    memset (self, 0, sizeof *self);
    self->due = INT64_MIN / 2;
    self->asking = rp_bell_open ();
    self->told = self->asking < 0 ? -1 : rp_bell_open ();
    return self->told >= 0;
}

/*  Frees the questions of a ring from one number to another.  */
static void s_free (rp_asking_question_t **ring, uint32_t from, uint32_t to)
{
    for (; from != to; from++)
        rp_asking_question_destroy (&ring[from % RP_ASKING_MAX]);
}

void rp_asking_clear (rp_asking_t *self)
{
    s_free (self->answers, self->taken, atomic_load (&self->answered));
    s_free (self->questions, self->heard, atomic_load (&self->asked));
    self->taken = atomic_load (&self->answered);
    self->heard = atomic_load (&self->asked);
    if (self->asking >= 0)
        close (self->asking);
    if (self->told >= 0)
        close (self->told);
    self->asking = self->told = -1;
}

/*  ---- Reader --------------------------------------------------------------------------------- */

bool rp_asking_ask (rp_asking_t *self, rp_asking_question_t *question)
{
    uint32_t asked = atomic_load_explicit (&self->asked, memory_order_relaxed);
    if (asked - self->taken == RP_ASKING_MAX)
        return false;
    self->questions[asked % RP_ASKING_MAX] = question;
    atomic_store_explicit (&self->asked, asked + 1, memory_order_release);
    rp_bell_ring (self->asking, 1);
    return true;
}

rp_asking_question_t *rp_asking_take (rp_asking_t *self)
{
    // Before the look, or an answer made between the two would ring in vain.
    (void) rp_bell_hear (self->told);
    if (self->taken == atomic_load_explicit (&self->answered, memory_order_acquire))
        return NULL;
    return self->answers[self->taken++ % RP_ASKING_MAX];
}

/*  ---- Owner ---------------------------------------------------------------------------------- */

static bool s_waits (const rp_asking_t *self)
{
    return atomic_load_explicit (&self->asked, memory_order_acquire) != self->heard;
}

rp_asking_question_t *rp_asking_hear (rp_asking_t *self, int64_t now)
{
    (void) rp_bell_hear (self->asking);
    return now < self->due || !s_waits (self) ? NULL : self->questions[self->heard % RP_ASKING_MAX];
}

static void s_spend (rp_asking_t *self, int64_t now, int64_t took)
{
    int64_t saved = now - (int64_t) RP_ASKING_SAVED_US * RP_ASKING_SHARE;
    self->due = (self->due < saved ? saved : self->due) + took * RP_ASKING_SHARE;
}

void rp_asking_tell_kept (
  rp_asking_t *self, rp_asking_question_t *question, int64_t now, int64_t took)
{
    uint32_t answered = atomic_load_explicit (&self->answered, memory_order_relaxed);
    s_spend (self, now, took);
    self->answers[answered % RP_ASKING_MAX] = question;
    atomic_store_explicit (&self->answered, answered + 1, memory_order_release);
    rp_bell_ring (self->told, 1);
}

void rp_asking_tell (rp_asking_t *self, int64_t now, int64_t took)
{
    rp_asking_tell_kept (self, self->questions[self->heard++ % RP_ASKING_MAX], now, took);
}

void rp_asking_keep (rp_asking_t *self, int64_t now, int64_t took)
{
    self->heard++;
    s_spend (self, now, took);
}

int64_t rp_asking_due (const rp_asking_t *self)
{
    return s_waits (self) ? self->due : INT64_MAX;
}
