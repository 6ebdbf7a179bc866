/*  Who may do what: rules, quotas, rules that change, and keys that are revoked.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/heap.h"
#include "tests/support/trace.h"

#define S_ALL                                                                                      \
    "principal = \"ada\"\n    call = \"*\"\n    serve = \"*\"\n    observe = 1\n    admin = 1\n"
#define S_BOB "principal = \"bob\"\n    call = \"*\"\n    serve = \"*\"\n"

static void s_hello_worker_of (const char *peer, const char *service)
{
    hello (peer, &(rp_head_t){.flags = RP_FLAG_WORKER,
                   .window = 1,
                   .interval_ms = RP_HEARTBEAT_MAX_MS,
                   .name = service,
                   .name_size = (uint8_t) strlen (service)});
}

/*  ---- Rules ---------------------------------------------------------------------------------- */

static void s_without_rules_everybody_may_do_everything (void **state)
{
    (void) state;
    as ("ada");
    hello_worker ("w1", "pay", 1);
    as (NULL);
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "riposte.status");
    request ("c1", "r3", "riposte.reload");
    expect ("w1<r1 admin:riposte.status admin:riposte.reload");
    assert_int_equal (stats ()->denied, 0);
    assert_int_equal (principal ("ada").workers, 1);
    assert_int_equal (principal ("anonymous").sessions, 1);
    assert_int_equal (principal ("anonymous").open, 0); // counted only for quotas
}

static void s_a_request_needs_call (void **state)
{
    (void) state;
    rules (S_BOB "principal = \"ada\"\n    call = \"pay\"\n");
    as ("bob");
    hello_worker ("w1", "pay", 2);
    hello_worker ("w2", "audit", 1);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "audit");
    expect ("w1<r1 c1<r2:DENIED");
    assert_true (answer_says ("r2", "\"ada\" may not call \"audit\"; ask for: call audit"));
    assert_int_equal (stats ()->denied, 1);
    assert_int_equal (principal ("ada").denied, 1);
    assert_int_equal (stats ()->final[RP_DENIED], 1);
}

static void s_a_denial_does_not_tell_whether_the_service_exists (void **state)
{
    (void) state;
    rules (S_BOB "principal = \"ada\"\n    call = \"pay\"\n");
    as ("bob");
    hello_worker ("w1", "audit", 1);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "audit");
    request ("c1", "r2", "nothing");
    request_with ("c1", "r3", "audit", (with_t){.overdue = true});
    request_with ("c1", "r4", "nothing", (with_t){.conversation = "k1"});
    expect ("c1<r1:DENIED c1<r2:DENIED c1<r3:DENIED c1<r4:DENIED");
    assert_int_equal (counts ().services, 1); // no name was kept
}

static void s_what_may_be_called_and_is_not_there_has_no_worker (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("bob");
    hello_client ("c1");
    request ("c1", "r1", "nothing");
    expect ("c1<r1:NO_WORKER");
}

static void s_a_worker_needs_serve (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    serve = \"pay\"\n    call = \"*\"\n");
    as ("ada");
    s_hello_worker_of ("w1", "pay");
    s_hello_worker_of ("w2", "audit");
    expect ("w1<welcome w2<bye:DENIED");
    assert_string_equal (
      last_greeting ()->text, "\"ada\" may not serve \"audit\"; ask for: serve audit");
    assert_int_equal (counts ().services, 1);
    assert_int_equal (stats ()->hellos_refused, 1);
    assert_int_equal (principal ("ada").denied, 1);
    assert_int_equal (principal ("ada").sessions, 1);
}

static void s_a_client_needs_no_rule_to_greet (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("nobody");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "riposte.ping");
    expect ("c1<r1:DENIED admin:riposte.ping");
}

static void s_who_has_no_principal_is_anonymous (void **state)
{
    (void) state;
    rules ("principal = \"anonymous\"\n    call = \"pay\"\n");
    as (NULL);
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "audit");
    expect ("c1<r1:NO_WORKER c1<r2:DENIED");
    assert_true (answer_says ("r2", "\"anonymous\" may not call \"audit\""));
}

