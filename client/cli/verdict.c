/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/verdict.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/units.h"
#include "common/base/utf8.h"

/*  Bytes of a value of an option, more than any number with a unit has.  */
#define S_VALUE_MAX 64u
/*  Bytes of a name from a broker, which has escaped it.  */
#define S_NAME_MAX 1024u
/*  Weights of what no threshold measures: above every ratio, or below.  */
#define S_FIRST 1e12
#define S_LAST 0.0

const char *rp_verdict_name (rp_verdict_state_t state)
{
    static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    return names[state];
}

/*  ---- Thresholds ---------------------------------------------------------------------------- */

static bool s_parse_percent (rp_bound_t *bound, char *text, const char **reason)
{
    text[strlen (text) - 1] = '\0';
    bound->percent = true;
    if (rp_count_parse (text, &bound->value, reason) && bound->value <= 100)
        return true;
    *reason = "wants at most 100%";
    return false;
}

static bool s_parse_bound (
  rp_bound_t *bound, rp_threshold_kind_t kind, const char *text, size_t size, const char **reason)
{
    char copy[S_VALUE_MAX];
    int64_t time = 0;
    bool good = false;
    if (size == 0)
        return true;
    if (size >= sizeof copy) {
        *reason = "wants WARNING:CRITICAL, or one of them";
        return false;
    }
    memcpy (copy, text, size);
    copy[size] = '\0';
    bound->on = true;
    if (kind == RP_THRESHOLD_TIME) {
        good = rp_duration_parse (copy, &time, reason);
        bound->value = (uint64_t) time;
    }
    else if (kind == RP_THRESHOLD_SIZE && copy[size - 1] == '%')
        good = s_parse_percent (bound, copy, reason);
    else if (kind == RP_THRESHOLD_SIZE)
        good = rp_size_parse (copy, &bound->value, reason);
    else
        good = rp_count_parse (copy, &bound->value, reason);
    return good;
}

/*  True if the two contradict each other: WARNING would never be seen.  */
static bool s_is_reversed (const rp_threshold_t *self, bool minimum)
{
    if (!self->warning.on || !self->critical.on || self->warning.percent != self->critical.percent)
        return false;
    return minimum ? self->warning.value < self->critical.value
                   : self->warning.value > self->critical.value;
}

bool rp_threshold_parse (rp_threshold_t *self,
  rp_threshold_kind_t kind,
  bool minimum,
  const char *text,
  const char **reason)
{
    rp_threshold_t made = {.warning.on = false};
    const char *colon = strchr (text, ':');
    const char *critical = colon ? colon + 1 : text;
    if (colon && !s_parse_bound (&made.warning, kind, text, (size_t) (colon - text), reason))
        return false;
    if (!s_parse_bound (&made.critical, kind, critical, strlen (critical), reason))
        return false;
    if (!made.warning.on && !made.critical.on)
        *reason = "wants WARNING:CRITICAL, or one of them";
    else if (s_is_reversed (&made, minimum))
        *reason = minimum ? "wants a WARNING that is not less than its CRITICAL"
                          : "wants a WARNING that is not more than its CRITICAL";
    else {
        *self = made;
        return true;
    }
    return false;
}

/*  Returns the value of a bound; whole is 100%.  */
static uint64_t s_value (const rp_bound_t *bound, uint64_t whole)
{
    return bound->percent ? (uint64_t) ((double) whole * (double) bound->value / 100)
                          : bound->value;
}

/*  Finds the bound that a value has passed, the critical one first; NULL if none.  */
static const rp_bound_t *s_passed (
  const rp_threshold_t *self, bool minimum, uint64_t value, uint64_t whole)
{
    const rp_bound_t *const bounds[] = {&self->critical, &self->warning};
    for (size_t index = 0; index < 2; index++) {
        const rp_bound_t *bound = bounds[index];
        if (!bound->on || (bound->percent && whole == 0))
            continue;
        uint64_t limit = s_value (bound, whole);
        if (minimum ? value < limit : value > limit)
            return bound;
    }
    return NULL;
}

/*  ---- Causes -------------------------------------------------------------------------------- */

static bool s_is_worse (const rp_verdict_cause_t *one, const rp_verdict_cause_t *other)
{
    return one->state != other->state ? one->state > other->state : one->weight > other->weight;
}

