/* What an operation on a key costs against OpenSSL's own EVP in its best form, contexts and
 * algorithms kept, in the same run: qh-bench-crypto [ROUNDS].
 *
 * The two take turns in short batches, so that a busy or slowing machine slows both. Printed are
 * the medians of the batches' CPU time per operation, and the ratio of the two. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "crypto/key.h"
#include "crypto/mech.h"

#define ROUNDS_DEFAULT 101u
#define ROUNDS_MAX 10001u
#define BATCH_NS 2000000u /* of one batch, about */
#define DATA_SIZE 1024u
#define ROOM 2048u

/* One primitive, both ways. */
struct subject {
    const char *name;
    struct key *key;
    struct mech_params params;
    struct bytes data;
    bool encrypts;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *sign_ctx;
    EVP_MD_CTX *digest_ctx;
    EVP_CIPHER_CTX *cipher_ctx;
    EVP_MAC_CTX *mac_ctx;
    EVP_MD *sha256;
    void (*openssl)(struct subject *subject);
};

static uint8_t out[ROOM];
static uint8_t data[DATA_SIZE];
static const uint8_t iv[12] = {1};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    QH_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_ours(struct subject *subject)
{
    size_t size;
    enum qh_err err;

    if (subject->encrypts) {
        err = mech_encrypt(subject->key, &subject->params, subject->data, out, sizeof out, &size);
    } else {
        err = mech_sign(subject->key, &subject->params, subject->data, out, sizeof out, &size);
    }
    QH_ASSERT(err == QH_OK);
}

static void openssl_rsa(struct subject *subject)
{
    uint8_t hash[32];
    size_t size = sizeof out;

    QH_ASSERT(EVP_DigestInit_ex2(subject->digest_ctx, subject->sha256, NULL) == 1);
    QH_ASSERT(EVP_DigestUpdate(subject->digest_ctx, subject->data.base, subject->data.size) == 1);
    QH_ASSERT(EVP_DigestFinal_ex(subject->digest_ctx, hash, NULL) == 1);
    QH_ASSERT(EVP_PKEY_sign(subject->sign_ctx, out, &size, hash, sizeof hash) == 1);
}

static void openssl_ecdsa(struct subject *subject)
{
    size_t size = sizeof out;

    QH_ASSERT(
        EVP_PKEY_sign(subject->sign_ctx, out, &size, subject->data.base, subject->data.size) == 1);
}

static void openssl_eddsa(struct subject *subject)
{
    size_t size = sizeof out;

    QH_ASSERT(EVP_DigestSign(subject->digest_ctx, out, &size, subject->data.base,
                             subject->data.size) == 1);
}

static void openssl_gcm(struct subject *subject)
{
    int size;

    QH_ASSERT(EVP_EncryptInit_ex2(subject->cipher_ctx, NULL, NULL, iv, NULL) == 1);
    QH_ASSERT(EVP_EncryptUpdate(subject->cipher_ctx, out, &size, subject->data.base,
                                (int)subject->data.size) == 1);
    QH_ASSERT(EVP_EncryptFinal_ex(subject->cipher_ctx, out + size, &size) == 1);
    QH_ASSERT(
        EVP_CIPHER_CTX_ctrl(subject->cipher_ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + DATA_SIZE) == 1);
}

static void openssl_hmac(struct subject *subject)
{
    size_t size;

    QH_ASSERT(EVP_MAC_init(subject->mac_ctx, NULL, 0, NULL) == 1);
    QH_ASSERT(EVP_MAC_update(subject->mac_ctx, subject->data.base, subject->data.size) == 1);
    QH_ASSERT(EVP_MAC_final(subject->mac_ctx, out, &size, sizeof out) == 1);
}

/* Both get the same key; OpenSSL's comes from its own decoder. */
static void open_pair(struct subject *subject, CK_KEY_TYPE type, struct secret *material,
                      struct key_public *public)
{
    struct bytes bytes = {secret_view(material), secret_size(material)};
    const uint8_t *next = bytes.base;

    QH_ASSERT(key_open(CKO_PRIVATE_KEY, type, bytes, &subject->key) == QH_OK);
    subject->pkey = d2i_AutoPrivateKey(NULL, &next, (long)bytes.size);
    QH_ASSERT(subject->pkey != NULL);
    subject->sign_ctx = EVP_PKEY_CTX_new_from_pkey(NULL, subject->pkey, NULL);
    subject->digest_ctx = EVP_MD_CTX_new();
    subject->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    QH_ASSERT(subject->sign_ctx != NULL && subject->digest_ctx != NULL && subject->sha256 != NULL);
    secret_free(material);
    free(public->block);
}

static void set_up_rsa(struct subject *subject)
{
    static const uint8_t exponent[] = {1, 0, 1};
    struct secret *material;
    struct key_public public;

    QH_ASSERT(key_generate_rsa(2048, (struct bytes){exponent, 3}, &material, &public) == QH_OK);
    open_pair(subject, CKK_RSA, material, &public);
    QH_ASSERT(EVP_PKEY_sign_init(subject->sign_ctx) == 1);
    QH_ASSERT(EVP_PKEY_CTX_set_rsa_padding(subject->sign_ctx, RSA_PKCS1_PADDING) == 1);
    QH_ASSERT(EVP_PKEY_CTX_set_signature_md(subject->sign_ctx, subject->sha256) == 1);
}

