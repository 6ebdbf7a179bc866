/*  Readers of HTTP beside clients, of a whole broker: for the thread sanitizer, and for ends at any moment.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <riposte/client.h>

#include "tests/support/broker.h"

#define S_READERS 4
#define S_TURNS 40

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

/*  -1 with errno.  */
static int s_connect (unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
      .sin_port = htons ((uint16_t) port),
      .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    struct timeval bound = {.tv_sec = TEST_PATIENCE_MS / 1000};
    int peer = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0)
        return -1;
    (void) setsockopt (peer, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    if (connect (peer, (struct sockaddr *) &address, sizeof address) == 0)
        return peer;
    close (peer);
    return -1;
}

static bool s_send (int peer, const char *text)
{
    return send (peer, text, strlen (text), MSG_NOSIGNAL) == (ssize_t) strlen (text);
}

static bool s_ask (int peer, const char *path)
{
    char text[128];
    snprintf (text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return s_send (peer, text);
}

/*  Reads an answer with a Content-Length. Returns its status; 0 if the connection ended before.  */
static unsigned s_read (int peer)
{
    char head[1024];
    size_t size = 0;
    while (size < sizeof head - 1) {
        if (recv (peer, head + size, 1, 0) != 1)
            return 0;
        head[++size] = '\0';
        if (size >= 4 && memcmp (head + size - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    const char *length = strcasestr (head, "content-length: ");
    unsigned long left = length ? strtoul (length + 16, NULL, 10) : 0;
    char body[65536];
    while (left > 0) {
        ssize_t got = recv (peer, body, left < sizeof body ? left : sizeof body, 0);
        if (got <= 0)
            return 0;
        left -= (unsigned long) got;
    }
    return (unsigned) strtoul (head + strlen ("HTTP/1.1 "), NULL, 10);
}

/*  Asks on a connection of its own. 0: there was no answer.  */
static unsigned s_get (unsigned port, const char *path)
{
    int peer = s_connect (port);
    if (peer < 0)
        return 0;
    unsigned status = s_ask (peer, path) ? s_read (peer) : 0;
    close (peer);
    return status;
}

static void s_sleep_ms (long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void) nanosleep (&time, NULL);
}

/*  ---- Beside the broker's thread ------------------------------------------------------------- */

typedef struct {
    pthread_t thread;
    unsigned port;
    unsigned answers; /* with 200 */
    unsigned others;
    bool until_gone; /* goes on until nobody listens */
} s_reader_t;

static void *s_keep_reading (void *arg)
{
    static const char *const paths[] = {
      "/metrics", "/livez", "/api/services", "/api/status", "/api/workers", "/readyz"};
    s_reader_t *self = arg;
    unsigned status = 1;
    for (unsigned turn = 0; self->until_gone ? status != 0 : turn < S_TURNS; turn++) {
        status = s_get (self->port, paths[turn % (sizeof paths / sizeof *paths)]);
        if (status == 200)
            self->answers++;
        else
            self->others++;
    }
    return NULL;
}

static void s_start_readers (s_reader_t readers[S_READERS], unsigned port, bool until_gone)
{
    for (int index = 0; index < S_READERS; index++) {
        readers[index] = (s_reader_t){.port = port, .until_gone = until_gone};
        assert_int_equal (
          pthread_create (&readers[index].thread, NULL, s_keep_reading, &readers[index]), 0);
    }
}

static void readers_and_clients_get_all_their_answers (void **state)
{
    (void) state;
    unsigned port;
    s_reader_t readers[S_READERS];
    test_broker_t *broker = test_broker_start_http (&port);
    rp_client_t *client = rp_client_new (test_broker_endpoint (broker));
    assert_non_null (client);
    s_start_readers (readers, port, false);
    for (int turn = 0; turn < 10 * S_TURNS; turn++) {
        rp_reply_t *reply = NULL;
        assert_int_equal (rp_client_call (client, "riposte.services", "", 0, &reply), RP_OK);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        rp_reply_destroy (&reply);
    }
    for (int index = 0; index < S_READERS; index++) {
        assert_int_equal (pthread_join (readers[index].thread, NULL), 0);
        assert_int_equal (readers[index].answers, S_TURNS);
    }
    rp_client_destroy (&client);
    test_broker_stop (&broker);
}

static void a_broker_ends_whatever_its_readers_wait_for (void **state)
{
    (void) state;
    for (int turn = 0; turn < 5; turn++) {
        unsigned port;
        s_reader_t readers[S_READERS];
        test_broker_t *broker = test_broker_start_http (&port);
        s_start_readers (readers, port, true);
        while (s_get (port, "/livez") != 200)
            ;
        s_sleep_ms (turn); // so that it ends at another moment each time
        test_broker_stop (&broker);
        for (int index = 0; index < S_READERS; index++)
            assert_int_equal (pthread_join (readers[index].thread, NULL), 0);
    }
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (readers_and_clients_get_all_their_answers),
      cmocka_unit_test (a_broker_ends_whatever_its_readers_wait_for),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
