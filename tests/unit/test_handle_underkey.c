/* Keys under keys: who may wrap, unwrap and derive, what comes back, what the partition's policy
 * holds back, and what is answered to forged, repeated and hostile requests. */
#include "base/clock.h"
#include "tests/unit/object_rig.h"

static Quadhsm__Mechanism of_type(CK_MECHANISM_TYPE type)
{
    Quadhsm__Mechanism mechanism;

    quadhsm__mechanism__init(&mechanism);
    mechanism.type = type;
    return mechanism;
}

static struct bytes keep_any(struct kept *kept)
{
    return answer_object(0)->ref->id.len > 0 ? keep_id(kept) : keep_session(kept);
}

/* An AES key that may wrap, unwrap and derive. */
static struct bytes make_wrapping(struct kept *kept, bool token)
{
    struct template template;

    begin_aes(&template);
    with_flag(&template, CKA_TOKEN, token);
    with_flag(&template, CKA_WRAP, true);
    with_flag(&template, CKA_UNWRAP, true);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    return keep_any(kept);
}

/* A generic secret of 32 bytes, extractable. */
static void begin_secret(struct template *template, bool token)
{
    static const uint8_t value[32] = {7, 7, 7};

    begin(template, CKO_SECRET_KEY, CKK_GENERIC_SECRET);
    with(template, CKA_VALUE, span(value, sizeof value));
    with_flag(template, CKA_TOKEN, token);
    with_flag(template, CKA_EXTRACTABLE, true);
    with_flag(template, CKA_SENSITIVE, false);
    with_flag(template, CKA_DERIVE, true);
}

static struct bytes make_secret(struct kept *kept, bool token)
{
    struct template template;

    begin_secret(&template, token);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    return keep_any(kept);
}

/* What an unwrapped secret is to be. */
static void begin_unwrapped(struct template *template, bool token)
{
    begin(template, CKO_SECRET_KEY, CKK_GENERIC_SECRET);
    with_flag(template, CKA_TOKEN, token);
    with_flag(template, CKA_EXTRACTABLE, true);
    with_flag(template, CKA_SENSITIVE, false);
}

/* Wrap as cu. */
static struct bytes wrap(struct kept *kept, struct bytes wrapping, struct bytes key,
                         CK_MECHANISM_TYPE type)
{
    Quadhsm__Mechanism mechanism = of_type(type);
    struct bytes output;

    run_wrap(HSM_ROLE_CU, wrapping, key, &mechanism, QH_OK);
    output = answer_output();
    return keep(kept, (ProtobufCBinaryData){output.size, (uint8_t *)(uintptr_t)output.base});
}

START_TEST(a_wrapped_key_comes_back_as_it_was)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret, wrapped, check;
    struct template template;

    (void)make_wrapping(&wrapping, true);
    (void)make_secret(&secret, true);
    (void)keep(&check, answer_attribute(0, CKA_CHECK_VALUE)->value);
    (void)wrap(&wrapped, span(wrapping.base, wrapping.size), span(secret.base, secret.size),
               CKM_AES_KEY_WRAP_KWP);
    ck_assert_uint_eq(change_count, 0);
    begin_unwrapped(&template, false);
    run_unwrap(HSM_ROLE_CU, span(wrapping.base, wrapping.size), span(wrapped.base, wrapped.size),
               &kwp, &template, QH_OK);
    ck_assert_uint_eq(change_count, 0);
    ck_assert_int_eq(place, REQUEST_SERVICE);
    ck_assert_uint_gt(answer_object(0)->ref->session.len, 0);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_CHECK_VALUE), span(check.base, check.size)),
                     0);
    ck_assert_uint_eq(answer_value(0, CKA_VALUE).size, 32);
    ck_assert_uint_eq(answer_value(0, CKA_LOCAL).base[0], 0);
}
END_TEST

