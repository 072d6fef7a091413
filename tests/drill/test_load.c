/* The load can fail: a PKCS#11 module of this test's own signs with OpenSSL, and on demand gives
 * wrong signatures, errors, or nothing for a while. */
#include <openssl/ec.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/drill/load.h"
#include "tests/drill/p11_public.h"
#include "tests/lib/test.h"

#define NS_PER_MS 1000000u
#define WAIT_MS 20000u
#define PAUSE_MS 300u

/* ---- The module: RSA is objects 1 and 2, EC 3 and 4, whatever is created is forgotten. */

enum { RSA_PUBLIC = 1, RSA_PRIVATE, EC_PUBLIC, EC_PRIVATE };

static struct {
    EVP_PKEY *rsa, *ec;
    pthread_mutex_t mutex;
    CK_OBJECT_HANDLE signing[LOAD_SIGNERS_MAX + 8]; /* key by session */
    CK_ULONG sessions;
    CK_OBJECT_HANDLE found;
    atomic_bool lie, refuse, pause;
    atomic_uint creations;
} module;

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR data, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR ret_session)
{
    (void)slot;
    (void)flags;
    (void)data;
    (void)notify;
    (void)pthread_mutex_lock(&module.mutex);
    *ret_session = ++module.sessions;
    (void)pthread_mutex_unlock(&module.mutex);
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

/* By the first letter of the label's second word. */
static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR template, CK_ULONG count)
{
    CK_OBJECT_CLASS object_class;

    (void)session;
    ck_assert_uint_eq(count, 2);
    memcpy(&object_class, template[0].pValue, sizeof object_class);
    module.found = object_class == CKO_PUBLIC_KEY ? RSA_PUBLIC : RSA_PRIVATE;
    if (memchr(template[1].pValue, 'P', template[1].ulValueLen) != NULL) {
        module.found += 2;
    }
    return CKR_OK;
}

static CK_RV find_next(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR ret_handles, CK_ULONG room,
                       CK_ULONG_PTR ret_count)
{
    (void)session;
    ck_assert_uint_ge(room, 1);
    ret_handles[0] = module.found;
    *ret_count = 1;
    return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static void give_number(const char *name, CK_ATTRIBUTE_PTR attribute)
{
    BIGNUM *number = NULL;

    ck_assert_int_eq(EVP_PKEY_get_bn_param(module.rsa, name, &number), 1);
    attribute->ulValueLen = (CK_ULONG)BN_bn2bin(number, attribute->pValue);
    BN_free(number);
}

static CK_RV get_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                            CK_ATTRIBUTE_PTR attribute, CK_ULONG count)
{
    uint8_t *out = attribute->pValue;
    size_t size;

    (void)session;
    ck_assert_uint_eq(count, 1);
    if (attribute->type == CKA_MODULUS && object == RSA_PUBLIC) {
        give_number(OSSL_PKEY_PARAM_RSA_N, attribute);
    } else if (attribute->type == CKA_PUBLIC_EXPONENT && object == RSA_PUBLIC) {
        give_number(OSSL_PKEY_PARAM_RSA_E, attribute);
    } else {
        ck_assert_uint_eq(attribute->type, CKA_EC_POINT);
        ck_assert_uint_eq(object, EC_PUBLIC);
        ck_assert_int_eq(EVP_PKEY_get_octet_string_param(module.ec, OSSL_PKEY_PARAM_PUB_KEY,
                                                         out + 2, attribute->ulValueLen - 2, &size),
                         1);
        out[0] = 4;
        out[1] = (uint8_t)size;
        attribute->ulValueLen = size + 2;
    }
    return CKR_OK;
}

static CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                           CK_ATTRIBUTE_PTR public_template, CK_ULONG public_count,
                           CK_ATTRIBUTE_PTR private_template, CK_ULONG private_count,
                           CK_OBJECT_HANDLE_PTR ret_public, CK_OBJECT_HANDLE_PTR ret_private)
{
    (void)session;
    (void)mechanism;
    (void)public_template;
    (void)public_count;
    (void)private_template;
    (void)private_count;
    if (atomic_load(&module.refuse)) {
        return CKR_FUNCTION_FAILED;
    }
    atomic_fetch_add(&module.creations, 1);
    *ret_public = 100;
    *ret_private = 101;
    return CKR_OK;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    ck_assert_uint_eq(mechanism->mechanism, key == RSA_PRIVATE ? CKM_SHA256_RSA_PKCS : CKM_ECDSA);
    module.signing[session] = key;
    return CKR_OK;
}