static void s_what_the_broker_tells_of_itself_needs_observe (void **state)
{
    (void) state;
    static const char *const names[] = {"riposte.status", "riposte.services", "riposte.workers",
      "riposte.trace", "riposte.slow", "riposte.explain", "riposte.config", "riposte.events",
      "riposte.overview", "riposte.job_services", "mmi.services", "mmi.workers", "mmi.x"};
    rules ("principal = \"ops\"\n    observe = 1\n" S_BOB);
    as ("bob");
    hello_client ("c1");
    as ("ops");
    hello_client ("c2");
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        request ("c1", "r1", names[index]);
        expect ("c1<r1:DENIED");
        assert_true (answer_says ("r1", "\"bob\" may not use"));
        assert_true (answer_says ("r1", "ask for: observe"));
        request ("c2", "r1", names[index]);
        forget ();
    }
    assert_int_equal (stats ()->admin_requests, sizeof names / sizeof *names);
    request ("c1", "r2", "riposte.nothing");
    expect ("c1<r2:DENIED");
    // The broker itself refuses this name, so no rule is counted.
    assert_int_equal (stats ()->denied, sizeof names / sizeof *names);
}

static void s_reload_needs_admin (void **state)
{
    (void) state;
    rules ("principal = \"ops\"\n    observe = 1\n" S_ALL);
    as ("ops");
    hello_client ("c1");
    as ("ada");
    hello_client ("c2");
    request ("c1", "r1", "riposte.reload");
    request ("c2", "r2", "riposte.reload");
    expect ("c1<r1:DENIED admin:riposte.reload");
}

static void s_the_broker_asks_for_mmi_service_what_its_body_names (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"pay\"\n" S_BOB);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "mmi.service");
    expect ("admin:mmi.service");
    audit_t *self = audit ();
    rp_session_id_t client = RP_CONTAINER (rp_list_first (&self->peers), audit_peer_t, node)->id;
    assert_true (rp_dispatch_allows (self->core, client, RP_RULE_CALL, "pay", 3));
    assert_false (rp_dispatch_allows (self->core, client, RP_RULE_CALL, "audit", 5));
    assert_false (rp_dispatch_allows (self->core, client, RP_RULE_OBSERVE, NULL, 0));
    assert_false (rp_dispatch_allows (self->core, (rp_session_id_t){1}, RP_RULE_CALL, "pay", 3));
}

static void s_a_denial_is_in_the_log_once (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("ada");
    hello_client ("c1");
    hello_client ("c2");
    for (unsigned time = 0; time < 10; time++) {
        request ("c1", "r1", "pay");
        request ("c2", "r1", "pay");
        s_hello_worker_of ("w1", "pay");
    }
    assert_int_equal (logged (RP_TOPIC_DENIED), 2); // call and serve
    assert_string_equal (last_logged (), "\"ada\" may not serve \"pay\"; ask for: serve pay");
    request ("c1", "r1", "other");
    assert_int_equal (logged (RP_TOPIC_DENIED), 3);
    assert_int_equal (stats ()->denied, 31);
    rules (S_BOB);
    request ("c1", "r1", "pay");
    assert_int_equal (logged (RP_TOPIC_DENIED), 4);
}

/*  ---- Whose a session is --------------------------------------------------------------------- */

static void s_a_session_is_of_the_principal_of_its_own_connection (void **state)
{
    (void) state;
    rules (S_BOB "principal = \"mallory\"\n");
    as ("mallory");
    hello_client ("c2");
    // From here on each client's requests arrive with the other client's principal.
    as ("bob");
    hello_worker ("w1", "pay", 4);
    hello_client ("c1");
    as ("mallory");
    request ("c1", "r1", "pay");
    as ("bob");
    request ("c2", "r1", "pay");
    expect ("w1<r1 c2<r1:DENIED");
    assert_int_equal (principal ("bob").open, 1);
    assert_int_equal (principal ("mallory").open, 0);
}

static void s_the_history_and_the_lists_name_the_principal (void **state)
{
    (void) state;
    as ("bob");
    hello_worker ("w1", "pay", 4);
    assert_string_equal (joined_as (), "bob");
    as (NULL);
    hello_client ("c1");
    assert_string_equal (joined_as (), "anonymous");
}

static void s_find_worker (const rp_worker_info_t *info, void *arg)
{
    const char **found = arg;
    *found = info->principal;
}

