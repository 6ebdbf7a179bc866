/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/config.h"

/*  Every message, a line each.  */
static char s_messages[65536];

static void s_collect (const char *message, void *arg)
{
    size_t *count = arg;
    size_t used = strlen (s_messages);
    int size = snprintf (s_messages + used, sizeof s_messages - used, "%s\n", message);
    assert_true (size >= 0 && (size_t) size < sizeof s_messages - used);
    ++*count;
}

/*  Reads into fresh settings. Returns how many messages there were.  */
static size_t s_read (rp_config_t *config, const char *text)
{
    size_t count = 0;
    s_messages[0] = '\0';
    assert_true (rp_config_init (config));
    const rp_config_sources_t sources = {.name = "f", .text = text, .size = strlen (text)};
    bool good = rp_config_read (config, &sources, s_collect, &count);
    assert_int_equal (good, count == 0);
    return count;
}

/*  Reads sources that have no mistake into fresh settings.  */
static void s_reads (rp_config_t *config, const rp_config_sources_t *sources)
{
    size_t count = 0;
    s_messages[0] = '\0';
    if (!rp_config_read (config, sources, s_collect, &count))
        fail_msg ("%s", s_messages);
    assert_int_equal (count, 0);
}

static void s_refuses (const char *text, const char *messages)
{
    rp_config_t config;
    assert_true (s_read (&config, text) > 0);
    assert_string_equal (s_messages, messages);
    rp_config_clear (&config);
}

static void s_accepts (const char *text)
{
    rp_config_t config;
    if (s_read (&config, text) != 0)
        fail_msg ("%s", s_messages);
    rp_config_clear (&config);
}

static void without_a_file_the_defaults_hold (void **state)
{
    (void) state;
    rp_config_t config;
    assert_true (rp_config_init (&config));
    assert_int_equal (config.bind_count, 1);
    assert_string_equal (config.bind[0], "tcp://127.0.0.1:5555");
    assert_int_equal (config.limits.max_body, 16777216);
    assert_int_equal (config.log_level, RP_LEVEL_INFO);
    rp_config_clear (&config);
    rp_config_clear (&config);
    s_accepts ("");
}

static void a_file_sets_what_it_names_and_nothing_else (void **state)
{
    (void) state;
    rp_config_t config;
    assert_int_equal (s_read (&config, "bind = tcp://127.0.0.1:7001\n"
                                       "bind = \"ipc:///tmp/riposte\"   # two\n"
                                       "limits\n"
                                       "    max_body = 1.5MiB\n"
                                       "    max_clients = 7\n"
                                       "    heartbeat_min = 1s\n"
                                       "log\n"
                                       "    level = debug\n"
                                       "limits\n"
                                       "    rejoin_grace = 0\n"),
      0);
    assert_int_equal (config.bind_count, 2);
    assert_string_equal (config.bind[0], "tcp://127.0.0.1:7001");
    assert_string_equal (config.bind[1], "ipc:///tmp/riposte");
    assert_int_equal (config.limits.max_body, 1572864);
    assert_int_equal (config.limits.max_clients, 7);
    assert_int_equal (config.limits.heartbeat_min, 1000);
    assert_int_equal (config.limits.rejoin_grace, 0);
    assert_int_equal (config.limits.heartbeat_max, 60000);
    assert_int_equal (config.log_level, RP_LEVEL_DEBUG);
    rp_config_clear (&config);
}

