/* Files with keys. See keyfile.h. */
#include "cli/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/material.h"
#include "crypto/mech.h"

static enum qh_err say(char *ret_detail, enum qh_err err, const char *text)
{
    (void)snprintf(ret_detail, KEYFILE_DETAIL_ROOM, "%s", text);
    return err;
}

/* ---- bytes ---- */

static QH_RESULT read_all(int fd, struct secret *buffer, size_t *ret_size)
{
    size_t room = secret_size(buffer);
    size_t size = 0;

    while (size < room) {
        ssize_t count = read(fd, secret_bytes(buffer) + size, room - size);

        if (count < 0 && errno != EINTR) {
            return QH_EIO;
        }
        if (count == 0) {
            break;
        }
        size += count > 0 ? (size_t)count : 0;
    }
    *ret_size = size;
    return QH_OK;
}

static QH_RESULT read_open(int fd, struct secret **ret_content, char *ret_detail)
{
    SECRET_SCOPED struct secret *buffer = NULL;
    struct stat status;
    uint8_t more;
    size_t size;
    enum qh_err err;

    if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
        return say(ret_detail, QH_EINVAL, "it is a directory; name the file with the key");
    }
    err = secret_new(KEYFILE_SIZE_MAX, &buffer);
    if (err != QH_OK) {
        return say(ret_detail, err, "no locked memory; raise the limit: `ulimit -l unlimited`");
    }
    err = read_all(fd, buffer, &size);
    if (err != QH_OK) {
        return say(ret_detail, err, strerror(errno));
    }
    if (size == 0) {
        return say(ret_detail, QH_EINVAL, "the file is empty");
    }
    if (size == KEYFILE_SIZE_MAX && read(fd, &more, 1) != 0) {
        return say(ret_detail, QH_ELIMIT, "a file with a key has at most 65,536 bytes");
    }
    return secret_from(secret_view(buffer), size, ret_content);
}

QH_RESULT keyfile_read(const char *path, struct secret **ret_content,
                       char ret_detail[KEYFILE_DETAIL_ROOM])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum qh_err err;

    if (fd < 0) {
        return say(ret_detail, err_from_errno(errno), strerror(errno));
    }
    err = read_open(fd, ret_content, ret_detail);
    (void)close(fd);
    return err;
}

/* ---- what the decoders found ---- */

/* As in the table of key types, CK_UNAVAILABLE_INFORMATION if we have none of it. */
static CK_KEY_TYPE type_of(const EVP_PKEY *pkey)
{
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        return CKK_RSA;
    case EVP_PKEY_EC:
        return CKK_EC;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return CKK_EC_EDWARDS;
    case EVP_PKEY_X25519:
    case EVP_PKEY_X448:
        return CKK_EC_MONTGOMERY;
    default:
        return CK_UNAVAILABLE_INFORMATION;
    }
}

static enum qh_err explain(char *ret_detail, enum qh_err err)
{
    switch ((int)err) {
    case QH_EKEYSIZE:
        return say(ret_detail, err, "RSA keys have 2048 to 8192 bits");
    case QH_ECURVE:
        return say(ret_detail, err,
                   "the curves are P-256, P-384, P-521, secp256k1, Ed25519, Ed448, X25519, X448");
    case QH_EKEYTYPE:
        return say(ret_detail, err, "keys are RSA, EC, Ed25519, Ed448, X25519 or X448");
    case QH_EMALFORMED:
    case QH_EATTRVALUE:
        return say(ret_detail, QH_EMALFORMED, "the key's numbers do not belong together");
    default:
        return err;
    }
}

/* EC keys in the one form that the cluster takes: by the curve's name, the point whole. */
static bool normalise(EVP_PKEY *pkey, CK_KEY_TYPE type)
{
    return type != CKK_EC ||
           (EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING,
                                           OSSL_PKEY_EC_ENCODING_GROUP) == 1 &&
            EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                           OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1);
}

static QH_RESULT take_public(EVP_PKEY *pkey, struct keyfile *file)
{
    struct material material;
    struct bytes params = {NULL, 0};
    X509_PUBKEY *wrapper = NULL;
    const uint8_t *bits = NULL;
    uint8_t *spki = NULL;
    int size = i2d_PUBKEY(pkey, &spki);
    int bits_size = 0;
    enum qh_err err = QH_EMALFORMED;

    if (size > 0) {
        err = material_parse_public(file->key_type, (struct bytes){spki, (size_t)size}, &material);
    }
    if (err == QH_OK) {
        params = file->key_type != CKK_RSA ? material.curve->names[0] : params;
        err = material_write_public(&material, params, &file->public);
    }
    if (err == QH_OK &&
        (X509_PUBKEY_set(&wrapper, pkey) != 1 ||
         X509_PUBKEY_get0_param(NULL, &bits, &bits_size, NULL, wrapper) != 1 ||
         EVP_Digest(bits, (size_t)bits_size, file->id, NULL, EVP_sha1(), NULL) != 1)) {
        err = QH_ENOMEM;
    }
    X509_PUBKEY_free(wrapper);
    OPENSSL_free(spki);
    return err;
}

