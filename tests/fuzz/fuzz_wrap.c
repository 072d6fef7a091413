/* Wrapped keys, points and parameters of wrapping and deriving from arbitrary bytes: what comes out
 * is a secret of a size that the header promises, the rest gets one of the errors it names. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/key.h"
#include "crypto/mech.h"

#define ROOM (MECH_WRAP_SIZE_MAX + 64u)
#define CURVES 6u

static const CK_MECHANISM_TYPE wraps[] = {
    CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP_KWP,
    CKM_AES_CBC,      CKM_AES_CBC_PAD,      CKM_AES_GCM,
    CKM_RSA_PKCS,     CKM_RSA_PKCS_OAEP,    CKM_RSA_AES_KEY_WRAP};
#define WRAPS (sizeof wraps / sizeof wraps[0])

static const uint8_t oids[CURVES][11] = {
    {10, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07},
    {7, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22},
    {7, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23},
    {7, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a},
    {5, 0x06, 0x03, 0x2b, 0x65, 0x6e},
    {5, 0x06, 0x03, 0x2b, 0x65, 0x6f},
};

static struct key *aes, *generic, *rsa, *curves[CURVES];

static struct bytes view(const struct secret *secret)
{
    return (struct bytes){secret_view(secret), secret_size(secret)};
}

/* The same AES key in every run, so that the corpus unwraps; others are made on the spot. */
static void make_keys(void)
{
    static const uint8_t value[32] = {1, 2, 3};
    static const uint8_t exponent[3] = {1, 0, 1};
    struct bytes bytes = {value, sizeof value};
    struct key_public public;
    struct secret *private;

    QH_ASSERT(secret_setup() == QH_OK);
    QH_ASSERT(key_open(CKO_SECRET_KEY, CKK_AES, bytes, &aes) == QH_OK);
    QH_ASSERT(key_open(CKO_SECRET_KEY, CKK_GENERIC_SECRET, bytes, &generic) == QH_OK);
    QH_ASSERT(key_generate_rsa(2048, (struct bytes){exponent, 3}, &private, &public) == QH_OK);
    QH_ASSERT(key_open(CKO_PRIVATE_KEY, CKK_RSA, view(private), &rsa) == QH_OK);
    secret_free(private);
    free(public.block);
    for (size_t i = 0; i < CURVES; i++) {
        CK_KEY_TYPE type = i < 4 ? CKK_EC : CKK_EC_MONTGOMERY;
        struct bytes oid = {oids[i] + 1, oids[i][0]};

        QH_ASSERT(key_generate_ec(type, oid, &private, &public) == QH_OK);
        QH_ASSERT(key_open(CKO_PRIVATE_KEY, type, view(private), &curves[i]) == QH_OK);
        secret_free(private);
        free(public.block);
    }
}

/* The next byte says how many go there. */
static struct bytes take_span(struct bytes_reader *reader)
{
    size_t size = bytes_read_u8(reader);

    return bytes_read_span(reader, size < reader->left ? size : reader->left);
}

static struct mech_params take_params(struct bytes_reader *reader, CK_MECHANISM_TYPE type)
{
    static const CK_MECHANISM_TYPE hashes[] = {CKM_SHA_1, CKM_SHA256, CKM_SHA512, 0};
    uint8_t bits = bytes_read_u8(reader);
    struct mech_params params = {.type = type,
                                 .hash = hashes[bits % 4],
                                 .mgf = bits / 4 % 4,
                                 .tag_bits = bits % 16 * 8u + 8u,
                                 .key_bits = bits / 64 * 64 + 64u,
                                 .kdf = bits % 32,
                                 .extract = (bits & 4) != 0,
                                 .expand = (bits & 8) != 0};

    params.iv = take_span(reader);
    params.label = params.aad = params.shared_data = params.salt = params.info = params.iv;
    if (!params.extract) {
        params.salt.size = 0;
    }
    return params;
}

/* What comes out can be wrapped again, and is then what it was. */
static void wrap_again(struct key *key, const struct mech_params *params, struct bytes plain)
{
    static uint8_t out[ROOM];
    struct secret *back = NULL;
    size_t bound = mech_wrapped_size(key, params, plain.size), size = 0;
    enum qh_err err = mech_wrap(key, params, plain, out, sizeof out, &size);

    QH_ASSERT(err == QH_OK || (err == QH_EKEYSIZE && plain.size > MECH_WRAP_SIZE_MAX));
    if (err == QH_OK) {
        QH_ASSERT(size == bound);
        QH_ASSERT(mech_unwrap(key, params, (struct bytes){out, size}, &back) == QH_OK);
        QH_ASSERT(bytes_compare(view(back), plain) == 0);
        secret_free(back);
    }
}

static void unwrap(struct bytes_reader *reader, size_t index)
{
    struct key *key = index < 6 ? aes : rsa;
    struct mech_params params = take_params(reader, wraps[index]);
    struct bytes wrapped = {reader->next, reader->left};
    struct secret *plain = NULL;
    uint8_t sized[256] = {0};
    enum qh_err err;

    if (params.type == CKM_RSA_PKCS && wrapped.size > 0) { /* the right size, below the modulus */
        memcpy(sized + 1, wrapped.base, wrapped.size < 255 ? wrapped.size : 255);
        wrapped = (struct bytes){sized, sizeof sized};
    }
    err = mech_unwrap(key, &params, wrapped, &plain);
    if (err != QH_OK) {
        QH_ASSERT(plain == NULL);
        QH_ASSERT(err == QH_EWRAPPED || err == QH_EWRAPPEDSIZE || err == QH_EPARAMETER);
        return;
    }
    QH_ASSERT(secret_size(plain) > 0 && secret_size(plain) <= wrapped.size);
    wrap_again(key, &params, view(plain));
    secret_free(plain);
}

static void derive(struct bytes_reader *reader, size_t index)
{
    struct key *key = index == 0 ? generic : curves[index - 1];
    struct mech_params params =
        take_params(reader, index == 0 ? CKM_HKDF_DERIVE : CKM_ECDH1_DERIVE);
    size_t size = bytes_read_u16(reader) % (KEY_SECRET_SIZE_MAX + 16u);
    struct secret *value = NULL;
    enum qh_err err;

    params.public_data = (struct bytes){reader->next, reader->left};
    err = mech_derive(key, &params, size, &value);
    if (err != QH_OK) {
        QH_ASSERT(value == NULL);
        QH_ASSERT(err == QH_EPARAMETER || err == QH_EKEYSIZE);
        return;
    }
    QH_ASSERT(size == 0 ? secret_size(value) > 0 : secret_size(value) == size);
    QH_ASSERT(secret_size(value) <= KEY_SECRET_SIZE_MAX);
    secret_free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes_reader reader;
    uint8_t what;

    if (aes == NULL) {
        make_keys();
    }
    if (size < 2) {
        return 0;
    }
    bytes_reader_init(&reader, data, size);
    what = bytes_read_u8(&reader);
    if (what % 2 == 0) {
        unwrap(&reader, what / 2 % WRAPS);
    } else {
        derive(&reader, what / 2 % (CURVES + 1));
    }
    return 0;
}