static void every_mistake_of_a_file_is_told_at_once (void **state)
{
    (void) state;
    s_refuses ("bnid = tcp://127.0.0.1:1\n"
               "limits\n"
               "    max_boby = 1MiB\n"
               "    max_body = 1\n"
               "    max_clients = 10_000\n"
               "    heartbeat_min = 50\n"
               "    heartbeat_max = 61s\n"
               "    drain_limit = 1500us\n"
               "    service_queue_bytes = 100B\n"
               "    max_workers = 0\n"
               "  max_services = 1\n"
               "log = debug\n"
               "log\n"
               "    level = loud\n"
               "bind\n"
               "frobnicate = 1\n",
      "f:1:1: unknown setting bnid (did you mean bind?)\n"
      "f:3:5: unknown setting limits/max_boby (did you mean limits/max_body?)\n"
      "f:4:16: limits/max_body wants 1KiB to 1GiB, not \"1\"\n"
      "f:5:19: limits/max_clients wants a plain number such as 100, not \"10_000\"\n"
      "f:6:21: limits/heartbeat_min wants a duration with a unit such as 250ms or 5s, "
      "not \"50\"\n"
      "f:7:21: limits/heartbeat_max wants 50ms to 1m, not \"61s\"\n"
      "f:8:19: limits/drain_limit wants a duration in whole milliseconds, "
      "not \"1500us\"\n"
      "f:9:27: limits/service_queue_bytes wants 1KiB to 1TiB, not \"100B\"\n"
      "f:10:19: limits/max_workers wants 1 to 1000000, not \"0\"\n"
      "f:11:3: indentation that is not a multiple of four spaces\n"
      "f:12:7: log is a section and takes no value\n"
      "f:14:13: log/level wants error, warning, info or debug, not \"loud\"\n"
      "f:15:1: bind wants a value\n"
      "f:16:1: unknown setting frobnicate; see: riposte-broker --print-config\n");
}

static void a_limit_that_had_another_name_is_refused_with_the_new_one (void **state)
{
    (void) state;
    s_refuses ("limits\n    peer_backlog_bytes = 1MiB\n    strangers = 5\n    guest_attempt = 1s\n",
      "f:2:5: limits/peer_backlog_bytes is called limits/connection_backlog_bytes now\n"
      "f:3:5: limits/strangers is called limits/pending_connections now\n"
      "f:4:5: limits/guest_attempt is called limits/foreign_attempt now\n");
}

static void a_setting_is_given_once (void **state)
{
    (void) state;
    s_refuses ("limits\n    max_clients = 7\n    max_clients = 8\n"
               "log\n    level = info\n    level = info\n",
      "f:3:5: limits/max_clients was set before, in line 2\n"
      "f:6:5: log/level was set before, in line 5\n");
}

static void settings_that_do_not_go_together_are_refused (void **state)
{
    (void) state;
    s_refuses ("limits\n    heartbeat_min = 2s\n    heartbeat_max = 1s\n",
      "f:2:21: limits/heartbeat_min (2s) must not be more than "
      "limits/heartbeat_max (1s)\n");
    s_refuses ("limits\n    total_queue = 10\n",
      "f:2:19: limits/service_queue (100000) must not be more than "
      "limits/total_queue (10)\n");
    s_refuses ("limits\n    total_queue_bytes = 1MiB\n    rejoin_grace = 2s\n",
      "f:2:25: limits/service_queue_bytes (256MiB) must not be more than "
      "limits/total_queue_bytes (1MiB)\n"
      "f:2:25: limits/max_body (16MiB) must not be more than half of "
      "limits/total_queue_bytes (1MiB): beyond it clients are cut off\n"
      "f:2:25: limits/connection_backlog_bytes (64MiB) must not be more than half of "
      "limits/total_queue_bytes (1MiB): beyond it clients are cut off\n"
      "f:3:20: limits/rejoin_grace wants 0 or more than 2s, the longest pause of a "
      "worker that reconnects\n");
    s_accepts ("limits\n    heartbeat_min = 1s\n    heartbeat_max = 1s\n    rejoin_grace = 0\n"
               "    service_queue = 10\n    total_queue = 10\n");
    s_accepts ("limits\n    rejoin_grace = 2001ms\n");
    // Half of total_queue_bytes must hold the largest reply, which waits there for its client.
    s_refuses ("limits\n    max_body = 64MiB\n    total_queue_bytes = 64MiB\n"
               "    service_queue_bytes = 64MiB\n    connection_backlog_bytes = 32MiB\n",
      "f:2:16: limits/max_body (64MiB) must not be more than half of "
      "limits/total_queue_bytes (64MiB): beyond it clients are cut off\n");
    s_refuses ("limits\n    total_queue_bytes = 64MiB\n    service_queue_bytes = 64MiB\n"
               "    connection_backlog_bytes = 33MiB\n",
      "f:4:32: limits/connection_backlog_bytes (33MiB) must not be more than half of "
      "limits/total_queue_bytes (64MiB): beyond it clients are cut off\n");
    s_accepts ("limits\n    max_body = 32MiB\n    total_queue_bytes = 64MiB\n"
               "    service_queue_bytes = 1MiB\n    connection_backlog_bytes = 32MiB\n");
}

