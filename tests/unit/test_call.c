/* Calls against scripted nodes: which node answers, what is repeated, how long it takes. */
#include "client/call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/certs.h"
#include "tests/unit/client_rig.h"
#include "wire/frame.h"

/* ---- which node ---- */

START_TEST(the_preferred_region_answers)
{
    unsigned before;

    open_ready(PEERS);
    before = peer_requests(peers[0]);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(call_random(), QH_OK);
        ck_assert_str_eq(quadhsm_last_node(), "alpha");
    }
    ck_assert_uint_eq(peer_requests(peers[0]), before + 20);
}
END_TEST

START_TEST(without_a_region_the_nearest_answers)
{
    peer_set_delay(peers[0], 40);
    peer_set_delay(peers[2], 40);
    ck_assert_int_eq(client_open_config(config_for(PEERS, ""), &handle), QH_OK);
    ck_assert_int_eq(call_random(), QH_OK);
    wait_all_ready();
    be_patient();
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(call_random(), QH_OK);
        ck_assert_str_eq(quadhsm_last_node(), "beta");
    }
}
END_TEST

START_TEST(spreading_uses_all_near_nodes)
{
    struct client_config *config = config_for(PEERS, "west");
    unsigned far;

    config->spread = true;
    ck_assert_int_eq(client_open_config(config, &handle), QH_OK);
    ck_assert_int_eq(call_random(), QH_OK);
    wait_all_ready();
    be_patient();
    handle_lock(handle); /* measured as it should be, on a machine with nothing else to do */
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        handle->endpoints.list[i]->health.round_trip_ms = 20.0;
        handle->endpoints.list[i]->health.queue_ms = 0.0;
    }
    handle_unlock(handle);
    far = peer_requests(peers[0]);
    for (int i = 0; i < 60; i++) {
        ck_assert_int_eq(call_random(), QH_OK);
    }
    ck_assert_uint_gt(peer_requests(peers[1]), 5);
    ck_assert_uint_gt(peer_requests(peers[2]), 5);
    ck_assert_uint_eq(peer_requests(peers[0]), far);
}
END_TEST

START_TEST(a_node_that_is_not_ready_is_left_out)
{
    peer_set_readiness(peers[0], QUADHSM__READINESS__READINESS_LOCKED);
    open_handle(PEERS);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_uint_eq(peer_requests(peers[0]), 0);
    WAIT_UNTIL(probed("alpha", QUADHSM_LOCKED));
}
END_TEST

START_TEST(one_node_alone_can_be_asked)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Random random = QUADHSM__RANDOM__INIT;
    Quadhsm__Response *response;

    random.size = 1;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    open_ready(PEERS);
    ck_assert_int_eq(client_call_node(handle, "gamma", &request, &response), QH_OK);
    wire_message_free(&response->base);
    ck_assert_str_eq(quadhsm_last_node(), "gamma");
    ck_assert_int_eq(client_call_node(handle, "delta", &request, &response), QH_ENOTFOUND);
    peer_set_error(peers[2], QH_EBUSY, "full");
    ck_assert_int_eq(client_call_node(handle, "gamma", &request, &response), QH_EBUSY);
}
END_TEST

/* ---- failing over ---- */

START_TEST(a_dead_node_is_replaced_at_once)
{
    uint64_t begun_ms;

    open_ready(PEERS);
    peer_kill(peers[0]);
    begun_ms = clock_monotonic_ms();
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
    ck_assert_uint_lt(clock_monotonic_ms() - begun_ms, 1000);
    peer_restart(peers[0]);
    WAIT_UNTIL(call_random() == QH_OK && strcmp(quadhsm_last_node(), "alpha") == 0);
}
END_TEST

START_TEST(a_frozen_node_is_hedged_and_then_avoided)
{
    uint64_t begun_ms, first_ms, second_ms;

    open_ready(PEERS);
    hedge_init(&handle->hedge);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(call_random(), QH_OK);
    }
    peer_set_mode(peers[0], PEER_FROZEN);
    begun_ms = clock_monotonic_ms();
    ck_assert_int_eq(call_random(), QH_OK);
    first_ms = clock_monotonic_ms() - begun_ms;
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
    begun_ms = clock_monotonic_ms();
    ck_assert_int_eq(call_random(), QH_OK);
    second_ms = clock_monotonic_ms() - begun_ms;
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
    ck_assert_uint_ge(first_ms, 20);
    ck_assert_uint_lt(first_ms, 1500);
    ck_assert_uint_lt(second_ms, 1000);
    WAIT_UNTIL(probed("alpha", QUADHSM_UNREACHABLE));
    peer_set_mode(peers[0], PEER_ANSWERS);
    WAIT_UNTIL(call_random() == QH_OK && strcmp(quadhsm_last_node(), "alpha") == 0);
}
END_TEST

