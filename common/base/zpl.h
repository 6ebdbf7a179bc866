/*  A strict reader of ZPL, the syntax of the configuration file.

    SPDX-License-Identifier: MPL-2.0

    Source: ZeroMQ RFC 4. Lines are "name", which opens a section, or "name = value"; four spaces of
    indentation put a line into the section above it; "#" begins a comment. A value may be quoted,
    with " or ', and must be when it holds a "#", begins with a quote, or has spaces at its ends.
    There are no escapes.

    Strict means: no tabs, no half indentation, no lines indented below a "name = value"
    (rp_zpl_read_named allows them), no empty value without quotes, no "#" that touches an unquoted
    value. Lines end with LF or CR LF.

    Thread-safety: a pure function of its arguments.
*/

#ifndef RP_ZPL_H
#define RP_ZPL_H

#include <stdbool.h>
#include <stddef.h>

/*  Largest sizes of a path and a value, in bytes, and largest depth.  */
#define RP_ZPL_PATH_MAX 255u
#define RP_ZPL_VALUE_MAX 1023u
#define RP_ZPL_DEPTH_MAX 8u

/*  A place in the text, both counted from 1; columns are bytes.  */
typedef struct {
    size_t line;
    size_t column;
} rp_zpl_place_t;

typedef struct {
    const char *path;  /* "limits/max_body"; valid during the call */
    const char *value; /* NULL for a section; valid during the call */
    rp_zpl_place_t name_at;
    rp_zpl_place_t value_at; /* where the value or its quote begins */
} rp_zpl_item_t;

typedef void (rp_zpl_item_fn) (const rp_zpl_item_t *item, void *arg);
/*  message: one clause; valid during the call.  */
typedef void (rp_zpl_error_fn) (rp_zpl_place_t place, const char *message, void *arg);

/*  Reads the whole text, however many lines are wrong: calls item for each line that is right,
    error for each that is wrong. A wrong line is skipped; a wrong section is skipped with all its
    lines.  */
void rp_zpl_read (
  const char *text, size_t size, rp_zpl_item_fn *item, rp_zpl_error_fn *error, void *arg);

/*  As rp_zpl_read, but a "name = value" may have lines inside it: it is a section with a name of
    its own, as `role = "caller"` in the rules (common/access/rules.h). The value is no part of the
    paths of these lines.  */
void rp_zpl_read_named (
  const char *text, size_t size, rp_zpl_item_fn *item, rp_zpl_error_fn *error, void *arg);

#endif