static void s_a_worker_is_listed_with_its_principal (void **state)
{
    (void) state;
    as ("bob");
    hello_worker ("w1", "pay", 4);
    const char *found = NULL;
    rp_dispatch_each_worker (audit ()->core, audit ()->now, s_find_worker, &found);
    assert_string_equal (found, "bob");
}

static void s_a_trusted_worker_needs_no_rule (void **state)
{
    (void) state;
    rules ("principal = \"bob\"\n    call = \"pay\"\n    sessions = 1\n");
    as (NULL);
    hello_foreign_worker ("w1", "pay", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_TRUSTED});
    as ("bob");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    expect ("w1<r1");
    rules ("principal = \"bob\"\n    call = \"pay\"\n");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "pay");
    expect ("c1<r1:OK w1<r2");
}

static void s_no_quota_holds_for_a_trusted_worker (void **state)
{
    (void) state;
    rules ("principal = \"anonymous\"\n    sessions = 1\n");
    as (NULL);
    hello_client ("c1");
    hello_foreign_worker ("w1", "pay", (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_TRUSTED});
}

/*  ---- Foreign clients ------------------------------------------------------------------------ */

static void s_a_foreign_client_is_denied_and_counted_if_it_cannot_be_told (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"pay\"\n" S_BOB);
    as ("bob");
    hello_worker ("w1", "audit", 4);
    as ("ada");
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_WORDLESS | RP_TRAIT_UNTIMED, 60000);
    request ("c1", "r1", "audit");
    request ("c1", "r2", "mmi.services");
    request ("c1", "r3", "mmi.service");
    expect ("c1<r1:DENIED c1<r2:DENIED admin:mmi.service");
    assert_int_equal (stats ()->unanswered[RP_DENIED], 2);
    assert_int_equal (principal ("ada").denied, 2);
}

/*  ---- Quotas --------------------------------------------------------------------------------- */

static void s_a_principal_has_so_many_sessions_and_no_more (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    serve = \"*\"\n    sessions = 2\n" S_BOB);
    as ("ada");
    hello_client ("c1");
    hello_worker ("w1", "pay", 1);
    hello ("c2", &(rp_head_t){.interval_ms = 60000});
    s_hello_worker_of ("w2", "pay");
    expect ("c2<bye:BUSY w2<bye:BUSY");
    assert_non_null (
      strstr (last_greeting ()->text, "\"ada\" has 2 sessions (quota sessions = 2)"));
    assert_int_equal (principal ("ada").over_quota, 2);
    assert_int_equal (stats ()->over_quota, 2);
    as ("bob");
    hello_client ("c3");
    bye ("c1");
    as ("ada");
    hello_client ("c2");
}

static void s_open_requests_of_all_sessions_count_together (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"*\"\n    open = 2\n" S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    hello_client ("c3");
    as ("ada");
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "pay");
    request ("c2", "r2", "pay");
    request ("c2", "r3", "pay");
    expect ("w1<r1 c2<r3:BUSY");
    assert_true (answer_says ("r3", "\"ada\" has 2 requests open (quota open = 2)"));
    assert_int_equal (principal ("ada").open, 2);
    reply ("w1", "r1", RP_OK);
    request ("c1", "r4", "pay");
    request ("c3", "r5", "pay"); // another principal
    expect ("c1<r1:OK w1<r2");
    assert_int_equal (principal ("ada").open, 2);
    assert_int_equal (principal ("ada").over_quota, 1);
}

static void s_open_bytes_are_bounded (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"*\"\n    open_bytes = 1000\n" S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 4);
    as ("ada");
    hello_client ("c1");
    request_with ("c1", "r1", "pay", (with_t){.size = 700});
    request_with ("c1", "r2", "pay", (with_t){.size = 300});
    request_with ("c1", "r3", "pay", (with_t){.size = 1});
    expect ("w1<r1 w1<r2 c1<r3:BUSY");
    assert_true (answer_says ("r3", "(quota open_bytes = 1000)"));
    assert_int_equal (principal ("ada").open_bytes, 1000);
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r4", "pay", (with_t){.size = 1001});
    expect ("c1<r1:OK c1<r4:TOO_LARGE");
    assert_true (answer_says ("r4", "quota open_bytes = 1000"));
    assert_int_equal (principal ("ada").over_quota, 2);
}

