/*  SPDX-License-Identifier: MPL-2.0

    Host names are looked up without blocking, and each address is tried in turn. This file has a
    getaddrinfo of its own, which libzmq uses too:

        two.test      has 127.0.0.2, where nothing listens, and 127.0.0.1
        six.test      has ::1
        slow.test     has 127.0.0.1, and answers when the test lets it
        any other name does not resolve

    and a clock_gettime of its own, so that time passes at once.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include "broker/transport/endpoint.h"
#include "common/io/channel.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/resolver.h"
#include "common/io/socket.h"
#include "tests/support/client_pair.h"
#include "tests/support/fake_broker.h"

#define MS 1000
#define PATIENCE_US (PUPPET_PATIENCE_MS * (int64_t) MS)

/*  ---- getaddrinfo ---------------------------------------------------------------------------- */

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t s_changed = PTHREAD_COND_INITIALIZER;
static bool s_silent;       /* slow.test answers once this is false */
static unsigned s_waiting;  /* look-ups of slow.test that still run */
static atomic_uint s_asked; /* look-ups of names */
static bool s_scarce;       /* look-ups fail as without descriptors */

typedef struct {
    struct addrinfo info; /* first: its pointer is freed */
    struct sockaddr_storage address;
} s_info_t;

static bool s_append (struct addrinfo **list, const char *address)
{
    s_info_t *self = calloc (1, sizeof *self);
    if (!self)
        abort ();
    struct sockaddr_in *v4 = (struct sockaddr_in *) &self->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &self->address;
    self->info.ai_addr = (struct sockaddr *) &self->address;
    self->info.ai_socktype = SOCK_STREAM;
    if (inet_pton (AF_INET, address, &v4->sin_addr) == 1) {
        self->info.ai_family = v4->sin_family = AF_INET;
        self->info.ai_addrlen = sizeof *v4;
    }
    else if (inet_pton (AF_INET6, address, &v6->sin6_addr) == 1) {
        self->info.ai_family = v6->sin6_family = AF_INET6;
        self->info.ai_addrlen = sizeof *v6;
    }
    else {
        free (self);
        return false;
    }
    while (*list)
        list = &(*list)->ai_next;
    *list = &self->info;
    return true;
}

static void s_be_slow (void)
{
    pthread_mutex_lock (&s_lock);
    s_waiting++;
    pthread_cond_broadcast (&s_changed);
    while (s_silent)
        pthread_cond_wait (&s_changed, &s_lock);
    s_waiting--;
    pthread_cond_broadcast (&s_changed);
    pthread_mutex_unlock (&s_lock);
}

int getaddrinfo (const char *restrict node,
  const char *restrict service,
  const struct addrinfo *restrict hints,
  struct addrinfo **restrict list)
{
    (void) service;
    (void) hints;
    *list = NULL;
    if (s_append (list, node))
        return 0;
    atomic_fetch_add (&s_asked, 1);
    if (s_scarce) {
        errno = EMFILE;
        return EAI_SYSTEM;
    }
    if (strcmp (node, "two.test") == 0)
        return s_append (list, "127.0.0.2") && s_append (list, "127.0.0.1") ? 0 : EAI_FAIL;
    if (strcmp (node, "six.test") == 0)
        return s_append (list, "::1") ? 0 : EAI_FAIL;
    if (strcmp (node, "slow.test") != 0)
        return EAI_NONAME;
    s_be_slow ();
    return s_append (list, "127.0.0.1") ? 0 : EAI_FAIL;
}

void freeaddrinfo (struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free (list);
        list = next;
    }
}

static atomic_int s_later; /* seconds by which it is later than it is */

int clock_gettime (clockid_t clock, struct timespec *time)
{
    long rc = syscall (SYS_clock_gettime, clock, time);
    time->tv_sec += atomic_load (&s_later);
    return (int) rc;
}

static void s_set_silent (bool silent)
{
    pthread_mutex_lock (&s_lock);
    s_silent = silent;
    pthread_cond_broadcast (&s_changed);
    pthread_mutex_unlock (&s_lock);
}

/*  Waits until this many look-ups of slow.test run.  */
static void s_await_waiting (unsigned count)
{
    pthread_mutex_lock (&s_lock);
    while (s_waiting != count)
        pthread_cond_wait (&s_changed, &s_lock);
    pthread_mutex_unlock (&s_lock);
}

