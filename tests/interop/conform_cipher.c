/* Encryption and decryption with AES and RSA, whole, in parts and as messages. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rand.h>

#define CRYPTS (CKF_ENCRYPT | CKF_DECRYPT)

static const struct aes {
    CK_MECHANISM_TYPE type;
    size_t size;     /* of the plaintext */
    size_t unit;     /* that it must be a multiple of; 1 */
    bool parts;      /* the standard has it in parts */
    CK_RV bad;       /* of a ciphertext with a changed last byte; CKR_OK: it cannot be seen */
    CK_RV bad_other; /* as well */
} rows[] = {
    {CKM_AES_ECB, 960, 16, true, CKR_OK, CKR_OK},
    {CKM_AES_CBC, 960, 16, true, CKR_OK, CKR_OK},
    {CKM_AES_CBC_PAD, 1000, 1, true, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID},
    {CKM_AES_CTR, 1000, 1, true, CKR_OK, CKR_OK},
    {CKM_AES_GCM, 1000, 1, true, CKR_ENCRYPTED_DATA_INVALID, CKR_AEAD_DECRYPT_FAILED},
    {CKM_AES_KEY_WRAP, 64, 8, false, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID},
    {CKM_AES_KEY_WRAP_PAD, 61, 1, false, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID},
    {CKM_AES_KEY_WRAP_KWP, 61, 1, false, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID},
};

static size_t token_crypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool encrypt, bool parts,
                          uint8_t *in, size_t size, uint8_t *out)
{
    CK_RV rv = encrypt ? P11->C_EncryptInit(conform.session, mechanism, key)
                       : P11->C_DecryptInit(conform.session, mechanism, key);

    if (!expect_rv(rv, CKR_OK, encrypt ? "C_EncryptInit" : "C_DecryptInit")) {
        return 0;
    }
    if (!parts) {
        return encrypt ? one_shot("C_Encrypt", P11->C_Encrypt, in, size, out)
                       : one_shot("C_Decrypt", P11->C_Decrypt, in, size, out);
    }
    return encrypt
               ? many_parts("C_Encrypt", P11->C_EncryptUpdate, P11->C_EncryptFinal, in, size, out)
               : many_parts("C_Decrypt", P11->C_DecryptUpdate, P11->C_DecryptFinal, in, size, out);
}

static CK_RV try_crypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool encrypt, uint8_t *in,
                       size_t size)
{
    uint8_t out[BUFFER_SIZE];
    CK_ULONG made = sizeof out;
    CK_RV rv = encrypt ? P11->C_EncryptInit(conform.session, mechanism, key)
                       : P11->C_DecryptInit(conform.session, mechanism, key);

    if (rv != CKR_OK) {
        return rv;
    }
    return encrypt ? P11->C_Encrypt(conform.session, in, size, out, &made)
                   : P11->C_Decrypt(conform.session, in, size, out, &made);
}

static void check_refusals(const struct aes *row, CK_OBJECT_HANDLE key, uint8_t *plain,
                           uint8_t *cipher, size_t cipher_size)
{
    CK_MECHANISM *mechanism = usual_mechanism(row->type);

    if (row->unit > 1) {
        expect_rv(try_crypt(mechanism, key, true, plain, row->size - 1), CKR_DATA_LEN_RANGE,
                  "a broken block is not encrypted");
    }
    if (row->unit > 1 || !row->parts || row->type == CKM_AES_CBC_PAD) {
        expect_rv(try_crypt(mechanism, key, false, cipher, cipher_size - 1),
                  CKR_ENCRYPTED_DATA_LEN_RANGE, "a broken block is not decrypted");
    }
    if (row->bad != CKR_OK) {
        /* Of CBC this changes the padding's last byte, and nothing by chance. */
        size_t at = cipher_size - (row->type == CKM_AES_CBC_PAD ? 17 : 1);

        cipher[at] ^= 0x55;
        expect_either(try_crypt(mechanism, key, false, cipher, cipher_size), row->bad,
                      row->bad_other, "a changed ciphertext is refused");
        cipher[at] ^= 0x55;
    }
    if (mechanism->ulParameterLen > 0) {
        mechanism->ulParameterLen--;
        expect_rv(P11->C_EncryptInit(conform.session, mechanism, key), CKR_MECHANISM_PARAM_INVALID,
                  "a parameter one byte too short");
        mechanism->pParameter = NULL;
        mechanism->ulParameterLen = 0;
        expect_rv(P11->C_DecryptInit(conform.session, mechanism, key), CKR_MECHANISM_PARAM_INVALID,
                  "no parameter");
    }
}

