/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/environment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/headers.h"

/*  Variables that are set besides the headers.  */
#define S_FIXED 7u

typedef struct {
    char **items;
    size_t count;
    bool failed;
} s_builder_t;

/*  Sets a variable, in the place of an earlier one of the same name.  */
static void s_set (s_builder_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

static void s_set (s_builder_t *self, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start (arguments, format);
    if (vasprintf (&text, format, arguments) < 0)
        text = NULL;
    va_end (arguments);
    if (!text) {
        self->failed = true;
        return;
    }
    size_t name = strcspn (text, "=") + 1;
    for (size_t index = 0; index < self->count; index++)
        if (strncmp (self->items[index], text, name) == 0) {
            free (self->items[index]);
            self->items[index] = text;
            return;
        }
    self->items[self->count++] = text;
}

static void s_set_header (const char *key, const char *value, void *arg)
{
    char name[RP_HEADER_KEY_MAX + 1];
    size_t size = 0;
    for (; key[size] && size < RP_HEADER_KEY_MAX; size++) {
        char c = key[size];
        name[size] = (char) (c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c == '-' || c == '.' ? '_' : c);
    }
    name[size] = '\0';
    s_set (arg, "RIPOSTE_HEADER_%s=%s", name, value);
}

char **rp_environment_new (const rp_task_t *task)
{
    size_t inherited = 0;
    while (environ[inherited])
        inherited++;
    s_builder_t builder = {0};
    builder.items = calloc (inherited + S_FIXED + RP_HEADERS_COUNT_MAX + 1, sizeof *builder.items);
    if (!builder.items)
        return NULL;
    for (size_t index = 0; index < inherited && !builder.failed; index++) {
        if (strncmp (environ[index], "RIPOSTE_HEADER_", 15) == 0)
            continue; // set by a worker that runs this one
        char *copy = strdup (environ[index]);
        builder.failed = !copy;
        if (copy)
            builder.items[builder.count++] = copy;
    }
    s_set (&builder, "RIPOSTE_SERVICE=%s", rp_task_service (task));
    s_set (&builder, "RIPOSTE_ID=%" PRIu64, rp_task_id (task));
    s_set (&builder, "RIPOSTE_ATTEMPT=%" PRIu32, rp_task_attempt (task));
    s_set (&builder, "RIPOSTE_TIME_LEFT_MS=%" PRIu32, rp_task_time_left_ms (task));
    s_set (&builder, "RIPOSTE_CONVERSATION=%" PRIu64, rp_task_conversation (task));
    s_set (&builder, "RIPOSTE_DURABLE=%d", rp_task_is_durable (task) ? 1 : 0);
    s_set (&builder, "RIPOSTE_KEY=%s", rp_task_key (task) ? rp_task_key (task) : "");
    rp_task_each_header (task, s_set_header, &builder);
    if (builder.failed)
        rp_environment_destroy (&builder.items);
    return builder.items;
}

void rp_environment_destroy (char ***self_p)
{
    char **self = *self_p;
    if (!self)
        return;
    for (size_t index = 0; self[index]; index++)
        free (self[index]);
    free (self);
    *self_p = NULL;
}
