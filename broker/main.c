/*  The program riposte-broker.

    SPDX-License-Identifier: MPL-2.0

    Exit codes: 0 drained or stopped as asked, 1 it could not start or go on, 2 wrong usage or
    configuration.
*/

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/auth/credentials.h"
#include "broker/config.h"
#include "broker/memory.h"
#include "broker/notify.h"
#include "broker/reload.h"
#include "broker/server.h"
#include "broker/store/history.h"
#include "broker/transport/endpoint.h"
#include "common/base/units.h"
#include "common/base/version.h"
#include "common/io/clock.h"
#include "common/program/signals.h"
#include "common/program/writer.h"
#include "common/tool/options.h"

#define S_NAME "riposte-broker"

enum { EXIT_USAGE = 2 };

typedef struct {
    const char *config;
    bool check_config;
    bool print_config;
    bool insecure;
} s_options_t;

static const rp_option_t s_table[] = {
  {.name = "bind",
    .letter = 'b',
    .kind = RP_OPTION_SETTING,
    .argument = "ENDPOINT",
    .setting = "bind",
    .help = "listen here, tcp://HOST:PORT or ipc://PATH; * as the port is any free one; may be "
            "repeated (default: " RP_CONFIG_BIND_DEFAULT ")"},
  {.name = "plain",
    .kind = RP_OPTION_SETTING,
    .argument = "SERVICE=FRONTEND,BACKEND",
    .setting = "plain",
    .help =
      "let plain REQ clients reach a service at one endpoint and plain REP workers offer it at "
      "another; may be repeated"},
  {.name = "config",
    .letter = 'c',
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .environment = "RIPOSTE_CONFIG",
    .offset = offsetof (s_options_t, config),
    .help = "read settings from a file"},
  {.name = "limit",
    .letter = 'l',
    .kind = RP_OPTION_SETTING,
    .argument = "NAME=VALUE",
    .environment = "RIPOSTE_LIMIT",
    .setting = "limits/",
    .help = "set a limit, such as max_body=1MiB; may be repeated; --help settings lists them"},
  {.name = "drain-limit",
    .kind = RP_OPTION_SETTING,
    .argument = "TIME",
    .environment = "RIPOSTE_DRAIN_LIMIT",
    .setting = "limits/drain_limit",
    .help = "how long a drain waits for what runs (the limit drain_limit)"},
  {.name = "log-level",
    .kind = RP_OPTION_SETTING,
    .argument = "LEVEL",
    .setting = "log/level",
    .choices = rp_config_levels,
    .help = "log this and worse: error, warning, info or debug"},
  {.name = "log-format",
    .kind = RP_OPTION_SETTING,
    .argument = "FORMAT",
    .setting = "log/format",
    .choices = rp_config_formats,
    .help = "text, logfmt, json, journald, or auto: journald if stderr is the journal, else text"},
  {.name = "ports-file",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE",
    .setting = "ports_file",
    .help = "once ready, write the real endpoints there, one per line"},
  {.name = "history",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE",
    .setting = "history",
    .help = "append a line there for each thing that happens to a request"},
  {.name = "store",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE|URL",
    .setting = "store",
    .help =
      "keep jobs there: requests that outlive this broker; a file, postgresql://HOST/DATABASE, "
      "or none (default: none)"},
  {.name = "http",
    .kind = RP_OPTION_SETTING,
    .argument = "ADDRESS:PORT",
    .setting = "http",
    .help = "metrics and pages are read there, or off (default: 127.0.0.1:5580, if that is free)"},
  {.name = "otlp",
    .kind = RP_OPTION_SETTING,
    .argument = "URL",
    .setting = "otlp",
    .help = "send spans of requests there whose traceparent is sampled, such as "
            "http://127.0.0.1:4318/v1/traces, or off"},
  {.name = "io-threads",
    .kind = RP_OPTION_SETTING,
    .argument = "N",
    .setting = "io_threads",
    .help = "threads that move bytes (1); CURVE is paid for there"},
  {.kind = RP_OPTION_HEADING, .help = "Who may do what"},
  {.name = "key-file",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE",
    .setting = "security/key_file",
    .help = "the broker's secret key (riposte keys new); with it every tcp endpoint speaks CURVE"},
  {.name = "next-key-file",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE",
    .setting = "security/next_key_file",
    .help = "the key that will replace it (riposte keys rotate), for those who know it already"},
  {.name = "next-bind",
    .kind = RP_OPTION_SETTING,
    .argument = "ENDPOINT",
    .setting = "security/next_bind",
    .help = "listen there with the next key"},
  {.name = "authorized",
    .kind = RP_OPTION_SETTING,
    .argument = "DIRECTORY",
    .setting = "security/authorized",
    .help = "public keys of those who may come in (default: authorized, beside the key file)"},
  {.name = "rules",
    .kind = RP_OPTION_SETTING,
    .argument = "FILE",
    .setting = "security/rules",
    .help = "who may do what"},
  {.name = "insecure",
    .kind = RP_OPTION_FLAG,
    .offset = offsetof (s_options_t, insecure),
    .help = "listen without a key where other machines reach it"},
  {.kind = RP_OPTION_HEADING, .help = "Settings"},
  {.name = "check-config",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_CHECK_CONFIG",
    .offset = offsetof (s_options_t, check_config),
    .help = "only check the settings; exit code 0 if they are good"},
  {.name = "print-config",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_PRINT_CONFIG",
    .offset = offsetof (s_options_t, print_config),
    .help = "only print all settings, as a file that --config reads"},
};