static void set_up_curve(struct subject *subject, CK_KEY_TYPE type, struct bytes ec_params)
{
    struct secret *material;
    struct key_public public;

    QH_ASSERT(key_generate_ec(type, ec_params, &material, &public) == QH_OK);
    open_pair(subject, type, material, &public);
    if (type == CKK_EC) {
        QH_ASSERT(EVP_PKEY_sign_init(subject->sign_ctx) == 1);
    } else {
        QH_ASSERT(EVP_DigestSignInit_ex(subject->digest_ctx, NULL, NULL, NULL, NULL, subject->pkey,
                                        NULL) == 1);
    }
}

static void set_up_gcm(struct subject *subject)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

    QH_ASSERT(key_open(CKO_SECRET_KEY, CKK_AES, (struct bytes){data, 32}, &subject->key) == QH_OK);
    subject->cipher_ctx = EVP_CIPHER_CTX_new();
    QH_ASSERT(EVP_EncryptInit_ex2(subject->cipher_ctx, cipher, data, NULL, NULL) == 1);
    EVP_CIPHER_free(cipher);
}

static void set_up_hmac(struct subject *subject)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA2-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    QH_ASSERT(key_open(CKO_SECRET_KEY, CKK_GENERIC_SECRET, (struct bytes){data, 32},
                       &subject->key) == QH_OK);
    subject->mac_ctx = EVP_MAC_CTX_new(mac);
    QH_ASSERT(EVP_MAC_init(subject->mac_ctx, data, 32, params) == 1);
    EVP_MAC_free(mac);
}

static uint64_t batch(struct subject *subject, void (*run)(struct subject *), unsigned count)
{
    uint64_t start = cpu_ns();

    for (unsigned i = 0; i < count; i++) {
        run(subject);
    }
    return cpu_ns() - start;
}

static int compare_times(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

static double median_us(uint64_t *times, unsigned rounds, unsigned count)
{
    qsort(times, rounds, sizeof *times, compare_times);
    return (double)times[rounds / 2] / (double)count / 1000.0;
}

static void measure(struct subject *subject, unsigned rounds)
{
    static uint64_t ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
    unsigned count = 1;
    double our_us, their_us;

    run_ours(subject);
    while (batch(subject, subject->openssl, count) < BATCH_NS) {
        count *= 2;
    }
    for (unsigned i = 0; i < rounds; i++) {
        ours[i] = batch(subject, run_ours, count);
        theirs[i] = batch(subject, subject->openssl, count);
    }
    our_us = median_us(ours, rounds, count);
    their_us = median_us(theirs, rounds, count);
    (void)printf("%-28s %10.0f %10.2f %10.2f %8.3f\n", subject->name, 1e6 / our_us, our_us,
                 their_us, our_us / their_us);
}

static void tear_down(struct subject *subject)
{
    key_free(subject->key);
    EVP_PKEY_CTX_free(subject->sign_ctx);
    EVP_MD_CTX_free(subject->digest_ctx);
    EVP_CIPHER_CTX_free(subject->cipher_ctx);
    EVP_MAC_CTX_free(subject->mac_ctx);
    EVP_MD_free(subject->sha256);
    EVP_PKEY_free(subject->pkey);
}

static void measure_all(unsigned rounds)
{
    static const uint8_t p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
    static const uint8_t ed25519[] = {6, 3, 0x2b, 0x65, 0x70};
    struct subject rsa = {.name = "RSA-2048, SHA256_RSA_PKCS",
                          .params.type = CKM_SHA256_RSA_PKCS,
                          .data = {data, 32},
                          .openssl = openssl_rsa};
    struct subject ecdsa = {.name = "P-256, ECDSA",
                            .params.type = CKM_ECDSA,
                            .data = {data, 32},
                            .openssl = openssl_ecdsa};
    struct subject eddsa = {.name = "Ed25519, EDDSA, 32 B",
                            .params.type = CKM_EDDSA,
                            .data = {data, 32},
                            .openssl = openssl_eddsa};
    struct subject gcm = {.name = "AES-256-GCM, 1 KiB",
                          .params = {.type = CKM_AES_GCM, .tag_bits = 128, .iv = {iv, sizeof iv}},
                          .data = {data, DATA_SIZE},
                          .encrypts = true,
                          .openssl = openssl_gcm};
    struct subject hmac = {.name = "HMAC-SHA256, 1 KiB",
                           .params.type = CKM_SHA256_HMAC,
                           .data = {data, DATA_SIZE},
                           .openssl = openssl_hmac};
    struct subject *all[] = {&rsa, &ecdsa, &eddsa, &gcm, &hmac};

    set_up_rsa(&rsa);
    set_up_curve(&ecdsa, CKK_EC, (struct bytes){p256, sizeof p256});
    set_up_curve(&eddsa, CKK_EC_EDWARDS, (struct bytes){ed25519, sizeof ed25519});
    set_up_gcm(&gcm);
    set_up_hmac(&hmac);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        measure(all[i], rounds);
        tear_down(all[i]);
    }
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;

    if (rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: qh-bench-crypto [ROUNDS], at most %u\n", ROUNDS_MAX);
        return EXIT_FAILURE;
    }
    QH_ASSERT(secret_setup() == QH_OK);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)i;
    }
    (void)printf("%-28s %10s %10s %10s %8s\n", "", "ops/s", "us", "OpenSSL us", "ratio");
    measure_all((unsigned)rounds);
    return EXIT_SUCCESS;
}