START_TEST(a_node_that_only_answers_pings_is_hedged)
{
    open_ready(PEERS);
    peer_set_mode(peers[0], PEER_SLOW);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
}
END_TEST

START_TEST(a_broken_answer_is_as_good_as_none)
{
    static const enum peer_mode modes[] = {PEER_BREAKS, PEER_GARBAGE, PEER_HUGE, PEER_OTHER_ID,
                                           PEER_TRUNCATES};

    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        open_ready(PEERS);
        ck_assert_int_eq(call_random(), QH_OK);
        ck_assert_str_eq(quadhsm_last_node(), "alpha");
        peer_set_mode(peers[0], modes[i]);
        ck_assert_int_eq(call_random(), QH_OK);
        ck_assert_str_ne(quadhsm_last_node(), "alpha");
        peer_set_mode(peers[0], PEER_ANSWERS);
        quadhsm_close(handle);
    }
    handle = NULL;
}
END_TEST

START_TEST(errors_of_one_node_send_the_call_elsewhere)
{
    static const enum qh_err errors[] = {QH_ELOCKED, QH_ECANCELED,      QH_EBUSY,
                                         QH_ESTALE,  QH_EUNINITIALIZED, QH_ENOTENROLLED,
                                         QH_EIO,     QH_ENOQUORUM,      QH_ETIMEOUT};

    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        unsigned asked, turn = 0;

        /* Again, if a measurement saw the error first and nobody asked. */
        do {
            peer_set_error(peers[0], 0, NULL);
            open_ready(PEERS);
            asked = peer_requests(peers[0]);
            peer_set_error(peers[0], errors[i], "not here");
            ck_assert_int_eq(call_random(), QH_OK);
            ck_assert_str_ne(quadhsm_last_node(), "alpha");
            quadhsm_close(handle);
        } while (peer_requests(peers[0]) == asked && ++turn < 20);
        ck_assert_uint_eq(peer_requests(peers[0]), asked + 1);
    }
    handle = NULL;
}
END_TEST

START_TEST(a_real_answer_ends_the_call)
{
    static const enum qh_err errors[] = {QH_EPIN,   QH_ENOTFOUND, QH_ESIGNATURE,  QH_EPERM,
                                         QH_EEXIST, QH_ETICKET,   QH_EUNSUPPORTED};

    unsigned others;

    open_ready(PEERS);
    others = peer_requests(peers[1]) + peer_requests(peers[2]);
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        peer_set_error(peers[0], errors[i], "as it is");
        ck_assert_int_eq(call_random(), errors[i]);
        ck_assert_str_eq(quadhsm_error_detail(), "as it is");
        ck_assert_str_eq(quadhsm_last_node(), "alpha");
    }
    ck_assert_uint_eq(peer_requests(peers[1]) + peer_requests(peers[2]), others);
}
END_TEST

START_TEST(locked_everywhere_is_told_at_once)
{
    uint64_t begun_ms = clock_monotonic_ms();

    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_error(peers[i], QH_ELOCKED, "unlock it");
    }
    open_handle(PEERS);
    ck_assert_int_eq(call_random(), QH_ELOCKED);
    ck_assert_ptr_nonnull(strstr(quadhsm_error_detail(), "alpha: unlock it"));
    ck_assert_ptr_nonnull(strstr(quadhsm_error_detail(), "gamma: unlock it"));
    ck_assert_uint_lt(clock_monotonic_ms() - begun_ms, 5000);
}
END_TEST

START_TEST(busy_everywhere_is_tried_until_it_is_not)
{
    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_error(peers[i], QH_EBUSY, "full");
    }
    open_handle(PEERS);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 2000), QUADHSM_OK);
    ck_assert_int_eq(call_random(), QH_EBUSY);
    ck_assert_uint_gt(peer_requests(peers[0]), 1);
}
END_TEST

START_TEST(a_single_node_that_was_restarted_is_found_again)
{
    open_handle(1);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_kill(peers[0]);
    peer_restart(peers[0]);
    ck_assert_int_eq(call_random(), QH_OK);
}
END_TEST

