/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/terms.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/units.h"
#include "common/wire/name.h"

typedef enum { S_COUNT, S_TIME, S_OVERLOAD, S_SWITCH, S_KINDS } s_kind_t;

#define S_WORDS_MAX 3u
static const char *const s_words[S_KINDS][S_WORDS_MAX] = {
  [S_OVERLOAD] = {"refuse", "drop_oldest", "lifo"}, [S_SWITCH] = {"off", "on"}};
/*  What such a term wants, in words.  */
static const char *const s_choices[S_KINDS] = {
  [S_OVERLOAD] = "refuse, drop_oldest or lifo", [S_SWITCH] = "on or off"};

typedef struct {
    const char *name;
    s_kind_t kind;
    uint64_t largest;
    size_t offset;
} s_term_t;

static const s_term_t s_terms[] = {
#define S_TERM(kind, name, largest) {#name, S_##kind, largest, offsetof (rp_terms_t, name)},
  RP_TERM_MAP (S_TERM)
#undef S_TERM
};
#define S_TERMS (sizeof s_terms / sizeof *s_terms)

static uint64_t *s_value (rp_terms_t *self, const s_term_t *term)
{
    return (uint64_t *) (void *) ((char *) self + term->offset);
}

/*  Returns which word of its kind this is, from 1 on; 0 if it is none.  */
static uint64_t s_find_word (s_kind_t kind, const char *text)
{
    for (unsigned index = 0; index < S_WORDS_MAX && s_words[kind][index]; index++)
        if (strcmp (text, s_words[kind][index]) == 0)
            return index + 1;
    return 0;
}

/*  Reads the value of a term. False if it is none, or out of the term's range.  */
static bool s_read_value (const s_term_t *term, const char *text, uint64_t *value)
{
    const char *reason;
    int64_t us = 0;
    if (term->kind == S_COUNT && !rp_count_parse (text, value, &reason))
        return false;
    if (term->kind == S_TIME && !rp_duration_parse (text, &us, &reason))
        return false;
    if (term->kind == S_TIME)
        *value = us < 0 ? 0 : (uint64_t) us / 1000;
    if (s_choices[term->kind])
        *value = s_find_word (term->kind, text);
    return *value >= 1 && *value <= term->largest;
}

static const s_term_t *s_find_term (const char *name)
{
    for (size_t index = 0; index < S_TERMS; index++)
        if (strcmp (s_terms[index].name, name) == 0)
            return &s_terms[index];
    return NULL;
}

/*  Reads one "TERM=VALUE", which it cuts in two.  */
static bool s_read_term (rp_terms_t *self, char *word, char *reason, size_t reason_size)
{
    char *equals = strchr (word, '=');
    if (equals)
        *equals = '\0';
    const s_term_t *term = s_find_term (word);
    if (!equals || !term) {
        snprintf (reason, reason_size,
          "has \"%.40s\", but wants concurrency, rate, queue, deadline, attempts, overload or "
          "admission, each with =VALUE",
          word);
        return false;
    }
    if (*s_value (self, term) != 0) {
        snprintf (reason, reason_size, "has %s twice", term->name);
        return false;
    }
    if (s_read_value (term, equals + 1, s_value (self, term)))
        return true;
    if (s_choices[term->kind])
        snprintf (reason, reason_size, "wants %s=%s", term->name, s_choices[term->kind]);
    else
        snprintf (reason, reason_size,
          term->kind == S_TIME ? "wants %s=1ms to 24h" : "wants %s=1 to %" PRIu64, term->name,
          term->largest);
    return false;
}

static const char *s_name_fault (const char *name, size_t size)
{
    if (!rp_name_is_valid (name, size))
        return "has no good name: 1 to 127 bytes without control characters";
    if (rp_name_is_reserved (name, size))
        return "has a name that belongs to the broker, as all that begin with riposte. or mmi. do";
    return NULL;
}

bool rp_terms_parse (rp_terms_t *self, const char *text, char *reason, size_t reason_size)
{
    *self = (rp_terms_t){0};
    const char *colon = NULL;
    for (const char *at = text; (at = strstr (at, ": ")); at++)
        colon = at; // the last one: a name may have it too
    char words[RP_TERMS_TEXT_MAX];
    size_t size = colon ? (size_t) (colon - text) : 0;
    if (!colon || strlen (colon) >= sizeof words) {
        snprintf (reason, reason_size, "wants SERVICE: TERM=VALUE [TERM=VALUE...]");
        return false;
    }
    const char *fault = size <= RP_WIRE_NAME_MAX ? s_name_fault (text, size) : s_name_fault ("", 0);
    if (fault) {
        snprintf (reason, reason_size, "%s", fault);
        return false;
    }
    memcpy (self->name, text, size);
    self->name_size = (uint8_t) size;
    memcpy (words, colon + 2, strlen (colon + 2) + 1);
    unsigned count = 0;
    for (char *word = words + strspn (words, " "); *word; count++) {
        size_t length = strcspn (word, " ");
        char *next = word + length + strspn (word + length, " ");
        word[length] = '\0';
        if (!s_read_term (self, word, reason, reason_size))
            return false;
        word = next;
    }
    bool both = rp_terms_admit (self) && rp_terms_overload (self, RP_OVERLOAD_LIFO);
    if (count == 0)
        snprintf (reason, reason_size, "says nothing of the service");
    else if (both)
        snprintf (reason, reason_size,
          "has overload=lifo and admission=on, but what is refused does not wait; choose one");
    return count > 0 && !both;
}

static size_t s_write_value (const s_term_t *term, uint64_t value, char *text, size_t size)
{
    if (s_choices[term->kind])
        return (size_t) snprintf (text, size, "%s", s_words[term->kind][value - 1]);
    return (size_t) snprintf (text, size, "%" PRIu64 "%s", value, term->kind == S_TIME ? "ms" : "");
}

const char *rp_terms_write (const rp_terms_t *self, bool name, char text[RP_TERMS_TEXT_MAX])
{
    size_t used = 0;
    text[0] = '\0';
    if (name)
        used = (size_t) snprintf (text, RP_TERMS_TEXT_MAX, "%s:", self->name);
    for (size_t index = 0; index < S_TERMS; index++) {
        uint64_t value = *s_value ((rp_terms_t *) self, &s_terms[index]);
        if (value == 0)
            continue;
        used += (size_t) snprintf (
          text + used, RP_TERMS_TEXT_MAX - used, "%s%s=", used ? " " : "", s_terms[index].name);
        used += s_write_value (&s_terms[index], value, text + used, RP_TERMS_TEXT_MAX - used);
    }
    return text;
}

const rp_terms_t *rp_terms_find (const rp_terms_list_t *self, const char *name, size_t size)
{
    for (size_t index = 0; index < self->count; index++)
        if (self->list[index].name_size == size && memcmp (self->list[index].name, name, size) == 0)
            return &self->list[index];
    return NULL;
}
