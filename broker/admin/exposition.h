/*  Exposition: the lines that Prometheus reads, in the text format 0.0.4 or as OpenMetrics 1.0.

    SPDX-License-Identifier: MPL-2.0

    Sources: Prometheus, "Exposition formats"; OpenMetrics 1.0.0. They differ in what stands above the values: in
    OpenMetrics a counter's name there has no _total, seconds and bytes are said to be units, and the end is marked.
    The lines of values are the same, so a series does not change with the format.

    Thread-safety: none.
*/

#ifndef RP_EXPOSITION_H
#define RP_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admin/sheet.h"
#include "common/wire/head.h"

/*  Room for a name as the value of a label: each byte escaped as \xNN, each backslash doubled, and a NUL.  */
#define RP_EXPOSITION_LABEL_MAX (8u * RP_WIRE_NAME_MAX + 1)

typedef struct {
    rp_sheet_t sheet; /* what is written */
    bool open;        /* OpenMetrics */
} rp_exposition_t;

/*  True if an Accept header wants OpenMetrics 1.0 at least as much as text.  */
bool rp_exposition_is_open (const char *accept);

/*  Begins a metric: help and type, and the unit if it is in the name.  */
void rp_exposition_head (
  rp_exposition_t *self, const char *name, const char *type, const char *help);

/*  Writes a metric that has one value.  */
void rp_exposition_single (
  rp_exposition_t *self, const char *name, const char *type, const char *help, uint64_t value);

/*  The parts of a line about a service: NAMEPART{service="LABEL" and ,KEY="TEXT" and } VALUE. Texts are escaped
    already.  */
void rp_exposition_begin (
  rp_exposition_t *self, const char *name, const char *part, const char *label);
void rp_exposition_add (rp_exposition_t *self, const char *key, const char *text);
void rp_exposition_end (rp_exposition_t *self, uint64_t value);
void rp_exposition_end_seconds (rp_exposition_t *self, uint64_t micros);

/*  Escapes a value of a label: a name need not be UTF-8, and may have quotes. Returns the text itself if nothing
    is to be escaped, otherwise buffer.  */
const char *rp_exposition_label (const char *text, char buffer[RP_EXPOSITION_LABEL_MAX]);

/*  Returns the whole for free (), as rp_sheet_finish.  */
char *rp_exposition_finish (rp_exposition_t *self, size_t *size);

#endif