START_TEST(unwrapping_into_the_store_is_a_change_by_the_crypto_officer)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret, wrapped;
    struct template template;
    struct bytes key, blob;

    key = make_wrapping(&wrapping, false);
    (void)make_secret(&secret, false);
    blob = wrap(&wrapped, key, span(secret.base, secret.size), CKM_AES_KEY_WRAP_KWP);
    begin_unwrapped(&template, true);
    run_unwrap(HSM_ROLE_NONE, key, blob, &kwp, &template, QH_ENOLOGIN);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_EPERM);
    run_unwrap(HSM_ROLE_PO, key, blob, &kwp, &template, QH_EPERM);
    ck_assert_uint_eq(stored(), 0);
    run_unwrap(HSM_ROLE_CO, key, blob, &kwp, &template, QH_OK);
    ck_assert_uint_eq(stored(), 1);
    ck_assert_uint_eq(change_count, 1);
    old_login = true;
    run_unwrap(HSM_ROLE_CO, key, blob, &kwp, &template, QH_ETICKET);
    old_login = false;
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(wrapping_needs_the_login_of_a_user)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret;
    struct bytes key = make_wrapping(&wrapping, true), other = make_secret(&secret, true);

    run_wrap(HSM_ROLE_NONE, key, other, &kwp, QH_ENOLOGIN);
    run_wrap(HSM_ROLE_PO, key, other, &kwp, QH_ENOLOGIN);
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_OK);
    run_wrap(HSM_ROLE_CO, key, other, &kwp, QH_OK);
}
END_TEST

START_TEST(a_private_key_is_not_wrapped_by_who_may_not_see_it)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret;
    struct template template;
    struct bytes key, other = make_secret(&secret, true);

    begin_aes(&template);
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_PRIVATE, false);
    with_flag(&template, CKA_WRAP, true);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    key = keep_id(&wrapping);
    run_wrap(HSM_ROLE_NONE, key, other, &kwp, QH_ENOLOGIN);
    run_wrap(HSM_ROLE_PO, key, other, &kwp, QH_EPERM);
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_OK);
}
END_TEST

START_TEST(what_may_not_be_wrapped_says_why)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP), gcm = of_type(CKM_SHA256_HMAC);
    struct kept wrapping, secret, closed, idle, data;
    struct template template;
    struct bytes key = make_wrapping(&wrapping, true), other = make_secret(&secret, true);

    run_wrap(HSM_ROLE_CU, key, make_token_key(&closed, "closed", false), &kwp, QH_EUNEXTRACTABLE);
    run_wrap(HSM_ROLE_CU, make_token_key(&idle, "idle", false), other, &kwp, QH_EKEYUSE);
    begin_data(&template, "data");
    run_create(HSM_ROLE_CO, &template, QH_OK);
    run_wrap(HSM_ROLE_CU, key, keep_session(&data), &kwp, QH_ENOTWRAPPABLE);
    run_wrap(HSM_ROLE_CU, key, other, &gcm, QH_EMECHANISM);
    begin_secret(&template, true);
    with_flag(&template, CKA_WRAP_WITH_TRUSTED, true);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    run_wrap(HSM_ROLE_CU, key, keep_id(&secret), &kwp, QH_ENOTWRAPPABLE);
}
END_TEST

START_TEST(a_trusted_key_is_made_by_the_partition_officer_and_wraps_what_asks_for_it)
{
    static const uint8_t rsa_exponent[] = {1, 0, 1};
    Quadhsm__Mechanism oaep = of_type(CKM_RSA_PKCS_OAEP);
    struct template template = empty, trust = empty;
    struct kept wrapping, secret;
    struct bytes key;

    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    with(&template, CKA_PUBLIC_EXPONENT, span(rsa_exponent, sizeof rsa_exponent));
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_WRAP, true);
    run_generate(HSM_ROLE_CO, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &empty, QH_OK);
    key = keep_id(&wrapping);
    begin_secret(&template, true);
    with_flag(&template, CKA_WRAP_WITH_TRUSTED, true);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    (void)keep_id(&secret);
    oaep.hash = CKM_SHA256;
    oaep.mgf = CKG_MGF1_SHA256;
    run_wrap(HSM_ROLE_CU, key, span(secret.base, secret.size), &oaep, QH_ENOTWRAPPABLE);
    with_flag(&trust, CKA_TRUSTED, true);
    run_set(HSM_ROLE_CO, key, none, &trust, QH_EREADONLY);
    run_set(HSM_ROLE_CU, key, none, &trust, QH_EPERM);
    run_set(HSM_ROLE_NONE, key, none, &trust, QH_ENOLOGIN);
    run_set(HSM_ROLE_PO, key, none, &trust, QH_OK);
    run_wrap(HSM_ROLE_CU, key, span(secret.base, secret.size), &oaep, QH_OK);
    ck_assert_uint_eq(answer_output().size, 256);
    run_set(HSM_ROLE_PO, span(secret.base, secret.size), none, &trust, QH_EPERM);
}
END_TEST

