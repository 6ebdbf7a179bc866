/*  The sender of each message, with real sockets and keys. The test replaces the core, so that
    other peers act between two messages at a known moment.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/receive.h"
#include "broker/server.h"
#include "common/io/clock.h"
#include "common/io/socket.h"
#include "tests/support/broker.h"

#define BOUND_US INT64_C (10000000)

typedef struct {
    char directory[64];
    char local[160]; /* the ipc endpoint */
    char endpoint[128];
    rp_certificate_t own;
    rp_certificate_t ada;
    rp_certificate_t bob;
    void *context;
    rp_listener_t listener;
    rp_admission_t admission;
    rp_connections_t connections;
    rp_foreign_t foreign;
    rp_message_pool_t pool;
    rp_limits_t limits;
    rp_log_t log;
    rp_receive_t receive;
} s_world_t;

/*  A sender: a DEALER in a context of its own.  */
typedef struct {
    void *context;
    void *socket;
} s_peer_t;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static const char *s_path (const s_world_t *world, const char *name)
{
    static char path[128];
    snprintf (path, sizeof path, "%s/%s", world->directory, name);
    return path;
}

static void s_save (
  s_world_t *world, rp_certificate_t *certificate, const char *name, const char *principal)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    bool secret = *principal == '\0';
    assert_true (rp_certificate_new (certificate));
    snprintf (certificate->principal, sizeof certificate->principal, "%s", principal);
    if (!rp_certificate_save (certificate, s_path (world, name), secret, reason))
        fail_msg ("%s", reason);
}

static void s_complain (const char *message, void *arg)
{
    (void) arg;
    print_error ("%s\n", message);
}

static rp_credentials_t *s_load (const s_world_t *world, bool with_keys)
{
    char key_file[128];
    char rules[128];
    snprintf (key_file, sizeof key_file, "%s", s_path (world, "broker.key_secret"));
    snprintf (rules, sizeof rules, "%s", s_path (world, "rules"));
    rp_credentials_t *credentials = rp_credentials_load (
      &(rp_credentials_files_t){.key_file = with_keys ? key_file : NULL, .rules = rules},
      rp_clock_us () / 1000000, s_complain, NULL);
    assert_non_null (credentials);
    return credentials;
}

static void s_write_rules (const s_world_t *world)
{
    FILE *file = fopen (s_path (world, "rules"), "w");
    assert_non_null (file);
    fputs ("principal = \"ada\"\n    call = \"*\"\n    serve = \"upper\"\n"
           "principal = \"bob\"\n    call = \"little\"\n",
      file);
    assert_int_equal (fclose (file), 0);
}

static void s_write_files (s_world_t *world)
{
    strcpy (world->directory, "/tmp/riposte-senders-XXXXXX");
    assert_non_null (mkdtemp (world->directory));
    assert_int_equal (chmod (world->directory, 0755), 0); // another user must reach the ipc socket
    assert_int_equal (mkdir (s_path (world, "authorized"), 0700), 0);
    s_save (world, &world->own, "broker.key_secret", "");
    s_save (world, &world->ada, "authorized/ada.key", "ada");
    s_save (world, &world->bob, "authorized/bob.key", "bob");
    s_write_rules (world);
}

static void s_bind (s_world_t *world, const char *endpoint)
{
    size_t size = sizeof world->endpoint;
    assert_int_equal (zmq_bind (world->listener.socket, endpoint), 0);
    assert_int_equal (
      zmq_getsockopt (world->listener.socket, ZMQ_LAST_ENDPOINT, world->endpoint, &size), 0);
}

static void s_open (s_world_t *world, bool secure)
{
    const rp_socket_security_t security = {world->own.secret_key, RP_ZAP_DOMAIN};
    rp_credentials_t *credentials = s_load (world, secure);
    world->context = zmq_ctx_new ();
    world->limits = test_broker_limits ();
    rp_log_init (&world->log, STDERR_FILENO, RP_LEVEL_ERROR);
    rp_connections_init (&world->connections,
      &(rp_connections_options_t){
        .seed = 1, .handshake = BOUND_US, .pending = BOUND_US, .pending_free = 100});
    rp_foreign_init (&world->foreign, &world->pool, &world->limits, 1);
    assert_true (rp_admission_init (&world->admission, world->context, credentials));
    rp_credentials_release (&credentials);
    assert_true (rp_listener_open (&world->listener, world->context, RP_LISTENER_OPEN, 0, "",
      1 << 20, 1000, secure ? &security : NULL));
    rp_receive_init (&world->receive);
    world->receive.connections = &world->connections;
    world->receive.admission = &world->admission;
    world->receive.foreign = &world->foreign;
    world->receive.pool = &world->pool;
    world->receive.limits = &world->limits;
    world->receive.log = &world->log;
    s_bind (world, "tcp://127.0.0.1:*");
}

