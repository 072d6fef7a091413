/* Public keys and signatures between PKCS#11 and OpenSSL. */
#include "tests/drill/p11_public.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>

#define ATTRIBUTE_ROOM 1024u
#define P256_POINT_SIZE 65u
#define POINT_UNCOMPRESSED 4u
#define DER_OCTET_STRING 4u

static CK_RV read_attribute(struct p11 *p11, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type,
                            uint8_t room[ATTRIBUTE_ROOM], size_t *ret_size)
{
    CK_ATTRIBUTE attribute = {type, room, ATTRIBUTE_ROOM};
    CK_RV rv = p11->functions->C_GetAttributeValue(p11->session, handle, &attribute, 1);

    if (rv == CKR_OK) {
        *ret_size = attribute.ulValueLen;
    }
    return rv;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (context == NULL || params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *read_rsa(struct p11 *p11, CK_OBJECT_HANDLE handle)
{
    uint8_t modulus[ATTRIBUTE_ROOM], exponent[ATTRIBUTE_ROOM];
    size_t modulus_size, exponent_size;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIGNUM *n = NULL, *e = NULL;
    EVP_PKEY *key = NULL;

    if (read_attribute(p11, handle, CKA_MODULUS, modulus, &modulus_size) == CKR_OK &&
        read_attribute(p11, handle, CKA_PUBLIC_EXPONENT, exponent, &exponent_size) == CKR_OK) {
        n = BN_bin2bn(modulus, (int)modulus_size, NULL);
        e = BN_bin2bn(exponent, (int)exponent_size, NULL);
    }
    if (n != NULL && e != NULL && builder != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        params = OSSL_PARAM_BLD_to_param(builder);
        key = from_params("RSA", params);
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

/* The point is an OCTET STRING; some modules give it bare. */
static EVP_PKEY *read_ec(struct p11 *p11, CK_OBJECT_HANDLE handle)
{
    static char group[] = "prime256v1";
    uint8_t room[ATTRIBUTE_ROOM];
    uint8_t *point = room;
    size_t size;
    OSSL_PARAM params[3];

    if (read_attribute(p11, handle, CKA_EC_POINT, room, &size) != CKR_OK) {
        return NULL;
    }
    if (size == P256_POINT_SIZE + 2 && room[0] == DER_OCTET_STRING && room[1] == P256_POINT_SIZE) {
        point += 2;
        size -= 2;
    }
    if (size != P256_POINT_SIZE || point[0] != POINT_UNCOMPRESSED) {
        return NULL;
    }
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, size);
    params[2] = OSSL_PARAM_construct_end();
    return from_params("EC", params);
}

EVP_PKEY *p11_public_read(struct p11 *p11, enum p11_kind kind, CK_OBJECT_HANDLE handle)
{
    return kind == P11_RSA ? read_rsa(p11, handle) : read_ec(p11, handle);
}

size_t p11_public_signature(const uint8_t *raw, size_t size, uint8_t *ret_der, size_t room)
{
    ECDSA_SIG *signature;
    BIGNUM *r, *s;
    int length;

    if (size == 0 || size % 2 != 0) {
        return 0;
    }
    signature = ECDSA_SIG_new();
    r = BN_bin2bn(raw, (int)(size / 2), NULL);
    s = BN_bin2bn(raw + size / 2, (int)(size / 2), NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        ECDSA_SIG_free(signature);
        BN_free(r);
        BN_free(s);
        return 0;
    }
    length = i2d_ECDSA_SIG(signature, NULL);
    if (length <= 0 || (size_t)length > room) {
        ECDSA_SIG_free(signature);
        return 0;
    }
    (void)i2d_ECDSA_SIG(signature, &ret_der);
    ECDSA_SIG_free(signature);
    return (size_t)length;
}