START_TEST(the_partition_officer_makes_public_objects_and_no_others)
{
    struct template template;

    begin_certificate(&template);
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_TRUSTED, true);
    run_create(HSM_ROLE_CO, &template, QH_EREADONLY);
    run_create(HSM_ROLE_PO, &template, QH_OK);
    ck_assert_uint_eq(answer_value(0, CKA_TRUSTED).base[0], 1);
    with_flag(&template, CKA_PRIVATE, true);
    run_create(HSM_ROLE_PO, &template, QH_EREADONLY);
    without(&template, CKA_TRUSTED);
    run_create(HSM_ROLE_PO, &template, QH_EPERM);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(forged_and_foreign_session_keys_are_not_there)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret, gone;
    struct bytes key = make_wrapping(&wrapping, false), other = make_secret(&secret, false);
    struct template template;

    secret.base[secret.size - 1] ^= 1;
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_ENOTFOUND);
    secret.base[secret.size - 1] ^= 1;
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_OK);
    begin_unwrapped(&template, false);
    wrapping.base[30] ^= 1;
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_ECORRUPT);
    run_unwrap(HSM_ROLE_CU, key, other, &kwp, &template, QH_ECORRUPT);
    memset(gone.base, 9, OBJECT_ID_SIZE);
    run_wrap(HSM_ROLE_CU, other, span(gone.base, OBJECT_ID_SIZE), &kwp, QH_EKEYTYPE);
    run_wrap(HSM_ROLE_CU, span(gone.base, OBJECT_ID_SIZE), other, &kwp, QH_ENOTFOUND);
    foreign_login = true;
    wrapping.base[30] ^= 1;
    run_unwrap(HSM_ROLE_CU, key, other, &kwp, &template, QH_ENOLOGIN);
    foreign_login = false;
}
END_TEST

START_TEST(damaged_wrapped_keys_and_bad_templates_are_told_apart)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret, wrapped;
    struct bytes key = make_wrapping(&wrapping, true), blob;
    struct template template;

    (void)make_secret(&secret, true);
    blob = wrap(&wrapped, key, span(secret.base, secret.size), CKM_AES_KEY_WRAP_KWP);
    begin_unwrapped(&template, false);
    with_ulong(&template, CKA_VALUE_LEN, 31);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_ETEMPLATE);
    without(&template, CKA_VALUE_LEN);
    without(&template, CKA_KEY_TYPE);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_EINCOMPLETE);
    begin_unwrapped(&template, false);
    wrapped.base[8] ^= 1;
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_EWRAPPED);
    run_unwrap(HSM_ROLE_CU, key, span(blob.base, 9), &kwp, &template, QH_EWRAPPEDSIZE);
}
END_TEST

