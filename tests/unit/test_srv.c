/*  SPDX-License-Identifier: MPL-2.0

    SRV records: what is read of the answer of a name server, and the order of the brokers.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/wire/srv.h"

typedef struct {
    uint8_t data[4096];
    size_t size;
    unsigned answers;
} s_message_t;

static void s_put (s_message_t *self, const void *data, size_t size)
{
    assert_true (self->size + size <= sizeof self->data);
    memcpy (self->data + self->size, data, size);
    self->size += size;
}

static void s_put_number (s_message_t *self, unsigned number)
{
    s_put (self, (uint8_t[]){(uint8_t) (number >> 8), (uint8_t) number}, 2);
}

static void s_put_name (s_message_t *self, const char *name)
{
    for (const char *at = name; *at; at += strcspn (at, ".") + (at[strcspn (at, ".")] == '.')) {
        uint8_t size = (uint8_t) strcspn (at, ".");
        s_put (self, &size, 1);
        s_put (self, at, size);
    }
    s_put (self, "", 1);
}

/*  Begins an answer to a question for x.example.org.  */
static void s_begin (s_message_t *self)
{
    *self = (s_message_t){0};
    for (int word = 0; word < 6; word++)
        s_put_number (self, word == 2);
    s_put_name (self, "x.example.org");
    s_put_number (self, RP_SRV_TYPE);
    s_put_number (self, RP_SRV_CLASS);
}

/*  Adds a record; where its host begins can be named by 0xc0NN, NN being the place returned.  */
static size_t s_add (s_message_t *self,
  unsigned type,
  unsigned priority,
  unsigned weight,
  unsigned port,
  const char *host)
{
    s_message_t data = {0};
    s_put_number (&data, priority);
    s_put_number (&data, weight);
    s_put_number (&data, port);
    s_put_name (&data, host);
    s_put_number (self, 0xc00c);
    s_put_number (self, type);
    s_put_number (self, RP_SRV_CLASS);
    s_put_number (self, 0);
    s_put_number (self, 60);
    s_put_number (self, (unsigned) data.size);
    size_t place = self->size + 6;
    s_put (self, data.data, data.size);
    self->data[7] = (uint8_t) ++self->answers;
    return place;
}

static void the_records_of_an_answer_are_read_and_others_left_out (void **state)
{
    (void) state;
    s_message_t message;
    rp_srv_t srv;
    s_begin (&message);
    s_add (&message, 5, 1, 2, 3, "an.alias");
    s_add (&message, RP_SRV_TYPE, 10, 60, 5555, "b1.example.org");
    s_add (&message, RP_SRV_TYPE, 0, 0, 5556, "");            // there is no such service
    s_add (&message, RP_SRV_TYPE, 0, 0, 0, "b3.example.org"); // no port
    s_add (&message, RP_SRV_TYPE, 0, 0, 1, "a b.example.org");
    s_add (&message, RP_SRV_TYPE, 20, 0, 65535, "b-4_x");
    assert_true (rp_srv_read (&srv, message.data, message.size));
    assert_int_equal (srv.count, 2);
    assert_string_equal (srv.records[0].host, "b1.example.org");
    assert_int_equal (srv.records[0].priority, 10);
    assert_int_equal (srv.records[0].weight, 60);
    assert_int_equal (srv.records[0].port, 5555);
    assert_string_equal (srv.records[1].host, "b-4_x");
    assert_int_equal (srv.records[1].port, 65535);
    for (size_t size = 0; size < message.size; size++) {
        assert_false (rp_srv_read (&srv, message.data, size));
        assert_int_equal (srv.count, 0);
    }
}