static void aes_with(const struct aes *row, size_t key_size)
{
    uint8_t key[32], plain[BUFFER_SIZE], wanted[BUFFER_SIZE], made[BUFFER_SIZE];
    CK_MECHANISM mechanism = *usual_mechanism(row->type);
    CK_OBJECT_HANDLE handle;
    size_t size;
    long wanted_size;

    about("mechanism 0x%lx, AES of %zu bytes", row->type, key_size);
    must(RAND_bytes(key, sizeof key) == 1 && RAND_bytes(plain, sizeof plain) == 1, "bytes");
    handle = secret_import(CKK_AES, key, key_size);
    wanted_size = aes_crypt(row->type, true, key, key_size, plain, row->size, wanted);
    must(wanted_size > 0, "OpenSSL encrypts");
    for (unsigned parts = 0; parts < (row->parts ? 2u : 1u); parts++) {
        size = token_crypt(&mechanism, handle, true, parts == 1, plain, row->size, made);
        expect_same(made, size, wanted, (size_t)wanted_size, "OpenSSL has the same ciphertext");
        size =
            token_crypt(&mechanism, handle, false, parts == 1, wanted, (size_t)wanted_size, made);
        expect_same(made, size, plain, row->size, "the token decrypts OpenSSL's");
    }
    check_refusals(row, handle, plain, wanted, (size_t)wanted_size);
    destroy(handle);
}

/* ---- RSA ---- */

static void rsa_with(CK_MECHANISM_TYPE type, const struct pair *pair, size_t modulus_size,
                     bool has_private)
{
    uint8_t plain[600], made[BUFFER_SIZE], opened[BUFFER_SIZE];
    CK_MECHANISM mechanism = *usual_mechanism(type);
    size_t plain_size = type == CKM_RSA_X_509 ? modulus_size : 60;
    size_t largest = modulus_size - (type == CKM_RSA_PKCS ? 11 : type == CKM_RSA_X_509 ? 0 : 66);
    size_t size;
    long opened_size;

    must(RAND_bytes(plain, sizeof plain) == 1, "random bytes");
    plain[0] = 0;
    size = token_crypt(&mechanism, pair->public, true, false, plain, plain_size, made);
    expect(size == modulus_size, "a ciphertext is as long as the modulus");
    if (has_private) {
        opened_size = rsa_crypt(type, false, pair->pkey, made, size, opened);
        expect_same(opened, (size_t)opened_size, plain, plain_size, "OpenSSL decrypts it");
    }
    size = token_crypt(&mechanism, pair->private, false, false, made, modulus_size, opened);
    expect_same(opened, size, plain, plain_size, "the token decrypts its own");
    opened_size = rsa_crypt(type, true, pair->pkey, plain, plain_size, made);
    must(opened_size == (long)modulus_size, "OpenSSL encrypts");
    size = token_crypt(&mechanism, pair->private, false, false, made, modulus_size, opened);
    expect_same(opened, size, plain, plain_size, "the token decrypts OpenSSL's");
    expect_rv(try_crypt(&mechanism, pair->public, true, plain, largest), CKR_OK,
              "as much as there can be");
    expect_rv(try_crypt(&mechanism, pair->public, true, plain, largest + 1), CKR_DATA_LEN_RANGE,
              "one byte too many");
    expect_rv(try_crypt(&mechanism, pair->private, false, made, modulus_size - 1),
              CKR_ENCRYPTED_DATA_LEN_RANGE, "a short ciphertext");
    made[modulus_size / 2] ^= 1;
    if (type != CKM_RSA_X_509) {
        expect_rv(try_crypt(&mechanism, pair->private, false, made, modulus_size),
                  CKR_ENCRYPTED_DATA_INVALID, "a changed ciphertext");
    }
    memset(made, 0xff, modulus_size);
    expect_either(try_crypt(&mechanism, pair->private, false, made, modulus_size),
                  CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE,
                  "a ciphertext above the modulus");
}

CK_FLAGS exercise_cipher(CK_MECHANISM_TYPE type)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t size = 16; rows[i].type == type && size <= 32; size += 8) {
            aes_with(&rows[i], size);
        }
        if (rows[i].type == type) {
            return CRYPTS;
        }
    }
    if (type != CKM_RSA_PKCS && type != CKM_RSA_X_509 && type != CKM_RSA_PKCS_OAEP) {
        return 0;
    }
    for (unsigned kind = RSA_2048; kind <= RSA_3072; kind++) {
        about("mechanism 0x%lx encrypts, %s", type, kind_name((enum kind)kind));
        rsa_with(type, pair_imported((enum kind)kind), kind_signature_size((enum kind)kind), true);
        rsa_with(type, pair_generated((enum kind)kind), kind_signature_size((enum kind)kind),
                 false);
    }
    return CRYPTS;
}

/* ---- messages ---- */

struct message {
    uint8_t iv[12], tag[16];
    CK_GCM_MESSAGE_PARAMS params;
    uint8_t aad[20];
    uint8_t plain[500], cipher[516];
    CK_ULONG size;
};

static void message_start(struct message *message, CK_GENERATOR_FUNCTION generator)
{
    must(RAND_bytes(message->iv, 12) == 1 && RAND_bytes(message->plain, 500) == 1, "bytes");
    strncpy((char *)message->aad, "additional data", sizeof message->aad);
    message->params = (CK_GCM_MESSAGE_PARAMS){message->iv, 12, 0, generator, message->tag, 128};
    message->size = sizeof message->cipher;
}