static int s_set_up (void **state)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    s_write_files (&world);
    *state = &world;
    return 0;
}

static int s_tear_down (void **state)
{
    static const char *const files[] = {"authorized/ada.key", "authorized/bob.key", "authorized",
      "broker.key_secret", "rules", "ipc"};
    s_world_t *world = *state;
    if (world->context) {
        rp_message_t *last = rp_outbox_message (world->receive.event.payload);
        rp_message_destroy (&world->pool, &last);
        rp_receive_clear (&world->receive);
        rp_foreign_clear (&world->foreign);
        rp_connections_clear (&world->connections);
        rp_message_pool_clear (&world->pool);
        rp_listener_close (&world->listener, 0);
        rp_admission_clear (&world->admission);
        zmq_ctx_term (world->context);
        rp_log_clear (&world->log);
    }
    for (size_t index = 0; index < sizeof files / sizeof *files; index++)
        (void) remove (s_path (world, files[index]));
    return rmdir (world->directory);
}

/*  The number of open descriptors of this process.  */
static int s_descriptors (void)
{
    int count = 0;
    DIR *directory = opendir ("/proc/self/fd");
    assert_non_null (directory);
    while (readdir (directory))
        count++;
    closedir (directory);
    return count;
}

static void s_await_descriptors (int count)
{
    int64_t limit = rp_clock_us () + BOUND_US;
    while (s_descriptors () != count) {
        assert_true (rp_clock_us () < limit);
        usleep (1000);
    }
}

static void s_await_handshakes (const s_world_t *world, uint64_t count)
{
    int64_t limit = rp_clock_us () + BOUND_US;
    while (rp_zap_counts (world->admission.zap).accepted < count) {
        assert_true (rp_clock_us () < limit);
        usleep (1000);
    }
}

/*  Makes a peer that is not connected yet. keys: NULL for no CURVE.  */
static s_peer_t s_open_peer (const s_world_t *world, int type, const rp_certificate_t *keys)
{
    s_peer_t peer = {.context = zmq_ctx_new ()};
    peer.socket = zmq_socket (peer.context, type);
    assert_non_null (peer.socket);
    if (keys) {
        rp_curve_t curve = {.has_pair = true, .has_server = true};
        memcpy (curve.public_key, keys->public_key, sizeof curve.public_key);
        memcpy (curve.secret_key, keys->secret_key, sizeof curve.secret_key);
        memcpy (curve.server_key, world->own.public_key, sizeof curve.server_key);
        assert_int_equal (rp_socket_use_curve (peer.socket, &curve), 0);
    }
    return peer;
}

/*  Makes a connected peer. routing_id: NULL for the one that libzmq draws.  */
static s_peer_t s_connect (const s_world_t *world,
  const char *endpoint,
  const rp_certificate_t *keys,
  const char *routing_id)
{
    s_peer_t peer = s_open_peer (world, ZMQ_DEALER, keys);
    if (routing_id)
        zmq_setsockopt (peer.socket, ZMQ_ROUTING_ID, routing_id, strlen (routing_id));
    assert_int_equal (zmq_connect (peer.socket, endpoint), 0);
    return peer;
}

static void s_say (const s_peer_t *peer, const rp_head_t *head)
{
    uint8_t frame[256];
    size_t size = rp_wire_encode (head, frame, sizeof frame);
    assert_int_equal (zmq_send (peer->socket, frame, size, 0), (int) size);
}

static void s_say_hello (const s_peer_t *peer)
{
    s_say (peer, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 1000});
}

static void s_request (const s_peer_t *peer)
{
    s_say (peer, &(rp_head_t){.command = RP_COMMAND_REQUEST,
                   .id = 1,
                   .name = "pay",
                   .name_size = 3,
                   .deadline_ms = 1000});
}

/*  Closes a peer after its messages are sent.  */
static void s_leave (s_peer_t *peer)
{
    zmq_close (peer->socket);
    zmq_ctx_term (peer->context);
}

/*  Drops the message of the last event, as the core would.  */
static void s_drop_last (s_world_t *world)
{
    rp_message_t *last = rp_outbox_message (world->receive.event.payload);
    rp_message_destroy (&world->pool, &last);
    world->receive.event.payload = NULL;
}