static void a_part_of_a_name_may_stand_elsewhere_but_not_in_a_ring (void **state)
{
    (void) state;
    s_message_t message;
    rp_srv_t srv;
    s_begin (&message);
    size_t place = s_add (&message, RP_SRV_TYPE, 0, 0, 1, "abc");
    memcpy (message.data + place + 2, "\xc0\x0e",
      3); // "a", then what stands behind the "x" of the question
    message.data[place] = 1;
    message.size = place + 4;
    message.data[place - 7] = 10;
    assert_true (rp_srv_read (&srv, message.data, message.size));
    assert_string_equal (srv.records[0].host, "a.example.org");
    message.data[place + 3] = (uint8_t) place;
    assert_false (rp_srv_read (&srv, message.data, message.size));
}

static void a_name_that_is_skipped_is_not_followed_elsewhere (void **state)
{
    (void) state;
    s_message_t message;
    rp_srv_t srv;
    s_begin (&message);
    size_t begin = message.size;
    s_add (&message, RP_SRV_TYPE, 0, 0, 1, "b");
    message.data[begin + 1] = (uint8_t) begin; // its owner's name is a ring
    assert_true (rp_srv_read (&srv, message.data, message.size));
    assert_int_equal (srv.count, 1);
}

static void a_name_over_255_bytes_is_refused (void **state)
{
    (void) state;
    char name[4 * 64 + 1];
    rp_srv_t srv;
    for (size_t size = 253; size < 255; size++) { // with the size of the first label, and the end
        s_message_t message;
        memset (name, 'x', sizeof name);
        name[63] = name[127] = name[191] = '.';
        name[size] = '\0';
        s_begin (&message);
        s_add (&message, RP_SRV_TYPE, 0, 0, 1, name);
        assert_int_equal (rp_srv_read (&srv, message.data, message.size), size == 253);
    }
}

static void more_records_than_there_is_room_for_are_left_out (void **state)
{
    (void) state;
    s_message_t message;
    rp_srv_t srv;
    s_begin (&message);
    for (unsigned index = 0; index < RP_SRV_MAX + 5; index++)
        s_add (&message, RP_SRV_TYPE, 0, 0, 1 + index, "b");
    assert_true (rp_srv_read (&srv, message.data, message.size));
    assert_int_equal (srv.count, RP_SRV_MAX);
}

/*  Returns how often of a thousand orders a host is the first.  */
static unsigned s_first (const rp_srv_t *records, const char *host)
{
    unsigned count = 0;
    for (uint64_t random = 0; random < 1000; random++) {
        rp_srv_t srv = *records;
        rp_srv_order (&srv, random);
        assert_int_equal (srv.count, records->count);
        for (size_t index = 1; index < srv.count; index++)
            assert_true (srv.records[index - 1].priority <= srv.records[index].priority);
        count += strcmp (srv.records[0].host, host) == 0;
    }
    return count;
}

static void the_lowest_priority_comes_first_and_weights_share (void **state)
{
    (void) state;
    rp_srv_t srv = {.count = 4,
      .records = {{20, 1000, 1, "late"}, {10, 30, 1, "a"}, {10, 0, 1, "seldom"}, {10, 10, 1, "b"}}};
    unsigned a = s_first (&srv, "a");
    assert_true (a > 680 && a < 820);
    unsigned b = s_first (&srv, "b");
    assert_true (b > 180 && b < 320);
    assert_true (s_first (&srv, "seldom") < 20);
    assert_int_equal (s_first (&srv, "late"), 0);
}

static void without_weights_all_are_alike (void **state)
{
    (void) state;
    rp_srv_t srv = {.count = 2, .records = {{0, 0, 1, "a"}, {0, 0, 1, "b"}}};
    unsigned a = s_first (&srv, "a");
    assert_true (a > 400 && a < 600);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_records_of_an_answer_are_read_and_others_left_out),
      cmocka_unit_test (a_part_of_a_name_may_stand_elsewhere_but_not_in_a_ring),
      cmocka_unit_test (a_name_that_is_skipped_is_not_followed_elsewhere),
      cmocka_unit_test (a_name_over_255_bytes_is_refused),
      cmocka_unit_test (more_records_than_there_is_room_for_are_left_out),
      cmocka_unit_test (the_lowest_priority_comes_first_and_weights_share),
      cmocka_unit_test (without_weights_all_are_alike),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
