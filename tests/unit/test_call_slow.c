/* Calls whose work takes longer than their timeout: waited for as long as the node that is at it
 * lives, and no longer. */
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "client/kind.h"
#include "tests/unit/client_rig.h"
#include "wire/frame.h"

#define TIMEOUT_MS 1000u
#define WORK_MS 6500u /* longer than a node may be silent */
#define FOREVER_MS 100000u

static uint32_t just_ok(unsigned asked, const Quadhsm__Request *request,
                        Quadhsm__Response *response)
{
    (void)asked;
    (void)request;
    (void)response;
    return QH_OK;
}

struct generation {
    Quadhsm__Request request;
    Quadhsm__Generate generate;
    Quadhsm__Mechanism mechanism;
    Quadhsm__Attribute attribute, *list[1];
    uint8_t number[8];
};

static void make_generation(struct generation *generation, unsigned bits)
{
    struct bytes_writer writer;

    quadhsm__request__init(&generation->request);
    quadhsm__generate__init(&generation->generate);
    quadhsm__mechanism__init(&generation->mechanism);
    quadhsm__attribute__init(&generation->attribute);
    bytes_writer_init(&writer, generation->number, sizeof generation->number);
    bytes_write_u64(&writer, bits);
    generation->attribute.type = CKA_MODULUS_BITS;
    generation->attribute.value = (ProtobufCBinaryData){.data = generation->number, .len = 8};
    generation->list[0] = &generation->attribute;
    generation->mechanism.type = CKM_RSA_PKCS_KEY_PAIR_GEN;
    generation->generate.mechanism = &generation->mechanism;
    generation->generate.template_ = generation->list;
    generation->generate.n_template_ = 1;
    generation->request.op_case = QUADHSM__REQUEST__OP_GENERATE;
    generation->request.generate = &generation->generate;
}

static enum qh_err call_generate(unsigned *ret_took_ms)
{
    uint64_t begun_ms = clock_monotonic_ms();
    struct generation generation;
    Quadhsm__Response *response;
    enum qh_err err;

    make_generation(&generation, 2048);
    err = client_call(handle, &generation.request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    *ret_took_ms = (unsigned)(clock_monotonic_ms() - begun_ms);
    return err;
}

/* From here on alpha, which is asked first, takes so long. */
static void work(unsigned count, unsigned delay_ms)
{
    WAIT_UNTIL(call_random() == QH_OK && strcmp(quadhsm_last_node(), "alpha") == 0);
    for (unsigned i = 0; i < count; i++) {
        peer_set_answer(peers[i], just_ok);
    }
    peer_set_delay(peers[0], delay_ms);
    peer_set_mode(peers[0], PEER_WORKS);
    ck_assert_int_eq(quadhsm_set_timeout(handle, TIMEOUT_MS), QUADHSM_OK);
}

static void *kill_alpha(void *data)
{
    nap(*(unsigned *)data);
    peer_kill(peers[0]);
    return NULL;
}

static void *freeze_alpha(void *data)
{
    nap(*(unsigned *)data);
    peer_set_mode(peers[0], PEER_FROZEN);
    return NULL;
}

static enum qh_err call_while(void *(*what)(void *), unsigned after_ms, unsigned *ret_took_ms)
{
    pthread_t thread;
    enum qh_err err;

    ck_assert_int_eq(pthread_create(&thread, NULL, what, &after_ms), 0);
    err = call_generate(ret_took_ms);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return err;
}

START_TEST(slow_work_has_time_by_its_size)
{
    static const unsigned bits[] = {2048, 2049, 3072, 4096, 4097, 8192};
    static const unsigned work_ms[] = {60000, 120000, 120000, 240000, 600000, 600000};
    struct generation generation;

    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        make_generation(&generation, bits[i]);
        ck_assert_uint_eq(kind_work_ms(&generation.request), work_ms[i]);
    }
    generation.mechanism.type = CKM_EC_KEY_PAIR_GEN;
    ck_assert_uint_eq(kind_work_ms(&generation.request), 0);
}
END_TEST

START_TEST(slow_work_goes_on_past_the_timeout_at_one_node_alone)
{
    unsigned others, took_ms;

    open_ready(PEERS);
    work(PEERS, WORK_MS);
    others = peer_requests(peers[1]) + peer_requests(peers[2]);
    ck_assert_int_eq(call_generate(&took_ms), QH_OK);
    ck_assert_uint_ge(took_ms, WORK_MS);
    ck_assert_str_eq(quadhsm_last_node(), "alpha");
    ck_assert_uint_eq(peer_asked(peers[0]), 1);
    ck_assert_uint_eq(peer_requests(peers[1]) + peer_requests(peers[2]), others);
    ck_assert_uint_le(peer_last(peers[0]).timeout_ms, TIMEOUT_MS);
    ck_assert_uint_eq(peer_last(peers[0]).work_ms, 60000);
}
END_TEST