static void an_endpoint_that_cannot_be_bound_is_refused (void **state)
{
    (void) state;
    static const char *const bad[] = {
      "udp://127.0.0.1:1", "127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "\"\""};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char text[128];
        rp_config_t config;
        snprintf (text, sizeof text, "bind = %s\n", bad[index]);
        if (s_read (&config, text) != 1 || strncmp (s_messages, "f:1:8: bind: \"", 14) != 0)
            fail_msg ("%s: %s", bad[index], s_messages);
        rp_config_clear (&config);
    }
    s_accepts ("bind = tcp://127.0.0.1:*\nbind = ipc:///tmp/x\n");
    s_refuses ("bind = tcp://127.0.0.1:1\nbind = tcp://127.0.0.1:1\n",
      "f:2:8: bind: \"tcp://127.0.0.1:1\" is there already\n");
    s_refuses ("bind = 'ipc:///tmp/a\"b'\n", "f:1:8: bind: \"ipc:///tmp/a\"b\" has a quote\n");
}

static void an_endpoint_that_others_reach_wants_a_key (void **state)
{
    (void) state;
    static const char *const open[] = {"bind = tcp://*:5555\n", "bind = tcp://10.0.0.1:5555\n",
      "bind = tcp://[::]:5555\n", "plain = a=tcp://127.0.0.1:1,tcp://*:2\n",
      "plain = a=tcp://*:1,tcp://127.0.0.1:2\n"};
    for (size_t index = 0; index < sizeof open / sizeof *open; index++) {
        char text[256];
        rp_config_t config;
        assert_int_equal (s_read (&config, open[index]), 1);
        assert_non_null (strstr (s_messages, "riposte keys new broker --dir K"));
        assert_non_null (strstr (s_messages, "--insecure"));
        rp_config_clear (&config);
        snprintf (text, sizeof text, "%ssecurity\n    insecure = 1\n", open[index]);
        s_accepts (text);
        snprintf (text, sizeof text, "%ssecurity\n    key_file = k\n    rules = r\n", open[index]);
        s_accepts (text);
    }
}

static void a_next_key_has_an_endpoint_of_its_own (void **state)
{
    (void) state;
    static const char *const bad[] = {"    next_key_file = n\n", "    next_bind = tcp://*:1\n",
      "    next_key_file = n\n    next_bind = nonsense\n",
      "    next_key_file = n\n    next_bind = ipc:///tmp/x\n"};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char text[256];
        rp_config_t config;
        snprintf (text, sizeof text, "security\n    key_file = k\n    rules = r\n%s", bad[index]);
        assert_int_equal (s_read (&config, text), 1);
        rp_config_clear (&config);
    }
    s_accepts ("security\n    key_file = k\n    rules = r\n    next_key_file = n\n    next_bind = "
               "tcp://*:1\n");
}

