/*  ZAP: which handshakes are accepted, with requests such as libzmq's; and the sender of a message
    afterwards.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "broker/auth/admission.h"
#include "broker/auth/zap.h"
#include "broker/receive.h"
#include "common/io/certificate.h"
#include "common/io/socket.h"
#include "tests/support/broker.h"

#define S_BOUND_MS 10000

typedef struct {
    void *context;
    void *asker; /* a DEALER in the place of libzmq */
    rp_zap_t *zap;
    rp_credentials_t *credentials;
    rp_certificate_t ada; /* may serve "upper" */
    rp_certificate_t bob; /* may call only */
    rp_certificate_t eve; /* is not authorized */
    char folder[64];
} s_world_t;

typedef struct {
    size_t count;
    char frames[6][128]; /* NUL-terminated */
    size_t sizes[6];
} s_answer_t;

static s_world_t s_world;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static void s_fail_of (const char *message, void *arg)
{
    (void) arg;
    fail_msg ("%s", message);
}

static const char *s_path (const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf (path, sizeof paths[0], "%s/%s", s_world.folder, name);
    return path;
}

/*  Makes a certificate, and writes it to a file if there is a place.  */
static rp_certificate_t s_new_key (const char *principal, const char *place, bool secret)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t certificate;
    assert_true (rp_certificate_new (&certificate));
    snprintf (certificate.principal, sizeof certificate.principal, "%s", principal);
    if (place)
        assert_true (rp_certificate_save (&certificate, s_path (place), secret, reason));
    return certificate;
}

static rp_credentials_t *s_load (void)
{
    const char *key_file = s_path ("broker.key_secret");
    const char *rules = s_path ("rules");
    rp_credentials_t *credentials = rp_credentials_load (
      &(rp_credentials_files_t){.key_file = key_file, .rules = rules}, 0, s_fail_of, NULL);
    assert_non_null (credentials);
    return credentials;
}

static int s_set_up (void **state)
{
    static const char rules[] =
      "principal = \"ada\"\n    serve = \"upper\"\nprincipal = \"bob\"\n    call = \"upper\"\n";
    static const int no_linger = 0;
    (void) state;
    memset (&s_world, 0, sizeof s_world);
    strcpy (s_world.folder, "/tmp/riposte-zap-XXXXXX");
    assert_non_null (mkdtemp (s_world.folder));
    assert_int_equal (mkdir (s_path ("authorized"), 0700), 0);
    (void) s_new_key ("", "broker.key_secret", true);
    s_world.ada = s_new_key ("ada", "authorized/ada.key", false);
    s_world.bob = s_new_key ("bob", "authorized/bob.key", false);
    s_world.eve = s_new_key ("eve", NULL, false);
    FILE *file = fopen (s_path ("rules"), "w");
    assert_non_null (file);
    assert_true (fputs (rules, file) >= 0);
    assert_int_equal (fclose (file), 0);
    s_world.credentials = s_load ();
    s_world.context = zmq_ctx_new ();
    s_world.zap = rp_zap_new (s_world.context, s_world.credentials);
    assert_non_null (s_world.zap);
    s_world.asker = zmq_socket (s_world.context, ZMQ_DEALER);
    zmq_setsockopt (s_world.asker, ZMQ_LINGER, &no_linger, sizeof no_linger);
    assert_int_equal (zmq_connect (s_world.asker, "inproc://zeromq.zap.01"), 0);
    return 0;
}

static int s_tear_down (void **state)
{
    char command[128];
    (void) state;
    zmq_close (s_world.asker);
    rp_zap_destroy (&s_world.zap);
    rp_credentials_release (&s_world.credentials);
    assert_int_equal (zmq_ctx_term (s_world.context), 0);
    snprintf (command, sizeof command, "rm -r %s", s_world.folder);
    return system (command);
}

typedef struct {
    const char *version;
    const char *domain;
    const char *mechanism;
    const uint8_t *key;
    size_t key_size;
    size_t more; /* additional frames */
    size_t less; /* missing frames */
} s_request_t;

static void s_send (const void *data, size_t size, bool more)
{
    assert_int_equal (zmq_send (s_world.asker, data, size, more ? ZMQ_SNDMORE : 0), (int) size);
}

static void s_ask (const s_request_t *request)
{
    static const char peer[] = "127.0.0.1";
    const struct {
        const void *data;
        size_t size;
    } frames[] = {
      {request->version, strlen (request->version)},
      {"7", 1},
      {request->domain, strlen (request->domain)},
      {peer, strlen (peer)},
      {"", 0},
      {request->mechanism, strlen (request->mechanism)},
      {request->key, request->key_size},
    };
    const size_t count = sizeof frames / sizeof *frames - request->less;
    s_send ("", 0, true);
    for (size_t index = 0; index < count; index++)
        s_send (frames[index].data, frames[index].size, index + 1 < count + request->more);
    for (size_t index = 0; index < request->more; index++)
        s_send ("more", 4, index + 1 < request->more);
}