/* The public half is object 0 of the answer, which is kept before the other one. */
static void make_rsa(struct kept *public, struct kept *private, bool always)
{
    struct template template = empty, private_template = empty;

    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    with_flag(&template, CKA_WRAP, true);
    with_flag(&private_template, CKA_UNWRAP, true);
    with_flag(&private_template, CKA_ALWAYS_AUTHENTICATE, always);
    run_generate(HSM_ROLE_CO, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    (void)keep_session(public);
    (void)keep(private, answer_object(1)->ref->session);
}

static enum qh_err unwrap_guess(struct bytes key, const uint8_t *guess,
                                const struct template *wanted, struct kept *ret_check)
{
    Quadhsm__Mechanism pkcs = of_type(CKM_RSA_PKCS);

    run_unwrap(HSM_ROLE_CU, key, span(guess, 256), &pkcs, wanted, ANY_ERR);
    if (answered == QH_OK) {
        (void)keep(ret_check, answer_attribute(0, CKA_CHECK_VALUE)->value);
    }
    return answered;
}

/* Ciphertexts out of the air, whose padding is wrong but for one in 65,536. */
START_TEST(wrong_padding_of_rsa_is_answered_as_a_key_of_another_size)
{
    Quadhsm__Mechanism pkcs = of_type(CKM_RSA_PKCS);
    struct kept public, private, secret, wrapped, first, again;
    struct template template;
    struct bytes key, blob;
    uint8_t guess[256] = {0};
    unsigned made = 0;

    make_rsa(&public, &private, false);
    key = span(private.base, private.size);
    (void)make_secret(&secret, true);
    blob = wrap(&wrapped, span(public.base, public.size), span(secret.base, secret.size),
                CKM_RSA_PKCS);
    begin(&template, CKO_SECRET_KEY, CKK_GENERIC_SECRET);
    run_unwrap(HSM_ROLE_CU, key, blob, &pkcs, &template, QH_OK);
    ck_assert_int_eq(place, REQUEST_WORKER);
    ck_assert_uint_eq(answer_value(0, CKA_VALUE_LEN).base[0], 32);
    /* Any size will do: always a key, and the same one again. */
    for (unsigned i = 0; i < 8; i++) {
        guess[255] = (uint8_t)(i + 2);
        ck_assert_int_eq(unwrap_guess(key, guess, &template, &first), QH_OK);
        ck_assert_int_eq(unwrap_guess(key, guess, &template, &again), QH_OK);
        ck_assert_mem_eq(first.base, again.base, 3);
    }
    /* Right padding around another size, and wrong padding, which comes to some size. */
    with_ulong(&template, CKA_VALUE_LEN, 24);
    run_unwrap(HSM_ROLE_CU, key, blob, &pkcs, &template, QH_ETEMPLATE);
    for (unsigned i = 0; i < 8; i++) {
        enum qh_err err;

        guess[255] = (uint8_t)(i + 2);
        err = unwrap_guess(key, guess, &template, &first);
        ck_assert(err == QH_ETEMPLATE || err == QH_OK);
        made += err == QH_OK;
    }
    ck_assert_uint_lt(made, 8);
    run_unwrap(HSM_ROLE_CU, key, span(guess, 255), &pkcs, &template, QH_EWRAPPEDSIZE);
    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    run_unwrap(HSM_ROLE_CU, key, blob, &pkcs, &template, QH_ETEMPLATE);
}
END_TEST

static void make_context(bool context, enum hsm_role role)
{
    static uint8_t room[TICKET_SIZE_MAX];
    struct ticket ticket = {.role = role, .context = context, .epoch = 1};
    size_t size;

    memcpy(ticket.partition, partition, PARTITION_ID_SIZE);
    ticket.expires_unix_ms = clock_unix_ms() + 60000;
    ck_assert_int_eq(ticket_seal(keyring, &ticket, room, &size), QH_OK);
    context_ticket = (ProtobufCBinaryData){size, room};
}

START_TEST(a_key_that_always_authenticates_unwraps_with_a_ticket_for_the_operation)
{
    Quadhsm__Mechanism pkcs = of_type(CKM_RSA_PKCS);
    struct kept public, private, secret, wrapped;
    struct template template;
    struct bytes key, blob;

    make_rsa(&public, &private, true);
    key = span(private.base, private.size);
    (void)make_secret(&secret, true);
    blob = wrap(&wrapped, span(public.base, public.size), span(secret.base, secret.size),
                CKM_RSA_PKCS);
    begin_unwrapped(&template, false);
    run_unwrap(HSM_ROLE_CO, key, blob, &pkcs, &template, QH_ENOLOGIN);
    make_context(false, HSM_ROLE_CO);
    run_unwrap(HSM_ROLE_CO, key, blob, &pkcs, &template, QH_ENOLOGIN);
    make_context(true, HSM_ROLE_CO);
    run_unwrap(HSM_ROLE_CO, key, blob, &pkcs, &template, QH_OK);
    context_ticket = (ProtobufCBinaryData){0, NULL};
}
END_TEST

START_TEST(a_private_key_leaves_wrapped_and_comes_back)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct template template = empty, private_template = empty;
    struct kept wrapping, private, wrapped, info;
    struct bytes key = make_wrapping(&wrapping, true), blob;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(&private_template, CKA_EXTRACTABLE, true);
    run_generate(HSM_ROLE_CO, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    (void)keep(&private, answer_object(1)->ref->session);
    (void)keep(&info, answer_attribute(1, CKA_PUBLIC_KEY_INFO)->value);
    blob = wrap(&wrapped, key, span(private.base, private.size), CKM_AES_KEY_WRAP_KWP);
    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_OK);
    ck_assert_int_eq(place, REQUEST_WORKER);
    ck_assert_int_eq(
        bytes_compare(answer_value(0, CKA_PUBLIC_KEY_INFO), span(info.base, info.size)), 0);
    ck_assert_int_eq(
        bytes_compare(answer_value(0, CKA_EC_PARAMS), span(p256_params, sizeof p256_params)), 0);
    /* Not as something that could be read. */
    begin_unwrapped(&template, false);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_EWRAPPED);
    begin(&template, CKO_PRIVATE_KEY, CKK_RSA);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_EWRAPPED);
}
END_TEST

