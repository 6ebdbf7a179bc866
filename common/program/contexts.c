/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/contexts.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/zpl.h"
#include "common/io/disk.h"

#define S_FILE_MAX 524288u

const char *const rp_context_value_names[RP_CONTEXT_VALUES] = {
  [RP_CONTEXT_SERVER] = "server",
  [RP_CONTEXT_KEY_FILE] = "key-file",
  [RP_CONTEXT_SERVER_KEY] = "server-key",
  [RP_CONTEXT_TIMEOUT] = "timeout",
  [RP_CONTEXT_SPREAD] = "spread",
};

bool rp_context_name_is_valid (const char *name)
{
    size_t size =
      strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return size > 0 && size <= RP_CONTEXT_NAME_MAX && name[size] == '\0';
}

bool rp_context_flag (const rp_named_context_t *item, rp_context_value_t flag)
{
    return strcmp (item->values[flag], RP_CONTEXT_YES) == 0;
}

bool rp_context_value_is_valid (const char *value)
{
    size_t size = strlen (value);
    for (size_t index = 0; index < size; index++)
        if ((unsigned char) value[index] < 32 || value[index] == 127 || value[index] == '"')
            return false;
    return size > 0 && size <= RP_CONTEXT_VALUE_MAX;
}

rp_named_context_t *rp_contexts_find (rp_contexts_t *self, const char *name)
{
    for (size_t index = 0; index < self->count; index++)
        if (strcmp (self->items[index].name, name) == 0)
            return &self->items[index];
    return NULL;
}

rp_named_context_t *rp_contexts_add (rp_contexts_t *self, const char *name)
{
    if (self->count == RP_CONTEXTS_MAX)
        return NULL;
    rp_named_context_t *item = &self->items[self->count++];
    *item = (rp_named_context_t){0};
    snprintf (item->name, sizeof item->name, "%s", name);
    return item;
}

void rp_contexts_remove (rp_contexts_t *self, rp_named_context_t *item)
{
    size_t index = (size_t) (item - self->items);
    if (strcmp (self->use, item->name) == 0)
        self->use[0] = '\0';
    self->count--;
    memmove (item, item + 1, (self->count - index) * sizeof *item);
}

/*  ---- Text ----------------------------------------------------------------------------------- */

typedef struct {
    rp_contexts_t *contexts;
    rp_named_context_t *current;
    char *reason; /* "" until the first mistake */
} s_reader_t;

static void __attribute__ ((format (printf, 3, 4)))
s_mistake (s_reader_t *self, rp_zpl_place_t place, const char *format, ...)
{
    if (self->reason[0])
        return;
    int size =
      snprintf (self->reason, RP_CONTEXTS_REASON_MAX, "%zu:%zu: ", place.line, place.column);
    va_list list;
    va_start (list, format);
    vsnprintf (self->reason + size, RP_CONTEXTS_REASON_MAX - (size_t) size, format, list);
    va_end (list);
}

static void s_begin (s_reader_t *self, const rp_zpl_item_t *item)
{
    self->current = NULL;
    if (!rp_context_name_is_valid (item->value))
        s_mistake (self, item->value_at, "a context's name has 1 to 63 of letters, digits, - _ .");
    else if (rp_contexts_find (self->contexts, item->value))
        s_mistake (self, item->value_at, "there is another context of this name");
    else if (!(self->current = rp_contexts_add (self->contexts, item->value)))
        s_mistake (self, item->name_at, "more than %u contexts", RP_CONTEXTS_MAX);
}

static void s_take_value (s_reader_t *self, const rp_zpl_item_t *item)
{
    const char *slash = strrchr (item->path, '/');
    for (size_t index = 0; slash && self->current && index < RP_CONTEXT_VALUES; index++)
        if (strcmp (slash + 1, rp_context_value_names[index]) == 0) {
            if (!rp_context_value_is_valid (item->value))
                s_mistake (self, item->value_at, "not a value that a context can have");
            else
                snprintf (self->current->values[index], sizeof self->current->values[index], "%s",
                  item->value);
            return;
        }
    if (!self->reason[0])
        s_mistake (self, item->name_at, "%s is not known here", item->path);
}

static void s_take_item (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    if (!item->value)
        s_mistake (self, item->name_at, "%s wants a value", item->path);
    else if (strcmp (item->path, "context") == 0)
        s_begin (self, item);
    else if (strcmp (item->path, "use") == 0 && !rp_context_name_is_valid (item->value))
        s_mistake (self, item->value_at, "no context can have this name");
    else if (strcmp (item->path, "use") == 0)
        snprintf (self->contexts->use, sizeof self->contexts->use, "%s", item->value);
    else
        s_take_value (self, item);
}

