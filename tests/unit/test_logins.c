/* Failed logins: what is counted, what is cleared, what locks, on both sides of each limit. */
#include "hsm/logins.h"

#include "tests/unit/hsm_fixture.h"

static const struct logins_rule user = {HSM_ROLE_CO, 3, 5};
static const struct logins_rule officer = {HSM_ROLE_SO, 0, 0};
static struct directory_logins logins;

static void setup(void)
{
    memset(&logins, 0, sizeof logins);
}

static const uint8_t *client(uint8_t fill)
{
    static uint8_t ids[256][CLIENT_ID_SIZE];

    memset(ids[fill], fill, CLIENT_ID_SIZE);
    return ids[fill];
}

static void wrong(uint8_t fill, unsigned times)
{
    while (times-- > 0) {
        logins_count(&logins, &user, client(fill), NOW_MS);
    }
}

static uint32_t left(uint8_t fill)
{
    return logins_tries_left(&logins, &user, client(fill), NOW_MS);
}

START_TEST(a_client_is_locked_after_its_own_tries)
{
    ck_assert_uint_eq(left(1), 3);
    wrong(1, 2);
    ck_assert_uint_eq(left(1), 1);
    wrong(1, 1);
    ck_assert_uint_eq(left(1), 0);
    ck_assert_uint_eq(logins_failed(&logins, &user, client(1)), 3);
    ck_assert_uint_eq(left(2), 2); /* of the 5 of all */
    ck_assert(!logins_locked(&logins, &user, NOW_MS));
}
END_TEST

START_TEST(all_are_locked_after_the_tries_of_all)
{
    wrong(1, 2);
    wrong(2, 2);
    ck_assert_uint_eq(left(3), 1);
    wrong(3, 1);
    ck_assert_uint_eq(left(4), 0);
    ck_assert(logins_locked(&logins, &user, NOW_MS));
}
END_TEST

START_TEST(the_right_pin_takes_back_the_clients_own_failures)
{
    wrong(1, 2);
    wrong(2, 1);
    logins_clear(&logins, &user, client(1));
    ck_assert_uint_eq(logins.failed, 1);
    ck_assert_uint_eq(left(1), 3);
    ck_assert_uint_eq(left(2), 2);
    ck_assert(!logins_empty(&logins));
    logins_clear(&logins, &user, client(9)); /* without any */
    ck_assert_uint_eq(logins.failed, 1);
    logins_clear(&logins, &user, client(2));
    ck_assert(logins_empty(&logins));
}
END_TEST

START_TEST(who_failed_longest_ago_is_forgotten_but_not_in_the_sum)
{
    const struct logins_rule many = {HSM_ROLE_CO, 10, 1000};

    for (unsigned i = 0; i < 64; i++) {
        logins_count(&logins, &many, client((uint8_t)i), NOW_MS);
    }
    logins_count(&logins, &many, client(0), NOW_MS); /* now the latest */
    logins_count(&logins, &many, client(100), NOW_MS);
    ck_assert_uint_eq(logins.client_count, 64);
    ck_assert_uint_eq(logins.failed, 66);
    ck_assert_uint_eq(logins_failed(&logins, &many, client(0)), 2);
    ck_assert_uint_eq(logins_failed(&logins, &many, client(1)), 0);
    ck_assert_uint_eq(logins_failed(&logins, &many, client(2)), 1);
    ck_assert_uint_eq(logins_failed(&logins, &many, client(100)), 1);
}
END_TEST

START_TEST(the_security_officer_waits_after_three)
{
    for (unsigned i = 0; i < 2; i++) {
        logins_count(&logins, &officer, client(1), NOW_MS);
    }
    ck_assert_uint_eq(logins_tries_left(&logins, &officer, client(2), NOW_MS), 1);
    logins_count(&logins, &officer, client(2), NOW_MS);
    ck_assert(logins_locked(&logins, &officer, NOW_MS));
    ck_assert_uint_eq(logins_tries_left(&logins, &officer, client(1), NOW_MS + 59999), 0);
    ck_assert_uint_eq(logins_tries_left(&logins, &officer, client(1), NOW_MS + 60000), 1);
    logins_count(&logins, &officer, client(1), NOW_MS + 60000);
    ck_assert_uint_eq(logins_tries_left(&logins, &officer, client(1), NOW_MS + 119999), 0);
    logins_clear(&logins, &officer, client(1));
    ck_assert(logins_empty(&logins));
    ck_assert_uint_eq(logins_tries_left(&logins, &officer, client(1), NOW_MS), 3);
}
END_TEST

START_TEST(a_damaged_count_stays_locked)
{
    logins.failed = UINT32_MAX;
    wrong(1, 1);
    ck_assert_uint_eq(logins.failed, UINT32_MAX);
    ck_assert_uint_eq(left(1), 0);
}
END_TEST

START_TEST(it_is_read_as_it_was_sealed)
{
    struct keyring *keyring = hsm_keyring(1);
    struct record_key key = record_key_logins(hsm_cluster, HSM_ROLE_CO);
    struct directory_logins read;
    ProtobufCMessage *message;
    struct bytes value;

    wrong(1, 2);
    wrong(2, 1);
    logins.blocked_until_unix_ms = 77;
    ck_assert_int_eq(logins_seal(keyring, &key, (struct bytes){NULL, 0}, &logins, &value), QH_OK);
    ck_assert_int_eq(
        record_open(keyring, record_key_bytes(&key), value, &qhrec__logins__descriptor, &message),
        QH_OK);
    ck_assert_int_eq(logins_read((const Qhrec__Logins *)message, &read), QH_OK);
    ck_assert_mem_eq(&read, &logins, sizeof read);
    wire_message_free(message);
    hsm_free(value);
    keyring_free(keyring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logins");
    TCase *tcase = tcase_create("logins");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_client_is_locked_after_its_own_tries);
    tcase_add_test(tcase, all_are_locked_after_the_tries_of_all);
    tcase_add_test(tcase, the_right_pin_takes_back_the_clients_own_failures);
    tcase_add_test(tcase, who_failed_longest_ago_is_forgotten_but_not_in_the_sum);
    tcase_add_test(tcase, the_security_officer_waits_after_three);
    tcase_add_test(tcase, a_damaged_count_stays_locked);
    tcase_add_test(tcase, it_is_read_as_it_was_sealed);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