/* ---- derive ---- */

/* KWP is KW with an IV that says how long the key is; KW shows its zeroes behind the key. */
START_TEST(a_private_key_is_not_unwrapped_as_a_secret_with_its_padding)
{
    uint8_t iv[8] = {0xa6, 0x59, 0x59, 0xa6}, zeroes[16] = {0};
    Quadhsm__Mechanism kw = of_type(CKM_AES_KEY_WRAP);
    struct template template = empty, private_template = empty;
    struct kept wrapping, private, wrapped;
    struct bytes key = make_wrapping(&wrapping, true), blob;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(&private_template, CKA_TOKEN, true);
    with_flag(&private_template, CKA_EXTRACTABLE, true);
    run_generate(HSM_ROLE_CO, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    (void)keep(&private, answer_object(1)->ref->id);
    blob = wrap(&wrapped, key, span(private.base, private.size), CKM_AES_KEY_WRAP_KWP);
    begin_unwrapped(&template, false);
    kw.iv = (ProtobufCBinaryData){sizeof iv, iv};
    for (size_t size = blob.size - 15; size <= blob.size - 8; size++) {
        iv[7] = (uint8_t)size;
        run_unwrap(HSM_ROLE_CU, key, blob, &kw, &template, QH_EWRAPPED);
    }
    kw = of_type(CKM_AES_CBC_PAD);
    kw.iv = (ProtobufCBinaryData){sizeof zeroes, zeroes};
    run_wrap(HSM_ROLE_CU, key, span(private.base, private.size), &kw, QH_OK);
    blob = keep(&wrapped, (ProtobufCBinaryData){answer_output().size,
                                                (uint8_t *)(uintptr_t)answer_output().base});
    kw.type = CKM_AES_CBC;
    run_unwrap(HSM_ROLE_CU, key, blob, &kw, &template, QH_EWRAPPED);
}
END_TEST

static void make_ec(struct kept *private, struct kept *point)
{
    struct template template = empty, private_template = empty;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(&private_template, CKA_DERIVE, true);
    run_generate(HSM_ROLE_CU, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    (void)keep(private, answer_object(1)->ref->session);
    (void)keep(point, answer_attribute(1, CKA_EC_POINT)->value);
}

START_TEST(both_sides_derive_the_same_secret_and_may_read_it)
{
    Quadhsm__Mechanism ecdh = of_type(CKM_ECDH1_DERIVE);
    struct kept one, one_point, two, two_point, secret;
    struct template template;

    make_ec(&one, &one_point);
    make_ec(&two, &two_point);
    begin_unwrapped(&template, false);
    ecdh.kdf = CKD_NULL;
    ecdh.public_data = (ProtobufCBinaryData){two_point.size, two_point.base};
    run_derive(HSM_ROLE_CU, span(one.base, one.size), none, &ecdh, &template, QH_OK);
    ck_assert_int_eq(place, REQUEST_WORKER);
    ck_assert_uint_eq(change_count, 0);
    (void)keep(&secret, answer_attribute(0, CKA_VALUE)->value);
    ck_assert_uint_eq(secret.size, 32);
    ecdh.public_data = (ProtobufCBinaryData){one_point.size, one_point.base};
    run_derive(HSM_ROLE_CU, span(two.base, two.size), none, &ecdh, &template, QH_OK);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_VALUE), span(secret.base, secret.size)), 0);
    run_derive(HSM_ROLE_NONE, span(two.base, two.size), none, &ecdh, &template, QH_ENOLOGIN);
    one_point.base[10] ^= 1;
    run_derive(HSM_ROLE_CU, span(two.base, two.size), none, &ecdh, &template, QH_EPARAMETER);
    begin_unwrapped(&template, true);
    run_derive(HSM_ROLE_CU, span(two.base, two.size), none, &ecdh, &template, QH_EPERM);
}
END_TEST

