/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/postgres/relay.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define S_CONNECTIONS 8
#define S_LOOK_MS 5

typedef struct {
    int store; /* 0: free */
    int server;
    bool waits; /* COMMIT was passed on, and its answer is not to pass */
} s_connection_t;

static struct {
    int listener;
    char path[108];
    struct sockaddr_un target;
    pthread_t thread;
    atomic_int fault;
    atomic_bool ending;
    s_connection_t connections[S_CONNECTIONS];
} s_self;

static void s_address (struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf (address->sun_path, sizeof address->sun_path, "%s", path);
}

static void s_close (s_connection_t *connection)
{
    close (connection->store);
    close (connection->server);
    *connection = (s_connection_t){.store = 0};
}

static void s_accept (void)
{
    int store = accept (s_self.listener, NULL, NULL);
    int server = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s_connection_t *place = s_self.connections;
    while (place < s_self.connections + S_CONNECTIONS && place->store)
        place++;
    if (store < 0 || server < 0 || place == s_self.connections + S_CONNECTIONS
        || atomic_load (&s_self.fault) == TEST_RELAY_CUT
        || connect (server, (struct sockaddr *) &s_self.target, sizeof s_self.target) != 0) {
        close (store);
        close (server);
        return;
    }
    *place = (s_connection_t){.store = store, .server = server};
}

static bool s_write (int to, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send (to, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t) sent;
    }
    return true;
}

/*  True if the store runs the prepared statement COMMIT: a message Bind with its name.  */
static bool s_commits (const char *bytes, size_t size)
{
    return memmem (bytes, size, "\0COMMIT\0", 8) != NULL;
}

/*  Passes on what one side has said. False: the connection is over.  */
static bool s_pass (s_connection_t *connection, bool up)
{
    static char bytes[1 << 16];
    ssize_t size = recv (up ? connection->store : connection->server, bytes, sizeof bytes, 0);
    if (size <= 0)
        return false;
    int fault = atomic_load (&s_self.fault);
    if (up && s_commits (bytes, (size_t) size)) {
        if (fault == TEST_RELAY_CUT_BEFORE) {
            atomic_store (&s_self.fault, TEST_RELAY_PASS);
            return false;
        }
        if (fault == TEST_RELAY_HOLD_BEFORE) {
            atomic_store (&s_self.fault, TEST_RELAY_HOLD);
            return true;
        }
        connection->waits = fault == TEST_RELAY_CUT_AFTER;
    }
    if (!up && connection->waits) {
        atomic_store (&s_self.fault, TEST_RELAY_CUT);
        return false;
    }
    return s_write (up ? connection->server : connection->store, bytes, (size_t) size);
}

static void *s_run (void *arg)
{
    (void) arg;
    while (!atomic_load (&s_self.ending)) {
        struct pollfd pollers[1 + 2 * S_CONNECTIONS] = {{.fd = s_self.listener, .events = POLLIN}};
        int fault = atomic_load (&s_self.fault);
        for (size_t index = 0; index < S_CONNECTIONS; index++) {
            s_connection_t *connection = &s_self.connections[index];
            if (connection->store && fault == TEST_RELAY_CUT)
                s_close (connection);
            bool looks = connection->store && fault != TEST_RELAY_HOLD;
            pollers[1 + 2 * index] =
              (struct pollfd){.fd = looks ? connection->store : -1, .events = POLLIN};
            pollers[2 + 2 * index] =
              (struct pollfd){.fd = looks ? connection->server : -1, .events = POLLIN};
        }
        if (poll (pollers, 1 + 2 * S_CONNECTIONS, S_LOOK_MS) <= 0)
            continue;
        if (pollers[0].revents)
            s_accept ();
        for (size_t index = 0; index < S_CONNECTIONS; index++) {
            s_connection_t *connection = &s_self.connections[index];
            if (pollers[1 + 2 * index].revents && !s_pass (connection, true))
                s_close (connection);
            else if (pollers[2 + 2 * index].revents && !s_pass (connection, false))
                s_close (connection);
        }
    }
    return NULL;
}

void test_relay_begin (const char *folder, const char *target)
{
    struct sockaddr_un own;
    snprintf (s_self.path, sizeof s_self.path, "%s/.s.PGSQL.5432", folder);
    s_address (&own, s_self.path);
    s_address (&s_self.target, target);
    s_self.listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (s_self.listener >= 0);
    assert_int_equal (bind (s_self.listener, (struct sockaddr *) &own, sizeof own), 0);
    assert_int_equal (listen (s_self.listener, S_CONNECTIONS), 0);
    atomic_store (&s_self.fault, TEST_RELAY_PASS);
    atomic_store (&s_self.ending, false);
    assert_int_equal (pthread_create (&s_self.thread, NULL, s_run, NULL), 0);
}

void test_relay_end (void)
{
    atomic_store (&s_self.ending, true);
    assert_int_equal (pthread_join (s_self.thread, NULL), 0);
    for (size_t index = 0; index < S_CONNECTIONS; index++)
        if (s_self.connections[index].store)
            s_close (&s_self.connections[index]);
    close (s_self.listener);
    unlink (s_self.path);
}

void test_relay_set (test_relay_fault_t fault)
{
    atomic_store (&s_self.fault, (int) fault);
}

test_relay_fault_t test_relay_get (void)
{
    return (test_relay_fault_t) atomic_load (&s_self.fault);
}