static void s_the_rate_allows_a_burst_of_a_second_and_says_when_to_try_again (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"*\"\n    rate = 4\n" S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 64);
    as ("ada");
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "pay");
    request ("c2", "r2", "pay");
    request ("c1", "r3", "pay");
    request ("c2", "r4", "pay");
    request ("c1", "r5", "pay");
    expect ("w1<r1 w1<r2 w1<r3 w1<r4 c1<r5:BUSY");
    assert_true (
      answer_says ("r5", "\"ada\" may send 4 requests a second (quota rate); try again in 250 ms"));
    pass (100);
    request ("c1", "r6", "pay");
    assert_true (answer_says ("r6", "try again in 150 ms"));
    pass (150);
    request ("c1", "r7", "pay");
    request ("c1", "r8", "pay");
    expect ("c1<r6:BUSY w1<r7 c1<r8:BUSY");
    pass (10000);
    for (unsigned time = 0; time < 4; time++)
        request ("c2", "r9", "pay"); // the id is open, so three are refused; each counts
    request ("c2", "r10", "pay");
    expect ("w1<r9 c2<r9:INVALID c2<r9:INVALID c2<r9:INVALID c2<r10:BUSY");
}

static void s_a_new_session_has_the_rest_of_the_rate (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"*\"\n    rate = 1\n");
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    bye ("c1");
    tick ();
    hello_client ("c2");
    request ("c2", "r2", "pay");
    expect ("c1<r1:NO_WORKER c2<r2:BUSY");
}

static void s_a_request_that_is_denied_takes_nothing_from_a_quota (void **state)
{
    (void) state;
    rules ("principal = \"ada\"\n    call = \"pay\"\n    rate = 1\n    open = 1\n");
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "audit");
    request ("c1", "r2", "pay");
    expect ("c1<r1:DENIED c1<r2:NO_WORKER");
}

/*  ---- Rules that change ---------------------------------------------------------------------- */

static void s_a_permission_is_forgotten_when_the_rules_change (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 8);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    rules (S_BOB);
    request ("c1", "r2", "pay");
    expect ("w1<r1 c1<r2:DENIED");
    rules (S_ALL S_BOB);
    request ("c1", "r3", "pay");
    expect ("w1<r3");
}

static void s_a_permission_for_a_name_does_not_pass_to_the_next_service_in_its_place (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    rules ("principal = \"ada\"\n    call = \"a\"\n" S_BOB);
    as ("bob");
    hello_worker ("w1", "a", 8);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "a");
    reply ("w1", "r1", RP_OK);
    bye ("w1");
    pass (1);
    assert_int_equal (counts ().services, 0);
    as ("bob");
    hello_worker ("w2", "b", 8); // its service gets the slot of "a"
    request ("c1", "r2", "b");
    expect ("w1<r1 c1<r1:OK c1<r2:DENIED");
}

static void s_waiting_requests_that_are_not_allowed_any_more_are_denied (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    hello_client ("c2");
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "pay");
    request ("c2", "r3", "pay");
    rules (S_BOB);
    expect ("w1<r1 c1<r2:DENIED");
    reply ("w1", "r1", RP_OK); // requests that run may finish
    expect ("c1<r1:OK w1<r3");
    assert_int_equal (principal ("ada").open, 0);
    assert_int_equal (principal ("bob").open, 1);
}

static void s_a_conversation_whose_client_may_not_call_any_more_runs_dry (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    as ("ada");
    hello_client ("c1");
    open_in ("c1", "r1", "pay", "k1");
    next_in ("c1", "r2", "pay", "k1");
    next_in ("c1", "r3", "pay", "k1");
    rules (S_BOB);
    expect ("w1<r1 c1<r2:DENIED c1<r3:DENIED");
    reply ("w1", "r1", RP_OK);
    next_in ("c1", "r4", "pay", "k1");
    expect ("c1<r1:OK c1<r4:DENIED");
}

