/* The cluster's own certificate authority: EC P-256, X.509 v3, in memory alone.
 *
 * A node's certificate names the node (subject CN = its name, which has no colon); a
 * client's has CN "client:" and its name. So neither can stand in for the other. A witness's says
 * what it is by OU = PKI_WITNESS_UNIT: to clients it is no node.
 * Thread: any. */
#ifndef QH_CRYPTO_PKI_H
#define QH_CRYPTO_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/secret.h"

#define PKI_CLIENT_PREFIX "client:"
#define PKI_WITNESS_UNIT "witness"
#define PKI_DER_SIZE_MAX 8192u /* bytes, of any certificate or request */
#define PKI_AUTHORITY_DAYS 7300u
#define PKI_LEAF_DAYS 1095u

/* All results: the caller free()s ret_x->base, and secret_free()s secrets.
 * Errors of all: QH_ENOMEM, QH_ESYSTEM (OpenSSL, secret memory), and those named; a name that is
 * empty or longer than X.509 allows is QH_EINVAL. */
struct pki_der {
    uint8_t *base;
    size_t size;
};

/* @now_unix_s: the caller's clock; validity begins an hour before. */
QH_RESULT pki_authority_new(const char *cluster_name, uint64_t now_unix_s, struct pki_der *ret_cert,
                            struct secret **ret_key);

/* A key pair and a request for it; key as PKCS#8 DER. */
QH_RESULT pki_request_new(const char *common_name, struct secret **ret_key,
                          struct pki_der *ret_csr);

/* Check a request's own signature and key (P-256, P-384, RSA of 2048 or more, Ed25519) and issue.
 * Errors: QH_EMALFORMED, QH_EKEYTYPE, QH_EINVAL (the name). */
QH_RESULT pki_issue_node(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                         const char *node_name, uint64_t now_unix_s, struct pki_der *ret_cert);
QH_RESULT pki_issue_witness(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                            const char *node_name, uint64_t now_unix_s, struct pki_der *ret_cert);
QH_RESULT pki_issue_client(struct bytes ca_cert, const struct secret *ca_key, struct bytes csr,
                           const char *client_name, uint64_t now_unix_s, struct pki_der *ret_cert);

/* One certificate in DER and nothing more; who signed it is not asked. */
bool pki_cert_valid(struct bytes cert);

/* SHA-256 of the DER. */
QH_RESULT pki_fingerprint(struct bytes cert, uint8_t ret_fingerprint[FINGERPRINT_SIZE]);

/* PEM for files: "CERTIFICATE" or "PRIVATE KEY". The text ends with a newline and a zero byte
 * that ret_pem.size does not count; a key's is in secret memory. */
QH_RESULT pki_cert_to_pem(struct bytes cert, struct pki_der *ret_pem);
QH_RESULT pki_key_to_pem(const struct secret *key, struct secret **ret_pem);
/* The first certificate of a PEM text. Errors: QH_EMALFORMED. */
QH_RESULT pki_cert_from_pem(struct bytes pem, struct pki_der *ret_cert);

/* 1 to CLIENT_NAME_LENGTH_MAX letters, digits, '-', '.' and '_', a letter or digit at both ends. */
bool pki_client_name_valid(const char *name);

#endif
