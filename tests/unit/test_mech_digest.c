/* Digests in parts: FIPS 180's example, parts of any size, copies. */
#include "crypto/mech.h"

#include "tests/unit/crypto_fixture.h"

struct known {
    CK_MECHANISM_TYPE type;
    const char *hash; /* of "abc" */
};

static const struct known known[] = {
    {CKM_SHA_1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {CKM_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    {CKM_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {CKM_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                 "8086072ba1e7cc2358baeca134c825a7"},
    {CKM_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void assert_hash(struct mech_digest *digest, const char *expected)
{
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    size_t size;

    assert_ok(mech_digest_final(digest, hash, &size));
    assert_bytes(whole(hash, size), hex(expected));
}

START_TEST(abc_has_the_hashes_that_fips_180_says)
{
    for (size_t i = 0; i < 5; i++) {
        struct mech_digest *digest;

        ck_assert_uint_eq(mech_digest_size(known[i].type), strlen(known[i].hash) / 2);
        assert_ok(mech_digest_new(known[i].type, &digest));
        assert_ok(mech_digest_update(digest, text_bytes("a")));
        assert_ok(mech_digest_update(digest, text_bytes("")));
        assert_ok(mech_digest_update(digest, text_bytes("bc")));
        assert_hash(digest, known[i].hash);
        mech_digest_free(digest);
    }
}
END_TEST

START_TEST(a_copy_goes_its_own_way)
{
    struct mech_digest *digest, *copy;

    assert_ok(mech_digest_new(CKM_SHA256, &digest));
    assert_ok(mech_digest_update(digest, text_bytes("ab")));
    assert_ok(mech_digest_copy(digest, &copy));
    assert_ok(mech_digest_update(digest, text_bytes("x")));
    assert_ok(mech_digest_update(copy, text_bytes("c")));
    assert_hash(copy, known[2].hash);
    mech_digest_free(digest);
    mech_digest_free(copy);
    mech_digest_free(NULL);
}
END_TEST

START_TEST(nothing_has_a_hash_too)
{
    struct mech_digest *digest;

    assert_ok(mech_digest_new(CKM_SHA256, &digest));
    assert_hash(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    mech_digest_free(digest);
}
END_TEST

START_TEST(other_mechanisms_are_no_digests)
{
    struct mech_digest *digest = NULL;

    ck_assert_int_eq(mech_digest_new(CKM_SHA256_HMAC, &digest), QH_EMECHANISM);
    ck_assert_ptr_null(digest);
    ck_assert_uint_eq(mech_digest_size(CKM_SHA256_HMAC), 0);
    ck_assert_uint_eq(mech_digest_size(CK_UNAVAILABLE_INFORMATION), 0);
    ck_assert(mech_is_mgf(CKG_MGF1_SHA512));
    ck_assert(!mech_is_mgf(CKG_MGF1_SHA224 + 1));
    ck_assert(!mech_is_mgf(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_digest");
    TCase *tests = tcase_create("mech_digest");

    tcase_add_test(tests, abc_has_the_hashes_that_fips_180_says);
    tcase_add_test(tests, a_copy_goes_its_own_way);
    tcase_add_test(tests, nothing_has_a_hash_too);
    tcase_add_test(tests, other_mechanisms_are_no_digests);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