static void s_a_request_that_was_lost_is_not_redelivered_without_a_rule (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    hello_worker ("w2", "pay", 1);
    as ("ada");
    hello_client ("c1");
    request_with ("c1", "r1", "pay", (with_t){.attempts = 3});
    request_with ("c1", "r2", "pay", (with_t){.attempts = 3});
    expect ("w1<r1 w2<r2");
    rules (S_BOB);
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("c1<r1:WORKER_LOST");
    assert_true (answer_says ("r1", "no rule allows another attempt"));
    give_back ("w2", "r2"); // w2 never began it, so it counts as never delivered
    expect ("c1<r2:DENIED");
}

static void s_a_worker_that_may_not_serve_any_more_finishes_and_leaves (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "pay");
    rules (S_ALL);
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<bye:DENIED");
    assert_string_equal (
      last_greeting ()->text, "\"bob\" may not serve \"pay\"; ask for: serve pay");
    tick ();
    assert_false (is_there ("w1"));
    hello_worker ("w2", "pay", 1); // ada's, as w1 was
    expect ("w2<r2");
}

static void s_a_worker_that_holds_nothing_leaves_at_once (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    rules (S_ALL);
    expect ("w1<bye:DENIED");
    s_hello_worker_of ("w2", "pay");
    expect ("w2<bye:DENIED");
}

static void s_conversations_end_with_a_worker_that_may_not_serve_any_more (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    as ("ada");
    hello_client ("c1");
    open_in ("c1", "r1", "pay", "k1");
    reply ("w1", "r1", RP_OK);
    open_in ("c1", "r2", "pay", "k2");
    next_in ("c1", "r3", "pay", "k2");
    expect ("w1<r1 c1<r1:OK w1<r2");
    rules (S_ALL);
    expect ("w1<end:k1 c1<r3:CONVERSATION_LOST w1<end:k2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<bye:DENIED");
}

static void s_quotas_change_with_the_rules (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 8);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "pay");
    rules (S_ALL "    open = 1\n" S_BOB); // requests that are open stay
    request ("c1", "r3", "pay");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r4", "pay");
    reply ("w1", "r2", RP_OK);
    request ("c1", "r5", "pay");
    expect ("w1<r1 w1<r2 c1<r3:BUSY c1<r1:OK c1<r4:BUSY c1<r2:OK w1<r5");
}

static void s_security_may_begin_and_end_while_requests_are_open (void **state)
{
    (void) state;
    rules (NULL);
    as ("bob");
    hello_worker ("w1", "pay", 8);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    rules (S_ALL S_BOB);
    assert_int_equal (principal ("ada").open, 1);
    request ("c1", "r2", "pay");
    assert_int_equal (principal ("ada").open, 2);
    rules (NULL);
    reply ("w1", "r1", RP_OK);
    rules (S_ALL S_BOB);
    assert_int_equal (principal ("ada").open, 1);
    reply ("w1", "r2", RP_OK);
    assert_int_equal (principal ("ada").open, 0);
}

static void s_a_principal_without_sessions_is_forgotten_when_the_rules_change (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    bye ("c1");
    tick ();
    assert_int_equal (principal ("ada").denied, 1);
    assert_int_equal (principal ("ada").sessions, 0);
    rules (S_BOB);
    assert_int_equal (principal ("ada").denied, 0);
}

/*  ---- Keys that are revoked ------------------------------------------------------------------ */

static void s_a_client_whose_key_is_revoked_is_cut_off_at_once (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    hello_client ("c2");
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request ("c1", "r2", "pay");
    request ("c2", "r3", "pay");
    revoke ("c1");
    expect ("w1<r1 cut:c1 w1<cancel:r1");
    assert_false (is_there ("c1"));
    assert_int_equal (principal ("ada").sessions, 0);
    assert_int_equal (principal ("ada").open, 0);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r3");
    assert_int_equal (stats ()->clients_lost, 1);
}

static void s_a_worker_whose_key_is_revoked_is_lost (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 2);
    as ("ada");
    hello_client ("c1");
    request ("c1", "r1", "pay");
    request_with ("c1", "r2", "pay", (with_t){.attempts = 2});
    hello_worker ("w2", "pay", 1);
    revoke ("w1");
    expect ("w1<r1 w1<r2 cut:w1 c1<r1:WORKER_LOST w2<r2#2");
    assert_int_equal (stats ()->workers_lost, 1);
}

