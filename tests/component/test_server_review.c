/*  Faults that a hostile review of the server found; each test failed before the fix.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "broker/transport/endpoint.h"

static void s_a_file_in_the_place_of_a_socket_stays (void **state)
{
    (void) state;
    char path[] = "/tmp/riposte-test-XXXXXX";
    int descriptor = mkstemp (path);
    assert_true (descriptor >= 0);
    close (descriptor);
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "ipc://%s", path);

    void *context = zmq_ctx_new ();
    void *socket = zmq_socket (context, ZMQ_ROUTER);
    char *real = rp_endpoint_bind (socket, endpoint);
    int error = errno;
    struct stat found;
    assert_int_equal (lstat (path, &found), 0);
    assert_true (S_ISREG (found.st_mode));
    assert_null (real);
    char text[RP_ENDPOINT_TEXT_MAX];
    assert_non_null (
      strstr (rp_endpoint_explain (endpoint, error, "--bind", text), "not a socket"));

    zmq_close (socket);
    zmq_ctx_term (context);
    unlink (path);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_file_in_the_place_of_a_socket_stays),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