/*  Receives one message.  */
static rp_receive_result_t s_next (s_world_t *world)
{
    s_drop_last (world);
    int64_t limit = rp_clock_us () + BOUND_US;
    rp_receive_result_t result;
    while ((result = rp_receive_next (&world->receive, &world->listener, rp_clock_us ()))
           == RP_RECEIVE_NOTHING) {
        assert_true (rp_clock_us () < limit);
        usleep (1000);
    }
    return result;
}

/*  Receives a HELLO, and admits its sender as the core does. Returns the principal.  */
static const char *s_admit (s_world_t *world, uint32_t number)
{
    assert_int_equal (s_next (world), RP_RECEIVE_EVENT);
    assert_int_equal (world->receive.event.kind, RP_EVENT_MESSAGE);
    assert_int_equal (world->receive.event.head->command, RP_COMMAND_HELLO);
    const rp_sender_t *sender = &world->receive.sender;
    assert_true (
      rp_connections_bind (&world->connections, (rp_session_id_t){UINT64_C (1) << 32 | number},
        sender->routing_id, sender->size, sender->connection, false, rp_clock_us ()));
    return world->receive.event.principal;
}

/*  Waits until libzmq no longer uses a routing id.  */
static void s_await_free (const s_world_t *world, const char *routing_id)
{
    int64_t limit = rp_clock_us () + BOUND_US;
    void *socket = world->listener.socket;
    while (zmq_send (socket, routing_id, strlen (routing_id), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
        (void) zmq_send (socket, "", 0, ZMQ_DONTWAIT);
        assert_true (rp_clock_us () < limit);
        usleep (1000);
    }
    assert_int_equal (errno, EHOSTUNREACH);
}

/*  ---- Descriptors ----------------------------------------------------------------------------- */

static void s_a_descriptor_that_was_anothers_gives_nobody_that_name (void **state)
{
    s_world_t *world = *state;
    s_open (world, true);
    int before = s_descriptors ();
    s_peer_t ada = s_connect (world, world->endpoint, &world->ada, NULL);
    s_say_hello (&ada);
    s_leave (&ada);
    s_await_descriptors (before); // ada's message is still unread
    s_peer_t bob = s_connect (world, world->endpoint, &world->bob, NULL);
    s_await_handshakes (world, 2);
    assert_string_equal (s_admit (world, 1), "ada");
    const rp_connection_t *connection = world->receive.sender.connection;
    assert_true (rp_connection_stands (connection)); // its descriptor is bob's now
    s_say_hello (&bob);
    if (s_next (world) == RP_RECEIVE_EVENT)
        assert_string_equal (world->receive.event.principal, "bob");
    s_leave (&bob);
}

/*  Connects over ipc as this user, sends a HELLO, and leaves.  */
static void s_say_as (const s_world_t *world, uid_t user)
{
    int status;
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        if (setuid (user) != 0)
            _exit (1);
        s_peer_t peer = s_connect (world, world->local, NULL, NULL);
        s_say_hello (&peer);
        s_leave (&peer);
        _exit (0);
    }
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
}

static void s_a_user_of_this_machine_is_who_sent_it_not_who_has_its_descriptor_now (void **state)
{
    s_world_t *world = *state;
    if (geteuid () != 0)
        skip ();
    s_open (world, false);
    snprintf (world->local, sizeof world->local, "ipc://%s", s_path (world, "ipc"));
    s_bind (world, world->local);
    assert_int_equal (chmod (s_path (world, "ipc"), 0777), 0);
    int before = s_descriptors ();
    s_say_as (world, 65534);
    s_await_descriptors (before);
    s_peer_t own = s_connect (world, world->local, NULL, NULL);
    s_say_hello (&own);
    int64_t limit = rp_clock_us () + BOUND_US;
    while (s_descriptors () < before + 3)
        assert_true (rp_clock_us () < limit);
    for (unsigned count = 0; count < 2; count++) {
        if (s_next (world) != RP_RECEIVE_EVENT)
            continue;
        bool first = world->receive.source.size > 0 && count == 0;
        assert_string_equal (world->receive.event.principal, first ? "uid:65534" : "uid:0");
    }
    s_leave (&own);
}

/*  ---- Revocation ------------------------------------------------------------------------------ */

