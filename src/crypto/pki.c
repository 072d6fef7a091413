/* The cluster's certificate authority on OpenSSL. */
#include "crypto/pki.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PKI_AUTHORITY_NAME "Quadhsm authority" /* the blank: no node is called so */
#define PKI_ORGANIZATION_MAX 64u               /* characters, X.520's bound */
#define PKI_SERIAL_SIZE 16u
#define PKI_RSA_BITS_MIN 2048
#define PKI_RSA_BITS_MAX 8192

/* The subject's common name is at most X.520's 64 characters, a client's prefix included. */
#define PKI_COMMON_NAME_MAX 64u

static void writable_free(struct pki_der *der)
{
    free(der->base);
    der->base = NULL;
}

/* ---- names ---- */

static bool letter_or_digit(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9');
}

/* @others: what may stand between letters and digits. */
static bool name_valid(const char *name, size_t length_max, const char *others)
{
    size_t length = strnlen(name, length_max + 1);

    if (length == 0 || length > length_max || !letter_or_digit(name[0]) ||
        !letter_or_digit(name[length - 1])) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!letter_or_digit(name[i]) && strchr(others, name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool pki_client_name_valid(const char *name)
{
    return name_valid(name, CLIENT_NAME_LENGTH_MAX, "-._");
}

/* ---- keys ---- */

static QH_RESULT key_to_secret(EVP_PKEY *key, struct secret **ret_key)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    struct secret *secret = NULL;
    unsigned char *next;
    enum qh_err err = QH_ENOMEM;
    int size;

    if (info == NULL) {
        return QH_ESYSTEM;
    }
    size = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
    if (size <= 0) {
        err = QH_ESYSTEM;
        goto out;
    }
    err = secret_new((size_t)size, &secret);
    if (err != QH_OK) {
        goto out;
    }
    next = secret_bytes(secret);
    QH_ASSERT(i2d_PKCS8_PRIV_KEY_INFO(info, &next) == size);
    *ret_key = secret;
out:
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes the key */
    return err;
}

static EVP_PKEY *key_from_secret(const struct secret *secret)
{
    const unsigned char *next = secret_view(secret);
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &next, (long)secret_size(secret));
    EVP_PKEY *key = info != NULL ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

/* A key that an enrolled party may have. */
static bool key_accepted(EVP_PKEY *key)
{
    char group[32] = "";

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        return EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
               (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0);
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(key) >= PKI_RSA_BITS_MIN &&
               EVP_PKEY_get_bits(key) <= PKI_RSA_BITS_MAX;
    case EVP_PKEY_ED25519:
        return true;
    default:
        return false;
    }
}

/* ---- certificates ---- */

static QH_RESULT cert_to_der(X509 *cert, struct pki_der *ret_der)
{
    int size = i2d_X509(cert, NULL);
    unsigned char *next;
    uint8_t *base;

    if (size <= 0 || (size_t)size > PKI_DER_SIZE_MAX) {
        return QH_ESYSTEM;
    }
    base = malloc((size_t)size);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    next = base;
    QH_ASSERT(i2d_X509(cert, &next) == size);
    *ret_der = (struct pki_der){base, (size_t)size};
    return QH_OK;
}

/* NULL unless it is one certificate and nothing more. */
static X509 *cert_from_der(struct bytes der)
{
    const unsigned char *next = der.base;
    X509 *cert;

    if (der.size == 0 || der.size > PKI_DER_SIZE_MAX) {
        return NULL;
    }
    cert = d2i_X509(NULL, &next, (long)der.size);
    if (cert != NULL && next != der.base + der.size) {
        X509_free(cert);
        cert = NULL;
    }
    return cert;
}

static bool name_add(X509_NAME *name, const char *field, const char *text)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1,
                                      -1, 0) == 1;
}

static bool extension_add(X509 *cert, X509 *issuer, int nid, const char *text)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool serial_set(X509 *cert)
{
    uint8_t serial[PKI_SERIAL_SIZE];
    BIGNUM *number;
    bool set;

    randombytes_buf(serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and never shorter */
    number = BN_bin2bn(serial, sizeof serial, NULL);
    set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return set;
}

static bool validity_set(X509 *cert, uint64_t now_unix_s, uint32_t days)
{
    time_t from = (time_t)now_unix_s - 3600; /* clocks differ */
    time_t to = (time_t)now_unix_s + (time_t)days * 86400;

    return ASN1_TIME_set(X509_getm_notBefore(cert), from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), to) != NULL;
}

/* Everything but names and extensions. NULL if OpenSSL fails. */
static X509 *cert_begin(EVP_PKEY *key, uint64_t now_unix_s, uint32_t days)
{
    X509 *cert = X509_new();

    if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && serial_set(cert) &&
        validity_set(cert, now_unix_s, days) && X509_set_pubkey(cert, key) == 1) {
        return cert;
    }
    X509_free(cert);
    return NULL;
}

