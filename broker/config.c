/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/otlp.h"
#include "common/base/units.h"
#include "common/io/socket.h"
#include "common/tool/settings_pages.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"

/*  ---- bind, a list of endpoints ------------------------------------------------------------- */

static void s_clear_bind (void *values)
{
    rp_config_t *self = values;
    for (size_t index = 0; index < self->bind_count; index++)
        free (self->bind[index]);
    self->bind_count = 0;
}

static const char *s_bind_fault (const rp_config_t *self, const char *endpoint)
{
    const char *reason;
    if (!rp_socket_endpoint_is_valid (endpoint, strlen (endpoint), &reason))
        return reason;
    for (size_t index = 0; index < self->bind_count; index++)
        if (strcmp (self->bind[index], endpoint) == 0)
            return "is there already";
    return self->bind_count == RP_CONFIG_BIND_MAX ? "is one endpoint too many" : NULL;
}

static bool s_add_bind (void *values, const char *endpoint, char reason[RP_SETTING_REASON_MAX])
{
    rp_config_t *self = values;
    const char *fault = s_bind_fault (self, endpoint);
    char *copy = fault ? NULL : strdup (endpoint);
    if (!copy) {
        snprintf (reason, RP_SETTING_REASON_MAX, "%s", fault ? fault : "does not fit into memory");
        return false;
    }
    self->bind[self->bind_count++] = copy;
    return true;
}

static const char *s_bind_at (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX])
{
    (void) buffer;
    const rp_config_t *self = values;
    return index < self->bind_count ? self->bind[index] : NULL;
}

/*  ---- plain, a list of services ------------------------------------------------------------- */

static void s_clear_plain (void *values)
{
    rp_config_t *self = values;
    for (size_t index = 0; index < self->plain_count; index++)
        free (self->plain[index].service);
    self->plain_count = 0;
}

/*  Returns what is wrong with a plain service, and in *part with which part of it; NULL if nothing
    is.  */
static const char *s_plain_fault (
  const rp_config_t *self, const rp_config_plain_t *plain, const char **part)
{
    const char *reason;
    size_t size = strlen (plain->service);
    *part = "its service";
    if (!rp_name_is_valid (plain->service, size))
        return "has no good name: 1 to 127 bytes without control characters";
    if (rp_name_is_reserved (plain->service, size))
        return "has a name that belongs to the broker, as all that begin with riposte. or mmi. do";
    for (size_t index = 0; index < self->plain_count; index++)
        if (strcmp (self->plain[index].service, plain->service) == 0)
            return "is there already";
    *part = "its frontend";
    if (!rp_socket_endpoint_is_valid (plain->front, strlen (plain->front), &reason))
        return reason;
    *part = "its backend";
    if (!rp_socket_endpoint_is_valid (plain->back, strlen (plain->back), &reason))
        return reason;
    *part = "it";
    return self->plain_count == RP_CONFIG_PLAIN_MAX ? "is one plain service too many" : NULL;
}

static bool s_add_plain (void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    rp_config_t *self = values;
    const char *equals = strchr (text, '=');
    const char *comma = equals ? strchr (equals, ',') : NULL;
    bool has_form = comma && !strchr (comma + 1, ',');
    char *copy = has_form ? strdup (text) : NULL;
    if (!copy) {
        snprintf (reason, RP_SETTING_REASON_MAX, "%s",
          has_form ? "does not fit into memory" : "wants SERVICE=FRONTEND,BACKEND");
        return false;
    }
    copy[equals - text] = copy[comma - text] = '\0';
    rp_config_plain_t plain = {
      .service = copy, .front = copy + (equals - text) + 1, .back = copy + (comma - text) + 1};
    const char *part;
    const char *fault = s_plain_fault (self, &plain, &part);
    if (fault) {
        snprintf (reason, RP_SETTING_REASON_MAX, "cannot be: %s %s", part, fault);
        free (copy);
        return false;
    }
    self->plain[self->plain_count++] = plain;
    return true;
}