static void s_what_a_revoked_key_had_sent_begins_no_session (void **state)
{
    s_world_t *world = *state;
    s_open (world, true);
    s_peer_t ada = s_connect (world, world->endpoint, &world->ada, NULL);
    s_say_hello (&ada);
    assert_string_equal (s_admit (world, 1), "ada");
    s_say_hello (&ada);
    assert_int_equal (remove (s_path (world, "authorized/ada.key")), 0);
    rp_credentials_t *credentials = s_load (world, true);
    rp_admission_change (&world->admission, credentials);
    rp_credentials_release (&credentials);
    rp_connections_unbind (&world->connections, (rp_session_id_t){UINT64_C (1) << 32 | 1},
      RP_UNBIND_TOLD, rp_clock_us ());
    assert_int_equal (s_next (world), RP_RECEIVE_SKIPPED);
    s_leave (&ada);
}

/*  Waits for an event of a peer's own socket.  */
static void s_await_event (void *monitor, int event)
{
    uint32_t value;
    int64_t limit = rp_clock_us () + BOUND_US;
    while (rp_socket_next_event (monitor, &value) != event) {
        if (rp_clock_us () >= limit)
            fail_msg ("event %x did not come", (unsigned) event);
        usleep (1000);
    }
}

/*  A REP worker sends nothing unasked, so no later message shows that its key was revoked.  */
static void s_a_worker_that_came_in_before_its_key_was_revoked_is_cut (void **state)
{
    s_world_t *world = *state;
    rp_credentials_t *credentials = s_load (world, true);
    rp_server_t *server = rp_server_new (&(rp_server_options_t){.limits = test_broker_limits (),
      .log_level = RP_LEVEL_ERROR,
      .log = STDERR_FILENO,
      .signals = -1,
      .credentials = credentials});
    rp_credentials_release (&credentials);
    assert_non_null (server);
    assert_int_equal (
      rp_server_bind_plain (server, "upper", RP_PLAIN_BACK, "tcp://127.0.0.1:*"), 0);
    s_peer_t worker = s_open_peer (world, ZMQ_REP, &world->ada);
    void *monitor = rp_socket_monitor (worker.context, worker.socket, ZMQ_EVENT_ALL, 1);
    assert_int_equal (zmq_connect (worker.socket, rp_server_endpoint (server, 0)), 0);
    s_await_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_int_equal (remove (s_path (world, "authorized/ada.key")), 0);
    credentials = s_load (world, true);
    rp_server_set_credentials (
      server, credentials, rp_clock_us ()); // it has not read the event of accept
    rp_credentials_release (&credentials);
    s_await_event (monitor, ZMQ_EVENT_DISCONNECTED);
    zmq_close (monitor);
    s_leave (&worker);
    rp_server_destroy (&server);
}

/*  ---- Routing ids ----------------------------------------------------------------------------- */

static void s_a_chosen_routing_id_is_no_key (void **state)
{
    s_world_t *world = *state;
    s_open (world, true);
    s_peer_t ada = s_connect (world, world->endpoint, &world->ada, "ada's");
    s_say_hello (&ada);
    assert_string_equal (s_admit (world, 1), "ada");
    s_leave (&ada);
    s_await_free (world, "ada's"); // while the monitor's events are unread
    s_peer_t bob = s_connect (world, world->endpoint, &world->bob, "ada's");
    s_request (&bob);
    assert_int_equal (s_next (world), RP_RECEIVE_SKIPPED);
    s_leave (&bob);
}

static void s_a_chosen_routing_id_makes_nobody_another_user (void **state)
{
    s_world_t *world = *state;
    s_open (world, false);
    char remote[128];
    strcpy (remote, world->endpoint);
    snprintf (world->local, sizeof world->local, "ipc://%s", s_path (world, "ipc"));
    s_bind (world, world->local);
    s_peer_t ada = s_connect (world, world->local, NULL, "ada's");
    s_say_hello (&ada);
    assert_memory_equal (s_admit (world, 1), "uid:", 4);
    s_leave (&ada);
    s_await_free (world, "ada's");
    s_peer_t newcomer = s_connect (world, remote, NULL, "ada's");
    s_request (&newcomer);
    assert_int_equal (s_next (world), RP_RECEIVE_SKIPPED);
    s_leave (&newcomer);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_descriptor_that_was_anothers_gives_nobody_that_name),
      S_TEST (s_a_user_of_this_machine_is_who_sent_it_not_who_has_its_descriptor_now),
      S_TEST (s_what_a_revoked_key_had_sent_begins_no_session),
      S_TEST (s_a_worker_that_came_in_before_its_key_was_revoked_is_cut),
      S_TEST (s_a_chosen_routing_id_is_no_key),
      S_TEST (s_a_chosen_routing_id_makes_nobody_another_user),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
