/* What a key may be used for: its flags, its type, its own list of mechanisms. */
#include "hsm/object.h"

#include "tests/unit/object_fixture.h"

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

static void assert_may(const struct object *object, enum object_use use, CK_MECHANISM_TYPE type,
                       enum qh_err err)
{
    struct mech_params mechanism = {.type = type};

    ck_assert_str_eq(err_name(object_may(object, use, &mechanism)), err_name(err));
}

static struct object *generic(CK_KEY_TYPE key_type)
{
    struct template template;

    begin(&template, CKO_SECRET_KEY, key_type);
    with_text(&template, CKA_VALUE, "a secret of some length");
    return created(&template);
}

START_TEST(each_use_asks_for_its_flag)
{
    static const struct {
        enum object_use use;
        CK_ATTRIBUTE_TYPE type;
        CK_MECHANISM_TYPE mechanism;
    } uses[] = {{OBJECT_SIGN, CKA_SIGN, CKM_AES_CMAC},
                {OBJECT_VERIFY, CKA_VERIFY, CKM_AES_CMAC},
                {OBJECT_ENCRYPT, CKA_ENCRYPT, CKM_AES_GCM},
                {OBJECT_DECRYPT, CKA_DECRYPT, CKM_AES_GCM}};

    for (unsigned i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        struct template template;
        struct object *object;

        begin_aes(&template);
        object = created(&template);
        assert_may(object, uses[i].use, uses[i].mechanism, QH_OK);
        object_free(object);
        with_flag(&template, uses[i].type, false);
        object = created(&template);
        assert_may(object, uses[i].use, uses[i].mechanism, QH_EKEYUSE);
        object_free(object);
    }
}
END_TEST

START_TEST(the_mechanism_is_known_and_does_it)
{
    struct template template;
    struct object *object;

    begin_aes(&template);
    object = created(&template);
    assert_may(object, OBJECT_SIGN, CKM_AES_GCM, QH_EMECHANISM);
    assert_may(object, OBJECT_ENCRYPT, CKM_AES_CMAC, QH_EMECHANISM);
    assert_may(object, OBJECT_ENCRYPT, CKM_DES3_CBC, QH_EMECHANISM);
    assert_may(object, OBJECT_SIGN, CKM_AES_KEY_GEN, QH_EMECHANISM);
    object_free(object);
}
END_TEST

START_TEST(the_type_of_the_key_fits_the_mechanism)
{
    struct template template;
    struct object *aes, *data;

    begin_aes(&template);
    aes = created(&template);
    assert_may(aes, OBJECT_SIGN, CKM_RSA_PKCS, QH_EKEYTYPE);
    assert_may(aes, OBJECT_SIGN, CKM_SHA256_HMAC, QH_EKEYTYPE);
    object_free(aes);
    begin_data(&template, "label");
    data = created(&template);
    assert_may(data, OBJECT_SIGN, CKM_RSA_PKCS, QH_EKEYTYPE);
    object_free(data);
}
END_TEST

START_TEST(the_halves_of_a_pair_do_each_their_own)
{
    struct template template = {.count = 0};
    struct mech_params mechanism = {.type = CKM_EC_KEY_PAIR_GEN};
    struct object *public = NULL, *private = NULL;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    ck_assert_int_eq(object_generate(&mechanism, all_of(&template), (struct attributes){NULL, 0},
                                     &public, &private),
                     QH_OK);
    assert_may(private, OBJECT_SIGN, CKM_ECDSA, QH_OK);
    assert_may(private, OBJECT_VERIFY, CKM_ECDSA, QH_EKEYUSE);
    assert_may(public, OBJECT_VERIFY, CKM_ECDSA_SHA256, QH_OK);
    assert_may(public, OBJECT_SIGN, CKM_ECDSA_SHA256, QH_EKEYUSE);
    assert_may(private, OBJECT_SIGN, CKM_EDDSA, QH_EKEYTYPE);
    object_free(public);
    object_free(private);
}
END_TEST

START_TEST(a_generic_secret_serves_every_hmac_and_others_their_own)
{
    struct object *object = generic(CKK_GENERIC_SECRET);

    assert_may(object, OBJECT_SIGN, CKM_SHA256_HMAC, QH_OK);
    assert_may(object, OBJECT_VERIFY, CKM_SHA512_HMAC, QH_OK);
    assert_may(object, OBJECT_SIGN, CKM_AES_CMAC, QH_EKEYTYPE);
    object_free(object);
    object = generic(CKK_SHA256_HMAC);
    assert_may(object, OBJECT_SIGN, CKM_SHA256_HMAC, QH_OK);
    assert_may(object, OBJECT_SIGN, CKM_SHA512_HMAC, QH_EKEYTYPE);
    object_free(object);
}
END_TEST

START_TEST(a_list_of_mechanisms_allows_those_alone)
{
    static const uint8_t allowed[16] = {CKM_AES_CBC & 0xff, CKM_AES_CBC >> 8, 0, 0, 0, 0, 0, 0,
                                        CKM_AES_GCM & 0xff, CKM_AES_GCM >> 8};
    struct template template;
    struct object *object;

    begin_aes(&template);
    with(&template, CKA_ALLOWED_MECHANISMS, span(allowed, sizeof allowed));
    object = created(&template);
    assert_may(object, OBJECT_ENCRYPT, CKM_AES_CBC, QH_OK);
    assert_may(object, OBJECT_ENCRYPT, CKM_AES_GCM, QH_OK);
    assert_may(object, OBJECT_ENCRYPT, CKM_AES_CBC_PAD, QH_EMECHANISM);
    object_free(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object_use");
    TCase *tcase = tcase_create("use");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, each_use_asks_for_its_flag);
    tcase_add_test(tcase, the_mechanism_is_known_and_does_it);
    tcase_add_test(tcase, the_type_of_the_key_fits_the_mechanism);
    tcase_add_test(tcase, the_halves_of_a_pair_do_each_their_own);
    tcase_add_test(tcase, a_generic_secret_serves_every_hmac_and_others_their_own);
    tcase_add_test(tcase, a_list_of_mechanisms_allows_those_alone);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