static const char *s_plain_at (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX])
{
    const rp_config_t *self = values;
    if (index >= self->plain_count)
        return NULL;
    const rp_config_plain_t *plain = &self->plain[index];
    snprintf (buffer, RP_SETTING_TEXT_MAX, "%s=%s,%s", plain->service, plain->front, plain->back);
    return buffer;
}

/*  ---- service, a list of terms -------------------------------------------------------------- */

static void s_clear_services (void *values)
{
    rp_config_t *self = values;
    free (self->services.list);
    self->services = (rp_terms_list_t){0};
}

static bool s_add_service (void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    rp_config_t *self = values;
    rp_terms_list_t *all = &self->services;
    rp_terms_t terms;
    if (!rp_terms_parse (&terms, text, reason, RP_SETTING_REASON_MAX))
        return false;
    const char *fault = rp_terms_find (all, terms.name, terms.name_size)
                          ? "is of a service that has terms already"
                        : all->count == RP_CONFIG_SERVICES_MAX ? "is one service too many"
                                                               : NULL;
    rp_terms_t *list = fault ? NULL : realloc (all->list, (all->count + 1) * sizeof *list);
    if (!list) {
        snprintf (reason, RP_SETTING_REASON_MAX, "%s", fault ? fault : "does not fit into memory");
        return false;
    }
    all->list = list;
    all->list[all->count++] = terms;
    return true;
}

static const char *s_service_at (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX])
{
    const rp_config_t *self = values;
    return index < self->services.count ? rp_terms_write (&self->services.list[index], true, buffer)
                                        : NULL;
}

/*  ---- The table ----------------------------------------------------------------------------- */

const char *const rp_config_levels[] = {"error", "warning", "info", "debug", NULL};
const char *const rp_config_formats[] = {"text", "logfmt", "json", "journald", "auto", NULL};

static const rp_setting_list_t s_bind = {s_add_bind, s_clear_bind, s_bind_at};
static const rp_setting_list_t s_plain = {s_add_plain, s_clear_plain, s_plain_at};
static const rp_setting_list_t s_services = {s_add_service, s_clear_services, s_service_at};

/*  How each kind of setting uses the columns value, from and to of its row.  */
#define S_NUMBER(value, from, to) .initial = (value), .smallest = (from), .largest = (to)
#define S_AS_COUNT S_NUMBER
#define S_AS_BYTES S_NUMBER
#define S_AS_TIME S_NUMBER
#define S_AS_CHOICE(value, from, to) .initial = (value), .choices = (from)
#define S_AS_TEXT(value, from, to) .text = (value), .form = (from)
#define S_AS_LIST(value, from, to) .text = (value), .form = (from), .list = (to)

/*  The column applies.  */
#define S_RELOAD true
#define S_RESTART false

#define S_ROW(as, member, name, value, from, to, applies, reason)                                  \
    {.path = (name),                                                                               \
      .kind = RP_SETTING_##as,                                                                     \
      .offset = offsetof (rp_config_t, member),                                                    \
      S_AS_##as (value, from, to),                                                                 \
      .reloadable = S_##applies,                                                                   \
      .why = (reason)},