static s_answer_t s_receive (void)
{
    static const int bound = S_BOUND_MS;
    s_answer_t answer = {0};
    char delimiter[8];
    int more = 1;
    size_t size = sizeof more;
    zmq_setsockopt (s_world.asker, ZMQ_RCVTIMEO, &bound, sizeof bound);
    assert_int_equal (zmq_recv (s_world.asker, delimiter, sizeof delimiter, 0), 0);
    while (more) {
        assert_in_range (answer.count, 0, 5);
        int got = zmq_recv (
          s_world.asker, answer.frames[answer.count], sizeof answer.frames[0] - 1, ZMQ_DONTWAIT);
        assert_in_range (got, 0, sizeof answer.frames[0] - 1);
        answer.sizes[answer.count++] = (size_t) got;
        assert_int_equal (zmq_getsockopt (s_world.asker, ZMQ_RCVMORE, &more, &size), 0);
    }
    assert_int_equal (answer.count, 6);
    assert_string_equal (answer.frames[0], "1.0");
    return answer;
}

/*  Returns libzmq's request for a peer with this key.  */
static s_request_t s_with (const rp_certificate_t *certificate)
{
    return (s_request_t){.version = "1.0",
      .domain = RP_ZAP_DOMAIN,
      .mechanism = "CURVE",
      .key = certificate->public_key,
      .key_size = RP_KEY_SIZE};
}

static void s_expect_refusal (const s_request_t *request)
{
    s_ask (request);
    s_answer_t answer = s_receive ();
    assert_string_equal (answer.frames[2], "400");
    assert_int_equal (answer.sizes[4], 0);
    assert_int_equal (answer.sizes[5], 0);
}

static void s_expect_entry (const s_request_t *request, const char *principal)
{
    s_ask (request);
    s_answer_t answer = s_receive ();
    assert_string_equal (answer.frames[2], "200");
    assert_string_equal (answer.frames[4], principal);
}

/*  ---- Tests ----------------------------------------------------------------------------------- */

static void an_authorized_key_is_answered_with_its_principal_and_itself (void **state)
{
    char text[RP_KEY_TEXT];
    (void) state;
    s_request_t request = s_with (&s_world.ada);
    s_ask (&request);
    s_answer_t answer = s_receive ();
    assert_string_equal (answer.frames[1], "7");
    assert_string_equal (answer.frames[2], "200");
    assert_string_equal (answer.frames[4], "ada");
    rp_key_format (s_world.ada.public_key, text);
    const char *metadata = answer.frames[5];
    assert_int_equal (answer.sizes[5], 1 + 13 + 4 + 40);
    assert_int_equal (metadata[0], 13);
    assert_memory_equal (metadata + 1, "X-Riposte-Key", 13);
    assert_memory_equal (metadata + 14, "\0\0\0\50", 4); // RFC 23: 4 bytes, network order
    assert_memory_equal (metadata + 18, text, 40);
}

static void an_unknown_key_is_refused (void **state)
{
    (void) state;
    s_request_t request = s_with (&s_world.eve);
    s_expect_refusal (&request);
}

static void nothing_but_curve_of_the_brokers_own_domains_comes_in (void **state)
{
    (void) state;
    s_request_t request = s_with (&s_world.ada);
    static const char *const mechanisms[] = {"NULL", "PLAIN", "GSSAPI", "curve", ""};
    static const char *const domains[] = {
      "", "global", "riposte:", "riposte:call:upper", "Riposte"};
    for (size_t index = 0; index < 5; index++) {
        request.mechanism = mechanisms[index];
        s_expect_refusal (&request);
    }
    request.mechanism = "CURVE";
    for (size_t index = 0; index < 5; index++) {
        request.domain = domains[index];
        s_expect_refusal (&request);
    }
    request.domain = RP_ZAP_DOMAIN;
    request.version = "2.0";
    s_expect_refusal (&request);
    request.version = "1.0";
    s_expect_entry (&request, "ada");
}

static void a_rep_worker_needs_a_rule_to_serve (void **state)
{
    (void) state;
    s_request_t ada = s_with (&s_world.ada);
    s_request_t bob = s_with (&s_world.bob);
    ada.domain = bob.domain = RP_ZAP_SERVE "upper";
    s_expect_entry (&ada, "ada");
    s_expect_refusal (&bob);
    ada.domain = RP_ZAP_SERVE "lower";
    s_expect_refusal (&ada);
}