START_TEST(slow_work_goes_on_without_a_thread_that_measures)
{
    unsigned took_ms;

    open_handle(1);
    quadhsm_forbid_threads(handle);
    ck_assert_int_eq(call_random(), QH_OK);
    work(1, WORK_MS);
    ck_assert_int_eq(call_generate(&took_ms), QH_OK);
    ck_assert_uint_eq(peer_asked(peers[0]), 1);
}
END_TEST

START_TEST(other_requests_get_no_time_for_work)
{
    open_ready(1);
    work(1, WORK_MS);
    ck_assert_int_eq(call_destroy(), QH_EUNKNOWN);
    ck_assert_uint_eq(peer_last(peers[0]).work_ms, 0);
}
END_TEST

START_TEST(a_node_that_dies_at_its_work_ends_it_after_the_timeout)
{
    unsigned took_ms;

    open_ready(1);
    work(1, FOREVER_MS);
    ck_assert_int_eq(call_while(kill_alpha, 2000, &took_ms), QH_EUNKNOWN);
    ck_assert_uint_ge(took_ms, 2000);
    ck_assert_uint_lt(took_ms, 5000);
}
END_TEST

START_TEST(a_node_that_hangs_at_its_work_ends_it_after_the_timeout)
{
    unsigned took_ms;

    open_ready(1);
    work(1, FOREVER_MS);
    ck_assert_int_eq(call_while(freeze_alpha, 2000, &took_ms), QH_EUNKNOWN);
    ck_assert_uint_lt(took_ms, 12000);
}
END_TEST

START_TEST(the_work_of_a_node_that_dies_is_done_elsewhere_under_its_id)
{
    struct peer_last first;
    unsigned took_ms;

    open_ready(2);
    work(2, FOREVER_MS);
    ck_assert_int_eq(quadhsm_set_timeout(handle, PATIENCE_MS), QUADHSM_OK);
    ck_assert_int_eq(call_while(kill_alpha, 2000, &took_ms), QH_OK);
    ck_assert_str_eq(quadhsm_last_node(), "beta");
    first = peer_last(peers[0]);
    ck_assert_uint_eq(first.request_id_size, 16);
    ck_assert_mem_eq(first.request_id, peer_last(peers[1]).request_id, 16);
    ck_assert_uint_lt(took_ms, 8000);
}
END_TEST

START_TEST(the_work_of_a_node_that_hangs_is_done_elsewhere)
{
    unsigned took_ms;

    open_ready(2);
    work(2, FOREVER_MS);
    ck_assert_int_eq(quadhsm_set_timeout(handle, PATIENCE_MS), QUADHSM_OK);
    ck_assert_int_eq(call_while(freeze_alpha, 2000, &took_ms), QH_OK);
    ck_assert_str_eq(quadhsm_last_node(), "beta");
    ck_assert_uint_lt(took_ms, 12000);
}
END_TEST

START_TEST(slow_work_for_which_nobody_is_there_ends_at_the_timeout)
{
    unsigned took_ms;

    open_ready(2);
    work(2, 0);
    peer_kill(peers[0]);
    peer_kill(peers[1]);
    WAIT_UNTIL(probed("alpha", QUADHSM_UNREACHABLE) && probed("beta", QUADHSM_UNREACHABLE));
    ck_assert_int_eq(call_generate(&took_ms), QH_ECONN);
    ck_assert_uint_lt(took_ms, TIMEOUT_MS + 2500);
}
END_TEST

static uint32_t no_majority(unsigned asked, const Quadhsm__Request *request,
                            Quadhsm__Response *response)
{
    (void)asked;
    (void)request;
    (void)response;
    return QH_ENOQUORUM;
}

START_TEST(slow_work_without_a_majority_ends_at_the_timeout)
{
    unsigned took_ms;

    open_ready(1);
    work(1, 0);
    peer_set_answer(peers[0], no_majority);
    ck_assert_int_eq(call_generate(&took_ms), QH_ENOQUORUM);
    ck_assert_uint_lt(took_ms, TIMEOUT_MS + 2500);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("call_slow");
    TCase *tcase = tcase_create("call_slow");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, slow_work_has_time_by_its_size);
    tcase_add_test(tcase, slow_work_goes_on_past_the_timeout_at_one_node_alone);
    tcase_add_test(tcase, slow_work_goes_on_without_a_thread_that_measures);
    tcase_add_test(tcase, other_requests_get_no_time_for_work);
    tcase_add_test(tcase, a_node_that_dies_at_its_work_ends_it_after_the_timeout);
    tcase_add_test(tcase, a_node_that_hangs_at_its_work_ends_it_after_the_timeout);
    tcase_add_test(tcase, the_work_of_a_node_that_dies_is_done_elsewhere_under_its_id);
    tcase_add_test(tcase, the_work_of_a_node_that_hangs_is_done_elsewhere);
    tcase_add_test(tcase, slow_work_for_which_nobody_is_there_ends_at_the_timeout);
    tcase_add_test(tcase, slow_work_without_a_majority_ends_at_the_timeout);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
