/* What the tests of keys and mechanisms share: hexadecimal, keys made on the spot, and calls that
 * must succeed. */
#ifndef QH_TESTS_UNIT_CRYPTO_FIXTURE_H
#define QH_TESTS_UNIT_CRYPTO_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "crypto/mech.h"
#include "tests/lib/test.h"

#define FIXTURE_ROOM 8192u

#define OID_P256 "06082a8648ce3d030107"
#define OID_P384 "06052b81040022"
#define OID_P521 "06052b81040023"
#define OID_SECP256K1 "06052b8104000a"
#define OID_ED25519 "06032b6570"
#define OID_ED448 "06032b6571"
#define OID_X25519 "06032b656e"
#define OID_X448 "06032b656f"

/* All blocks that hex() gave out: not lost, as the leak checker sees it. */
struct hex_block {
    struct hex_block *next;
    uint8_t base[];
};
static struct hex_block *hex_blocks;

/* Bytes that live as long as the test's process; what is behind their end is not ours. */
static inline struct bytes hex(const char *text)
{
    size_t size = strlen(text) / 2;
    struct hex_block *block = malloc(sizeof *block + size);

    ck_assert_ptr_nonnull(block);
    block->next = hex_blocks;
    hex_blocks = block;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};

        block->base[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return (struct bytes){block->base, size};
}

static inline struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline struct bytes whole(const uint8_t *base, size_t size)
{
    return (struct bytes){base, size};
}

static inline struct bytes view(const struct secret *secret)
{
    return (struct bytes){secret_view(secret), secret_size(secret)};
}

#define assert_bytes(left, right) ck_assert_int_eq(bytes_compare((left), (right)), 0)
#define assert_ok(call) ck_assert_int_eq((call), QH_OK)

/* A pair, opened; and what it was opened from. */
struct pair {
    struct secret *material;
    struct key_public public;
    struct key *private_key, *public_key;
};

static inline void pair_open(struct pair *pair, CK_KEY_TYPE type)
{
    assert_ok(key_open(CKO_PRIVATE_KEY, type, view(pair->material), &pair->private_key));
    assert_ok(key_open(CKO_PUBLIC_KEY, type, pair->public.spki, &pair->public_key));
}

static inline void pair_make_rsa(struct pair *pair, unsigned bits)
{
    assert_ok(secret_setup());
    assert_ok(key_generate_rsa(bits, hex("010001"), &pair->material, &pair->public));
    pair_open(pair, CKK_RSA);
}

static inline void pair_make_ec(struct pair *pair, CK_KEY_TYPE type, const char *oid)
{
    assert_ok(secret_setup());
    assert_ok(key_generate_ec(type, hex(oid), &pair->material, &pair->public));
    pair_open(pair, type);
}

static inline void pair_close(struct pair *pair)
{
    key_free(pair->private_key);
    key_free(pair->public_key);
    secret_free(pair->material);
    free(pair->public.block);
}

static inline struct key *secret_key(CK_KEY_TYPE type, struct bytes value)
{
    struct key *key;

    assert_ok(secret_setup());
    assert_ok(key_open(CKO_SECRET_KEY, type, value, &key));
    return key;
}

/* OpenSSL's own reading of what we write. */
static inline EVP_PKEY *openssl_private(const struct pair *pair)
{
    const uint8_t *next = secret_view(pair->material);
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &next, (long)secret_size(pair->material));

    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

static inline EVP_PKEY *openssl_public(const struct pair *pair)
{
    const uint8_t *next = pair->public.spki.base;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &next, (long)pair->public.spki.size);

    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

#endif