static QH_RESULT take_private(EVP_PKEY *pkey, struct keyfile *file)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    int size = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
    enum qh_err err = size > 0 ? secret_new((size_t)size, &file->material) : QH_EKEYTYPE;
    uint8_t *to;

    if (err == QH_OK) {
        to = secret_bytes(file->material);
        err = i2d_PKCS8_PRIV_KEY_INFO(info, &to) == size ? QH_OK : QH_EMALFORMED;
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return err;
}

/* A key that was damaged and still parses would sign, and nobody could verify it. */
static QH_RESULT try_rsa(const struct keyfile *file, struct key *private)
{
    static const uint8_t text[] = "tried";
    const struct mech_params params = {.type = CKM_SHA256_RSA_PKCS};
    uint8_t signature[MATERIAL_RSA_SIZE_MAX];
    struct bytes data = {text, sizeof(text)};
    struct key *public = NULL;
    size_t size = 0;
    enum qh_err err = key_open(CKO_PUBLIC_KEY, file->key_type, file->public.spki, &public);

    if (err == QH_OK) {
        err = mech_sign(private, &params, data, signature, sizeof(signature), &size);
    }
    if (err == QH_OK) {
        err = mech_verify(public, &params, data, (struct bytes){signature, size});
    }
    key_free(public);
    return err == QH_ENOMEM || err == QH_OK || err == QH_EKEYSIZE ? err : QH_EMALFORMED;
}

static QH_RESULT try_key(const struct keyfile *file, EVP_PKEY *pkey)
{
    struct bytes material = {secret_view(file->material), secret_size(file->material)};
    struct key *private = NULL;
    EVP_PKEY_CTX *ctx;
    enum qh_err err = key_open(CKO_PRIVATE_KEY, file->key_type, material, &private);

    if (err != QH_OK) {
        return err;
    }
    if (file->key_type == CKK_RSA) {
        err = try_rsa(file, private);
    } else {
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
        err = ctx == NULL ? QH_ENOMEM : EVP_PKEY_pairwise_check(ctx) == 1 ? QH_OK : QH_EMALFORMED;
        EVP_PKEY_CTX_free(ctx);
    }
    key_free(private);
    return err;
}

static QH_RESULT take_key(struct keyfile *file, EVP_PKEY *pkey, bool private, char *ret_detail)
{
    enum qh_err err = QH_OK;

    if (file->object_class != CK_UNAVAILABLE_INFORMATION) {
        return say(ret_detail, QH_EINVAL, "the file has several keys; import them one by one");
    }
    file->object_class = private ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;
    file->key_type = type_of(pkey);
    if (file->key_type == CK_UNAVAILABLE_INFORMATION) {
        return explain(ret_detail, QH_EKEYTYPE);
    }
    if (private && file->key_type == CKK_RSA && EVP_PKEY_get_bits(pkey) < (int)KEY_RSA_BITS_MIN) {
        return explain(ret_detail, QH_EKEYSIZE);
    }
    if (!normalise(pkey, file->key_type)) {
        return explain(ret_detail, QH_ECURVE);
    }
    err = take_public(pkey, file);
    if (err == QH_OK && private) {
        err = take_private(pkey, file);
    }
    if (err == QH_OK && private) {
        err = try_key(file, pkey);
    }
    return explain(ret_detail, err);
}

/* ---- the decoders ---- */

struct asking {
    keyfile_ask ask;
    void *argument;
    char *detail; /* KEYFILE_DETAIL_ROOM */
    struct secret *passphrase;
    enum qh_err err;
    bool asked;
};

/* A pem_password_cb: OpenSSL asks as often as it tries, the user is asked once. */
static int on_ask(char *buffer, int room, int writing, void *context)
{
    struct asking *asking = context;
    size_t size;

    (void)writing;
    if (!asking->asked) {
        asking->asked = true;
        asking->err = asking->ask(asking->argument, &asking->passphrase, asking->detail);
    }
    if (asking->passphrase == NULL) {
        return -1;
    }
    size = secret_size(asking->passphrase);
    if (room < 0 || size > (size_t)room) {
        return -1;
    }
    memcpy(buffer, secret_view(asking->passphrase), size);
    return (int)size;
}

