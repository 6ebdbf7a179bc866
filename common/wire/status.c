/*  The table of all statuses: name, number, exit code and text, made from RP_STATUS_MAP.

    SPDX-License-Identifier: MPL-2.0

    <riposte/error.h> declares its functions, which applications call too.
*/

#include <riposte/error.h>

#include <stddef.h>

typedef struct {
    int number;
    int exit_code;
    const char *name;
    const char *text;
} s_entry_t;

static const s_entry_t s_entries[] = {
#define S_ENTRY(name, number, exit_code, text) {number, exit_code, #name, text},
  RP_STATUS_MAP (S_ENTRY)
#undef S_ENTRY
};

static const s_entry_t *s_find (int status)
{
    for (size_t index = 0; index < sizeof s_entries / sizeof *s_entries; index++)
        if (s_entries[index].number == status)
            return &s_entries[index];
    return NULL;
}

const char *rp_strerror (int status)
{
    const s_entry_t *entry = s_find (status);
    return entry ? entry->text : "unknown status";
}

const char *rp_status_name (int status)
{
    const s_entry_t *entry = s_find (status);
    return entry ? entry->name : "?";
}

int rp_status_exit_code (int status)
{
    const s_entry_t *entry = s_find (status);
    return entry ? entry->exit_code : 1;
}

bool rp_status_is_safe_to_retry (int status)
{
    switch (status) {
        case RP_NO_WORKER:
        case RP_BUSY:
        case RP_DRAINING:
        case RP_DENIED:
        case RP_INVALID:
        case RP_TOO_LARGE:
        case RP_EXPIRED:
        case RP_KEY_MISMATCH:
        case RP_NO_BROKER:
            return true;
        default:
            return false;
    }
}
