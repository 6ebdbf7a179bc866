/*  The history of one process of a chaos run, written while it runs, in the lines that
    tests/history/check.py reads.

    SPDX-License-Identifier: MPL-2.0

    Each line is one write() to a file opened for appending, so that a kill -9 loses no line that
    was begun and threads need no lock. An action is written before it is done (a start before the
    work, a reply before it is sent), so that no effect can be without its line; a final status is
    written after it came.
*/

#ifndef RIPOSTE_CHAOS_HISTORY_H
#define RIPOSTE_CHAOS_HISTORY_H

#include <stddef.h>
#include <stdint.h>

/*  Opens the file of this process, once; ends the process if it cannot be opened.  */
void history_open (const char *path);

/*  Writes "<µs> <party> <event> <fields>"; fields are key=value, made from the format with tabs
    between them; NULL if there are none. Ends the process when it cannot be written. Any
    thread.  */
__attribute__ ((format (printf, 3, 4))) void history_write (
  const char *party, const char *event, const char *format, ...);

/*  CLOCK_MONOTONIC in microseconds, as in the lines.  */
int64_t history_now (void);

/*  CRC-32 (ISO-HDLC), as zlib has it.  */
uint32_t history_crc (const void *data, size_t size);

#endif