/*  Keeps the worst causes, in order.  */
static void s_add (rp_verdict_t *self, const rp_verdict_cause_t *cause)
{
    size_t kept = self->count < RP_VERDICT_CAUSES ? self->count : RP_VERDICT_CAUSES;
    size_t at = kept;
    self->count++;
    if (cause->state > self->state)
        self->state = cause->state;
    while (at > 0 && s_is_worse (cause, &self->causes[at - 1]))
        at--;
    if (at == RP_VERDICT_CAUSES)
        return;
    if (kept == RP_VERDICT_CAUSES)
        kept--;
    memmove (&self->causes[at + 1], &self->causes[at], (kept - at) * sizeof *self->causes);
    self->causes[at] = *cause;
}

static uint64_t s_number (const json_t *object, const char *key)
{
    json_int_t number = json_integer_value (json_object_get (object, key));
    return number > 0 ? (uint64_t) number : 0;
}

static uint64_t s_inner (const json_t *object, const char *group, const char *key)
{
    return s_number (json_object_get (object, group), key);
}

static const char *s_name (const json_t *service)
{
    const char *name = json_string_value (json_object_get (service, "name"));
    return name ? name : "?";
}

static double s_ratio (uint64_t value, uint64_t limit)
{
    return (double) value / (double) (limit > 0 ? limit : 1);
}

static rp_verdict_state_t s_state (const rp_threshold_t *threshold, const rp_bound_t *bound)
{
    return bound == &threshold->critical ? RP_VERDICT_CRITICAL : RP_VERDICT_WARNING;
}

static void s_judge_waiting (
  rp_verdict_t *self, const rp_threshold_t *threshold, const char *name, uint64_t waiting)
{
    const rp_bound_t *bound = s_passed (threshold, false, waiting, 0);
    if (!bound)
        return;
    rp_verdict_cause_t cause = {
      .state = s_state (threshold, bound), .weight = s_ratio (waiting, bound->value)};
    snprintf (cause.text, sizeof cause.text, "%s: %" PRIu64 " %s (over %" PRIu64 ")", name, waiting,
      waiting == 1 ? "request waits" : "requests wait", bound->value);
    s_add (self, &cause);
}

static void s_judge_oldest (
  rp_verdict_t *self, const rp_threshold_t *threshold, const char *name, uint64_t oldest)
{
    char age[RP_UNITS_TEXT_MAX];
    char limit[RP_UNITS_TEXT_MAX];
    const rp_bound_t *bound = s_passed (threshold, false, oldest, 0);
    if (!bound)
        return;
    rp_verdict_cause_t cause = {
      .state = s_state (threshold, bound), .weight = s_ratio (oldest, bound->value)};
    snprintf (cause.text, sizeof cause.text, "%s: a request has waited %s (over %s)", name,
      rp_duration_format (age, (int64_t) oldest),
      rp_duration_format (limit, (int64_t) bound->value));
    s_add (self, &cause);
}

/*  wanted: a worker is expected even without requests.  */
static void s_judge_workers (rp_verdict_t *self,
  const rp_threshold_t *threshold,
  const char *name,
  uint64_t workers,
  uint64_t waiting,
  bool wanted)
{
    bool given = threshold->warning.on || threshold->critical.on;
    const rp_bound_t *bound = s_passed (threshold, true, workers, 0);
    if (given ? !bound : workers > 0 || (!wanted && waiting == 0))
        return;
    rp_verdict_cause_t cause = {.state = given ? s_state (threshold, bound) : RP_VERDICT_CRITICAL,
      .weight = workers > 0 ? s_ratio (bound->value, workers) : S_FIRST + (double) waiting};
    if (workers == 0 && waiting > 0)
        snprintf (cause.text, sizeof cause.text, "%s: no worker, and %" PRIu64 " %s", name, waiting,
          waiting == 1 ? "request waits" : "requests wait");
    else if (workers == 0)
        snprintf (cause.text, sizeof cause.text, "%s: no worker", name);
    else
        snprintf (cause.text, sizeof cause.text, "%s: %" PRIu64 " %s (under %" PRIu64 ")", name,
          workers, workers == 1 ? "worker" : "workers", bound->value);
    s_add (self, &cause);
}

