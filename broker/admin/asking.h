/*  Asking: carries questions (broker/admin/questions.h) from the one thread that answers HTTP to the
    broker's thread, and their answers back. Neither waits for the other.

    SPDX-License-Identifier: MPL-2.0

    Two rings: one of questions, which the reader writes, and one of answered ones, which the owner writes. The
    owner answers a question when it reads it, or keeps it and answers it later, after others. At most
    RP_ASKING_MAX are on their way.

    Answers must not slow requests down, whoever asks how often. So the owner answers one at each turn of
    its loop, and spends on answers no more than one part in RP_ASKING_SHARE of its time; what it did not
    spend is kept, up to RP_ASKING_SAVED_US, so that few questions are answered at once.

    Thread-safety: one owner (the broker's thread) and one reader, as stated.
*/

#ifndef RP_ASKING_H
#define RP_ASKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "broker/admin/questions.h"

#define RP_ASKING_MAX 64u
#define RP_ASKING_SHARE 50
#define RP_ASKING_SAVED_US 2000

#define RP_ASKING_NAME_MAX 32u

/*  Why a question has no answer.  */
typedef enum {
    RP_ASKING_BAD,    /* its parameters are wrong */
    RP_ASKING_ABSENT, /* what it asks for is not there */
    RP_ASKING_BUSY,   /* it may be asked again */
} rp_asking_why_t;

/*  A question: the reader's, but for the time between asking and taking it back.  */
typedef struct rp_asking_question {
    char name[RP_ASKING_NAME_MAX];
    char who[RP_PRINCIPAL_MAX + 1]; /* the principal, of a question that changes something */
    json_t *params;
    json_t *answer; /* NULL: `wrong` says why; if that is "", out of memory */
    rp_asking_why_t why;
    char wrong[RP_QUESTION_WRONG_MAX];
    /*  The reader's own: what to do with it when it is answered; asker NULL: nobody waits any more  */
    void (*told) (struct rp_asking_question *self);
    void *asker;
} rp_asking_question_t;

typedef struct {
    rp_asking_question_t *questions[RP_ASKING_MAX];
    rp_asking_question_t *answers[RP_ASKING_MAX];
    _Atomic uint32_t asked;    /* so far; the reader's */
    _Atomic uint32_t answered; /* so far; the owner's */
    uint32_t heard;            /* so far; the owner's: answered, or kept */
    uint32_t taken;            /* so far; the reader's */
    int64_t due;               /* owner: when the next answer may be made, µs */
    int asking;                /* an eventfd that the owner polls */
    int told;                  /* an eventfd that the reader polls */
} rp_asking_t;

/*  Makes a question; name: at most RP_ASKING_NAME_MAX - 1 bytes. It takes params, unless it fails. NULL when
    out of memory.  */
rp_asking_question_t *rp_asking_question_new (const char *name, size_t size, json_t *params);

/*  Nulls *self_p; NULL is allowed.  */
void rp_asking_question_destroy (rp_asking_question_t **self_p);

/*  False with errno; self may be cleared all the same.  */
bool rp_asking_init (rp_asking_t *self);

/*  Frees the questions on their way too, but for those that the owner keeps. No thread uses it any more.  */
void rp_asking_clear (rp_asking_t *self);

/*  Reader: asks. False if RP_ASKING_MAX are on their way; the question stays the caller's.  */
bool rp_asking_ask (rp_asking_t *self, rp_asking_question_t *question);

/*  Reader: takes a question back that was answered, the first answered first. NULL if there is none.  */
rp_asking_question_t *rp_asking_take (rp_asking_t *self);

/*  Owner: takes note that something was asked. Returns the question to be answered next, if it may be
    answered now; NULL if there is none, or not yet. It is next until it is told or kept.  */
rp_asking_question_t *rp_asking_hear (rp_asking_t *self, int64_t now);

/*  Owner: that question is answered, which took so long, µs.  */
void rp_asking_tell (rp_asking_t *self, int64_t now, int64_t took);

/*  Owner: keeps that question, which has taken so long so far, µs. It goes to rp_asking_tell_kept, or is
    destroyed once no thread uses self any more.  */
void rp_asking_keep (rp_asking_t *self, int64_t now, int64_t took);

/*  Owner: a question that was kept is answered, which took so long, µs.  */
void rp_asking_tell_kept (
  rp_asking_t *self, rp_asking_question_t *question, int64_t now, int64_t took);

/*  Owner: when to call rp_asking_hear again; INT64_MAX: when something is asked.  */
int64_t rp_asking_due (const rp_asking_t *self);

#endif