static const rp_program_t s_program = {
  .name = S_NAME,
  .summary = "takes requests from clients to workers, and the replies back",
  .usage = (const char *const[]){"[OPTION]...", NULL},
  .description =
    (const char *const[]){
      "Clients and workers connect to the same endpoint. Without any setting the broker listens on "
      "the loopback address only.",
      "SIGTERM or SIGINT lets it finish what runs, up to the drain limit, while it takes nothing "
      "new; a second signal ends it at once. SIGHUP, or riposte reload, reads settings, keys and "
      "rules again: a mistake leaves all as it was, and --help settings says which settings need a "
      "restart. SIGHUP opens the file of --history again too, for log rotation.",
      NULL},
  .options = s_table,
  .option_count = sizeof s_table / sizeof *s_table,
  .examples =
    (const char *const[]){S_NAME, S_NAME " --bind tcp://127.0.0.1:* --ports-file broker.ports",
      S_NAME " --bind tcp://0.0.0.0:5555 --limit max_body=64MiB", NULL},
  .exits =
    (const rp_option_exit_t[]){{1, "it could not start (a port in use, say) or could not go on"}},
  .exit_count = 1,
  .settings = &rp_config_table,
};

__attribute__ ((format (printf, 1, 2))) static void s_complain (const char *format, ...)
{
    fputs (S_NAME ": ", stderr);
    va_list arguments;
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fputc ('\n', stderr);
}

static void s_config_error (const char *message, void *arg)
{
    (void) arg;
    s_complain ("%s", message);
}

/*  ---- The process --------------------------------------------------------------------------- */

/*  Raises the descriptor limit, since a connection takes a descriptor. The usual soft limit of 1024
    is for programs that use select.  */
static void s_raise_descriptor_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit (RLIMIT_NOFILE, &limit); // on failure, the server copes with fewer
}

/*  The signals that the server handles.  */
static const int s_signals[] = {SIGTERM, SIGINT, SIGHUP};

/*  Writes the real endpoints to a file, which appears complete: a program may wait for the file and
    read it at once.  */