static CK_ULONG sign_rsa(const uint8_t *data, size_t size, uint8_t *out, size_t room)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, module.rsa), 1);
    ck_assert_int_eq(EVP_DigestSign(context, out, &room, data, size), 1);
    EVP_MD_CTX_free(context);
    return room;
}

static CK_ULONG sign_ec(const uint8_t *data, size_t size, uint8_t *out)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(module.ec, NULL);
    uint8_t der[P11_SIGNATURE_SIZE_MAX];
    const uint8_t *next = der;
    size_t der_size = sizeof der;
    ECDSA_SIG *signature;

    ck_assert_int_eq(EVP_PKEY_sign_init(context), 1);
    ck_assert_int_eq(EVP_PKEY_sign(context, der, &der_size, data, size), 1);
    signature = d2i_ECDSA_SIG(NULL, &next, (long)der_size);
    ck_assert_ptr_nonnull(signature);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32), 32);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32), 32);
    ECDSA_SIG_free(signature);
    EVP_PKEY_CTX_free(context);
    return 64;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG size, CK_BYTE_PTR signature,
                  CK_ULONG_PTR ret_size)
{
    if (atomic_load(&module.pause)) {
        (void)poll(NULL, 0, PAUSE_MS);
        atomic_store(&module.pause, false);
    }
    if (atomic_load(&module.refuse)) {
        return CKR_DEVICE_ERROR;
    }
    *ret_size = module.signing[session] == RSA_PRIVATE ? sign_rsa(data, size, signature, *ret_size)
                                                       : sign_ec(data, size, signature);
    signature[*ret_size / 2] ^= atomic_load(&module.lie) ? 1 : 0;
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {
    .C_OpenSession = open_session,
    .C_CloseSession = close_session,
    .C_FindObjectsInit = find_init,
    .C_FindObjects = find_next,
    .C_FindObjectsFinal = find_final,
    .C_GetAttributeValue = get_attributes,
    .C_GenerateKeyPair = generate_pair,
    .C_SignInit = sign_init,
    .C_Sign = sign,
};
static struct p11 p11 = {.functions = &functions};

static void make_keys(void)
{
    ck_assert_int_eq(pthread_mutex_init(&module.mutex, NULL), 0);
    module.rsa = EVP_RSA_gen(2048);
    module.ec = EVP_EC_gen("P-256");
    ck_assert_ptr_nonnull(module.rsa);
    ck_assert_ptr_nonnull(module.ec);
}

static void free_keys(void)
{
    EVP_PKEY_free(module.rsa);
    EVP_PKEY_free(module.ec);
}

/* ---- The load on it. */

static struct load *start(unsigned signers, bool create)
{
    struct load_options options = {
        .signers = signers, .rate = 200, .create = create, .pause_ms = 1, .prefix = "test"};
    struct load *load = load_start(&p11, &options);

    ck_assert_ptr_nonnull(load);
    return load;
}

static void wait_done(struct load *load, unsigned works, uint64_t count)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;

    while (load_done(load, works) < count) {
        ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
        (void)poll(NULL, 0, 5);
    }
}

/* Until something of the kind went wrong. */
static struct load_failure wait_failure(struct load *load)
{
    struct load_failure failure;
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;

    while (!load_next_failure(load, &failure)) {
        ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
        (void)poll(NULL, 0, 5);
    }
    return failure;
}

static struct load_summary finish(struct load *load, unsigned works)
{
    struct load_summary summary;

    load_stop(load);
    load_summarize(load, works, 0, clock_monotonic_ns(), &summary);
    load_free(load);
    return summary;
}

START_TEST(good_signatures_of_both_kinds_are_counted)
{
    struct load *load = start(2, false);
    struct load_summary rsa, ec;

    wait_done(load, 1u << LOAD_RSA, 5);
    wait_done(load, 1u << LOAD_EC, 5);
    load_stop(load);
    load_summarize(load, 1u << LOAD_RSA, 0, clock_monotonic_ns(), &rsa);
    load_summarize(load, 1u << LOAD_EC, 0, clock_monotonic_ns(), &ec);
    load_free(load);
    ck_assert_uint_ge(rsa.done, 5);
    ck_assert_uint_ge(ec.done, 5);
    ck_assert_uint_eq(rsa.failed + rsa.wrong + ec.failed + ec.wrong, 0);
    ck_assert_uint_gt(rsa.median_ns, 0);
    ck_assert_uint_ge(rsa.p99_ns, rsa.median_ns);
    ck_assert_uint_ge(rsa.longest_ns, rsa.p99_ns);
}
END_TEST