START_TEST(a_salt_key_of_hkdf_must_be_meant_for_it)
{
    static const uint8_t hmac[8] = {CKM_SHA256_HMAC & 0xff, CKM_SHA256_HMAC >> 8};
    Quadhsm__Mechanism hkdf = of_type(CKM_HKDF_DERIVE), ecdh = of_type(CKM_ECDH1_DERIVE);
    struct kept base, salt, idle, first, point;
    struct template template, secret;
    struct bytes key = make_secret(&base, true), with_salt = make_secret(&salt, true);

    hkdf.hash = CKM_SHA256;
    hkdf.extract = hkdf.expand = true;
    begin_unwrapped(&template, false);
    with_ulong(&template, CKA_VALUE_LEN, 40);
    run_derive(HSM_ROLE_CU, key, none, &hkdf, &template, QH_OK);
    (void)keep(&first, answer_attribute(0, CKA_VALUE)->value);
    ck_assert_uint_eq(first.size, 40);
    run_derive(HSM_ROLE_CU, key, with_salt, &hkdf, &template, QH_OK);
    ck_assert_int_ne(bytes_compare(answer_value(0, CKA_VALUE), span(first.base, first.size)), 0);
    begin_secret(&secret, true);
    without(&secret, CKA_DERIVE);
    run_create(HSM_ROLE_CO, &secret, QH_OK);
    run_derive(HSM_ROLE_CU, key, keep_id(&idle), &hkdf, &template, QH_EKEYUSE);
    run_derive(HSM_ROLE_CU, span(idle.base, idle.size), none, &hkdf, &template, QH_EKEYUSE);
    begin_secret(&secret, true);
    with(&secret, CKA_ALLOWED_MECHANISMS, span(hmac, sizeof hmac));
    run_create(HSM_ROLE_CO, &secret, QH_OK);
    run_derive(HSM_ROLE_CU, key, keep_id(&idle), &hkdf, &template, QH_EMECHANISM);
    run_derive(HSM_ROLE_CU, span(idle.base, idle.size), none, &hkdf, &template, QH_EMECHANISM);
    make_ec(&idle, &point);
    run_derive(HSM_ROLE_CU, key, span(idle.base, idle.size), &hkdf, &template, QH_EKEYTYPE);
    ecdh.public_data = (ProtobufCBinaryData){point.size, point.base};
    run_derive(HSM_ROLE_CU, span(idle.base, idle.size), with_salt, &ecdh, &template, QH_EPARAMETER);
}
END_TEST

START_TEST(a_repeated_change_finds_its_answer_though_the_base_key_is_gone)
{
    Quadhsm__Mechanism hkdf = of_type(CKM_HKDF_DERIVE);
    struct kept base;
    struct bytes key = make_secret(&base, true);
    struct template template;

    hkdf.hash = CKM_SHA256;
    hkdf.extract = hkdf.expand = true;
    begin_unwrapped(&template, true);
    run_derive(HSM_ROLE_CO, key, none, &hkdf, &template, QH_OK);
    ck_assert_uint_eq(stored(), 2);
    run_destroy(HSM_ROLE_CO, key.base, key.size, QH_OK);
    run_derive(HSM_ROLE_CO, key, none, &hkdf, &template, QH_ENOTFOUND);
    repeated = true;
    run_derive(HSM_ROLE_CO, key, none, &hkdf, &template, QH_OK);
    run_copy(HSM_ROLE_CO, key, none, &empty, QH_OK);
    run_copy(HSM_ROLE_CU, key, none, &empty, QH_ENOTFOUND);
    begin_unwrapped(&template, false);
    run_derive(HSM_ROLE_CO, key, none, &hkdf, &template, QH_ENOTFOUND);
    repeated = false;
}
END_TEST

/* ---- policies ---- */

static bool shown(void)
{
    return answer_attribute(0, CKA_VALUE) != NULL;
}

