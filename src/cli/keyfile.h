/* Files with keys: PEM or DER, PKCS#8 (encrypted, too), traditional RSA and EC, PKCS#12,
 * certificates, bare public keys, and raw secrets. OpenSSL's decoders read them, of a bounded size;
 * the private key goes into locked memory at once. No network. Thread: one. */
#ifndef QH_CLI_KEYFILE_H
#define QH_CLI_KEYFILE_H

#include <openssl/x509.h>

#include "crypto/key.h"

#define KEYFILE_SIZE_MAX 65536u /* bytes of a file */
#define KEYFILE_CERTIFICATES_MAX 16u
#define KEYFILE_ID_SIZE 20u
#define KEYFILE_NAME_ROOM 128u
#define KEYFILE_DETAIL_ROOM 320u

/* As PKCS#11 has it, DER. */
struct keyfile_certificate {
    struct bytes value, subject, issuer, serial;
    uint8_t id[KEYFILE_ID_SIZE];
    char name[KEYFILE_NAME_ROOM]; /* common name, or what else it has of a name */
    bool of_key;                  /* it is that of the file's key */
    uint8_t *block;
};

struct keyfile {
    CK_OBJECT_CLASS object_class; /* of the key; CK_UNAVAILABLE_INFORMATION: there is none */
    CK_KEY_TYPE key_type;
    struct secret *material;     /* PKCS#8 DER, or the secret; NULL for a public key */
    struct key_public public;    /* of a pair or of a public key */
    uint8_t id[KEYFILE_ID_SIZE]; /* SHA-1 of the public key, as certificates have it */
    struct keyfile_certificate certificates[KEYFILE_CERTIFICATES_MAX];
    unsigned certificate_count;
};

/* A file's passphrase, asked for when the file needs one, once. Owns: secret_free(). */
typedef enum qh_err (*keyfile_ask)(void *argument, struct secret **ret_passphrase,
                                   char ret_detail[KEYFILE_DETAIL_ROOM]);

/* A regular file of 1 to KEYFILE_SIZE_MAX bytes, or what a pipe gives. Errors: QH_ENOTFOUND,
 * QH_EPERM, QH_EIO, QH_EINVAL (a directory, empty), QH_ELIMIT, QH_ESYSTEM, QH_ENOMEM.
 * Owns: secret_free(). */
QH_RESULT keyfile_read(const char *path, struct secret **ret_content,
                       char ret_detail[KEYFILE_DETAIL_ROOM]);

/* One key at most, and certificates. The key is tried: what it signs, its public half verifies.
 * Errors: QH_EMALFORMED, QH_EPIN (a wrong passphrase, or damage), QH_EKEYTYPE, QH_EKEYSIZE,
 * QH_ECURVE, QH_ELIMIT, QH_ENOMEM, QH_ESYSTEM, and what @ask says; with what to do in
 * @ret_detail. Owns: keyfile_close(). */
QH_RESULT keyfile_parse(const struct secret *content, keyfile_ask ask, void *argument,
                        struct keyfile *ret_file, char ret_detail[KEYFILE_DETAIL_ROOM]);
/* A raw AES key or generic secret. Errors: QH_EKEYSIZE. */
QH_RESULT keyfile_secret(const struct secret *content, CK_KEY_TYPE key_type,
                         struct keyfile *ret_file, char ret_detail[KEYFILE_DETAIL_ROOM]);
void keyfile_close(struct keyfile *file);

/* The parts (keyfile_certificate.c). */
QH_RESULT keyfile_take_certificate(struct keyfile *file, X509 *certificate, char *ret_detail);
/* After everything was read: which is the key's? */
void keyfile_match_certificates(struct keyfile *file);

#endif