static int s_set_up (void **state)
{
    (void) state;
    s_set_silent (true);
    atomic_store (&s_asked, 0);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    s_set_silent (false);
    s_await_waiting (0);
    return 0;
}

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static void s_await (rp_lookup_t *lookup)
{
    struct pollfd item = {.fd = rp_lookup_descriptor (lookup), .events = POLLIN};
    assert_int_equal (poll (&item, 1, PUPPET_PATIENCE_MS), 1);
    assert_true (rp_lookup_is_over (lookup));
}

/*  Writes tcp://HOST:PORT with the port of another endpoint.  */
static const char *s_at (char *buffer, const char *host, const char *endpoint)
{
    snprintf (buffer, 128, "tcp://%s%s", host, strrchr (endpoint, ':'));
    return buffer;
}

/*  Waits until the client's error has this text; returns whether it did.  */
static bool s_says (rp_client_t *client, const char *text)
{
    char error[1024];
    int64_t limit = rp_clock_us () + PATIENCE_US;
    do {
        rp_client_last_error (client, error, sizeof error);
        if (strstr (error, text))
            return true;
        rp_client_connect (client, 20);
    } while (rp_clock_us () < limit);
    print_message ("it says: %s\n", error);
    return false;
}

/*  ---- The resolver --------------------------------------------------------------------------- */

static void the_addresses_of_a_name_come_in_the_system_s_order (void **state)
{
    (void) state;
    rp_resolver_t resolver = {0};
    rp_addresses_t found;
    char why[RP_RESOLVER_TEXT_MAX];
    rp_lookup_t *lookup = rp_resolver_begin (&resolver, "tcp://two.test:5555");
    assert_non_null (lookup);
    s_await (lookup);
    assert_true (rp_resolver_take (&resolver, &lookup, &found, why));
    assert_null (lookup);
    assert_int_equal (found.count, 2);
    assert_string_equal (found.endpoints[0], "tcp://127.0.0.2:5555");
    assert_string_equal (found.endpoints[1], "tcp://127.0.0.1:5555");
    assert_true (rp_resolver_wait ("tcp://six.test:1", &found, why));
    assert_string_equal (found.endpoints[0], "tcp://[::1]:1");
    rp_resolver_clear (&resolver);
}

static void what_does_not_resolve_is_told_with_the_system_s_reason (void **state)
{
    (void) state;
    rp_addresses_t found;
    char why[RP_RESOLVER_TEXT_MAX];
    assert_false (rp_resolver_wait ("tcp://nowhere.test:5555", &found, why));
    assert_string_equal (why, "host nowhere.test does not resolve: Name or service not known");
    s_scarce = true;
    assert_false (rp_resolver_wait ("tcp://two.test:5555", &found, why));
    s_scarce = false;
    assert_string_equal (why, "host two.test does not resolve: Too many open files");
}

static void who_comes_back_finds_the_look_up_going_on_or_its_result (void **state)
{
    (void) state;
    rp_resolver_t resolver = {0};
    rp_addresses_t found;
    char why[RP_RESOLVER_TEXT_MAX];
    rp_lookup_t *lookup = rp_resolver_begin (&resolver, "tcp://slow.test:5555");
    rp_lookup_t *other = rp_resolver_begin (&resolver, "tcp://two.test:5555");
    assert_false (rp_lookup_is_over (lookup));
    s_await (other);
    assert_ptr_equal (rp_resolver_begin (&resolver, "tcp://slow.test:5555"), lookup);
    s_set_silent (false);
    s_await (lookup);
    assert_ptr_equal (rp_resolver_begin (&resolver, "tcp://slow.test:5555"), lookup);
    assert_int_equal (atomic_load (&s_asked), 2);
    assert_true (rp_resolver_take (&resolver, &lookup, &found, why));
    // The former result was taken, so the name is looked up anew.
    lookup = rp_resolver_begin (&resolver, "tcp://slow.test:5555");
    s_await (lookup);
    assert_int_equal (atomic_load (&s_asked), 3);
    rp_resolver_clear (&resolver);
    assert_null (resolver.lookups);
}

/*  Returns how many descriptors this process has open.  */
static int s_count_descriptors (void)
{
    int count = 0;
    DIR *directory = opendir ("/proc/self/fd");
    assert_non_null (directory);
    while (readdir (directory))
        count++;
    closedir (directory);
    return count;
}