static void permissions_of_ipc_sockets_are_octal (void **state)
{
    (void) state;
    static const char *const bad[] = {"0680", "66", "06600", "rw-rw----", "1660"};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char text[64];
        rp_config_t config;
        snprintf (text, sizeof text, "security\n    ipc_mode = %s\n", bad[index]);
        assert_int_equal (s_read (&config, text), 1);
        rp_config_clear (&config);
    }
    rp_config_t config;
    assert_int_equal (s_read (&config, "security\n    ipc_mode = 0660\n"), 0);
    assert_int_equal (rp_config_ipc_mode (&config), 0660);
    rp_config_clear (&config);
    assert_int_equal (s_read (&config, "security\n    ipc_mode = 700\n"), 0);
    assert_int_equal (rp_config_ipc_mode (&config), 0700);
    rp_config_clear (&config);
}

static void spans_go_to_a_url_of_http (void **state)
{
    (void) state;
    static const char *const bad[][2] = {{"collector:4318/v1/traces", "is no URL"},
      {"http://h:99999/v1/traces", "is no URL"},
      {"grpc://h:4317/v1/traces", "wants http:// or https://"},
      {"http://h:4318", "wants a path; that of a collector is /v1/traces"},
      {"http://h:4318/", "wants a path"}, {"http://h?x=/v1/traces", "wants a path"},
      {"http://a@h/v1/traces", "must not have a user"},
      {"https://a:b@h/v1/traces", "must not have a user"},
      {"http://h/v1/traces#x", "must not have a fragment"}};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char text[128];
        rp_config_t config;
        snprintf (text, sizeof text, "otlp = \"%s\"\n", bad[index][0]);
        assert_int_equal (s_read (&config, text), 1);
        if (!strstr (s_messages, bad[index][1]))
            fail_msg ("%s: %s", bad[index][0], s_messages);
        rp_config_clear (&config);
    }
    s_accepts ("otlp = \"http://127.0.0.1:4318/v1/traces\"\n");
    s_accepts ("otlp = \"https://[::1]/x\"\n");
    s_accepts ("otlp = off\nlimits\n    trace_bytes = 0\n");
    s_refuses ("otlp = \"http://h/v1/traces\"\nlimits\n    trace_bytes = 0\n",
      "f:1:8: otlp needs limits/trace_bytes, since spans are made of traces\n");
}

static void endpoints_are_bounded_in_number (void **state)
{
    (void) state;
    char text[1024] = "";
    for (unsigned number = 0; number <= RP_CONFIG_BIND_MAX; number++)
        sprintf (text + strlen (text), "bind = tcp://127.0.0.1:%u\n", 7000 + number);
    s_refuses (text, "f:17:8: bind: \"tcp://127.0.0.1:7016\" is one endpoint too many\n");
}

static void a_plain_service_has_a_name_and_two_endpoints (void **state)
{
    (void) state;
    rp_config_t config;
    assert_int_equal (
      s_read (&config, "plain = \"hello=tcp://127.0.0.1:5559,tcp://127.0.0.1:5560\"\n"
                       "plain = 'a b=ipc:///tmp/a b,tcp://127.0.0.1:*'\n"),
      0);
    assert_int_equal (config.plain_count, 2);
    assert_string_equal (config.plain[0].service, "hello");
    assert_string_equal (config.plain[0].front, "tcp://127.0.0.1:5559");
    assert_string_equal (config.plain[0].back, "tcp://127.0.0.1:5560");
    assert_string_equal (config.plain[1].service, "a b");
    assert_string_equal (config.plain[1].front, "ipc:///tmp/a b");
    assert_string_equal (config.plain[1].back, "tcp://127.0.0.1:*");
    assert_int_equal (config.bind_count, 1); // the default stays
    rp_config_clear (&config);
    assert_int_equal (config.plain_count, 0);
}