START_TEST(values_leave_in_clear_where_the_policy_says_so)
{
    static const struct {
        enum object_export export;
        bool token, session;
    } rules[] = {{OBJECT_EXPORT_WRAPPED, false, true},
                 {OBJECT_EXPORT_NEVER, false, true},
                 {OBJECT_EXPORT_CLEAR, true, true}};

    for (unsigned i = 0; i < 3; i++) {
        struct template template = empty;
        struct kept token, session, unique;
        struct bytes id;

        set_export(rules[i].export);
        id = make_secret(&token, true);
        ck_assert_int_eq(shown(), rules[i].token);
        with(&template, CKA_UNIQUE_ID, keep(&unique, answer_attribute(0, CKA_UNIQUE_ID)->value));
        run_find(HSM_ROLE_CU, &template, none, 0, QH_OK);
        ck_assert_int_eq(shown(), rules[i].token);
        (void)make_secret(&session, false);
        ck_assert_int_eq(shown(), rules[i].session);
        template = empty;
        with_text(&template, CKA_LABEL, "new");
        run_set(HSM_ROLE_CO, id, none, &template, QH_OK);
        ck_assert_int_eq(shown(), rules[i].token);
        run_set(HSM_ROLE_CO, none, span(session.base, session.size), &template, QH_OK);
        ck_assert_int_eq(shown(), rules[i].session);
    }
}
END_TEST

START_TEST(a_copy_is_no_way_around_the_policy)
{
    struct template to_session = empty, to_token = empty;
    struct kept token, session, copy;
    struct bytes id = make_secret(&token, true);

    with_flag(&to_session, CKA_TOKEN, false);
    with_flag(&to_token, CKA_TOKEN, true);
    run_copy(HSM_ROLE_CU, id, none, &to_session, QH_OK);
    ck_assert(!shown());
    (void)keep_session(&copy);
    run_copy(HSM_ROLE_CU, none, span(copy.base, copy.size), &empty, QH_OK);
    ck_assert(!shown());
    run_set(HSM_ROLE_CU, none, span(copy.base, copy.size), &empty, QH_OK);
    ck_assert(!shown());
    (void)make_secret(&session, false);
    run_copy(HSM_ROLE_CU, none, span(session.base, session.size), &empty, QH_OK);
    ck_assert(shown());
    run_copy(HSM_ROLE_CO, none, span(session.base, session.size), &to_token, QH_OK);
    ck_assert(!shown());
    run_copy(HSM_ROLE_CU, keep_id(&token), none, &to_session, QH_OK);
    ck_assert(!shown());
    /* What it was is no secret where values may leave. */
    (void)keep_session(&copy);
    set_export(OBJECT_EXPORT_CLEAR);
    run_set(HSM_ROLE_CU, none, span(copy.base, copy.size), &empty, QH_OK);
    ck_assert(shown());
}
END_TEST

START_TEST(a_private_key_of_a_session_is_not_shown_either)
{
    struct template template = empty, private_template = empty;
    struct kept private;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(&private_template, CKA_EXTRACTABLE, true);
    with_flag(&private_template, CKA_SENSITIVE, false);
    run_generate(HSM_ROLE_CU, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    ck_assert_ptr_null(answer_attribute(1, CKA_VALUE));
    (void)keep(&private, answer_object(1)->ref->session);
    set_export(OBJECT_EXPORT_CLEAR);
    run_set(HSM_ROLE_CU, none, span(private.base, private.size), &empty, QH_OK);
    ck_assert_ptr_nonnull(answer_attribute(0, CKA_VALUE));
}
END_TEST

START_TEST(nothing_is_wrapped_where_nothing_may_leave)
{
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, secret;
    struct bytes key = make_wrapping(&wrapping, true), other = make_secret(&secret, false);

    set_export(OBJECT_EXPORT_NEVER);
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_EPOLICY);
    set_export((enum object_export)(OBJECT_EXPORT_CLEAR + 1)); /* of a later version */
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_EPOLICY);
    set_export(OBJECT_EXPORT_CLEAR);
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_OK);
    set_export(OBJECT_EXPORT_WRAPPED);
    run_wrap(HSM_ROLE_CU, key, other, &kwp, QH_OK);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *group = tcase_create(name);

    tcase_add_checked_fixture(group, setup, teardown);
    tcase_set_timeout(group, 120);
    suite_add_tcase(suite, group);
    return group;
}