static QH_RESULT take_info(struct keyfile *file, const OSSL_STORE_INFO *info, char *ret_detail)
{
    switch (OSSL_STORE_INFO_get_type(info)) {
    case OSSL_STORE_INFO_PKEY:
        return take_key(file, OSSL_STORE_INFO_get0_PKEY(info), true, ret_detail);
    case OSSL_STORE_INFO_PUBKEY:
        return take_key(file, OSSL_STORE_INFO_get0_PUBKEY(info), false, ret_detail);
    case OSSL_STORE_INFO_CERT:
        return keyfile_take_certificate(file, OSSL_STORE_INFO_get0_CERT(info), ret_detail);
    default:
        return QH_OK; /* the parameters that stand before an EC key, a revocation list */
    }
}

/* What stopped the decoders. */
static enum qh_err failure(const struct asking *asking, char *ret_detail)
{
    if (asking->asked && asking->err != QH_OK) {
        return asking->err; /* the asking has said why */
    }
    if (asking->asked) {
        return say(ret_detail, QH_EPIN,
                   "the passphrase is wrong, or the file is damaged; give the right one with "
                   "--passphrase-file");
    }
    return say(ret_detail, QH_EMALFORMED,
               "it is no key or certificate in PEM or DER, no PKCS#8 and no PKCS#12, or it is "
               "damaged; raw secrets are imported with --secret aes or --secret generic");
}

static QH_RESULT load_all(OSSL_STORE_CTX *store, const struct asking *asking, struct keyfile *file,
                          char *ret_detail)
{
    enum qh_err err = QH_OK;

    while (err == QH_OK && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info != NULL) {
            err = take_info(file, info, ret_detail);
            OSSL_STORE_INFO_free(info);
        } else if (OSSL_STORE_error(store)) {
            err = failure(asking, ret_detail);
        }
    }
    if (err == QH_OK && file->object_class == CK_UNAVAILABLE_INFORMATION &&
        file->certificate_count == 0) {
        err = failure(asking, ret_detail);
    }
    return err;
}

QH_RESULT keyfile_parse(const struct secret *content, keyfile_ask ask, void *argument,
                        struct keyfile *ret_file, char ret_detail[KEYFILE_DETAIL_ROOM])
{
    struct asking asking = {.ask = ask, .argument = argument, .detail = ret_detail};
    BIO *bio = BIO_new_mem_buf(secret_view(content), (int)secret_size(content));
    UI_METHOD *method = UI_UTIL_wrap_read_pem_callback(on_ask, 0);
    OSSL_STORE_CTX *store = NULL;
    enum qh_err err = QH_ENOMEM;

    ret_detail[0] = '\0';
    *ret_file = (struct keyfile){.object_class = CK_UNAVAILABLE_INFORMATION,
                                 .key_type = CK_UNAVAILABLE_INFORMATION};
    if (bio != NULL && method != NULL) {
        store = OSSL_STORE_attach(bio, "file", NULL, NULL, method, &asking, NULL, NULL, NULL);
    }
    if (store != NULL) {
        err = load_all(store, &asking, ret_file, ret_detail);
    }
    (void)OSSL_STORE_close(store);
    UI_destroy_method(method);
    (void)BIO_free(bio);
    ERR_clear_error();
    secret_free(asking.passphrase);
    if (err == QH_OK) {
        keyfile_match_certificates(ret_file);
    } else {
        keyfile_close(ret_file);
    }
    return err;
}

QH_RESULT keyfile_secret(const struct secret *content, CK_KEY_TYPE key_type,
                         struct keyfile *ret_file, char ret_detail[KEYFILE_DETAIL_ROOM])
{
    size_t size = secret_size(content);

    *ret_file = (struct keyfile){.object_class = CKO_SECRET_KEY, .key_type = key_type};
    if (key_type == CKK_AES && size != 16 && size != 24 && size != 32) {
        return say(ret_detail, QH_EKEYSIZE,
                   "an AES key is a file of 16, 24 or 32 raw bytes, without a newline");
    }
    if (size > KEY_SECRET_SIZE_MAX) {
        return say(ret_detail, QH_EKEYSIZE, "a generic secret is a file of 1 to 4,096 raw bytes");
    }
    return secret_from(secret_view(content), size, &ret_file->material);
}

void keyfile_close(struct keyfile *file)
{
    secret_free(file->material);
    free(file->public.block);
    for (unsigned i = 0; i < file->certificate_count; i++) {
        free(file->certificates[i].block);
    }
    *file = (struct keyfile){.object_class = CK_UNAVAILABLE_INFORMATION,
                             .key_type = CK_UNAVAILABLE_INFORMATION};
}