static bool authority_fill(X509 *cert, EVP_PKEY *key, const char *cluster_name)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return name_add(name, "O", cluster_name) && name_add(name, "CN", PKI_AUTHORITY_NAME) &&
           X509_set_issuer_name(cert, name) == 1 &&
           extension_add(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           extension_add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           extension_add(cert, cert, NID_subject_key_identifier, "hash") &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

QH_RESULT pki_authority_new(const char *cluster_name, uint64_t now_unix_s, struct pki_der *ret_cert,
                            struct secret **ret_key)
{
    struct pki_der der = {0};
    struct secret *secret = NULL;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    enum qh_err err = QH_ESYSTEM;

    if (strnlen(cluster_name, PKI_ORGANIZATION_MAX + 1) > PKI_ORGANIZATION_MAX ||
        cluster_name[0] == '\0') {
        return QH_EINVAL;
    }
    key = EVP_EC_gen(SN_X9_62_prime256v1);
    cert = key != NULL ? cert_begin(key, now_unix_s, PKI_AUTHORITY_DAYS) : NULL;
    if (cert == NULL || !authority_fill(cert, key, cluster_name)) {
        goto out;
    }
    err = key_to_secret(key, &secret);
    if (err != QH_OK) {
        goto out;
    }
    err = cert_to_der(cert, &der);
    if (err != QH_OK) {
        secret_free(secret);
        goto out;
    }
    *ret_cert = der;
    *ret_key = secret;
out:
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

/* ---- requests ---- */

static QH_RESULT request_to_der(X509_REQ *request, struct pki_der *ret_der)
{
    int size = i2d_X509_REQ(request, NULL);
    unsigned char *next;
    uint8_t *base;

    if (size <= 0 || (size_t)size > PKI_DER_SIZE_MAX) {
        return QH_ESYSTEM;
    }
    base = malloc((size_t)size);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    next = base;
    QH_ASSERT(i2d_X509_REQ(request, &next) == size);
    *ret_der = (struct pki_der){base, (size_t)size};
    return QH_OK;
}

static X509_REQ *request_make(EVP_PKEY *key, const char *common_name)
{
    X509_REQ *request = X509_REQ_new();

    if (request != NULL && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
        name_add(X509_REQ_get_subject_name(request), "CN", common_name) &&
        X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()) > 0) {
        return request;
    }
    X509_REQ_free(request);
    return NULL;
}

QH_RESULT pki_request_new(const char *common_name, struct secret **ret_key, struct pki_der *ret_csr)
{
    struct pki_der der = {0};
    struct secret *secret = NULL;
    EVP_PKEY *key = NULL;
    X509_REQ *request = NULL;
    enum qh_err err = QH_ESYSTEM;

    if (strnlen(common_name, PKI_COMMON_NAME_MAX + 1) > PKI_COMMON_NAME_MAX ||
        common_name[0] == '\0') {
        return QH_EINVAL;
    }
    key = EVP_EC_gen(SN_X9_62_prime256v1);
    request = key != NULL ? request_make(key, common_name) : NULL;
    if (request == NULL) {
        goto out;
    }
    err = request_to_der(request, &der);
    if (err != QH_OK) {
        goto out;
    }
    err = key_to_secret(key, &secret);
    if (err != QH_OK) {
        writable_free(&der);
        goto out;
    }
    *ret_key = secret;
    *ret_csr = der;
out:
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

/* Errors: QH_EMALFORMED, QH_EKEYTYPE. The key's type comes first, for a huge key could make
 * the check of the signature slow. */
static QH_RESULT request_parse(struct bytes csr, X509_REQ **ret_request)
{
    const unsigned char *next = csr.base;
    X509_REQ *request;
    EVP_PKEY *key;
    enum qh_err err = QH_EMALFORMED;

    if (csr.size == 0 || csr.size > PKI_DER_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    request = d2i_X509_REQ(NULL, &next, (long)csr.size);
    key = request != NULL ? X509_REQ_get0_pubkey(request) : NULL;
    if (key == NULL || next != csr.base + csr.size) {
        goto out;
    }
    if (!key_accepted(key)) {
        err = QH_EKEYTYPE;
        goto out;
    }
    if (X509_REQ_verify(request, key) != 1) {
        goto out;
    }
    *ret_request = request;
    return QH_OK;
out:
    X509_REQ_free(request);
    return err;
}

/* ---- issuing ---- */

struct leaf {
    const char *common_name;
    const char *unit;     /* NULL: none */
    const char *usage;    /* extended key usage */
    const char *alt_name; /* NULL: none */
};

static bool leaf_fill(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key, const struct leaf *leaf)
{
    X509_NAME *subject = X509_get_subject_name(cert);

    return (leaf->unit == NULL || name_add(subject, "OU", leaf->unit)) &&
           name_add(subject, "CN", leaf->common_name) &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           extension_add(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           extension_add(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
           extension_add(cert, issuer, NID_ext_key_usage, leaf->usage) &&
           extension_add(cert, issuer, NID_subject_key_identifier, "hash") &&
           extension_add(cert, issuer, NID_authority_key_identifier, "keyid:always") &&
           (leaf->alt_name == NULL ||
            extension_add(cert, issuer, NID_subject_alt_name, leaf->alt_name)) &&
           X509_sign(cert, issuer_key, EVP_sha256()) > 0;
}

static QH_RESULT leaf_issue(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                            const struct leaf *leaf, uint64_t now_unix_s, struct pki_der *ret_cert)
{
    X509_REQ *request = NULL;
    X509 *issuer = NULL;
    X509 *cert = NULL;
    EVP_PKEY *issuer_key = NULL;
    enum qh_err err = request_parse(csr, &request);

    if (err != QH_OK) {
        goto out;
    }
    issuer = cert_from_der(ca_cert);
    issuer_key = key_from_secret(ca_key);
    if (issuer == NULL || issuer_key == NULL || X509_check_private_key(issuer, issuer_key) != 1) {
        err = QH_ESYSTEM;
        goto out;
    }
    cert = cert_begin(X509_REQ_get0_pubkey(request), now_unix_s, PKI_LEAF_DAYS);
    if (cert == NULL || !leaf_fill(cert, issuer, issuer_key, leaf)) {
        err = QH_ESYSTEM;
        goto out;
    }
    err = cert_to_der(cert, ret_cert);
out:
    X509_free(cert);
    X509_free(issuer);
    EVP_PKEY_free(issuer_key);
    X509_REQ_free(request);
    ERR_clear_error();
    return err;
}

/* @prefix and @name, which fit. */
static void join_text(char *ret_text, size_t room, const char *prefix, const char *name)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, ret_text, room);
    bytes_write_span(&writer, prefix, strlen(prefix));
    bytes_write_span(&writer, name, strlen(name) + 1);
    QH_ASSERT(!writer.failed);
}

/* Of the peer port both are both ends. */
static QH_RESULT issue_peer(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                            struct leaf *leaf, uint64_t now_unix_s, struct pki_der *ret_cert)
{
    char alt_name[sizeof "DNS:" + NODE_NAME_LENGTH_MAX];

    if (!name_valid(leaf->common_name, NODE_NAME_LENGTH_MAX, "-.")) {
        return QH_EINVAL;
    }
    join_text(alt_name, sizeof alt_name, "DNS:", leaf->common_name);
    leaf->usage = "serverAuth,clientAuth";
    leaf->alt_name = alt_name;
    return leaf_issue(ca_cert, ca_key, csr, leaf, now_unix_s, ret_cert);
}

QH_RESULT pki_issue_node(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                         const char *node_name, uint64_t now_unix_s, struct pki_der *ret_cert)
{
    struct leaf leaf = {.common_name = node_name};

    return issue_peer(ca_cert, ca_key, csr, &leaf, now_unix_s, ret_cert);
}

QH_RESULT pki_issue_witness(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                            const char *node_name, uint64_t now_unix_s, struct pki_der *ret_cert)
{
    struct leaf leaf = {.common_name = node_name, .unit = PKI_WITNESS_UNIT};

    return issue_peer(ca_cert, ca_key, csr, &leaf, now_unix_s, ret_cert);
}

QH_RESULT pki_issue_client(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                           const char *client_name, uint64_t now_unix_s, struct pki_der *ret_cert)
{
    char common_name[sizeof PKI_CLIENT_PREFIX + CLIENT_NAME_LENGTH_MAX];
    struct leaf leaf = {.common_name = common_name, .usage = "clientAuth"};

    if (!pki_client_name_valid(client_name)) {
        return QH_EINVAL;
    }
    join_text(common_name, sizeof common_name, PKI_CLIENT_PREFIX, client_name);
    return leaf_issue(ca_cert, ca_key, csr, &leaf, now_unix_s, ret_cert);
}

bool pki_cert_valid(struct bytes cert)
{
    X509 *parsed = cert_from_der(cert);
    bool valid = parsed != NULL;

    X509_free(parsed);
    ERR_clear_error();
    return valid;
}

QH_RESULT pki_fingerprint(struct bytes cert, uint8_t ret_fingerprint[FINGERPRINT_SIZE])
{
    if (crypto_hash_sha256(ret_fingerprint, cert.base, cert.size) != 0) {
        return QH_ESYSTEM;
    }
    return QH_OK;
}