/*  Returns the workers that take requests.  */
static uint64_t s_taking (const json_t *service)
{
    uint64_t workers = s_number (service, "workers");
    uint64_t draining = s_number (service, "draining");
    return workers > draining ? workers - draining : 0;
}

/*  service: NULL if the broker does not know the name.  */
static void s_judge_service (
  rp_verdict_t *self, const rp_verdict_wants_t *wants, const char *name, const json_t *service)
{
    uint64_t waiting = s_number (service, "waiting");
    uint64_t oldest = s_number (service, "oldest_us");
    self->services++;
    self->workers += s_taking (service);
    self->waiting += waiting;
    self->running += s_number (service, "running");
    if (oldest > self->oldest_us)
        self->oldest_us = oldest;
    s_judge_workers (
      self, &wants->min_workers, name, s_taking (service), waiting, wants->services != NULL);
    s_judge_waiting (self, &wants->max_waiting, name, waiting);
    s_judge_oldest (self, &wants->max_oldest, name, oldest);
}

/*  ---- The broker ---------------------------------------------------------------------------- */

static void s_say (rp_verdict_t *self, rp_verdict_state_t state, const char *text)
{
    rp_verdict_cause_t cause = {.state = state, .weight = S_LAST};
    snprintf (cause.text, sizeof cause.text, "%s", text);
    s_add (self, &cause);
}

static void s_judge_memory (rp_verdict_t *self, const rp_threshold_t *threshold)
{
    char used[RP_UNITS_TEXT_MAX];
    char limit[RP_UNITS_TEXT_MAX];
    const rp_bound_t *bound = s_passed (threshold, false, self->memory, self->memory_limit);
    if (!bound)
        return;
    uint64_t value = s_value (bound, self->memory_limit);
    rp_verdict_cause_t cause = {
      .state = s_state (threshold, bound), .weight = s_ratio (self->memory, value)};
    snprintf (cause.text, sizeof cause.text, "requests and replies take %s (over %s)",
      rp_size_format (used, self->memory), rp_size_format (limit, value));
    s_add (self, &cause);
}

static void s_judge_broker (
  rp_verdict_t *self, const rp_verdict_wants_t *wants, const json_t *status)
{
    const json_t *reload = json_object_get (status, "reload");
    self->memory =
      s_inner (status, "gauges", "open_bytes") + s_inner (status, "gauges", "backlog_bytes");
    self->memory_limit = s_inner (status, "limits", "total_queue_bytes");
    s_judge_memory (self, &wants->max_memory);
    if (json_is_true (json_object_get (status, "draining")))
        s_say (self, RP_VERDICT_WARNING, "the broker is draining");
    if (json_is_false (json_object_get (reload, "ok")))
        s_say (self, RP_VERDICT_WARNING, "the last reload failed; see: riposte status");
}

/*  ---- Services ------------------------------------------------------------------------------ */

static const json_t *s_find (const json_t *services, const char *name)
{
    size_t index;
    json_t *service;
    json_array_foreach (services, index, service)
    {
        if (strcmp (s_name (service), name) == 0)
            return service;
    }
    return NULL;
}

/*  Takes the next name of a list, in the form that the broker writes it. False at the end.  */
static bool s_next_name (const char **list, char name[S_NAME_MAX])
{
    *list += strspn (*list, ",");
    size_t size = strcspn (*list, ",");
    if (size == 0)
        return false;
    rp_utf8_escape (*list, size, name, S_NAME_MAX);
    *list += size;
    return true;
}

void rp_verdict_judge (
  rp_verdict_t *self, const rp_verdict_wants_t *wants, const json_t *status, const json_t *services)
{
    size_t index;
    json_t *service;
    char name[S_NAME_MAX];
    const json_t *list = json_object_get (services, "services");
    *self = (rp_verdict_t){.state = RP_VERDICT_OK};
    s_judge_broker (self, wants, status);
    if (!wants->services)
        json_array_foreach (list, index, service)
        {
            s_judge_service (self, wants, s_name (service), service);
        }
    for (const char *at = wants->services; at && s_next_name (&at, name);)
        s_judge_service (self, wants, name, s_find (list, name));
}

/*  ---- Writing ------------------------------------------------------------------------------- */

/*  Writes text; a vertical bar would begin the performance data.  */
static void s_write_text (const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            fputs ("\\x7c", out);
        else
            fputc (*text, out);
    }
}