static void a_malformed_request_is_refused_and_the_next_one_answered (void **state)
{
    static uint8_t large[100000]; // begins with a good key
    (void) state;
    s_request_t good = s_with (&s_world.ada);
    memcpy (large, s_world.ada.public_key, RP_KEY_SIZE);
    for (size_t less = 0; less < 7; less++) {
        s_request_t request = good;
        request.less = less;
        request.more = less == 0; // one too many
        s_expect_refusal (&request);
        s_expect_entry (&good, "ada");
    }
    s_request_t request = good;
    request.more = 1000;
    s_expect_refusal (&request);
    static const size_t sizes[] = {0, 31, 33, 255, 256, sizeof large};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        request = good;
        request.key = large;
        request.key_size = sizes[index];
        s_expect_refusal (&request);
    }
    s_send ("no delimiter", 12, false); // not from a REQ socket, so not answered
    s_expect_entry (&good, "ada");
}

static void other_credentials_hold_from_the_next_handshake_on (void **state)
{
    (void) state;
    s_request_t ada = s_with (&s_world.ada);
    s_request_t bob = s_with (&s_world.bob);
    s_expect_entry (&ada, "ada");
    assert_int_equal (unlink (s_path ("authorized/ada.key")), 0);
    s_expect_entry (&ada, "ada"); // the directory was not read again
    rp_credentials_t *without = s_load ();
    rp_zap_change (s_world.zap, without);
    rp_credentials_release (&without); // the thread keeps it
    s_expect_refusal (&ada);
    s_expect_entry (&bob, "bob");
}

static void handshakes_are_counted (void **state)
{
    (void) state;
    s_request_t ada = s_with (&s_world.ada);
    s_request_t eve = s_with (&s_world.eve);
    s_expect_entry (&ada, "ada");
    s_expect_refusal (&eve);
    s_expect_refusal (&eve);
    s_expect_entry (&ada, "ada"); // its answer shows that the earlier ones are counted
    rp_zap_counts_t counts = rp_zap_counts (s_world.zap);
    assert_in_range (counts.accepted, 1, 2);
    assert_int_equal (counts.refused, 2);
}

/*  True if a thread of this process blocks the signals that a broker handles.  */
static bool s_blocks_signals (const char *thread)
{
    char path[64];
    char line[256];
    unsigned long long blocked = 0;
    snprintf (path, sizeof path, "/proc/self/task/%.20s/status", thread);
    FILE *file = fopen (path, "r");
    if (!file)
        return true; // it has ended
    while (fgets (line, sizeof line, file))
        if (sscanf (line, "SigBlk: %llx", &blocked) == 1)
            break;
    (void) fclose (file);
    return blocked >> (SIGHUP - 1) & blocked >> (SIGINT - 1) & blocked >> (SIGTERM - 1) & 1;
}

/*  True if all threads but this one block them.  */
static bool s_all_block_signals (void)
{
    char own[24];
    snprintf (own, sizeof own, "%ld", (long) getpid ());
    DIR *threads = opendir ("/proc/self/task");
    assert_non_null (threads);
    bool all = true;
    const struct dirent *thread;
    while ((thread = readdir (threads)))
        if (*thread->d_name != '.' && strcmp (thread->d_name, own) != 0)
            all = all && s_blocks_signals (thread->d_name);
    (void) closedir (threads);
    return all;
}

/*  libzmq's threads block signals only a moment after they have started.  */
static void its_thread_takes_no_signals (void **state)
{
    (void) state;
    for (int wait = 0; wait < S_BOUND_MS && !s_all_block_signals (); wait++)
        usleep (1000);
    assert_true (s_all_block_signals ());
}

/*  ---- The sender of a message ---------------------------------------------------------------- */

/*  The part of the broker that receives from one listener with CURVE.  */
typedef struct {
    rp_listener_t listener;
    rp_admission_t admission;
    rp_connections_t connections;
    rp_message_pool_t pool;
    rp_limits_t limits;
    rp_log_t log;
    rp_receive_t receive;
    void *client; /* with ada's key */
} s_door_t;

