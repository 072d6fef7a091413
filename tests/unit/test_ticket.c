/* Tickets: valid for one client, one role, one epoch and a time; forged by nobody. */
#include "hsm/ticket.h"

#include "tests/unit/hsm_fixture.h"

static struct keyring *keyring;
static struct store *store;
static struct directory *directory;
static struct ticket ticket;
static uint8_t sealed[TICKET_SIZE_MAX];
static size_t sealed_size;

static void seal(void)
{
    ck_assert_int_eq(ticket_seal(keyring, &ticket, sealed, &sealed_size), QH_OK);
}

/* Client 1 may use partition 3, client 2 is an admin; the epoch of co is 4. */
static void setup(void)
{
    keyring = hsm_keyring(1);
    store = hsm_store();
    hsm_put_settings(store, keyring);
    hsm_put_partition(store, keyring, 3, "first", 4);
    hsm_put_partition(store, keyring, 5, "second", 4);
    hsm_put_client(store, keyring, 1, "one", 3, false);
    hsm_put_client(store, keyring, 2, "two", 0, true);
    directory = hsm_directory(keyring, store);
    memset(&ticket, 0, sizeof ticket);
    memset(ticket.partition, 3, sizeof ticket.partition);
    ticket.role = HSM_ROLE_CO;
    ticket.epoch = 4;
    memset(ticket.fingerprint, (uint8_t)~1u, sizeof ticket.fingerprint);
    ticket.expires_unix_ms = NOW_MS + 1000;
    seal();
}

static void teardown(void)
{
    directory_free(directory);
    keyring_free(keyring);
    store_free(store);
}

static enum qh_err open_now(struct ticket *ret_ticket)
{
    return ticket_open(keyring, directory, (struct bytes){sealed, sealed_size}, ticket.fingerprint,
                       NOW_MS, ret_ticket);
}

static enum qh_err reopen(void)
{
    struct ticket opened;

    return open_now(&opened);
}

START_TEST(a_ticket_opens_as_it_was_made)
{
    struct ticket opened;

    ck_assert_int_eq(open_now(&opened), QH_OK);
    ck_assert_mem_eq(opened.partition, ticket.partition, PARTITION_ID_SIZE);
    ck_assert_int_eq(opened.role, HSM_ROLE_CO);
    ck_assert(!opened.context);
    ck_assert_uint_eq(opened.epoch, 4);
    ck_assert_mem_eq(opened.fingerprint, ticket.fingerprint, FINGERPRINT_SIZE);
    ck_assert_uint_eq(opened.expires_unix_ms, NOW_MS + 1000);
    ticket.context = true;
    seal();
    ck_assert_int_eq(open_now(&opened), QH_OK);
    ck_assert(opened.context);
}
END_TEST

START_TEST(a_ticket_ends_with_its_time)
{
    ticket.expires_unix_ms = NOW_MS + 1;
    seal();
    ck_assert_int_eq(reopen(), QH_OK);
    ticket.expires_unix_ms = NOW_MS;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(another_client_cannot_use_it)
{
    struct ticket opened;
    uint8_t fingerprint[FINGERPRINT_SIZE];

    memset(fingerprint, (uint8_t)~2u, sizeof fingerprint);
    ck_assert_int_eq(ticket_open(keyring, directory, (struct bytes){sealed, sealed_size},
                                 fingerprint, NOW_MS, &opened),
                     QH_ETICKET);
}
END_TEST

START_TEST(a_raised_epoch_ends_it)
{
    hsm_put_partition(store, keyring, 3, "first", 5);
    directory_free(directory);
    directory = hsm_directory(keyring, store);
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(a_partition_or_client_that_is_gone_ends_it)
{
    memset(ticket.partition, 9, sizeof ticket.partition);
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
    memset(ticket.partition, 5, sizeof ticket.partition); /* there, but not the client's */
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
    memset(ticket.partition, 3, sizeof ticket.partition);
    memset(ticket.fingerprint, 0x77, sizeof ticket.fingerprint);
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(a_role_without_a_pin_has_no_ticket)
{
    ticket.role = HSM_ROLE_CU;
    ticket.epoch = 0;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(the_security_officer_is_of_the_cluster_and_an_admin)
{
    memset(ticket.partition, 0, sizeof ticket.partition);
    ticket.role = HSM_ROLE_SO;
    ticket.epoch = 3;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET); /* client 1 is no admin */
    memset(ticket.fingerprint, (uint8_t)~2u, sizeof ticket.fingerprint);
    seal();
    ck_assert_int_eq(reopen(), QH_OK);
    ticket.epoch = 2;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
    ticket.epoch = 3;
    memset(ticket.partition, 3, sizeof ticket.partition);
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(no_byte_of_it_can_be_changed)
{
    size_t whole = sealed_size;

    for (size_t i = 0; i < sealed_size; i++) {
        sealed[i] ^= 0x10;
        ck_assert_int_eq(reopen(), QH_ETICKET);
        sealed[i] ^= 0x10;
    }
    for (sealed_size = 0; sealed_size < whole; sealed_size++) {
        ck_assert_int_eq(reopen(), QH_ETICKET);
    }
    sealed_size = whole + 1;
    ck_assert_int_eq(reopen(), QH_ETICKET);
    sealed_size = whole;
    ck_assert_int_eq(reopen(), QH_OK);
}
END_TEST

START_TEST(a_role_that_does_not_exist_is_refused)
{
    ticket.role = HSM_ROLES;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
    ticket.role = HSM_ROLE_NONE;
    seal();
    ck_assert_int_eq(reopen(), QH_ETICKET);
}
END_TEST

START_TEST(another_clusters_ticket_is_refused)
{
    struct keyring *other = hsm_keyring(2);

    ck_assert_int_eq(ticket_seal(other, &ticket, sealed, &sealed_size), QH_OK);
    ck_assert_int_eq(reopen(), QH_ETICKET);
    keyring_free(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ticket");
    TCase *tcase = tcase_create("ticket");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_ticket_opens_as_it_was_made);
    tcase_add_test(tcase, a_ticket_ends_with_its_time);
    tcase_add_test(tcase, another_client_cannot_use_it);
    tcase_add_test(tcase, a_raised_epoch_ends_it);
    tcase_add_test(tcase, a_partition_or_client_that_is_gone_ends_it);
    tcase_add_test(tcase, a_role_without_a_pin_has_no_ticket);
    tcase_add_test(tcase, the_security_officer_is_of_the_cluster_and_an_admin);
    tcase_add_test(tcase, no_byte_of_it_can_be_changed);
    tcase_add_test(tcase, a_role_that_does_not_exist_is_refused);
    tcase_add_test(tcase, another_clusters_ticket_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