static void a_plain_service_that_cannot_be_is_refused (void **state)
{
    (void) state;
    static const char form[] = "wants SERVICE=FRONTEND,BACKEND";
    static const struct {
        const char *value;
        const char *reason;
    } bad[] = {
      {"hello", form},
      {"hello=", form},
      {"hello=ipc:///a", form},
      {"hello=ipc:///a,ipc:///b,ipc:///c", form},
      {"=ipc:///a,ipc:///b",
        "cannot be: its service has no good name: 1 to 127 bytes without control characters"},
      {"mmi.x=ipc:///a,ipc:///b",
        "cannot be: its service has a name that belongs to the broker, as all that begin with "
        "riposte. or mmi. do"},
      {"riposte.x=ipc:///a,ipc:///b",
        "cannot be: its service has a name that belongs to the broker, as all that begin with "
        "riposte. or mmi. do"},
      {"x=nonsense,ipc:///b", "cannot be: its frontend does not begin with tcp:// or ipc://"},
      {"x=ipc:///a,", "cannot be: its backend does not begin with tcp:// or ipc://"},
      {"x=ipc:///a,tcp://h:0x1", "cannot be: its backend has a port that is not a number"},
      {"x=ipc:///a\"b,ipc:///c", "has a quote"},
      {"there=ipc:///a,ipc:///b", "cannot be: its service is there already"},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char text[256], message[256];
        snprintf (
          text, sizeof text, "plain = there=ipc:///1,ipc:///2\nplain = '%s'\n", bad[index].value);
        snprintf (message, sizeof message, "f:2:9: plain: \"%s\" %s\n", bad[index].value,
          bad[index].reason);
        s_refuses (text, message);
    }
    s_refuses ("plain\nplane = x\n", "f:1:1: plain wants a value\n"
                                     "f:2:1: unknown setting plane (did you mean plain?)\n");
}

static void plain_services_are_bounded_in_number (void **state)
{
    (void) state;
    char text[2048] = "";
    for (unsigned number = 0; number <= RP_CONFIG_PLAIN_MAX; number++)
        sprintf (
          text + strlen (text), "plain = s%u=ipc:///a%u,ipc:///b%u\n", number, number, number);
    s_refuses (text, "f:17:9: plain: \"s16=ipc:///a16,ipc:///b16\" cannot be: it is one plain "
                     "service too many\n");
}

static void plain_services_of_options_replace_those_of_the_file (void **state)
{
    (void) state;
    rp_config_t config;
    static const char file[] = "plain = one=ipc:///a,ipc:///b\n";
    rp_setting_given_t given[] = {
      {"plain", "--", "plain", "two=ipc:///c,ipc:///d"}, {"plain", "--", "plain", "x"}};
    rp_config_sources_t sources = {
      .name = "f", .text = file, .size = sizeof file - 1, .given = given};
    assert_true (rp_config_init (&config));
    s_reads (&config, &sources);
    assert_string_equal (config.plain[0].service, "one");
    sources.given_count = 1;
    s_reads (&config, &sources);
    assert_int_equal (config.plain_count, 1);
    assert_string_equal (config.plain[0].service, "two");
    sources.given_count = 2;
    size_t count = 0;
    s_messages[0] = '\0';
    assert_false (rp_config_read (&config, &sources, s_collect, &count));
    assert_string_equal (s_messages, "--plain: \"x\" wants SERVICE=FRONTEND,BACKEND\n");
    assert_int_equal (config.plain_count, 1);
    assert_string_equal (config.plain[0].service, "two");
    rp_config_clear (&config);
}

static char *s_lookup (const char *name)
{
    if (strcmp (name, "RIPOSTE_LIMITS_MAX_BODY") == 0)
        return (char *) "2MiB";
    return strcmp (name, "RIPOSTE_HISTORY") == 0 ? (char *) "/tmp/of the environment" : NULL;
}