static void s_connect_client (s_door_t *self)
{
    static const int no_linger = 0;
    char endpoint[128];
    size_t size = sizeof endpoint;
    const rp_certificate_t *own = rp_credentials_own (s_world.credentials);
    rp_curve_t keys = {0};
    memcpy (keys.public_key, s_world.ada.public_key, RP_KEY_SIZE);
    memcpy (keys.secret_key, s_world.ada.secret_key, RP_KEY_SIZE);
    memcpy (keys.server_key, own->public_key, RP_KEY_SIZE);
    assert_int_equal (zmq_bind (self->listener.socket, "tcp://127.0.0.1:*"), 0);
    assert_int_equal (
      zmq_getsockopt (self->listener.socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    self->client = zmq_socket (s_world.context, ZMQ_DEALER);
    zmq_setsockopt (self->client, ZMQ_LINGER, &no_linger, sizeof no_linger);
    assert_int_equal (rp_socket_use_curve (self->client, &keys), 0);
    assert_int_equal (zmq_connect (self->client, endpoint), 0);
}

static void s_open_door (s_door_t *self)
{
    *self = (s_door_t){.limits = test_broker_limits ()};
    const rp_socket_security_t security = {
      .secret_key = rp_credentials_own (s_world.credentials)->secret_key, .domain = RP_ZAP_DOMAIN};
    assert_true (rp_listener_open (
      &self->listener, s_world.context, RP_LISTENER_OPEN, 0, "", 1 << 20, 1000, &security));
    self->admission.credentials = rp_credentials_hold (s_world.credentials);
    rp_table_init (&self->admission.names);
    rp_connections_init (&self->connections,
      &(rp_connections_options_t){.seed = 1, .handshake = 3000000, .pending = 1000000});
    rp_log_init (&self->log, STDERR_FILENO, RP_LEVEL_WARNING);
    rp_receive_init (&self->receive);
    self->receive.connections = &self->connections;
    self->receive.admission = &self->admission;
    self->receive.pool = &self->pool;
    self->receive.limits = &self->limits;
    self->receive.log = &self->log;
    s_connect_client (self);
}

static void s_close_door (s_door_t *self)
{
    zmq_close (self->client);
    rp_listener_close (&self->listener, 0);
    rp_receive_clear (&self->receive);
    rp_connections_clear (&self->connections);
    rp_message_pool_clear (&self->pool);
    rp_admission_clear (&self->admission);
    rp_log_clear (&self->log);
}

/*  Receives a HELLO of ada; returns its principal. polled: polls the socket first.  */
static const char *s_principal_of_hello (bool polled)
{
    s_door_t door;
    char hello[128];
    s_open_door (&door);
    rp_head_t head = {.command = RP_COMMAND_HELLO, .time = 1000, .key = "ada", .key_size = 3};
    size_t size = rp_wire_size (&head);
    rp_wire_encode (&head, hello, size);
    assert_int_equal (zmq_send (door.client, hello, size, 0), (int) size);
    zmq_pollitem_t item = {.socket = door.listener.socket, .events = ZMQ_POLLIN};
    if (polled)
        assert_int_equal (zmq_poll (&item, 1, S_BOUND_MS), 1);
    rp_receive_result_t result = RP_RECEIVE_NOTHING;
    for (int wait = 0; wait < S_BOUND_MS && result == RP_RECEIVE_NOTHING; wait++) {
        result = rp_receive_next (&door.receive, &door.listener, 0);
        if (result == RP_RECEIVE_NOTHING)
            usleep (1000);
    }
    bool came = result == RP_RECEIVE_EVENT && door.receive.head.command == RP_COMMAND_HELLO;
    static char principal[RP_PRINCIPAL_MAX + 1];
    const char *found = came ? door.receive.event.principal : NULL;
    snprintf (principal, sizeof principal, "%s", found ? found : "nobody");
    rp_message_t *message = came ? rp_outbox_message (door.receive.event.payload) : NULL;
    rp_message_destroy (&door.pool, &message);
    s_close_door (&door);
    return principal;
}

static void the_sender_is_the_principal_of_its_key (void **state)
{
    (void) state;
    assert_string_equal (s_principal_of_hello (false), "ada");
}

/*  After a poll libzmq 4.3.4 gives the frame with the routing id no properties.  */
static void the_sender_is_known_if_its_message_was_waited_for (void **state)
{
    (void) state;
    assert_string_equal (s_principal_of_hello (true), "ada");
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (an_authorized_key_is_answered_with_its_principal_and_itself),
      S_TEST (an_unknown_key_is_refused),
      S_TEST (nothing_but_curve_of_the_brokers_own_domains_comes_in),
      S_TEST (a_rep_worker_needs_a_rule_to_serve),
      S_TEST (a_malformed_request_is_refused_and_the_next_one_answered),
      S_TEST (other_credentials_hold_from_the_next_handshake_on),
      S_TEST (handshakes_are_counted),
      S_TEST (its_thread_takes_no_signals),
      S_TEST (the_sender_is_the_principal_of_its_key),
      S_TEST (the_sender_is_known_if_its_message_was_waited_for),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