static void s_take_mistake (rp_zpl_place_t place, const char *message, void *arg)
{
    s_mistake (arg, place, "%s", message);
}

bool rp_contexts_parse (
  rp_contexts_t *self, const char *text, size_t size, char reason[RP_CONTEXTS_REASON_MAX])
{
    s_reader_t reader = {.contexts = self, .reason = reason};
    self->count = 0;
    self->use[0] = reason[0] = '\0';
    rp_zpl_read_named (text, size, s_take_item, s_take_mistake, &reader);
    return reason[0] == '\0';
}

char *rp_contexts_format (const rp_contexts_t *self, size_t *size)
{
    char *text = NULL;
    FILE *file = open_memstream (&text, size);
    if (!file)
        return NULL;
    fputs ("# Made by riposte context.\n", file);
    if (self->use[0])
        fprintf (file, "use = \"%s\"\n", self->use);
    for (size_t index = 0; index < self->count; index++) {
        const rp_named_context_t *item = &self->items[index];
        fprintf (file, "context = \"%s\"\n", item->name);
        for (size_t value = 0; value < RP_CONTEXT_VALUES; value++)
            if (item->values[value][0])
                fprintf (
                  file, "    %s = \"%s\"\n", rp_context_value_names[value], item->values[value]);
    }
    if (fclose (file) == 0)
        return text;
    free (text);
    return NULL;
}

/*  ---- The file ------------------------------------------------------------------------------- */

/*  False, with a reason, if the environment does not say where the file is.  */
static bool s_find (char path[PATH_MAX], char *reason)
{
    const char *folder = getenv ("XDG_CONFIG_HOME");
    const char *home = getenv ("HOME");
    int size = -1;
    if (folder && *folder == '/') // the specification has a relative path ignored
        size = snprintf (path, PATH_MAX, "%s/riposte/contexts", folder);
    else if (home && *home)
        size = snprintf (path, PATH_MAX, "%s/.config/riposte/contexts", home);
    if (size > 0 && size < PATH_MAX)
        return true;
    snprintf (reason, RP_CONTEXTS_REASON_MAX,
      "there is no place for contexts: neither HOME nor XDG_CONFIG_HOME names a directory");
    return false;
}

bool rp_contexts_load (rp_contexts_t *self, char reason[RP_CONTEXTS_REASON_MAX])
{
    char path[PATH_MAX];
    char why[RP_CONTEXTS_REASON_MAX];
    struct stat status;
    self->count = 0;
    self->use[0] = '\0';
    if (!s_find (path, reason))
        return true;
    char *text = malloc (S_FILE_MAX);
    ssize_t size = text ? rp_disk_read (path, text, S_FILE_MAX, &status) : -1;
    int error = errno;
    // A home that this user cannot enter is another's, and so are the contexts there.
    bool read = size >= 0 || error == ENOENT || error == ENOTDIR || error == EACCES;
    if (!read)
        snprintf (
          reason, RP_CONTEXTS_REASON_MAX, "%.1000s cannot be read: %s", path, strerror (error));
    bool right = size < 0 || rp_contexts_parse (self, text, (size_t) size, why);
    if (!right)
        snprintf (reason, RP_CONTEXTS_REASON_MAX, "%.600s:%.600s", path, why);
    free (text);
    return read && right;
}

/*  Makes the directories of a path that are missing, for their owner only.  */
static void s_make_folders (const char *path)
{
    char folder[PATH_MAX];
    for (const char *slash = strchr (path + 1, '/'); slash; slash = strchr (slash + 1, '/')) {
        snprintf (folder, sizeof folder, "%.*s", (int) (slash - path), path);
        (void) mkdir (folder, 0700); // writing the file says what is wrong
    }
}

bool rp_contexts_save (const rp_contexts_t *self, char reason[RP_CONTEXTS_REASON_MAX])
{
    char path[PATH_MAX];
    size_t size = 0;
    if (!s_find (path, reason))
        return false;
    char *text = rp_contexts_format (self, &size);
    s_make_folders (path);
    bool saved = text && rp_disk_replace (path, 0600, text, size);
    if (!saved)
        snprintf (reason, RP_CONTEXTS_REASON_MAX, "%.1000s cannot be written: %s", path,
          strerror (text ? errno : ENOMEM));
    free (text);
    return saved;
}