static void an_option_beats_the_environment_which_beats_the_file (void **state)
{
    (void) state;
    rp_config_t config;
    static const char file[] = "history = /tmp/of-the-file\nports_file = /tmp/ports\n"
                               "limits\n    max_body = 1MiB\n    drain_limit = 1s\n";
    static const rp_setting_given_t given[] = {
      {"limits/", "--", "limit", "drain_limit=3s"},
      {"limits/drain_limit", "", "RIPOSTE_DRAIN_LIMIT", "2s"},
      {"limits/", "", "RIPOSTE_LIMIT", "max_body=3MiB"},
    };
    rp_config_sources_t sources = {.name = "f", .text = file, .size = sizeof file - 1};
    assert_true (rp_config_init (&config));
    assert_null (config.history);
    s_reads (&config, &sources);
    assert_string_equal (config.history, "/tmp/of-the-file");
    assert_string_equal (config.ports_file, "/tmp/ports");
    sources.lookup = s_lookup;
    s_reads (&config, &sources);
    assert_string_equal (config.history, "/tmp/of the environment");
    assert_int_equal (config.limits.max_body, 2 << 20);
    assert_int_equal (config.limits.drain_limit, 1000);
    sources.given = given;
    sources.given_count = sizeof given / sizeof *given;
    s_reads (&config, &sources);
    assert_int_equal (config.limits.max_body, 3 << 20);
    assert_int_equal (config.limits.drain_limit, 3000);
    rp_config_clear (&config);
}

static void settings_are_held_against_each_other_when_all_are_known (void **state)
{
    (void) state;
    rp_config_t config;
    static const char file[] = "limits\n    heartbeat_min = 20s\n    heartbeat_max = 10s\n";
    static const rp_setting_given_t mended = {"limits/", "--", "limit", "heartbeat_max=20s"};
    static const rp_setting_given_t broken = {"limits/", "--", "limit", "heartbeat_max=10s"};
    rp_config_sources_t sources = {
      .name = "f", .text = file, .size = sizeof file - 1, .given = &mended, .given_count = 1};
    assert_true (rp_config_init (&config));
    s_reads (&config, &sources);
    sources.given = &broken;
    sources.size = strlen ("limits\n    heartbeat_min = 20s\n");
    size_t count = 0;
    s_messages[0] = '\0';
    assert_false (rp_config_read (&config, &sources, s_collect, &count));
    assert_string_equal (s_messages, "--limit: limits/heartbeat_min (20s) must not be more than "
                                     "limits/heartbeat_max (10s)\n");
    rp_config_clear (&config);
}

static void values_that_could_not_be_read_are_not_compared (void **state)
{
    (void) state;
    // The default of service_queue is more than this total_queue.
    s_refuses ("limits\n    heartbeat_max = 100 parsecs\n    total_queue = 1\n",
      "f:2:21: limits/heartbeat_max wants a duration with a unit such as 250ms or 5s, "
      "not \"100 parsecs\"\n");
}

static void the_defaults_go_together (void **state)
{
    (void) state;
    rp_config_t config;
    assert_true (rp_config_init (&config));
    s_reads (&config, &(rp_config_sources_t){0});
    rp_config_clear (&config);
}

static void a_wrong_file_changes_nothing (void **state)
{
    (void) state;
    rp_config_t config;
    assert_true (s_read (&config, "bind = tcp://127.0.0.1:7001\n"
                                  "log\n    level = debug\n"
                                  "limits\n    max_clients = 7\n    max_workers = x\n")
                 > 0);
    assert_int_equal (config.bind_count, 1);
    assert_string_equal (config.bind[0], "tcp://127.0.0.1:5555");
    assert_int_equal (config.limits.max_clients, 100000);
    assert_int_equal (config.log_level, RP_LEVEL_INFO);
    rp_config_clear (&config);
}

static void messages_are_bounded_in_number (void **state)
{
    (void) state;
    char text[2048] = "";
    for (int line = 0; line < 200; line++)
        strcat (text, "x = 1\n");
    rp_config_t config;
    assert_int_equal (s_read (&config, text), RP_SETTINGS_ERRORS_MAX + 1);
    assert_non_null (strstr (s_messages, "\nf: more is wrong; correct what is above first\n"));
    rp_config_clear (&config);
}