/* The node asks for what templates of keys say, whatever the client knows of them. */
START_TEST(templates_of_keys_are_enforced)
{
    /* CKA_SIGN true; CKA_CLASS and CKA_EXTRACTABLE; CKA_TOKEN true. */
    static const char wrap_form[] = "\x08\x01\0\0\0\0\0\0\x01\0\0\0\x01";
    static const char unwrap_form[] = "\0\0\0\0\0\0\0\0\x08\0\0\0\x04\0\0\0\0\0\0\0"
                                      "\x62\x01\0\0\0\0\0\0\x01\0\0\0\0";
    static const char token_form[] = "\x01\0\0\0\0\0\0\0\x01\0\0\0\x01";
    Quadhsm__Mechanism kwp = of_type(CKM_AES_KEY_WRAP_KWP);
    struct kept wrapping, token_wrapping, signing, idle, wrapped;
    struct template template;
    struct bytes key, blob;

    begin_aes(&template);
    with_flag(&template, CKA_WRAP, true);
    with_flag(&template, CKA_UNWRAP, true);
    with(&template, CKA_WRAP_TEMPLATE, span(wrap_form, sizeof wrap_form - 1));
    with(&template, CKA_UNWRAP_TEMPLATE, span(unwrap_form, sizeof unwrap_form - 1));
    run_create(HSM_ROLE_CO, &template, QH_OK);
    key = keep_any(&wrapping);
    without(&template, CKA_UNWRAP_TEMPLATE);
    with(&template, CKA_UNWRAP_TEMPLATE, span(token_form, sizeof token_form - 1));
    run_create(HSM_ROLE_CO, &template, QH_OK);
    (void)keep_any(&token_wrapping);
    (void)make_secret(&signing, false);
    begin_secret(&template, false);
    with_flag(&template, CKA_SIGN, false);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    run_wrap(HSM_ROLE_CU, key, keep_any(&idle), &kwp, QH_EWRAPTEMPLATE);
    blob = wrap(&wrapped, key, span(signing.base, signing.size), CKM_AES_KEY_WRAP_KWP);
    template.count = template.number_count = 0;
    with_ulong(&template, CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_OK);
    ck_assert_uint_eq(answer_value(0, CKA_EXTRACTABLE).base[0], 0);
    with_flag(&template, CKA_EXTRACTABLE, true);
    run_unwrap(HSM_ROLE_CU, key, blob, &kwp, &template, QH_ETEMPLATE);
    /* A change that was not asked for as one. */
    begin_unwrapped(&template, false);
    without(&template, CKA_TOKEN);
    key = span(token_wrapping.base, token_wrapping.size);
    run_unwrap(HSM_ROLE_CO, key, blob, &kwp, &template, QH_ETEMPLATE);
    ck_assert_uint_eq(stored(), 0);
    with_flag(&template, CKA_TOKEN, true);
    run_unwrap(HSM_ROLE_CO, key, blob, &kwp, &template, QH_OK);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_underkey");
    TCase *group = add_case(suite, "wrap");

    tcase_add_test(group, a_wrapped_key_comes_back_as_it_was);
    tcase_add_test(group, unwrapping_into_the_store_is_a_change_by_the_crypto_officer);
    tcase_add_test(group, wrapping_needs_the_login_of_a_user);
    tcase_add_test(group, a_private_key_is_not_wrapped_by_who_may_not_see_it);
    tcase_add_test(group, what_may_not_be_wrapped_says_why);
    tcase_add_test(group,
                   a_trusted_key_is_made_by_the_partition_officer_and_wraps_what_asks_for_it);
    tcase_add_test(group, the_partition_officer_makes_public_objects_and_no_others);
    tcase_add_test(group, forged_and_foreign_session_keys_are_not_there);
    tcase_add_test(group, damaged_wrapped_keys_and_bad_templates_are_told_apart);
    tcase_add_test(group, wrong_padding_of_rsa_is_answered_as_a_key_of_another_size);
    tcase_add_test(group, a_key_that_always_authenticates_unwraps_with_a_ticket_for_the_operation);
    tcase_add_test(group, a_private_key_leaves_wrapped_and_comes_back);
    tcase_add_test(group, templates_of_keys_are_enforced);
    group = add_case(suite, "derive");
    tcase_add_test(group, a_private_key_is_not_unwrapped_as_a_secret_with_its_padding);
    tcase_add_test(group, both_sides_derive_the_same_secret_and_may_read_it);
    tcase_add_test(group, a_salt_key_of_hkdf_must_be_meant_for_it);
    tcase_add_test(group, a_repeated_change_finds_its_answer_though_the_base_key_is_gone);
    group = add_case(suite, "policy");
    tcase_add_test(group, values_leave_in_clear_where_the_policy_says_so);
    tcase_add_test(group, a_copy_is_no_way_around_the_policy);
    tcase_add_test(group, a_private_key_of_a_session_is_not_shown_either);
    tcase_add_test(group, nothing_is_wrapped_where_nothing_may_leave);
    return test_main(suite);
}