/*  As when a worker was at many brokers of SRV records, one after the other.  */
static void results_of_names_that_nobody_comes_back_to_are_dropped (void **state)
{
    (void) state;
    rp_resolver_t resolver = {0};
    int before = s_count_descriptors ();
    for (int number = 0; number < 20; number++) {
        char endpoint[64];
        snprintf (endpoint, sizeof endpoint, "tcp://gone%d.test:5555", number);
        s_await (rp_resolver_begin (&resolver, endpoint));
    }
    atomic_store (&s_later, 11);
    rp_lookup_t *lookup = rp_resolver_begin (&resolver, "tcp://two.test:5555");
    s_await (lookup);
    int64_t limit = rp_clock_us () + PATIENCE_US; // a thread may not have left its look-up yet
    while (s_count_descriptors () > before + 1 && rp_clock_us () < limit)
        sched_yield ();
    assert_true (
      s_count_descriptors () <= before + 1); // less: a thread of a test before has ended meanwhile
    rp_resolver_clear (&resolver);
}

static void leaving_a_look_up_does_not_wait_for_it (void **state)
{
    (void) state;
    rp_resolver_t resolver = {0};
    assert_non_null (rp_resolver_begin (&resolver, "tcp://slow.test:5555"));
    s_await_waiting (1);
    rp_resolver_clear (&resolver);
    s_await_waiting (1); // the look-up goes on, and ends in s_tear_down
}

/*  ---- The channel ---------------------------------------------------------------------------- */

static rp_channel_event_t s_next_event (rp_channel_t *channel, const char **reason)
{
    int64_t limit = rp_clock_us () + PATIENCE_US;
    rp_channel_event_t event;
    while ((event = rp_channel_next_event (channel, reason)) == RP_CHANNEL_NOTHING
           && rp_clock_us () < limit) {
        int descriptors[2];
        struct pollfd items[2];
        int count = rp_channel_descriptors (channel, descriptors);
        for (int index = 0; index < count; index++)
            items[index] = (struct pollfd){.fd = descriptors[index], .events = POLLIN};
        poll (items, (nfds_t) count, 100);
    }
    return event;
}

static void a_channel_finds_addresses_and_opens_one (void **state)
{
    (void) state;
    puppet_t *broker = puppet_new ();
    void *context = rp_context_acquire ();
    rp_channel_t *channel = rp_channel_new (context, NULL);
    char name[128];
    const char *reason = "";
    s_at (name, "two.test", broker->endpoint);
    assert_int_equal (rp_channel_open (channel, name, &reason), 0);
    assert_true (rp_channel_is_open (channel));
    assert_int_equal (s_next_event (channel, &reason), RP_CHANNEL_FOUND);
    const rp_addresses_t *found = rp_channel_found (channel);
    assert_int_equal (rp_channel_open (channel, found->endpoints[0], &reason), 0);
    assert_int_equal (s_next_event (channel, &reason), RP_CHANNEL_FAILED);
    assert_string_equal (reason, "nothing listens there, or it cannot be reached");
    assert_int_equal (rp_channel_open (channel, found->endpoints[1], &reason), 0);
    assert_int_equal (s_next_event (channel, &reason), RP_CHANNEL_CONNECTED);
    assert_int_equal (atomic_load (&s_asked), 1); // libzmq has looked up no name
    rp_channel_destroy (&channel);
    rp_context_release (context);
    puppet_destroy (&broker);
}

static void a_channel_whose_name_does_not_resolve_fails_once_and_stays_open (void **state)
{
    (void) state;
    void *context = rp_context_acquire ();
    rp_channel_t *channel = rp_channel_new (context, NULL);
    const char *reason = "";
    int descriptors[2];
    assert_int_equal (rp_channel_open (channel, "tcp://nowhere.test:5555", &reason), 0);
    assert_int_equal (rp_channel_descriptors (channel, descriptors), 1);
    assert_int_equal (s_next_event (channel, &reason), RP_CHANNEL_FAILED);
    assert_string_equal (reason, "host nowhere.test does not resolve: Name or service not known");
    assert_int_equal (rp_channel_next_event (channel, &reason), RP_CHANNEL_NOTHING);
    assert_true (rp_channel_is_open (channel));
    assert_int_equal (rp_channel_descriptors (channel, descriptors), 0);
    assert_true (rp_channel_is_armed (channel));
    rp_channel_close (channel, 0);
    assert_false (rp_channel_is_open (channel));
    rp_channel_destroy (&channel);
    rp_context_release (context);
}

/*  ---- Clients and workers -------------------------------------------------------------------- */