static void s_a_conversation_ends_with_the_key_of_its_worker (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    as ("ada");
    hello_client ("c1");
    open_in ("c1", "r1", "pay", "k1");
    reply ("w1", "r1", RP_OK);
    next_in ("c1", "r2", "pay", "k1");
    next_in ("c1", "r3", "pay", "k1");
    revoke ("w1");
    expect ("w1<r1 c1<r1:OK w1<r2 cut:w1 c1<r2:WORKER_LOST c1<r3:CONVERSATION_LOST");
}

static void s_a_conversation_ends_with_the_key_of_its_client (void **state)
{
    (void) state;
    rules (S_ALL S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    as ("ada");
    hello_client ("c1");
    open_in ("c1", "r1", "pay", "k1");
    next_in ("c1", "r2", "pay", "k1");
    revoke ("c1");
    expect ("w1<r1 cut:c1 w1<end:k1 w1<cancel:r1");
}

static void s_a_session_that_ends_already_can_be_revoked (void **state)
{
    (void) state;
    rules (S_BOB);
    as ("bob");
    hello_worker ("w1", "pay", 1);
    drain ("w1");
    revoke ("w1");
    revoke ("w1");
    expect ("w1<bye:OK cut:w1");
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_without_rules_everybody_may_do_everything),
      S_TEST (s_a_request_needs_call),
      S_TEST (s_a_denial_does_not_tell_whether_the_service_exists),
      S_TEST (s_what_may_be_called_and_is_not_there_has_no_worker),
      S_TEST (s_a_worker_needs_serve),
      S_TEST (s_a_client_needs_no_rule_to_greet),
      S_TEST (s_who_has_no_principal_is_anonymous),
      S_TEST (s_what_the_broker_tells_of_itself_needs_observe),
      S_TEST (s_reload_needs_admin),
      S_TEST (s_the_broker_asks_for_mmi_service_what_its_body_names),
      S_TEST (s_a_denial_is_in_the_log_once),
      S_TEST (s_a_session_is_of_the_principal_of_its_own_connection),
      S_TEST (s_the_history_and_the_lists_name_the_principal),
      S_TEST (s_a_worker_is_listed_with_its_principal),
      S_TEST (s_a_trusted_worker_needs_no_rule),
      S_TEST (s_no_quota_holds_for_a_trusted_worker),
      S_TEST (s_a_foreign_client_is_denied_and_counted_if_it_cannot_be_told),
      S_TEST (s_a_principal_has_so_many_sessions_and_no_more),
      S_TEST (s_open_requests_of_all_sessions_count_together),
      S_TEST (s_open_bytes_are_bounded),
      S_TEST (s_the_rate_allows_a_burst_of_a_second_and_says_when_to_try_again),
      S_TEST (s_a_new_session_has_the_rest_of_the_rate),
      S_TEST (s_a_request_that_is_denied_takes_nothing_from_a_quota),
      S_TEST (s_a_permission_is_forgotten_when_the_rules_change),
      S_TEST (s_a_permission_for_a_name_does_not_pass_to_the_next_service_in_its_place),
      S_TEST (s_waiting_requests_that_are_not_allowed_any_more_are_denied),
      S_TEST (s_a_conversation_whose_client_may_not_call_any_more_runs_dry),
      S_TEST (s_a_request_that_was_lost_is_not_redelivered_without_a_rule),
      S_TEST (s_a_worker_that_may_not_serve_any_more_finishes_and_leaves),
      S_TEST (s_a_worker_that_holds_nothing_leaves_at_once),
      S_TEST (s_conversations_end_with_a_worker_that_may_not_serve_any_more),
      S_TEST (s_quotas_change_with_the_rules),
      S_TEST (s_security_may_begin_and_end_while_requests_are_open),
      S_TEST (s_a_principal_without_sessions_is_forgotten_when_the_rules_change),
      S_TEST (s_a_client_whose_key_is_revoked_is_cut_off_at_once),
      S_TEST (s_a_worker_whose_key_is_revoked_is_lost),
      S_TEST (s_a_conversation_ends_with_the_key_of_its_worker),
      S_TEST (s_a_conversation_ends_with_the_key_of_its_client),
      S_TEST (s_a_session_that_ends_already_can_be_revoked),
    };
    return cmocka_run_group_tests_name ("dispatch_acl", tests, NULL, NULL);
}