START_TEST(nobody_there_is_told_at_the_deadline)
{
    uint64_t begun_ms, took_ms;

    open_handle(2);
    peer_kill(peers[0]);
    peer_kill(peers[1]);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 500), QUADHSM_OK);
    begun_ms = clock_monotonic_ms();
    ck_assert_int_eq(call_random(), QH_ECONN);
    took_ms = clock_monotonic_ms() - begun_ms;
    ck_assert_uint_ge(took_ms, 500);
    ck_assert_uint_lt(took_ms, 2500);
    ck_assert_str_ne(quadhsm_error_detail(), "");
    ck_assert_str_eq(quadhsm_last_node(), "");
}
END_TEST

static unsigned computed_ms(void)
{
    struct timespec used;

    ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (unsigned)(used.tv_sec * 1000 + used.tv_nsec / 1000000);
}

START_TEST(waiting_for_a_node_that_comes_back_costs_no_computing)
{
    unsigned before_ms;

    open_handle(2);
    peer_kill(peers[0]);
    peer_kill(peers[1]);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 1500), QUADHSM_OK);
    before_ms = computed_ms();
    ck_assert_int_eq(call_random(), QH_ECONN);
    ck_assert_uint_lt(computed_ms() - before_ms, 100);
}
END_TEST

START_TEST(silence_everywhere_ends_at_the_deadline)
{
    open_ready(PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_mode(peers[i], PEER_SLOW);
    }
    ck_assert_int_eq(quadhsm_set_timeout(handle, 700), QUADHSM_OK);
    ck_assert_int_eq(call_random(), QH_ETIMEOUT);
    /* Each was given a chance. */
    for (unsigned i = 0; i < PEERS; i++) {
        ck_assert_uint_gt(peer_requests(peers[i]), 0);
    }
}
END_TEST

/* ---- changes ---- */

static uint32_t just_ok(unsigned asked, const Quadhsm__Request *request,
                        Quadhsm__Response *response)
{
    (void)asked;
    (void)request;
    (void)response;
    return QH_OK;
}

START_TEST(a_change_is_repeated_under_its_id)
{
    struct peer_last first, second;

    open_ready(PEERS);
    peer_set_mode(peers[0], PEER_BREAKS);
    peer_set_answer(peers[1], just_ok);
    peer_set_answer(peers[2], just_ok);
    ck_assert_int_eq(call_destroy(), QH_OK);
    first = peer_last(peers[0]);
    second = peer_last(strcmp(quadhsm_last_node(), "beta") == 0 ? peers[1] : peers[2]);
    ck_assert_uint_eq(first.request_id_size, 16);
    ck_assert_uint_eq(second.request_id_size, 16);
    ck_assert_mem_eq(first.request_id, second.request_id, 16);
    /* And the next change has another one. */
    peer_set_mode(peers[0], PEER_ANSWERS);
    peer_set_answer(peers[0], just_ok);
    ck_assert_int_eq(call_destroy(), QH_OK);
    second = peer_last(strcmp(quadhsm_last_node(), "alpha") == 0  ? peers[0]
                       : strcmp(quadhsm_last_node(), "beta") == 0 ? peers[1]
                                                                  : peers[2]);
    ck_assert_mem_ne(first.request_id, second.request_id, 16);
}
END_TEST

START_TEST(a_read_has_no_request_id)
{
    open_handle(1);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_uint_eq(peer_last(peers[0]).request_id_size, 0);
}
END_TEST

START_TEST(a_change_that_nobody_answered_is_unknown)
{
    open_handle(1);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_set_mode(peers[0], PEER_SLOW);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 300), QUADHSM_OK);
    ck_assert_int_eq(call_destroy(), QH_EUNKNOWN);
    ck_assert_int_eq(call_random(), QH_ETIMEOUT);
}
END_TEST

START_TEST(a_change_that_was_never_sent_is_not_unknown)
{
    open_handle(1);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_kill(peers[0]);
    WAIT_UNTIL(probed("alpha", QUADHSM_UNREACHABLE));
    ck_assert_int_eq(quadhsm_set_timeout(handle, 300), QUADHSM_OK);
    ck_assert_int_eq(call_destroy(), QH_ECONN);
}
END_TEST

START_TEST(without_a_majority_all_nodes_are_asked_and_the_reason_is_told)
{
    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_error(peers[i], QH_ENOQUORUM, "no majority");
    }
    open_handle(PEERS);
    be_patient();
    ck_assert_int_eq(quadhsm_set_timeout(handle, 3000), QUADHSM_OK);
    ck_assert_int_eq(call_destroy(), QH_ENOQUORUM);
    ck_assert_ptr_nonnull(strstr(quadhsm_error_detail(), "keys can be used"));
    for (unsigned i = 0; i < PEERS; i++) {
        ck_assert_uint_gt(peer_requests(peers[i]), 1);
    }
}
END_TEST

