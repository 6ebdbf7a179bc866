/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/chaos/history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define S_LINE_MAX 1024

static int s_file = -1;
static uint32_t s_table[256];

void history_open (const char *path)
{
    for (uint32_t index = 0; index < 256; index++) {
        uint32_t value = index;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? UINT32_C (0xEDB88320) ^ (value >> 1) : value >> 1;
        s_table[index] = value;
    }
    s_file = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (s_file < 0) {
        perror (path);
        exit (2);
    }
}

int64_t history_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void history_write (const char *party, const char *event, const char *format, ...)
{
    char line[S_LINE_MAX];
    int size = snprintf (line, sizeof line, "%" PRId64 "\t%s\t%s", history_now (), party, event);
    if (format) {
        va_list list;
        va_start (list, format);
        line[size++] = '\t';
        size += vsnprintf (line + size, sizeof line - (size_t) size, format, list);
        va_end (list);
    }
    if (size < 0 || (size_t) size >= sizeof line) {
        fputs ("history: a line is too long\n", stderr);
        abort ();
    }
    line[size++] = '\n';
    if (write (s_file, line, (size_t) size) != size) {
        perror ("history");
        abort ();
    }
}

uint32_t history_crc (const void *data, size_t size)
{
    const unsigned char *byte = data;
    uint32_t crc = UINT32_MAX;
    while (size-- > 0)
        crc = s_table[(crc ^ *byte++) & 0xFF] ^ (crc >> 8);
    return ~crc;
}
