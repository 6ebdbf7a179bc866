/*  The verdict of `riposte check`: compares a broker's answers with thresholds, and says in Nagios'
    terms what is wrong.

    SPDX-License-Identifier: MPL-2.0

    A threshold is WARNING:CRITICAL, one of which may be left out: "100:1000", "100:", ":1000". A
    single value is CRITICAL. A maximum is exceeded by a larger value, a minimum by a smaller one.

    Thread-safety: pure functions of their arguments, except for the streams.
*/

#ifndef RP_VERDICT_H
#define RP_VERDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*  The numbers are Nagios' exit codes.  */
typedef enum {
    RP_VERDICT_OK = 0,
    RP_VERDICT_WARNING = 1,
    RP_VERDICT_CRITICAL = 2,
    RP_VERDICT_UNKNOWN = 3,
} rp_verdict_state_t;

/*  Returns "OK", "WARNING", "CRITICAL" or "UNKNOWN".  */
const char *rp_verdict_name (rp_verdict_state_t state);

typedef enum {
    RP_THRESHOLD_COUNT,
    RP_THRESHOLD_TIME, /* µs */
    RP_THRESHOLD_SIZE, /* bytes, or a percentage: "80%" */
} rp_threshold_kind_t;

typedef struct {
    bool on;
    bool percent; /* value is a percentage of the broker's limit */
    uint64_t value;
} rp_bound_t;

typedef struct {
    rp_bound_t warning;
    rp_bound_t critical;
} rp_threshold_t;

/*  Reads a threshold. minimum: its warning is not less than its critical value; otherwise not more.
    On a mistake returns false, leaves *self alone and sets *reason to a static clause that follows
    the name of the option.  */
bool rp_threshold_parse (rp_threshold_t *self,
  rp_threshold_kind_t kind,
  bool minimum,
  const char *text,
  const char **reason);

typedef struct {
    const char *services;       /* names with commas between them; NULL: all services */
    rp_threshold_t max_waiting; /* requests that wait for one service */
    rp_threshold_t max_oldest;  /* age of the request that waits longest, µs */
    rp_threshold_t min_workers; /* of one service, those that drain not counted */
    rp_threshold_t max_memory;  /* bytes of open requests and unread replies of the broker */
} rp_verdict_wants_t;

#define RP_VERDICT_CAUSES 5u
/*  Bytes for the longest name of a service, escaped, and a clause.  */
#define RP_VERDICT_TEXT_MAX 1280u

typedef struct {
    rp_verdict_state_t state;
    double weight; /* by how much a threshold is exceeded; sorts causes of one state */
    char text[RP_VERDICT_TEXT_MAX];
} rp_verdict_cause_t;

typedef struct {
    rp_verdict_state_t state;
    size_t count;                                 /* all causes */
    rp_verdict_cause_t causes[RP_VERDICT_CAUSES]; /* the worst, the worst first */
    uint64_t services;                            /* that were looked at */
    uint64_t workers;
    uint64_t waiting;
    uint64_t running;
    uint64_t oldest_us;    /* of all these services */
    uint64_t memory;       /* bytes */
    uint64_t memory_limit; /* 0: the broker does not say */
} rp_verdict_t;

/*  Judges a broker by its answers as riposte.status and riposte.services. A draining broker and a
    reload that failed are WARNING. Without a minimum, a service that is named, or for which
    requests wait, is CRITICAL when it has no worker.  */
void rp_verdict_judge (rp_verdict_t *self,
  const rp_verdict_wants_t *wants,
  const json_t *status,
  const json_t *services);

/*  Writes the line of a Nagios plugin without its end: "RIPOSTE CRITICAL - why; why".  */
void rp_verdict_write (const rp_verdict_t *self, FILE *out);

/*  Writes performance data as Nagios defines them, for the broker and for each service that wants
    names, with a blank between items.  */
void rp_verdict_write_perfdata (const rp_verdict_t *self,
  const rp_verdict_wants_t *wants,
  const json_t *status,
  const json_t *services,
  FILE *out);

#endif