static uint32_t unknown_then_done(unsigned asked, const Quadhsm__Request *request,
                                  Quadhsm__Response *response)
{
    (void)request;
    (void)response;
    return asked == 0 ? QH_EUNKNOWN : QH_OK;
}

START_TEST(a_node_that_does_not_know_is_asked_again)
{
    peer_set_answer(peers[0], unknown_then_done);
    open_handle(1);
    ck_assert_int_eq(call_destroy(), QH_OK);
    ck_assert_uint_eq(peer_asked(peers[0]), 2);
}
END_TEST

START_TEST(a_leader_that_comes_back_is_waited_for)
{
    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_error(peers[i], QH_ENOQUORUM, "no majority");
    }
    open_handle(PEERS);
    peer_set_answer(peers[2], unknown_then_done);
    ck_assert_int_eq(call_destroy(), QH_OK);
}
END_TEST

/* ---- levels ---- */

START_TEST(the_highest_revision_seen_is_sent)
{
    open_handle(1);
    peer_set_revision(peers[0], 77);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_set_revision(peers[0], 50);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 77);
    ck_assert_int_eq(peer_last(peers[0]).level, QUADHSM__LEVEL__LEVEL_SESSION);
    quadhsm_set_level(handle, QUADHSM_LOCAL);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_int_eq(peer_last(peers[0]).level, QUADHSM__LEVEL__LEVEL_LOCAL);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 0);
    quadhsm_set_level(handle, QUADHSM_LINEARIZABLE);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_int_eq(peer_last(peers[0]).level, QUADHSM__LEVEL__LEVEL_LINEARIZABLE);
    /* A change is made as after what was seen, whatever reads want; a key is used as it is known.
     */
    ck_assert_int_eq(call_destroy(), QH_OK);
    ck_assert_int_eq(peer_last(peers[0]).level, QUADHSM__LEVEL__LEVEL_SESSION);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 77);
    ck_assert_int_eq(call_use(33), QH_OK);
    ck_assert_int_eq(peer_last(peers[0]).level, QUADHSM__LEVEL__LEVEL_SESSION);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 33);
}
END_TEST

static uint32_t behind(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    (void)asked;
    (void)response;
    return request->level == QUADHSM__LEVEL__LEVEL_SESSION && request->min_revision > 10 ? QH_ESTALE
                                                                                         : QH_OK;
}

START_TEST(a_key_is_used_on_a_node_that_is_behind_if_there_is_no_other)
{
    open_ready(2);
    peer_set_revision(peers[0], 20);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_set_revision(peers[1], 10);
    peer_set_answer(peers[1], behind);
    peer_kill(peers[0]);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 3000), QUADHSM_OK);
    ck_assert_int_eq(call_use(20), QH_OK);
    ck_assert_str_eq(quadhsm_last_node(), "beta");
    ck_assert_int_eq(peer_last(peers[1]).level, QUADHSM__LEVEL__LEVEL_LOCAL);
    /* But not so for a read that must not be old. */
    ck_assert_int_eq(quadhsm_set_timeout(handle, 300), QUADHSM_OK);
    ck_assert_int_eq(call_random(), QH_ESTALE);
}
END_TEST

static uint32_t behind_the_key(unsigned asked, const Quadhsm__Request *request,
                               Quadhsm__Response *response)
{
    uint32_t err = behind(asked, request, response);

    return err == QH_OK && asked < 5 ? QH_ENOTFOUND : err;
}

/* A key that was made a moment ago, and the only node that is left has not heard of it yet. */
START_TEST(a_node_that_is_behind_cannot_say_that_there_is_no_such_key)
{
    open_ready(2);
    peer_set_revision(peers[0], 20);
    ck_assert_int_eq(call_random(), QH_OK);
    peer_set_revision(peers[1], 10);
    peer_set_answer(peers[1], behind_the_key);
    peer_kill(peers[0]);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 5000), QUADHSM_OK);
    ck_assert_int_eq(call_use(20), QH_OK);
    ck_assert_str_eq(quadhsm_last_node(), "beta");
}
END_TEST

START_TEST(the_node_is_told_how_much_time_is_left)
{
    open_handle(1);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 5000), QUADHSM_OK);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_uint_gt(peer_last(peers[0]).timeout_ms, 1000);
    ck_assert_uint_lt(peer_last(peers[0]).timeout_ms, 5000);
}
END_TEST

START_TEST(timeouts_have_limits)
{
    open_handle(1);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 99), QUADHSM_EINVAL);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 100), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 600000), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_set_timeout(handle, 600001), QUADHSM_EINVAL);
}
END_TEST

/* ---- endpoints ---- */