#define S_LIMIT(kind, name, value, smallest, largest, applies, why)                                \
    S_ROW (kind, limits.name, "limits/" #name, value, smallest, largest, applies, why)

static const rp_setting_t s_rows[] = {S_ROW (LIST,
  bind,
  "bind",
  RP_CONFIG_BIND_DEFAULT,
  "tcp://ADDRESS:PORT or ipc://PATH",
  &s_bind,
  RESTART,
  "listen here; * as the port is any free one") S_ROW (LIST,
  plain,
  "plain",
  NULL,
  "SERVICE=FRONTEND,BACKEND",
  &s_plain,
  RESTART,
  "let plain REQ clients reach a service at one endpoint and plain REP workers offer it at another")
    S_ROW (LIST,
      services,
      "service",
      NULL,
      "SERVICE: TERM=VALUE [TERM=VALUE...]",
      &s_services,
      RELOAD,
      "terms of a service: concurrency, rate (a second), queue; deadline and attempts of requests "
      "whose protocol states none; overload, admission") RP_CONFIG_MAP (S_ROW)
      RP_BROKER_LIMIT_MAP (S_LIMIT)};

/*  Old names of settings, each with the new one for the error message.  */
static const char *const s_renamed[][2] = {
  {"limits/strangers", "limits/pending_connections"},
  {"limits/greeting", "limits/pending_timeout"},
  {"limits/peer_backlog", "limits/connection_backlog"},
  {"limits/peer_backlog_bytes", "limits/connection_backlog_bytes"},
  {"limits/guest_deadline", "limits/foreign_deadline"},
  {"limits/guest_attempts", "limits/foreign_attempts"},
  {"limits/guest_attempt", "limits/foreign_attempt"},
  {"limits/guest_errors", "limits/foreign_errors"},
  {"limits/guest_window", "limits/foreign_window"},
  {"limits/guest_heartbeat", "limits/foreign_heartbeat"},
};

const rp_setting_table_t rp_config_table = {.program = "riposte-broker",
  .rows = s_rows,
  .count = sizeof s_rows / sizeof *s_rows,
  .renamed = s_renamed,
  .renamed_count = sizeof s_renamed / sizeof *s_renamed};

/*  ---- What settings hold together ----------------------------------------------------------- */

/*  small must be at most large; half: at most half of large.  */
typedef struct {
    const char *small;
    const char *large;
    bool half;
} s_order_t;

static const s_order_t s_orders[] = {
  {"limits/heartbeat_min", "limits/heartbeat_max", false},
  {"limits/service_queue", "limits/total_queue", false},
  {"limits/service_queue_bytes", "limits/total_queue_bytes", false},
  // Clients may leave half of total_queue_bytes unread; above that, one that does not read is cut
  // off. So a limit that allows one client more than half would promise too much.
  {"limits/max_body", "limits/total_queue_bytes", true},
  {"limits/connection_backlog_bytes", "limits/total_queue_bytes", true},
};

static void s_check_order (
  const rp_config_t *self, const s_order_t *order, rp_settings_reader_t *reader)
{
    size_t small = rp_settings_find (&rp_config_table, order->small);
    size_t large = rp_settings_find (&rp_config_table, order->large);
    uint64_t low = rp_setting_number (&s_rows[small], self);
    uint64_t high = rp_setting_number (&s_rows[large], self);
    char low_text[RP_UNITS_TEXT_MAX];
    char high_text[RP_UNITS_TEXT_MAX];
    if (low > (order->half ? high / 2 : high))
        rp_settings_complain_pair (reader, small, large,
          "%s (%s) must not be more than %s%s (%s)%s", order->small,
          rp_setting_write_number (&s_rows[small], low, low_text), order->half ? "half of " : "",
          order->large, rp_setting_write_number (&s_rows[large], high, high_text),
          order->half ? ": beyond it clients are cut off" : "");
}

static void s_check_grace (const rp_config_t *self, rp_settings_reader_t *reader)
{
    uint64_t grace = self->limits.rejoin_grace;
    size_t row = rp_settings_find (&rp_config_table, "limits/rejoin_grace");
    char pause[RP_UNITS_TEXT_MAX];
    if (grace != 0 && grace <= RP_BACKOFF_LARGEST_MS)
        rp_settings_complain_pair (reader, row, row,
          "limits/rejoin_grace wants 0 or more than %s, the longest pause of a worker that "
          "reconnects",
          rp_setting_write_number (&s_rows[row], RP_BACKOFF_LARGEST_MS, pause));
}

const char *rp_config_otlp (const rp_config_t *self)
{
    return self->otlp && strcmp (self->otlp, "off") != 0 ? self->otlp : NULL;
}

static void s_check_otlp (const rp_config_t *self, rp_settings_reader_t *reader)
{
    const char *url = rp_config_otlp (self);
    const char *fault = url ? rp_otlp_fault (url) : NULL;
    size_t row = rp_settings_find (&rp_config_table, "otlp");
    size_t bytes = rp_settings_find (&rp_config_table, "limits/trace_bytes");
    if (fault)
        rp_settings_complain_pair (reader, row, row, "otlp: \"%s\" %s", url, fault);
    else if (url && self->limits.trace_bytes == 0)
        rp_settings_complain_pair (
          reader, row, bytes, "otlp needs limits/trace_bytes, since spans are made of traces");
}

int rp_config_ipc_mode (const rp_config_t *self)
{
    const char *text = self->ipc_mode ? self->ipc_mode : "";
    text += *text == '0' && strlen (text) == 4;
    if (strlen (text) != 3 || strspn (text, "01234567") != 3)
        return -1;
    return (text[0] - '0') << 6 | (text[1] - '0') << 3 | (text[2] - '0');
}

/*  What to do to be safe, for the error that asks for it.  */
#define S_SECURE_START                                                                             \
    "make keys:  riposte keys new broker --dir K;  riposte keys new ada --dir K;  riposte keys "   \
    "authorize K/ada.key --principal ada --into A;  and start it with:  --key-file "               \
    "K/broker.key_secret --authorized A --rules FILE"

static void s_check_endpoint (
  const char *endpoint, const char *setting, rp_settings_reader_t *reader)
{
    if (strncmp (endpoint, "ipc://", 6) == 0 || rp_socket_endpoint_is_loopback (endpoint))
        return;
    size_t row = rp_settings_find (&rp_config_table, setting);
    rp_settings_complain_pair (reader, row, row,
      "%s lets other machines in, and without a key everybody may use the broker; " S_SECURE_START
      ";  or say --insecure",
      endpoint);
}

static void s_check_next (const rp_config_t *self, rp_settings_reader_t *reader)
{
    const char *reason;
    size_t row = rp_settings_find (&rp_config_table, "security/next_bind");
    if (!self->next_key_file != !self->next_bind || (self->next_key_file && !self->key_file))
        rp_settings_complain_pair (reader, row, row,
          "security/next_key_file and security/next_bind belong together, beside "
          "security/key_file");
    else if (self->next_bind
             && !rp_socket_endpoint_is_valid (self->next_bind, strlen (self->next_bind), &reason))
        rp_settings_complain_pair (
          reader, row, row, "security/next_bind: \"%s\" %s", self->next_bind, reason);
    else if (self->next_bind && strncmp (self->next_bind, "ipc://", 6) == 0)
        rp_settings_complain_pair (
          reader, row, row, "security/next_bind wants tcp: over ipc nobody needs a key");
}

/*  Others reach an endpoint with a key only, or where insecure says so.  */
static void s_check_security (const rp_config_t *self, rp_settings_reader_t *reader)
{
    size_t row = rp_settings_find (&rp_config_table, "security/ipc_mode");
    if (self->ipc_mode && rp_config_ipc_mode (self) < 0)
        rp_settings_complain_pair (reader, row, row,
          "security/ipc_mode wants permissions in octal, such as 0660, not \"%s\"", self->ipc_mode);
    s_check_next (self, reader);
    row = rp_settings_find (&rp_config_table, "security/authorized");
    if (self->authorized && !self->key_file)
        rp_settings_complain_pair (reader, row, row,
          "security/authorized is of no use without security/key_file, the broker's own key");
    if (self->key_file || self->insecure)
        return;
    for (size_t index = 0; index < self->bind_count; index++)
        s_check_endpoint (self->bind[index], "bind", reader);
    for (size_t index = 0; index < self->plain_count; index++) {
        s_check_endpoint (self->plain[index].front, "plain", reader);
        s_check_endpoint (self->plain[index].back, "plain", reader);
    }
}

static void s_check_together (const rp_config_t *self, rp_settings_reader_t *reader)
{
    s_check_security (self, reader);
    for (size_t index = 0; index < sizeof s_orders / sizeof *s_orders; index++)
        s_check_order (self, &s_orders[index], reader);
    s_check_grace (self, reader);
    s_check_otlp (self, reader);
}

void rp_config_check (const rp_config_t *self, rp_setting_error_fn *error, void *arg)
{
    rp_settings_reader_t reader = {.table = &rp_config_table, .error = error, .arg = arg};
    s_check_together (self, &reader);
}

/*  ---- Making them --------------------------------------------------------------------------- */

bool rp_config_init (rp_config_t *self)
{
    *self = (rp_config_t){0};
    return rp_settings_init (&rp_config_table, self);
}

void rp_config_clear (rp_config_t *self)
{
    rp_settings_clear (&rp_config_table, self);
}

bool rp_config_read (
  rp_config_t *self, const rp_config_sources_t *sources, rp_setting_error_fn *error, void *arg)
{
    rp_config_t fresh;
    rp_settings_reader_t reader = {
      .table = &rp_config_table, .values = &fresh, .error = error, .arg = arg};
    if (!rp_config_init (&fresh))
        rp_settings_complain (&reader, "out of memory");
    if (sources->text)
        rp_settings_read_file (&reader, sources->text, sources->size, sources->name);
    if (sources->lookup)
        rp_settings_read_environment (&reader, sources->lookup);
    rp_settings_read_given (&reader, sources->given, sources->given_count);

    // Values that could not be read cannot be compared.
    if (reader.errors == 0)
        s_check_together (&fresh, &reader);
    if (reader.errors > 0) {
        rp_config_clear (&fresh);
        return false;
    }
    rp_config_clear (self);
    memcpy (fresh.origins, reader.sources, sizeof fresh.origins);
    *self = fresh;
    return true;
}

/*  Reads a whole file; the text is not NUL-terminated. NULL after error was called.  */
static char *s_read_whole (const char *path, size_t *size, rp_setting_error_fn *error, void *arg)
{
    char message[1536];
    FILE *file = fopen (path, "rb");
    char *text = file ? malloc (RP_CONFIG_FILE_MAX + 1) : NULL;
    *size = text ? fread (text, 1, RP_CONFIG_FILE_MAX + 1, file) : 0;
    bool failed = !text || ferror (file);
    if (failed)
        snprintf (message, sizeof message, "%.1024s: cannot be read: %s", path, strerror (errno));
    else if (*size > RP_CONFIG_FILE_MAX)
        snprintf (
          message, sizeof message, "%.1024s: larger than a configuration file can be", path);
    if (file)
        fclose (file);
    if (!failed && *size <= RP_CONFIG_FILE_MAX)
        return text;
    error (message, arg);
    free (text);
    return NULL;
}

bool rp_config_load (rp_config_t *self,
  const char *path,
  const rp_config_sources_t *sources,
  rp_setting_error_fn *error,
  void *arg)
{
    rp_config_sources_t all = *sources;
    char *text = NULL;
    if (path) {
        text = s_read_whole (path, &all.size, error, arg);
        if (!text)
            return false;
        all.name = path;
        all.text = text;
    }
    bool good = rp_config_read (self, &all, error, arg);
    free (text);
    return good;
}

rp_settings_t rp_config_settings (const rp_config_t *self)
{
    return (rp_settings_t){.table = &rp_config_table, .values = self, .sources = self->origins};
}

bool rp_config_print (const rp_config_t *self, FILE *file)
{
    rp_settings_t settings = rp_config_settings (self);
    rp_settings_print (&settings, file);
    return fflush (file) == 0 && !ferror (file);
}