static void what_is_printed_reads_back_to_the_same_settings (void **state)
{
    (void) state;
    rp_config_t config;
    assert_int_equal (s_read (&config, "bind = tcp://127.0.0.1:7001\n"
                                       "bind = \"ipc:///tmp/a b#c\"\n"
                                       "plain = \"a#b=ipc:///tmp/f,tcp://127.0.0.1:*\"\n"
                                       "history = '/tmp/a b#c'\n"
                                       "log\n    level = warning\n"
                                       "limits\n"
                                       "    max_body = 1025B\n"
                                       "    heartbeat_min = 1001ms\n"
                                       "    drain_limit = 24h\n"
                                       "    service_linger = 0\n"),
      0);
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream (&text, &size);
    assert_non_null (file);
    assert_true (rp_config_print (&config, file));
    fclose (file);

    rp_config_t again;
    if (s_read (&again, text) != 0)
        fail_msg ("%s%s", s_messages, text);
    assert_int_equal (again.bind_count, 2);
    assert_string_equal (again.bind[0], config.bind[0]);
    assert_string_equal (again.bind[1], config.bind[1]);
    assert_int_equal (again.plain_count, 1);
    assert_string_equal (again.plain[0].service, "a#b");
    assert_string_equal (again.plain[0].front, "ipc:///tmp/f");
    assert_string_equal (again.plain[0].back, "tcp://127.0.0.1:*");
    assert_int_equal (again.log_level, RP_LEVEL_WARNING);
    assert_string_equal (again.history, "/tmp/a b#c");
    assert_null (again.ports_file);
    assert_memory_equal (&again.limits, &config.limits, sizeof config.limits);

#define S_IS_PRINTED(kind, name, value, smallest, largest, applies, why)                           \
    assert_non_null (strstr (text, "    # " why "\n"));                                            \
    assert_non_null (strstr (text, "\n    " #name " = "));
    RP_BROKER_LIMIT_MAP (S_IS_PRINTED)
#undef S_IS_PRINTED
    assert_non_null (strstr (text, "    # 1KiB to 1GiB; source: file f:8\n    max_body = 1025B\n"));
    free (text);
    rp_config_clear (&again);
    rp_config_clear (&config);
}

static void a_printer_that_is_full_is_told (void **state)
{
    (void) state;
    rp_config_t config;
    assert_true (rp_config_init (&config));
    FILE *full = fopen ("/dev/full", "w");
    assert_non_null (full);
    assert_false (rp_config_print (&config, full));
    fclose (full);
    rp_config_clear (&config);
}

static void a_file_is_loaded_or_says_why_not (void **state)
{
    (void) state;
    char path[] = "/tmp/riposte-config-XXXXXX";
    int descriptor = mkstemp (path);
    assert_true (descriptor >= 0);
    static const char text[] = "limits\n    max_clients = 7\n";
    static const rp_config_sources_t nothing = {0};
    assert_int_equal (write (descriptor, text, sizeof text - 1), sizeof text - 1);

    rp_config_t config;
    size_t count = 0;
    s_messages[0] = '\0';
    assert_true (rp_config_init (&config));
    assert_true (rp_config_load (&config, path, &nothing, s_collect, &count));
    assert_int_equal (config.limits.max_clients, 7);

    assert_int_equal (ftruncate (descriptor, RP_CONFIG_FILE_MAX + 1), 0);
    assert_false (rp_config_load (&config, path, &nothing, s_collect, &count));
    assert_non_null (strstr (s_messages, ": larger than a configuration file can be\n"));
    close (descriptor);
    unlink (path);

    s_messages[0] = '\0';
    assert_false (rp_config_load (&config, "/nonexistent/broker.zpl", &nothing, s_collect, &count));
    assert_string_equal (
      s_messages, "/nonexistent/broker.zpl: cannot be read: No such file or directory\n");
    s_messages[0] = '\0';
    assert_false (rp_config_load (&config, "/tmp", &nothing, s_collect, &count));
    assert_string_equal (s_messages, "/tmp: cannot be read: Is a directory\n");
    rp_config_clear (&config);
}

static void a_restart_is_for_what_sockets_pools_and_the_start_depend_on (void **state)
{
    (void) state;
    static const char *const restart[] = {"bind", "plain", "history", "store", "ports_file", "http",
      "http_hosts", "http_open", "otlp", "io_threads", "security/key_file",
      "security/next_key_file", "security/next_bind", "security/insecure", "security/ipc_mode",
      "limits/max_body", "limits/max_clients", "limits/max_workers", "limits/max_services",
      "limits/max_conversations", "limits/stream_window", "limits/total_queue",
      "limits/connection_backlog", "limits/rejoin_grace", "limits/jobs", "limits/replay_bytes",
      "limits/trace_bytes"};
    size_t next = 0;
    for (size_t index = 0; index < rp_config_table.count; index++)
        if (!rp_config_table.rows[index].reloadable) {
            assert_true (next < sizeof restart / sizeof *restart);
            assert_string_equal (rp_config_table.rows[index].path, restart[next++]);
        }
    assert_int_equal (next, sizeof restart / sizeof *restart);
}

static void settings_of_two_sources_are_checked_together (void **state)
{
    (void) state;
    rp_config_t config;
    size_t count = 0;
    s_messages[0] = '\0';
    assert_true (rp_config_init (&config));
    rp_config_check (&config, s_collect, &count);
    assert_int_equal (count, 0);
    config.limits.total_queue_bytes = 16777216;
    rp_config_check (&config, s_collect, &count);
    assert_non_null (
      strstr (s_messages, "limits/max_body (16MiB) must not be more than half of "
                          "limits/total_queue_bytes (16MiB): beyond it clients are cut off\n"));
    rp_config_clear (&config);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (without_a_file_the_defaults_hold),
      cmocka_unit_test (a_file_sets_what_it_names_and_nothing_else),
      cmocka_unit_test (every_mistake_of_a_file_is_told_at_once),
      cmocka_unit_test (a_limit_that_had_another_name_is_refused_with_the_new_one),
      cmocka_unit_test (a_setting_is_given_once),
      cmocka_unit_test (settings_that_do_not_go_together_are_refused),
      cmocka_unit_test (an_endpoint_that_cannot_be_bound_is_refused),
      cmocka_unit_test (spans_go_to_a_url_of_http),
      cmocka_unit_test (endpoints_are_bounded_in_number),
      cmocka_unit_test (an_endpoint_that_others_reach_wants_a_key),
      cmocka_unit_test (a_next_key_has_an_endpoint_of_its_own),
      cmocka_unit_test (permissions_of_ipc_sockets_are_octal),
      cmocka_unit_test (a_plain_service_has_a_name_and_two_endpoints),
      cmocka_unit_test (a_plain_service_that_cannot_be_is_refused),
      cmocka_unit_test (plain_services_are_bounded_in_number),
      cmocka_unit_test (plain_services_of_options_replace_those_of_the_file),
      cmocka_unit_test (an_option_beats_the_environment_which_beats_the_file),
      cmocka_unit_test (settings_are_held_against_each_other_when_all_are_known),
      cmocka_unit_test (values_that_could_not_be_read_are_not_compared),
      cmocka_unit_test (the_defaults_go_together),
      cmocka_unit_test (a_wrong_file_changes_nothing),
      cmocka_unit_test (messages_are_bounded_in_number),
      cmocka_unit_test (what_is_printed_reads_back_to_the_same_settings),
      cmocka_unit_test (a_printer_that_is_full_is_told),
      cmocka_unit_test (a_file_is_loaded_or_says_why_not),
      cmocka_unit_test (a_restart_is_for_what_sockets_pools_and_the_start_depend_on),
      cmocka_unit_test (settings_of_two_sources_are_checked_together),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
