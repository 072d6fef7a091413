/* Keys from arbitrary bytes: what opens can be used and gives back what it was opened from, the
 * rest gets one of the errors that the header names. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/key.h"
#include "crypto/mech.h"
#include "crypto/mech_ec.h"

#define ROOM 2048u

static const CK_KEY_TYPE types[] = {CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_AES, CKK_GENERIC_SECRET};
static const CK_MECHANISM_TYPE signs[] = {CKM_SHA256_RSA_PKCS, CKM_ECDSA, CKM_EDDSA, CKM_AES_CMAC,
                                          CKM_SHA256_HMAC};

/* A private key that has numbers of no key may fail to sign, and may not fail otherwise. */
static void use_key(struct key *key, const struct mech_params *params, bool must_work)
{
    static const uint8_t data[32] = {1};
    uint8_t out[ROOM];
    size_t size = 0;
    struct bytes signature;
    enum qh_err err =
        mech_sign(key, params, (struct bytes){data, sizeof data}, out, sizeof out, &size);

    QH_ASSERT(err == QH_OK || !must_work);
    if (err == QH_OK) {
        QH_ASSERT(size == mech_signature_size(key, params));
        signature = (struct bytes){out, size};
        err = mech_verify(key, params, (struct bytes){data, sizeof data}, signature);
        QH_ASSERT(err == QH_OK || !must_work);
    }
}

static void open_private(size_t index, struct bytes material)
{
    struct mech_params params = {.type = signs[index]};
    struct key_rsa_parts parts;
    struct bytes value;
    struct secret *block = NULL;
    struct key *key = NULL;
    enum qh_err err = key_open(CKO_PRIVATE_KEY, types[index], material, &key);

    if (err != QH_OK) {
        QH_ASSERT(key == NULL);
        QH_ASSERT(err == QH_EMALFORMED || err == QH_EKEYTYPE || err == QH_EKEYSIZE ||
                  err == QH_ECURVE);
        return;
    }
    use_key(key, &params, types[index] == CKK_EC_EDWARDS);
    key_free(key);
    err = key_private_parts(types[index], material, &parts, &value, &block);
    QH_ASSERT(err == QH_OK);
    QH_ASSERT((parts.d.size > 0) == (types[index] == CKK_RSA));
    secret_free(block);
}

static void open_public(size_t index, struct bytes material)
{
    struct mech_params params = {.type = signs[index]};
    static const uint8_t zeroes[ROOM];
    struct key *key = NULL;
    enum qh_err err = key_open(CKO_PUBLIC_KEY, types[index], material, &key);

    if (err != QH_OK) {
        QH_ASSERT(key == NULL);
        QH_ASSERT(err == QH_EMALFORMED || err == QH_EKEYTYPE || err == QH_EKEYSIZE ||
                  err == QH_ECURVE);
        return;
    }
    QH_ASSERT(mech_signature_size(key, &params) == 0);
    err = mech_verify(key, &params, (struct bytes){zeroes, 32}, (struct bytes){zeroes, 64});
    QH_ASSERT(err == QH_ESIGNATURE || err == QH_ESIGNATURESIZE);
    key_free(key);
}

/* What an import makes can always be opened. */
static void import_point(size_t index, struct bytes params, struct bytes point)
{
    struct key_public public;
    struct key *key;

    if (key_import_ec_public(types[index], params, point, &public) == QH_OK) {
        QH_ASSERT(public.ec_params.size == params.size);
        QH_ASSERT(key_open(CKO_PUBLIC_KEY, types[index], public.spki, &key) == QH_OK);
        key_free(key);
        free(public.block);
    }
}

static void import_value(size_t index, struct bytes params, struct bytes value)
{
    struct mech_params sign = {.type = signs[index]};
    struct secret *private;
    struct key_public public;
    struct key *key;

    if (key_import_ec_private(types[index], params, value, &private, &public) == QH_OK) {
        struct bytes material = {secret_view(private), secret_size(private)};

        QH_ASSERT(key_open(CKO_PRIVATE_KEY, types[index], material, &key) == QH_OK);
        use_key(key, &sign, true);
        key_free(key);
        secret_free(private);
        free(public.block);
    }
}

/* @data cut into the eight numbers, at places that its first bytes say. */
static void import_rsa(struct bytes data)
{
    struct bytes list[8] = {{NULL, 0}};
    struct key_rsa_parts parts;
    struct secret *private = NULL;
    struct key_public public;
    struct bytes_reader reader;

    bytes_reader_init(&reader, data.base, data.size);
    for (size_t i = 0; i < 8; i++) {
        list[i] = bytes_read_span(&reader, bytes_read_u16(&reader) % 1100u);
    }
    parts = (struct key_rsa_parts){list[0], list[1], list[2], list[3],
                                   list[4], list[5], list[6], list[7]};
    if (key_import_rsa_public(parts.n, parts.e, &public) == QH_OK) {
        free(public.block);
    }
    if (key_import_rsa_private(&parts, &private, &public) == QH_OK) {
        secret_free(private);
        free(public.block);
    }
}

static void parse_signature(struct bytes der)
{
    uint8_t signature[2 * 32];

    memset(signature, 0xa5, sizeof signature);
    if (mech_ec_from_der(der, 32, signature) != QH_OK) {
        QH_ASSERT(signature[0] == 0xa5 && signature[63] == 0xa5);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct bytes rest, params;
    size_t index;

    if (!ready) {
        QH_ASSERT(secret_setup() == QH_OK);
        ready = true;
    }
    if (size < 2) {
        return 0;
    }
    index = data[0] / 8 % 3;
    rest = (struct bytes){data + 2, size - 2};
    params = (struct bytes){rest.base, data[1] < rest.size ? data[1] : rest.size};
    switch (data[0] % 8) {
    case 0:
    case 1:
        open_private(index, rest);
        break;
    case 2:
        open_public(index, rest);
        break;
    case 3:
        import_rsa(rest);
        break;
    case 4:
        parse_signature(rest);
        break;
    case 5:
        import_point(1 + index % 2, params,
                     (struct bytes){rest.base + params.size, rest.size - params.size});
        break;
    default:
        import_value(1 + index % 2, params,
                     (struct bytes){rest.base + params.size, rest.size - params.size});
        break;
    }
    return 0;
}
