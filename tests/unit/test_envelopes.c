/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/envelopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S_LIMIT 300u

static rp_envelopes_t s_store;
static rp_list_t s_one;
static rp_list_t s_other;

static int s_set_up (void **state)
{
    (void) state;
    rp_envelopes_init (&s_store, S_LIMIT, 0xabcdef01);
    rp_list_init (&s_one);
    rp_list_init (&s_other);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    rp_envelopes_clear (&s_store);
    return 0;
}

static uint64_t s_add (rp_list_t *list, const char *service)
{
    return rp_envelopes_add (&s_store, list, NULL, 0, service, (uint8_t) strlen (service));
}

static void s_an_envelope_is_a_copy (void **state)
{
    (void) state;
    char first[] = "route";
    char last[] = "\x01\x00\x02";
    char service[] = "echo";
    const rp_frame_t frames[] = {{first, 5}, {NULL, 0}, {last, 3}};
    uint64_t id = rp_envelopes_add (&s_store, &s_one, frames, 3, service, 4);
    assert_true (id != 0);
    memset (first, 'x', sizeof first);
    memset (last, 'x', sizeof last);
    memset (service, 'x', sizeof service);

    const rp_envelope_t *envelope = rp_envelopes_find (&s_store, id);
    assert_non_null (envelope);
    assert_int_equal (envelope->count, 3);
    assert_int_equal (envelope->frames[0].size, 5);
    assert_memory_equal (envelope->frames[0].data, "route", 5);
    assert_int_equal (envelope->frames[1].size, 0);
    assert_int_equal (envelope->frames[2].size, 3);
    assert_memory_equal (envelope->frames[2].data, "\x01\x00\x02", 3);
    assert_int_equal (envelope->name_size, 4);
    assert_memory_equal (envelope->name, "echo", 4);
}

static void s_the_largest_envelope_is_kept (void **state)
{
    (void) state;
    static char bytes[RP_ENVELOPE_BYTES_MAX];
    static char name[RP_WIRE_NAME_MAX];
    memset (bytes, 'b', sizeof bytes);
    memset (name, 'n', sizeof name);
    rp_frame_t frames[RP_ENVELOPE_FRAMES_MAX];
    for (size_t index = 0; index < RP_ENVELOPE_FRAMES_MAX; index++)
        frames[index] = (rp_frame_t){bytes, RP_ENVELOPE_BYTES_MAX / RP_ENVELOPE_FRAMES_MAX};
    uint64_t id =
      rp_envelopes_add (&s_store, &s_one, frames, RP_ENVELOPE_FRAMES_MAX, name, RP_WIRE_NAME_MAX);
    const rp_envelope_t *envelope = rp_envelopes_find (&s_store, id);
    assert_non_null (envelope);
    for (size_t index = 0; index < RP_ENVELOPE_FRAMES_MAX; index++)
        assert_memory_equal (envelope->frames[index].data, bytes, frames[index].size);
    assert_memory_equal (envelope->name, name, sizeof name);
}

static void s_an_envelope_may_be_empty (void **state)
{
    (void) state;
    uint64_t id = rp_envelopes_add (&s_store, &s_one, NULL, 0, NULL, 0);
    const rp_envelope_t *envelope = rp_envelopes_find (&s_store, id);
    assert_non_null (envelope);
    assert_int_equal (envelope->count, 0);
    assert_int_equal (envelope->name_size, 0);
    assert_int_equal (rp_envelopes_bytes (&s_store), 0);
}

static void s_an_id_is_never_0_and_finds_nothing_once_removed (void **state)
{
    (void) state;
    for (unsigned round = 0; round < 10; round++) {
        uint64_t id = s_add (&s_one, "echo");
        assert_true (id != 0);
        assert_non_null (rp_envelopes_find (&s_store, id));
        assert_true (rp_envelopes_remove (&s_store, id));
        assert_null (rp_envelopes_find (&s_store, id));
        assert_false (rp_envelopes_remove (&s_store, id));
        uint64_t next = s_add (&s_one, "echo"); // in the same slot
        assert_true (next != id && (uint32_t) next == (uint32_t) id);
        assert_null (rp_envelopes_find (&s_store, id));
        assert_true (rp_envelopes_remove (&s_store, next));
    }
    assert_true (rp_list_is_empty (&s_one));
}