static const char *s_plural (uint64_t count)
{
    return count == 1 ? "" : "s";
}

void rp_verdict_write (const rp_verdict_t *self, FILE *out)
{
    fprintf (out, "RIPOSTE %s - ", rp_verdict_name (self->state));
    size_t kept = self->count < RP_VERDICT_CAUSES ? self->count : RP_VERDICT_CAUSES;
    for (size_t index = 0; index < kept; index++) {
        fputs (index > 0 ? "; " : "", out);
        s_write_text (self->causes[index].text, out);
    }
    if (self->count > kept)
        fprintf (out, "; and %zu more", self->count - kept);
    if (self->count == 0)
        fprintf (out,
          "%" PRIu64 " service%s, %" PRIu64 " worker%s, %" PRIu64 " waiting, %" PRIu64 " running",
          self->services, s_plural (self->services), self->workers, s_plural (self->workers),
          self->waiting, self->running);
}

/*  Writes the label. Nagios wants quotes around blanks, a quote twice, and no equals sign.  */
static void s_write_label (const char *service, const char *what, FILE *out)
{
    fputc ('\'', out);
    for (; service && *service; service++) {
        if (*service == '=' || *service == '|')
            fprintf (out, "\\x%02x", (unsigned) *service);
        else
            fprintf (out, *service == '\'' ? "''" : "%c", *service);
    }
    fprintf (out, "%s%s'=", service ? " " : "", what);
}

/*  Writes warning and critical: a range that is fine begins at 0, or at the minimum.  */
static void s_write_bounds (
  const rp_threshold_t *self, bool minimum, bool time, uint64_t whole, FILE *out)
{
    const rp_bound_t *const bounds[] = {&self->warning, &self->critical};
    for (size_t index = 0; index < 2; index++) {
        fputc (';', out);
        if (!bounds[index]->on || (bounds[index]->percent && whole == 0))
            continue;
        uint64_t value = s_value (bounds[index], whole);
        if (time)
            fprintf (out, "%.6f", (double) value / 1e6);
        else
            fprintf (out, "%" PRIu64 "%s", value, minimum ? ":" : "");
    }
}

static void s_write_service (
  const rp_verdict_wants_t *wants, const char *name, const json_t *service, FILE *out)
{
    fputc (' ', out);
    s_write_label (name, "waiting", out);
    fprintf (out, "%" PRIu64, s_number (service, "waiting"));
    s_write_bounds (&wants->max_waiting, false, false, 0, out);
    fputs (";0 ", out);
    s_write_label (name, "oldest", out);
    fprintf (out, "%.6fs", (double) s_number (service, "oldest_us") / 1e6);
    s_write_bounds (&wants->max_oldest, false, true, 0, out);
    fputs (";0 ", out);
    s_write_label (name, "workers", out);
    fprintf (out, "%" PRIu64, s_taking (service));
    s_write_bounds (&wants->min_workers, true, false, 0, out);
    fputs (";0 ", out);
    s_write_label (name, "running", out);
    fprintf (out, "%" PRIu64 ";;;0", s_number (service, "running"));
}

void rp_verdict_write_perfdata (const rp_verdict_t *self,
  const rp_verdict_wants_t *wants,
  const json_t *status,
  const json_t *services,
  FILE *out)
{
    char name[S_NAME_MAX];
    const json_t *list = json_object_get (services, "services");
    fprintf (out,
      "'services'=%" PRIu64 ";;;0 'workers'=%" PRIu64 ";;;0 'waiting'=%" PRIu64
      ";;;0 'running'=%" PRIu64 ";;;0 'oldest'=%.6fs",
      self->services, self->workers, self->waiting, self->running, (double) self->oldest_us / 1e6);
    s_write_bounds (&wants->max_oldest, false, true, 0, out);
    fprintf (out, ";0 'memory'=%" PRIu64 "B", self->memory);
    s_write_bounds (&wants->max_memory, false, false, self->memory_limit, out);
    fputs (";0", out);
    if (self->memory_limit > 0)
        fprintf (out, ";%" PRIu64, self->memory_limit);
    fprintf (out, " 'requests'=%" PRIu64 "c;;;0", s_inner (status, "counters", "requests"));
    for (const char *at = wants->services; at && s_next_name (&at, name);)
        s_write_service (wants, name, s_find (list, name), out);
}