static bool s_write_ports (const rp_server_t *server, const char *path)
{
    char temporary[4096];
    int size = snprintf (temporary, sizeof temporary, "%s.%ld", path, (long) getpid ());
    if (size < 0 || (size_t) size >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    // No other user may write to it. The umask does not ensure that: it is open so that all users
    // can reach Unix sockets.
    int descriptor = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *file = descriptor < 0 ? NULL : fdopen (descriptor, "w");
    if (!file) {
        if (descriptor >= 0)
            close (descriptor);
        return false;
    }
    const char *endpoint;
    for (size_t index = 0; (endpoint = rp_server_endpoint (server, index)); index++)
        fprintf (file, "%s\n", endpoint);
    bool written = ferror (file) == 0;
    written &= fclose (file) == 0;
    if (written && rename (temporary, path) == 0)
        return true;
    int error = errno;
    unlink (temporary);
    errno = error;
    return false;
}

/*  Returns the first endpoint that other machines can reach, or NULL.  */
static const char *s_find_open (const rp_server_t *server)
{
    const char *endpoint;
    for (size_t index = 0; (endpoint = rp_server_endpoint (server, index)); index++)
        if (!rp_endpoint_is_local (endpoint))
            return endpoint;
    return NULL;
}

static void s_say_security (FILE *to,
  const rp_server_t *server,
  const rp_config_t *config,
  const rp_credentials_t *credentials)
{
    const char *first = rp_server_endpoint (server, 0);
    const char *open = s_find_open (server);
    if (config->key_file)
        fprintf (to, "\n  security on: %zu authorized keys, rules in %s\n",
          rp_credentials_count (credentials), config->rules);
    else if (open)
        fprintf (to,
          "\n  warning: security off, and whoever can reach %s may use it; keep it behind a "
          "firewall, or bind to 127.0.0.1\n",
          open);
    else if (config->rules)
        fprintf (to, "\n  security off (loopback only), rules in %s\n", config->rules);
    else if (strcmp (first, RP_CONFIG_BIND_DEFAULT) == 0)
        fputs ("\n  security off (loopback only) · try:  riposte-worker upper -- tr a-z A-Z\n", to);
    else
        fprintf (to,
          "\n  security off (loopback only) · try:  riposte-worker -s %s upper -- tr a-z A-Z\n",
          first);
}

static void s_say_ready (FILE *to,
  const rp_server_t *server,
  const rp_config_t *config,
  const rp_credentials_t *credentials,
  int64_t started)
{
    char text[RP_UNITS_TEXT_MAX];
    fprintf (to, "riposte %s ready in %s  ", RP_VERSION,
      rp_duration_format (text, rp_clock_us () - started));
    size_t next = 0;
    while (next < config->bind_count)
        fprintf (to, " %s", rp_server_endpoint (server, next++));
    for (size_t index = 0; index < config->plain_count; index++, next += 2)
        fprintf (to, "\n  plain \"%s\": REQ at %s, REP at %s", config->plain[index].service,
          rp_server_endpoint (server, next), rp_server_endpoint (server, next + 1));
    s_say_security (to, server, config, credentials);
}

/*  What the broker itself takes, and what a waiting request takes beside its body, at most
    (docs/OPERATIONS.md).  */
#define S_OWN_BYTES ((uint64_t) 64 << 20)
#define S_REQUEST_BYTES 512u

/*  Warns if the limits allow more memory than there is: the process would be killed instead of
    saying BUSY.  */
static void s_warn_of_memory (FILE *to, const rp_limits_t *limits)
{
    char needs_text[RP_UNITS_TEXT_MAX];
    char allowed_text[RP_UNITS_TEXT_MAX];
    uint64_t needs = S_OWN_BYTES + limits->total_queue_bytes + limits->total_queue_bytes / 4
                     + limits->total_queue * S_REQUEST_BYTES + limits->replay_bytes
                     + limits->replay_bytes / 4;
    uint64_t allowed = rp_memory_allowed ();
    if (needs > allowed)
        fprintf (to,
          "  warning: it may take %s, but this process may use %s of memory; lower the limits "
          "total_queue_bytes, total_queue and replay_bytes (docs/OPERATIONS.md, Memory)\n",
          rp_size_format (needs_text, needs), rp_size_format (allowed_text, allowed));
}

/*  True if programs read the log on stderr: then everything there is lines of it.  */
static bool s_is_for_programs (const rp_config_t *config)
{
    return config->log_format == RP_LOG_LOGFMT || config->log_format == RP_LOG_JSON;
}

/*  Says that the broker is ready: on stderr, for people; or in the log, if programs read it.  */
static void s_say (rp_server_t *server,
  const rp_config_t *config,
  const rp_credentials_t *credentials,
  int64_t started)
{
    char *text = NULL;
    size_t size;
    bool lines = s_is_for_programs (config);
    FILE *to = lines ? open_memstream (&text, &size) : stderr;
    if (!to)
        return;
    s_say_ready (to, server, config, credentials, started);
    s_warn_of_memory (to, &config->limits);
    if (lines && fclose (to) == 0)
        rp_server_log (server, text);
    free (text);
}

static bool s_bound (int rc, const char *endpoint, const char *option)
{
    char text[RP_ENDPOINT_TEXT_MAX];
    if (rc != 0)
        s_complain ("%s", rp_endpoint_explain (endpoint, errno, option, text));
    return rc == 0;
}

/*  Where metrics and pages are read, if that is free.  */
#define S_HTTP_DEFAULT "127.0.0.1:5580"

static void s_warn_of_http (rp_server_t *server, const rp_config_t *config)
{
    char text[256];
    snprintf (text, sizeof text,
      "warning: no metrics and pages at " S_HTTP_DEFAULT ": %s; choose another with --http",
      strerror (errno));
    if (s_is_for_programs (config))
        rp_server_log (server, text);
    else
        fprintf (stderr, S_NAME ": %s\n", text);
}

/*  Opens HTTP. At the address of no setting, another broker may be already, so that is no error. False after
    an error line.  */
static bool s_open_http (rp_server_t *server, const rp_config_t *config)
{
    const char *listen = config->http ? config->http : S_HTTP_DEFAULT;
    if (strcmp (listen, "off") == 0
        || rp_server_open_http (server, listen, config->http_hosts, config->http_open) == 0)
        return true;
    if (!config->http) {
        s_warn_of_http (server, config);
        return true;
    }
    s_complain (
      "cannot listen at %s for HTTP: %s; choose another address with --http, or: --http off",
      listen, strerror (errno));
    return false;
}

/*  Binds in the order of --ports-file. store: is told where; NULL: there is none.  */
static bool s_bind_all (rp_server_t *server, const rp_config_t *config, rp_store_t *store)
{
    bool bound = true;
    for (size_t index = 0; bound && index < config->bind_count; index++) {
        const char *endpoint = config->bind[index];
        bound = s_bound (rp_server_bind (server, endpoint), endpoint, "--bind");
    }
    for (size_t index = 0; bound && index < config->plain_count; index++) {
        const rp_config_plain_t *plain = &config->plain[index];
        int rc = rp_server_bind_plain (server, plain->service, RP_PLAIN_FRONT, plain->front);
        bound = s_bound (rc, plain->front, "--plain");
        if (!bound)
            break;
        rc = rp_server_bind_plain (server, plain->service, RP_PLAIN_BACK, plain->back);
        bound = s_bound (rc, plain->back, "--plain");
    }
    if (bound && config->next_bind) {
        const char *endpoint = config->next_bind;
        bound = s_bound (rp_server_bind_next (server, endpoint), endpoint, "--next-bind");
    }
    if (bound && store && config->bind_count)
        rp_store_rename (store, rp_server_endpoint (server, 0));
    return bound;
}

/*  Opens the history and the store of jobs, if there are to be any. False after a complaint.  */
static bool s_open_files (const rp_config_t *config, int *history, rp_store_t **store)
{
    char trouble[RP_STORE_TEXT];
    *history = 0;
    *store = NULL;
    if (config->history && (*history = rp_history_open (config->history)) < 0) {
        s_complain (
          "cannot write %s: %s; give --history another place", config->history, strerror (errno));
        return false;
    }
    if (!config->store || strcmp (config->store, "none") == 0)
        return true;
    *store = rp_store_open (&(rp_store_settings_t){.path = config->store,
                              .endpoints = config->bind_count ? config->bind[0] : NULL},
      trouble);
    if (!*store)
        s_complain ("%s", trouble);
    return *store != NULL;
}

static int s_serve (rp_reload_t *reload, int signals, int64_t started)
{
    const rp_config_t *config = reload->config;
    rp_credentials_t *credentials;
    if (!rp_reload_credentials (config, &credentials, s_config_error, NULL))
        return EXIT_USAGE;
    int history;
    rp_store_t *store;
    if (!s_open_files (config, &history, &store))
        return EXIT_FAILURE;
    reload->credentials = &credentials;
    rp_server_t *server = rp_server_new (&(rp_server_options_t){.limits = config->limits,
      .services = config->services,
      .credentials = credentials,
      .io_threads = (unsigned) config->io_threads,
      .ipc_mode = rp_config_ipc_mode (config),
      .log_level = (rp_level_t) config->log_level,
      .log_format = (rp_log_format_t) config->log_format,
      .log = STDERR_FILENO,
      .history = history,
      .history_path = config->history,
      .otlp = rp_config_otlp (config),
      .store = store,
      .reload = rp_reload_read,
      .reload_arg = reload,
      .settings = rp_config_settings (config),
      .signals = signals});
    if (!server) {
        s_complain (
          errno == EMFILE ? "cannot start: %s; raise the limit: ulimit -n" : "cannot start: %s",
          strerror (errno));
        return EXIT_FAILURE;
    }
    int code = EXIT_FAILURE;
    if (!s_bind_all (server, config, store) || !s_open_http (server, config))
        goto out;
    if (config->ports_file && !s_write_ports (server, config->ports_file)) {
        s_complain ("cannot write %s: %s; give --ports-file another place", config->ports_file,
          strerror (errno));
        goto out;
    }
    s_say (server, config, credentials, started);
    rp_writer_flush_stderr (); // the log follows on stderr
    rp_notify ("READY=1");
    if (rp_server_run (server) == 0)
        code = EXIT_SUCCESS;
out:
    rp_server_destroy (&server);
    rp_credentials_release (&credentials);
    return code;
}

static int s_main (
  const s_options_t *options, rp_arguments_t *arguments, rp_config_t *config, int64_t started)
{
    if (options->insecure && arguments->setting_count < RP_OPTION_LIST_MAX)
        arguments->settings[arguments->setting_count++] = (rp_setting_given_t){
          .path = "security/insecure", .dashes = "--", .name = "insecure", .text = "1"};
    const rp_config_sources_t sources = {
      .lookup = getenv, .given = arguments->settings, .given_count = arguments->setting_count};
    if (!rp_config_load (config, options->config, &sources, s_config_error, NULL))
        return EXIT_USAGE;
    if (options->print_config && !rp_config_print (config, stdout)) {
        s_complain ("cannot write the settings: %s", strerror (errno));
        return EXIT_FAILURE;
    }
    rp_credentials_t *credentials = NULL;
    if (options->check_config
        && !rp_reload_credentials (config, &credentials, s_config_error, NULL))
        return EXIT_USAGE;
    rp_credentials_release (&credentials);
    if (options->check_config)
        fputs ("the settings are good\n", stderr);
    if (options->print_config || options->check_config)
        return EXIT_SUCCESS;
    s_raise_descriptor_limit ();
    rp_memory_reserve_little ();
    int signals = rp_signals_open (s_signals, sizeof s_signals / sizeof *s_signals);
    if (signals < 0) {
        s_complain ("cannot receive signals: %s", strerror (errno));
        return EXIT_FAILURE;
    }
    rp_reload_t reload = {.file = options->config, .sources = sources, .config = config};
    return s_serve (&reload, signals, started);
}

int main (int argc, char **argv)
{
    int64_t started = rp_clock_us ();
    s_options_t options = {0};
    rp_arguments_t arguments;
    rp_writer_take_stderr ();
    int code =
      rp_options_parse (&s_program, argc, argv, getenv, &options, &arguments, stdout, stderr);
    if (code != RP_OPTIONS_GO_ON)
        return code;
    if (arguments.count > 0) {
        s_complain ("unexpected \"%s\"; see: %s --help", arguments.items[0], S_NAME);
        return EXIT_USAGE;
    }
    rp_config_t config = {0};
    code = s_main (&options, &arguments, &config, started);
    rp_config_clear (&config);
    return code;
}