static CK_RV encrypt_message(struct message *message)
{
    return P11->C_EncryptMessage(conform.session, &message->params, sizeof message->params,
                                 message->aad, sizeof message->aad, message->plain, 500,
                                 message->cipher, &message->size);
}

static CK_RV encrypt_parts(struct message *message)
{
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = 300, more = 300;
    CK_RV rv = P11->C_EncryptMessageBegin(session, &message->params, sizeof message->params,
                                          message->aad, sizeof message->aad);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = P11->C_EncryptMessageNext(session, &message->params, sizeof message->params,
                                   message->plain, 200, message->cipher, &size, 0);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = P11->C_EncryptMessageNext(session, &message->params, sizeof message->params,
                                   message->plain + 200, 300, message->cipher + size, &more,
                                   CKF_END_OF_MESSAGE);
    message->size = size + more;
    return rv;
}

static CK_RV decrypt_message(struct message *message, bool parts, uint8_t *out, CK_ULONG *out_size)
{
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = *out_size, more;
    CK_RV rv;

    if (!parts) {
        return P11->C_DecryptMessage(session, &message->params, sizeof message->params,
                                     message->aad, sizeof message->aad, message->cipher,
                                     message->size, out, out_size);
    }
    rv = P11->C_DecryptMessageBegin(session, &message->params, sizeof message->params, message->aad,
                                    sizeof message->aad);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = P11->C_DecryptMessageNext(session, &message->params, sizeof message->params,
                                   message->cipher, 33, out, &size, 0);
    if (rv != CKR_OK) {
        return rv;
    }
    more = *out_size - size;
    rv = P11->C_DecryptMessageNext(session, &message->params, sizeof message->params,
                                   message->cipher + 33, message->size - 33, out + size, &more,
                                   CKF_END_OF_MESSAGE);
    *out_size = size + more;
    return rv;
}

/* Beside a plain C_Decrypt, which has the tag behind the ciphertext. */
static void check_message(struct message *message, CK_OBJECT_HANDLE key)
{
    CK_GCM_PARAMS_V3 gcm = {message->iv, 12, 96, message->aad, sizeof message->aad, 128};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    uint8_t whole[516], out[BUFFER_SIZE];
    CK_ULONG size;

    expect(message->size == 500, "a message keeps its size");
    memcpy(whole, message->cipher, 500);
    memcpy(whole + 500, message->tag, 16);
    size = token_crypt(&mechanism, key, false, false, whole, sizeof whole, out);
    expect_same(out, size, message->plain, 500, "a message decrypts plainly");
    for (unsigned parts = 0; parts < 2; parts++) {
        size = sizeof out;
        expect_rv(decrypt_message(message, parts == 1, out, &size), CKR_OK, "a message decrypts");
        expect_same(out, size, message->plain, 500, "a message decrypts to what it was");
        message->tag[15] ^= 1;
        size = sizeof out;
        expect_rv(decrypt_message(message, parts == 1, out, &size), CKR_AEAD_DECRYPT_FAILED,
                  "a message with a wrong tag");
        message->tag[15] ^= 1;
    }
}

CK_FLAGS exercise_message_cipher(CK_MECHANISM_TYPE type)
{
    static const CK_GENERATOR_FUNCTION generators[] = {CKG_NO_GENERATE, CKG_GENERATE,
                                                       CKG_GENERATE_COUNTER, CKG_GENERATE_RANDOM,
                                                       CKG_GENERATE_COUNTER_XOR};
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_SESSION_HANDLE session = conform.session;
    struct message message;
    uint8_t key[32];
    CK_OBJECT_HANDLE handle;

    if (type != CKM_AES_GCM) {
        return 0;
    }
    about("messages, AES-GCM");
    must(RAND_bytes(key, sizeof key) == 1, "random bytes");
    handle = secret_import(CKK_AES, key, sizeof key);
    for (unsigned i = 0; i < 2 * sizeof generators / sizeof generators[0]; i++) {
        about("messages, AES-GCM, generator %lu%s", generators[i / 2], i % 2 ? ", in parts" : "");
        expect_rv(P11->C_MessageEncryptInit(session, &mechanism, handle), CKR_OK,
                  "C_MessageEncryptInit");
        expect_rv(P11->C_MessageDecryptInit(session, &mechanism, handle), CKR_OK,
                  "C_MessageDecryptInit");
        message_start(&message, generators[i / 2]);
        if (expect_rv(i % 2 == 0 ? encrypt_message(&message) : encrypt_parts(&message), CKR_OK,
                      "a message is encrypted")) {
            check_message(&message, handle);
        }
        expect_rv(P11->C_MessageEncryptFinal(session), CKR_OK, "C_MessageEncryptFinal");
        expect_rv(P11->C_MessageDecryptFinal(session), CKR_OK, "C_MessageDecryptFinal");
    }
    destroy(handle);
    return CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
}