START_TEST(nodes_that_are_not_configured_are_learnt_and_remembered)
{
    struct client_config *config = config_for(1, "east");
    struct client_config *later = config_for(1, "east");
    char cache[512];

    (void)snprintf(cache, sizeof cache, "%s/cache/endpoints", dir);
    config->cache = strdup(cache);
    later->cache = strdup(cache);
    for (unsigned i = 0; i < PEERS; i++) {
        peer_set_list(peers[i], 5, peers, PEERS);
    }
    ck_assert_int_eq(client_open_config(config, &handle), QH_OK);
    ck_assert_int_eq(call_random(), QH_OK);
    wait_all_ready();
    WAIT_UNTIL(access(cache, R_OK) == 0);
    /* The one that it was born with goes; a new process still finds the cluster. */
    peer_kill(peers[0]);
    ck_assert_int_eq(call_random(), QH_OK);
    quadhsm_close(handle);
    ck_assert_int_eq(client_open_config(later, &handle), QH_OK);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
}
END_TEST

START_TEST(another_node_at_a_listed_address_is_refused)
{
    struct peer *swapped[2] = {peers[0], peers[1]};
    struct peer *impostor;

    certs_make_node(dir, "mallory");
    impostor = peer_start(&(struct peer_options){
        .dir = dir, .certificate = "mallory", .node = "beta", .region = "east"});
    swapped[1] = impostor; /* listed as "beta" */
    peer_set_list(peers[0], 5, swapped, 2);
    open_handle(1);
    ck_assert_int_eq(call_random(), QH_OK);
    WAIT_UNTIL(peer_accepted(impostor) > 0);
    peer_set_error(peers[0], QH_ELOCKED, "locked");
    ck_assert_int_eq(call_random(), QH_ELOCKED);
    ck_assert_ptr_nonnull(strstr(quadhsm_error_detail(), "mallory"));
    ck_assert_uint_eq(peer_requests(impostor), 0);
    quadhsm_close(handle);
    handle = NULL;
    peer_stop(impostor);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("call");
    TCase *tcase = tcase_create("call");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_preferred_region_answers);
    tcase_add_test(tcase, without_a_region_the_nearest_answers);
    tcase_add_test(tcase, spreading_uses_all_near_nodes);
    tcase_add_test(tcase, a_node_that_is_not_ready_is_left_out);
    tcase_add_test(tcase, one_node_alone_can_be_asked);
    tcase_add_test(tcase, a_dead_node_is_replaced_at_once);
    tcase_add_test(tcase, a_frozen_node_is_hedged_and_then_avoided);
    tcase_add_test(tcase, a_node_that_only_answers_pings_is_hedged);
    tcase_add_test(tcase, a_broken_answer_is_as_good_as_none);
    tcase_add_test(tcase, errors_of_one_node_send_the_call_elsewhere);
    tcase_add_test(tcase, a_real_answer_ends_the_call);
    tcase_add_test(tcase, locked_everywhere_is_told_at_once);
    tcase_add_test(tcase, busy_everywhere_is_tried_until_it_is_not);
    tcase_add_test(tcase, a_single_node_that_was_restarted_is_found_again);
    tcase_add_test(tcase, nobody_there_is_told_at_the_deadline);
    tcase_add_test(tcase, waiting_for_a_node_that_comes_back_costs_no_computing);
    tcase_add_test(tcase, silence_everywhere_ends_at_the_deadline);
    tcase_add_test(tcase, a_change_is_repeated_under_its_id);
    tcase_add_test(tcase, a_read_has_no_request_id);
    tcase_add_test(tcase, a_change_that_nobody_answered_is_unknown);
    tcase_add_test(tcase, a_change_that_was_never_sent_is_not_unknown);
    tcase_add_test(tcase, without_a_majority_all_nodes_are_asked_and_the_reason_is_told);
    tcase_add_test(tcase, a_node_that_does_not_know_is_asked_again);
    tcase_add_test(tcase, a_leader_that_comes_back_is_waited_for);
    tcase_add_test(tcase, the_highest_revision_seen_is_sent);
    tcase_add_test(tcase, a_key_is_used_on_a_node_that_is_behind_if_there_is_no_other);
    tcase_add_test(tcase, a_node_that_is_behind_cannot_say_that_there_is_no_such_key);
    tcase_add_test(tcase, the_node_is_told_how_much_time_is_left);
    tcase_add_test(tcase, timeouts_have_limits);
    tcase_add_test(tcase, nodes_that_are_not_configured_are_learnt_and_remembered);
    tcase_add_test(tcase, another_node_at_a_listed_address_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
