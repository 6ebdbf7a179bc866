/*  Narrative: what happened to a request, and why requests wait or fail, in words and as JSON. The words are
    made here and nowhere else: every program and page shows the members named "text".

    SPDX-License-Identifier: MPL-2.0

    Names and texts in sentences are escaped as everywhere (common/base/utf8.h); durations are written as
    common/base/units.h does. docs/OPERATIONS.md lists the members of the objects.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_NARRATIVE_H
#define RP_NARRATIVE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "broker/core/explain.h"
#include "broker/core/trace.h"

/*  Room for what one event or cause says, with its NUL: two escaped names, an escaped text, and words.  */
#define RP_NARRATIVE_MAX 2048u

/*  Writes what an event of a trace says: "given to host-812 (attempt 1)". index: less than count. Returns
    buffer.  */
const char *rp_narrative_event (
  const rp_trace_t *trace, size_t index, char buffer[RP_NARRATIVE_MAX]);

/*  Returns the whole timeline as one sentence, for free (); NULL when out of memory.  */
char *rp_narrative_trace (const rp_trace_t *trace);

/*  Writes a cause as a sentence, which does not name the service. Returns buffer.  */
const char *rp_narrative_cause (const rp_cause_t *cause, char buffer[RP_NARRATIVE_MAX]);

/*  Return an object that the caller releases; NULL when out of memory. now: on the clock of the core.  */
json_t *rp_narrative_trace_json (const rp_trace_t *trace, int64_t now);
json_t *rp_narrative_cause_json (const rp_cause_t *cause);

#endif
