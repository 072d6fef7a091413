/* The cluster key on disk: opens with what it was sealed with; damage and a wrong key differ. */
#include "hsm/cmk.h"

#include <sodium.h>

#include "tests/unit/hsm_fixture.h"

static struct secret *cmk;
static struct secret *unlock;
static struct secret *wrong;
static struct bytes sealed;
static uint8_t *bytes; /* the same, to change */

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(secret_from("0123456789abcdef0123456789abcdef", 32, &cmk), QH_OK);
    ck_assert_int_eq(secret_from("unlock key unlock key unlock key", 32, &unlock), QH_OK);
    ck_assert_int_eq(secret_from("unlock key unlock key unlock kez", 32, &wrong), QH_OK);
    ck_assert_int_eq(cmk_seal(CMK_FILE, unlock, hsm_cluster, cmk, &sealed), QH_OK);
    bytes = (uint8_t *)(uintptr_t)sealed.base;
}

static void teardown(void)
{
    secret_free(cmk);
    secret_free(unlock);
    secret_free(wrong);
    hsm_free(sealed);
}

static enum qh_err open_with(const struct secret *key, struct bytes from)
{
    SECRET_SCOPED struct secret *opened = NULL;
    enum qh_err err = cmk_open(key, hsm_cluster, from, &opened);

    ck_assert_int_eq(opened != NULL, err == QH_OK);
    ck_assert(opened == NULL || secret_equal(opened, cmk));
    return err;
}

/* The checksum made anew, as who forges would. */
static void mend(void)
{
    crypto_generichash(bytes + CMK_SEALED_SIZE - 16, 16, bytes, CMK_SEALED_SIZE - 16, NULL, 0);
}

START_TEST(it_opens_with_the_key_file_it_was_sealed_with)
{
    ck_assert_uint_eq(sealed.size, CMK_SEALED_SIZE);
    ck_assert_ptr_null(memmem(sealed.base, sealed.size, "0123456789abcdef", 16));
    ck_assert_int_eq(open_with(unlock, sealed), QH_OK);
    ck_assert_int_eq(open_with(wrong, sealed), QH_EPIN);
    ck_assert_int_eq(open_with(unlock, sealed), QH_OK);
}
END_TEST

START_TEST(it_opens_with_the_passphrase_it_was_sealed_with)
{
    SECRET_SCOPED struct secret *passphrase = NULL;
    struct bytes other;

    ck_assert_int_eq(secret_from("correct horse", 13, &passphrase), QH_OK);
    ck_assert_int_eq(cmk_seal(CMK_PASSPHRASE, passphrase, hsm_cluster, cmk, &other), QH_OK);
    ck_assert_int_eq(open_with(passphrase, other), QH_OK);
    ck_assert_int_eq(open_with(wrong, other), QH_EPIN);
    ck_assert_int_eq(open_with(passphrase, sealed), QH_EPIN); /* no key of a file's size */
    hsm_free(other);
}
END_TEST

START_TEST(two_seals_have_nothing_secret_in_common)
{
    struct bytes other;

    ck_assert_int_eq(cmk_seal(CMK_FILE, unlock, hsm_cluster, cmk, &other), QH_OK);
    ck_assert_mem_ne(sealed.base + 32, other.base + 32, 16);
    ck_assert_mem_ne(sealed.base + 88, other.base + 88, 48);
    hsm_free(other);
}
END_TEST

START_TEST(every_damaged_byte_is_told_as_damage)
{
    for (size_t i = 0; i < sealed.size; i++) {
        enum qh_err expected = i < 8 ? QH_EMALFORMED : i == 8 ? QH_EVERSION : QH_ECORRUPT;

        bytes[i] ^= 4;
        ck_assert_int_eq(open_with(unlock, sealed), expected);
        bytes[i] ^= 4;
    }
    ck_assert_int_eq(open_with(unlock, sealed), QH_OK);
}
END_TEST

START_TEST(a_cut_or_longer_file_is_malformed)
{
    uint8_t longer[CMK_SEALED_SIZE + 1] = {0};

    for (size_t size = 0; size < sealed.size; size++) {
        ck_assert_int_eq(open_with(unlock, (struct bytes){sealed.base, size}), QH_EMALFORMED);
    }
    memcpy(longer, sealed.base, CMK_SEALED_SIZE);
    ck_assert_int_eq(open_with(unlock, (struct bytes){longer, sizeof longer}), QH_EMALFORMED);
}
END_TEST

START_TEST(no_byte_can_be_forged)
{
    bytes[9] = 3; /* a method that does not exist */
    mend();
    ck_assert_int_eq(open_with(unlock, sealed), QH_EMALFORMED);
    bytes[9] = CMK_FILE;
    for (size_t i = 10; i < CMK_SEALED_SIZE - 16; i++) {
        bytes[i] ^= 4;
        mend();
        ck_assert_int_ne(open_with(unlock, sealed), QH_OK);
        bytes[i] ^= 4;
    }
    mend();
    ck_assert_int_eq(open_with(unlock, sealed), QH_OK);
}
END_TEST

START_TEST(another_clusters_key_does_not_open)
{
    static const uint8_t other[16] = "another cluster";
    struct secret *opened = NULL;

    ck_assert_int_eq(cmk_open(unlock, other, sealed, &opened), QH_ECORRUPT);
    memcpy(bytes + 16, other, 16);
    mend();
    ck_assert_int_eq(cmk_open(unlock, other, sealed, &opened), QH_EPIN);
    ck_assert_ptr_null(opened);
}
END_TEST

START_TEST(keys_of_another_size_are_refused)
{
    SECRET_SCOPED struct secret *odd = NULL;
    struct bytes none = {0};

    ck_assert_int_eq(secret_new(31, &odd), QH_OK);
    ck_assert_int_eq(cmk_seal(CMK_FILE, odd, hsm_cluster, cmk, &none), QH_EINVAL);
    ck_assert_int_eq(cmk_seal(CMK_FILE, unlock, hsm_cluster, odd, &none), QH_EINVAL);
    ck_assert_ptr_null(none.base);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmk");
    TCase *tcase = tcase_create("cmk");

    tcase_set_timeout(tcase, 60.0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_opens_with_the_key_file_it_was_sealed_with);
    tcase_add_test(tcase, it_opens_with_the_passphrase_it_was_sealed_with);
    tcase_add_test(tcase, two_seals_have_nothing_secret_in_common);
    tcase_add_test(tcase, every_damaged_byte_is_told_as_damage);
    tcase_add_test(tcase, a_cut_or_longer_file_is_malformed);
    tcase_add_test(tcase, no_byte_can_be_forged);
    tcase_add_test(tcase, another_clusters_key_does_not_open);
    tcase_add_test(tcase, keys_of_another_size_are_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
