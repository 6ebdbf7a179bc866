/*  Fuzzes the settings, as a file and as options: any text ends in settings within their ranges, or in
    messages.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_count (const char *message, void *arg)
{
    size_t *count = arg;
    RP_CHECK (*message != '\0' && !strchr (message, '\n'));
    ++*count;
}

static void s_try (const rp_config_sources_t *sources)
{
    size_t messages = 0;
    rp_config_t config;
    RP_CHECK (rp_config_init (&config));
    bool good = rp_config_read (&config, sources, s_count, &messages);
    RP_CHECK (good == (messages == 0));
    RP_CHECK (messages <= RP_SETTINGS_ERRORS_MAX + 1);
    RP_CHECK (config.bind_count >= 1 && config.bind_count <= RP_CONFIG_BIND_MAX);
#define S_IN_RANGE(kind, name, value, smallest, largest, applies, why)                             \
    RP_CHECK (config.limits.name - (smallest) <= (uint64_t) (largest) - (smallest));
    RP_BROKER_LIMIT_MAP (S_IN_RANGE)
#undef S_IN_RANGE

    // What was accepted can be written and read again.
    char *text = NULL;
    size_t text_size = 0;
    FILE *file = open_memstream (&text, &text_size);
    RP_CHECK (file && rp_config_print (&config, file));
    fclose (file);
    rp_config_t again;
    RP_CHECK (rp_config_init (&again));
    const rp_config_sources_t printed = {.name = "again", .text = text, .size = text_size};
    RP_CHECK (rp_config_read (&again, &printed, s_count, &messages));
    RP_CHECK (memcmp (&again.limits, &config.limits, sizeof config.limits) == 0);
    RP_CHECK (again.bind_count == config.bind_count);
    RP_CHECK (again.plain_count == config.plain_count);
    RP_CHECK (!again.history == !config.history);
    RP_CHECK (!config.history || strcmp (again.history, config.history) == 0);
    free (text);
    rp_config_clear (&again);
    rp_config_clear (&config);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    s_try (&(rp_config_sources_t){.name = "f", .text = (const char *) data, .size = size});

    char *text = malloc (size + 1);
    RP_CHECK (text);
    if (size > 0)
        memcpy (text, data, size);
    text[size] = '\0';
    static const char *const paths[] = {"bind", "plain", "history", "log/level", "limits/"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        const rp_setting_given_t given = {paths[index], "--", "option", text};
        s_try (&(rp_config_sources_t){.given = &given, .given_count = 1});
    }
    free (text);
    return 0;
}
