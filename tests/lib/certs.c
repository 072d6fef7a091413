/* Throw-away authorities and certificates. */
#include "tests/lib/certs.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400L

struct pair {
    X509 *certificate;
    EVP_PKEY *key;
};

static void need(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "certs: cannot %s\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

void certs_path(char *ret_path, size_t room, const char *dir, const char *name, const char *suffix)
{
    int length = snprintf(ret_path, room, "%s/%s.%s", dir, name, suffix);

    need(length > 0 && (size_t)length < room, "fit a path");
}

static FILE *open_file(const char *dir, const char *name, const char *suffix, const char *mode)
{
    char path[4096];
    FILE *file;
    int fd;

    certs_path(path, sizeof path, dir, name, suffix);
    if (mode[0] == 'r') {
        file = fopen(path, mode);
    } else {
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        file = fd >= 0 ? fdopen(fd, mode) : NULL;
    }
    if (file == NULL) {
        perror(path);
    }
    need(file != NULL, "open a file");
    return file;
}

static void write_pair(const char *dir, const char *name, const struct pair *pair)
{
    FILE *file = open_file(dir, name, "crt", "w");

    need(PEM_write_X509(file, pair->certificate) == 1, "write a certificate");
    need(fclose(file) == 0, "write a certificate");
    file = open_file(dir, name, "key", "w");
    need(PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL) == 1, "write a key");
    need(fclose(file) == 0, "write a key");
}

static struct pair read_ca(const char *dir)
{
    struct pair pair;
    FILE *file = open_file(dir, "ca", "crt", "r");

    pair.certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    file = open_file(dir, "ca", "key", "r");
    pair.key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    need(pair.certificate != NULL && pair.key != NULL, "read the authority");
    return pair;
}

static void free_pair(struct pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    need(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "add an extension");
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate)
{
    uint64_t serial = 0;

    need(RAND_bytes((unsigned char *)&serial, (int)sizeof serial) == 1, "draw a serial number");
    need(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1,
         "set the serial number");
}

/* @ca NULL: signed by itself. @name NULL: an organisation without a common name. */
static struct pair make_pair(const char *name, const struct pair *ca, long from, long until)
{
    struct pair pair = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509 *certificate = pair.certificate;
    X509 *issuer = ca != NULL ? ca->certificate : certificate;
    X509_NAME *subject;

    need(certificate != NULL && pair.key != NULL, "make a key");
    subject = X509_get_subject_name(certificate);
    need(X509_set_version(certificate, X509_VERSION_3) == 1, "set the version");
    set_serial(certificate);
    need(X509_gmtime_adj(X509_getm_notBefore(certificate), from) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), until) != NULL,
         "set the time");
    need(X509_NAME_add_entry_by_txt(subject, name != NULL ? "CN" : "O", MBSTRING_ASC,
                                    (const unsigned char *)(name != NULL ? name : "Nobody"), -1, -1,
                                    0) == 1,
         "set the name");
    need(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1, "set the issuer");
    need(X509_set_pubkey(certificate, pair.key) == 1, "set the key");
    add_extension(certificate, issuer, NID_basic_constraints,
                  ca != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
    add_extension(certificate, issuer, NID_key_usage,
                  ca != NULL ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
    if (ca != NULL) {
        add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    }
    need(X509_sign(certificate, ca != NULL ? ca->key : pair.key, EVP_sha256()) > 0, "sign");
    return pair;
}

static void make_node(const char *dir, const char *file, const char *name, const struct pair *ca,
                      long until)
{
    struct pair pair = make_pair(name, ca, -2 * DAY, until);

    write_pair(dir, file, &pair);
    free_pair(&pair);
}

void certs_make_ca(const char *dir)
{
    struct pair ca = make_pair("Quadhsm test authority", NULL, -2 * DAY, 30 * DAY);

    write_pair(dir, "ca", &ca);
    free_pair(&ca);
}

void certs_make_subject(const char *dir, const char *file, const char *name)
{
    struct pair ca = read_ca(dir);

    make_node(dir, file, name, &ca, 30 * DAY);
    free_pair(&ca);
}

void certs_make_node(const char *dir, const char *name)
{
    certs_make_subject(dir, name, name);
}

void certs_make_node_expired(const char *dir, const char *name)
{
    struct pair ca = read_ca(dir);

    make_node(dir, name, name, &ca, -3600);
    free_pair(&ca);
}

void certs_make_node_foreign(const char *dir, const char *name)
{
    struct pair ca = make_pair("Quadhsm test authority", NULL, -2 * DAY, 30 * DAY);

    make_node(dir, name, name, &ca, 30 * DAY);
    free_pair(&ca);
}

void certs_make_witness(const char *dir, const char *name)
{
    struct pair ca = read_ca(dir);
    struct pair pair = make_pair(name, &ca, -2 * DAY, 30 * DAY);

    need(X509_NAME_add_entry_by_txt(X509_get_subject_name(pair.certificate), "OU", MBSTRING_ASC,
                                    (const unsigned char *)"witness", -1, -1, 0) == 1,
         "set the unit");
    need(X509_sign(pair.certificate, ca.key, EVP_sha256()) > 0, "sign");
    write_pair(dir, name, &pair);
    free_pair(&pair);
    free_pair(&ca);
}