static void s_ids_from_nowhere_find_nothing (void **state)
{
    (void) state;
    static const uint64_t ids[] = {0, 1, UINT64_MAX, (uint64_t) 1 << 32 | 999999};
    for (unsigned round = 0; round < 2; round++) {
        for (size_t index = 0; index < 4; index++) {
            assert_null (rp_envelopes_find (&s_store, ids[index]));
            assert_false (rp_envelopes_remove (&s_store, ids[index]));
        }
        assert_true (s_add (&s_one, "echo") != 0);
    }
}

static void s_an_earlier_life_has_other_ids (void **state)
{
    (void) state;
    rp_envelopes_t later;
    rp_list_t list;
    rp_list_init (&list);
    rp_envelopes_init (&later, S_LIMIT, 0x12345678);
    uint64_t id = s_add (&s_one, "echo");
    assert_true (rp_envelopes_add (&later, &list, NULL, 0, "echo", 4) != 0);
    assert_null (rp_envelopes_find (&later, id));
    rp_envelopes_clear (&later);
}

static void s_a_session_takes_its_envelopes_with_it (void **state)
{
    (void) state;
    uint64_t mine[40];
    uint64_t theirs[40];
    for (size_t index = 0; index < 40; index++) {
        mine[index] = s_add (&s_one, "echo");
        theirs[index] = s_add (&s_other, "upper");
    }
    assert_true (rp_envelopes_remove (&s_store, mine[17])); // answered before
    rp_envelopes_drop_all (&s_store, &s_one);
    assert_true (rp_list_is_empty (&s_one));
    assert_int_equal (rp_envelopes_count (&s_store), 40);
    for (size_t index = 0; index < 40; index++) {
        assert_null (rp_envelopes_find (&s_store, mine[index]));
        assert_non_null (rp_envelopes_find (&s_store, theirs[index]));
    }
    rp_envelopes_drop_all (&s_store, &s_one); // nothing is left
    assert_true (s_add (&s_one, "echo") != 0);
    assert_int_equal (rp_envelopes_count (&s_store), 41);
}

static void s_envelopes_and_bytes_are_counted (void **state)
{
    (void) state;
    assert_int_equal (rp_envelopes_count (&s_store), 0);
    assert_int_equal (rp_envelopes_bytes (&s_store), 0);
    const rp_frame_t frame = {"12345678", 8};
    uint64_t big = rp_envelopes_add (&s_store, &s_one, &frame, 1, "echo", 4);
    size_t bytes = rp_envelopes_bytes (&s_store);
    assert_int_equal (bytes, sizeof (rp_frame_t) + 8 + 4);
    uint64_t small = s_add (&s_other, "echo");
    assert_int_equal (rp_envelopes_count (&s_store), 2);
    assert_int_equal (rp_envelopes_bytes (&s_store), bytes + 4);
    assert_true (rp_envelopes_remove (&s_store, big));
    assert_int_equal (rp_envelopes_bytes (&s_store), 4);
    assert_true (rp_envelopes_remove (&s_store, small));
    assert_int_equal (rp_envelopes_count (&s_store), 0);
    assert_int_equal (rp_envelopes_bytes (&s_store), 0);
}

static void s_the_store_ends_at_its_limit (void **state)
{
    (void) state;
    for (unsigned index = 0; index < S_LIMIT; index++)
        assert_true (s_add (&s_one, "echo") != 0);
    size_t bytes = rp_envelopes_bytes (&s_store);
    assert_true (s_add (&s_other, "echo") == 0);
    assert_true (rp_list_is_empty (&s_other));
    assert_int_equal (rp_envelopes_count (&s_store), S_LIMIT);
    assert_int_equal (rp_envelopes_bytes (&s_store), bytes);
    rp_envelopes_drop_all (&s_store, &s_one);
    assert_true (s_add (&s_other, "echo") != 0);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_an_envelope_is_a_copy),
      S_TEST (s_the_largest_envelope_is_kept),
      S_TEST (s_an_envelope_may_be_empty),
      S_TEST (s_an_id_is_never_0_and_finds_nothing_once_removed),
      S_TEST (s_ids_from_nowhere_find_nothing),
      S_TEST (s_an_earlier_life_has_other_ids),
      S_TEST (s_a_session_takes_its_envelopes_with_it),
      S_TEST (s_envelopes_and_bytes_are_counted),
      S_TEST (s_the_store_ends_at_its_limit),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