static void a_client_reaches_the_second_address_of_a_name (void **state)
{
    (void) state;
    puppet_t *broker = puppet_new ();
    char name[128];
    char served[128];
    rp_client_t *client = rp_client_new (s_at (name, "two.test", broker->endpoint));
    pair_submit (client, "hello");
    puppet_greet (broker);
    puppet_expect (broker, RP_COMMAND_REQUEST);
    puppet_reply (broker, RP_OK, "");
    pair_collect_status (client, RP_OK);
    assert_string_equal (rp_client_broker (client, served, sizeof served), name);
    rp_client_destroy (&client);
    puppet_destroy (&broker);
}

static void a_worker_reaches_the_second_address_of_a_name (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    char name[128];
    rp_worker_t *worker = rp_worker_new (s_at (name, "two.test", broker->endpoint), "echo");
    rp_task_t *task = NULL;
    // The worker begins to connect.
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome (broker, 1);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

static void a_silent_name_server_holds_nobody_up (void **state)
{
    (void) state;
    rp_client_t *client = rp_client_new ("tcp://slow.test:5555");
    assert_int_equal (rp_client_set_timeout_ms (client, 200), RP_OK);
    rp_reply_t *reply = NULL;
    int64_t before = rp_clock_us ();
    assert_int_equal (rp_client_call (client, "echo", NULL, 0, &reply), RP_OK);
    assert_in_range (rp_clock_us () - before, 199 * MS, 2000 * MS);
    assert_int_equal (rp_reply_status (reply), RP_NO_BROKER);
    assert_non_null (strstr (rp_reply_message (reply), "no name server answered"));
    assert_non_null (strstr (rp_reply_message (reply), "check the name servers"));
    rp_reply_destroy (&reply);
    before = rp_clock_us ();
    rp_client_destroy (&client);
    assert_in_range (rp_clock_us () - before, 0, 2000 * MS);

    rp_worker_t *worker = rp_worker_new ("tcp://slow.test:5555", "echo");
    rp_task_t *task = NULL;
    assert_int_equal (rp_worker_receive (worker, 50, &task), RP_TIMED_OUT);
    before = rp_clock_us ();
    rp_worker_destroy (&worker);
    assert_in_range (rp_clock_us () - before, 0, 2000 * MS);
}

static void the_next_broker_of_a_list_is_not_kept_waiting_by_a_name (void **state)
{
    (void) state;
    puppet_t *broker = puppet_new ();
    char endpoints[300];
    snprintf (endpoints, sizeof endpoints, "tcp://slow.test:5555,%s", broker->endpoint);
    rp_client_t *client = rp_client_new (endpoints);
    pair_submit (client, "hello");
    puppet_greet (broker);
    rp_client_destroy (&client);
    puppet_destroy (&broker);
}

static void a_silent_name_server_holds_one_thread_for_a_name (void **state)
{
    (void) state;
    char dead[128];
    char endpoints[300];
    pair_dead_endpoint (dead, sizeof dead);
    snprintf (endpoints, sizeof endpoints, "tcp://slow.test:5555,%s", dead);
    rp_client_t *client = rp_client_new (endpoints);
    assert_int_equal (rp_client_set_timeout_ms (client, 100), RP_OK); // 50 ms for the name
    assert_int_equal (rp_client_connect (client, 600), RP_NO_BROKER);
    assert_int_equal (atomic_load (&s_asked), 1);
    rp_client_destroy (&client);
}

static void a_client_says_that_a_name_does_not_resolve (void **state)
{
    (void) state;
    rp_client_t *client = rp_client_new ("tcp://nowhere.test:5555");
    assert_true (s_says (client,
      "tcp://nowhere.test:5555: host nowhere.test does not resolve: Name or service not known"));
    assert_int_equal (rp_client_set_timeout_ms (client, 100), RP_USAGE); // the client has begun
    rp_call_t *call = rp_call_new ("echo", NULL, 0);
    assert_int_equal (rp_call_set_timeout_ms (call, 50), RP_OK);
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_perform (client, &call, &reply), RP_OK);
    assert_non_null (strstr (rp_reply_message (reply), "check the name, or write an address"));
    rp_reply_destroy (&reply);
    rp_client_destroy (&client);
}

static void s_on_notice (const char *notice, void *arg)
{
    char *first = arg;
    if (!*first)
        snprintf (first, 256, "%s", notice);
}