START_TEST(a_wrong_signature_is_found)
{
    struct load *load = start(2, false);
    struct load_failure failure;
    struct load_summary summary;

    wait_done(load, LOAD_SIGNING, 4);
    atomic_store(&module.lie, true);
    failure = wait_failure(load);
    ck_assert_uint_eq(failure.rv, CKR_OK);
    summary = finish(load, LOAD_SIGNING);
    ck_assert_uint_ge(summary.wrong, 1);
    ck_assert_uint_eq(summary.failed, 0);
}
END_TEST

START_TEST(an_error_is_a_failure_with_its_code)
{
    struct load *load = start(1, false);
    struct load_failure failure;
    struct load_summary summary;

    atomic_store(&module.refuse, true);
    failure = wait_failure(load);
    ck_assert_uint_eq(failure.rv, CKR_DEVICE_ERROR);
    ck_assert_int_ne(failure.work, LOAD_CREATE);
    summary = finish(load, LOAD_SIGNING);
    ck_assert_uint_ge(summary.failed, 1);
    ck_assert_uint_eq(summary.wrong, 0);
}
END_TEST

START_TEST(a_pause_is_a_gap_and_a_long_call)
{
    struct load *load = start(1, false);
    struct load_summary summary;
    uint64_t begin_ns;

    wait_done(load, LOAD_SIGNING, 10);
    atomic_store(&module.pause, true);
    begin_ns = clock_monotonic_ns();
    while (atomic_load(&module.pause)) {
        ck_assert_uint_lt(clock_monotonic_ns() - begin_ns, (uint64_t)WAIT_MS * NS_PER_MS);
        (void)poll(NULL, 0, 5);
    }
    wait_done(load, LOAD_SIGNING, load_done(load, LOAD_SIGNING) + 5);
    summary = finish(load, LOAD_SIGNING);
    ck_assert_uint_ge(summary.gap_ns, (PAUSE_MS - 1) * NS_PER_MS);
    ck_assert_uint_ge(summary.longest_ns, (PAUSE_MS - 1) * NS_PER_MS);
}
END_TEST

START_TEST(a_span_in_which_nothing_is_done_is_all_gap)
{
    struct load *load = start(1, false);
    struct load_summary summary;
    uint64_t now_ns;

    wait_done(load, LOAD_SIGNING, 5);
    load_stop(load);
    now_ns = clock_monotonic_ns();
    load_summarize(load, LOAD_SIGNING, now_ns, now_ns + 777, &summary);
    ck_assert_uint_eq(summary.done, 0);
    ck_assert_uint_eq(summary.gap_ns, 777);
    load_free(load);
}
END_TEST

START_TEST(only_acknowledged_keys_are_remembered_each_under_an_id_of_its_own)
{
    struct load *load = start(0, true);
    size_t count;

    wait_done(load, LOAD_CREATING, 5);
    atomic_store(&module.refuse, true);
    ck_assert_int_eq(wait_failure(load).work, LOAD_CREATE);
    load_stop(load);
    count = load_key_count(load);
    ck_assert_uint_eq(count, atomic_load(&module.creations));
    for (size_t i = 1; i < count; i++) {
        ck_assert_mem_ne(load_key_id(load, i), load_key_id(load, i - 1), P11_ID_SIZE);
    }
    load_free(load);
}
END_TEST

START_TEST(what_is_no_pair_of_numbers_is_no_ecdsa_signature)
{
    uint8_t raw[64] = {1}, der[P11_SIGNATURE_SIZE_MAX];
    size_t size = p11_public_signature(raw, sizeof raw, der, sizeof der);

    ck_assert_uint_gt(size, 0);
    ck_assert_uint_eq(p11_public_signature(raw, sizeof raw, der, size), size);
    ck_assert_uint_eq(p11_public_signature(raw, sizeof raw, der, size - 1), 0);
    ck_assert_uint_eq(p11_public_signature(raw, 63, der, sizeof der), 0);
    ck_assert_uint_eq(p11_public_signature(raw, 0, der, sizeof der), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *tcase = tcase_create("load");

    tcase_add_checked_fixture(tcase, make_keys, free_keys);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, good_signatures_of_both_kinds_are_counted);
    tcase_add_test(tcase, a_wrong_signature_is_found);
    tcase_add_test(tcase, an_error_is_a_failure_with_its_code);
    tcase_add_test(tcase, a_pause_is_a_gap_and_a_long_call);
    tcase_add_test(tcase, a_span_in_which_nothing_is_done_is_all_gap);
    tcase_add_test(tcase, only_acknowledged_keys_are_remembered_each_under_an_id_of_its_own);
    tcase_add_test(tcase, what_is_no_pair_of_numbers_is_no_ecdsa_signature);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