static void a_worker_says_that_a_name_does_not_resolve (void **state)
{
    (void) state;
    char notice[256] = "";
    rp_worker_t *worker = rp_worker_new ("tcp://nowhere.test:5555", "echo");
    assert_int_equal (rp_worker_on_notice (worker, s_on_notice, notice), RP_OK);
    rp_task_t *task = NULL;
    for (int round = 0; round < 100 && !*notice; round++)
        assert_int_equal (rp_worker_receive (worker, 100, &task), RP_TIMED_OUT);
    const char *said = "cannot reach tcp://nowhere.test:5555: host nowhere.test does not resolve: "
                       "Name or service not known, next try in";
    assert_memory_equal (notice, said, strlen (said));
    rp_worker_destroy (&worker);
}

static void a_child_of_fork_leaves_a_look_up_alone (void **state)
{
    (void) state;
    rp_client_t *client = rp_client_new ("tcp://slow.test:5555");
    assert_int_equal (rp_client_connect (client, 20), RP_NO_BROKER);
    s_await_waiting (1);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        alarm (20);
        rp_client_destroy (&client);
        _exit (client != NULL);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    rp_client_destroy (&client);
}

/*  ---- The broker ----------------------------------------------------------------------------- */

/*  Binds a socket to an endpoint; returns the bound endpoint, or NULL with errno.  */
static char *s_bind (void *context, void **router, const char *endpoint)
{
    *router = rp_socket_router (context, 1000, 1000, NULL);
    assert_non_null (*router);
    return rp_endpoint_bind (*router, endpoint);
}

static void a_name_is_bound_at_its_first_address_that_is_here (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    void *router, *second;
    char *bound = s_bind (context, &router, "tcp://two.test:*");
    assert_non_null (bound);
    assert_memory_equal (bound, "tcp://127.0.0.2:", 16);
    char again[128];
    assert_null (s_bind (context, &second, s_at (again, "two.test", bound)));
    assert_int_equal (errno, EADDRINUSE); // not bound to 127.0.0.1 either, where the port is free
    free (bound);
    rp_socket_close (router, NULL);
    rp_socket_close (second, NULL);
    zmq_ctx_term (context);
}

static void an_interface_a_star_and_an_address_are_bound_as_ever (void **state)
{
    (void) state;
    static const char *const endpoints[] = {
      "tcp://lo:*", "tcp://*:*", "tcp://127.0.0.1:*", "tcp://[::1]:*", "tcp://[::]:*"};
    void *context = zmq_ctx_new ();
    for (size_t index = 0; index < sizeof endpoints / sizeof *endpoints; index++) {
        void *router;
        char *bound = s_bind (context, &router, endpoints[index]);
        if (!bound && !strchr (endpoints[index], '[')) // a machine may have no IPv6
            fail_msg ("%s: %s", endpoints[index], strerror (errno));
        free (bound);
        rp_socket_close (router, NULL);
    }
    assert_int_equal (atomic_load (&s_asked), 0);
    zmq_ctx_term (context);
}

static void what_is_neither_interface_nor_name_is_told_as_such (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    void *router;
    char text[RP_ENDPOINT_TEXT_MAX];
    assert_null (s_bind (context, &router, "tcp://nowhere.test:5555"));
    rp_endpoint_explain ("tcp://nowhere.test:5555", errno, "--bind", text);
    assert_non_null (strstr (text, "nowhere.test is no interface of this machine, and no name"));
    rp_socket_close (router, NULL);
    zmq_ctx_term (context);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (the_addresses_of_a_name_come_in_the_system_s_order),
      S_TEST (what_does_not_resolve_is_told_with_the_system_s_reason),
      S_TEST (who_comes_back_finds_the_look_up_going_on_or_its_result),
      S_TEST (results_of_names_that_nobody_comes_back_to_are_dropped),
      S_TEST (leaving_a_look_up_does_not_wait_for_it),
      S_TEST (a_channel_finds_addresses_and_opens_one),
      S_TEST (a_channel_whose_name_does_not_resolve_fails_once_and_stays_open),
      S_TEST (a_client_reaches_the_second_address_of_a_name),
      S_TEST (a_worker_reaches_the_second_address_of_a_name),
      S_TEST (a_silent_name_server_holds_nobody_up),
      S_TEST (the_next_broker_of_a_list_is_not_kept_waiting_by_a_name),
      S_TEST (a_silent_name_server_holds_one_thread_for_a_name),
      S_TEST (a_client_says_that_a_name_does_not_resolve),
      S_TEST (a_worker_says_that_a_name_does_not_resolve),
      S_TEST (a_child_of_fork_leaves_a_look_up_alone),
      S_TEST (a_name_is_bound_at_its_first_address_that_is_here),
      S_TEST (an_interface_a_star_and_an_address_are_bound_as_ever),
      S_TEST (what_is_neither_interface_nor_name_is_told_as_such),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
