/* Certificates of a file with keys, as PKCS#11 has them. See keyfile.h. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/keyfile.h"

#define PARTS 4u

/* The common name, or else the organisation. */
static void name_of(const X509 *certificate, char *ret_name)
{
    static const int nids[] = {NID_commonName, NID_organizationalUnitName, NID_organizationName};
    X509_NAME *subject = X509_get_subject_name(certificate);

    ret_name[0] = '\0';
    for (size_t i = 0; i < sizeof(nids) / sizeof(nids[0]) && ret_name[0] == '\0'; i++) {
        int at = X509_NAME_get_index_by_NID(subject, nids[i], -1);
        uint8_t *text = NULL;
        int size = at < 0 ? -1
                          : ASN1_STRING_to_UTF8(
                                &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        if (size > 0) {
            (void)snprintf(ret_name, KEYFILE_NAME_ROOM, "%.*s", size, (const char *)text);
        }
        OPENSSL_free(text);
    }
}

/* Four encodings, one after the other in a block. */
static QH_RESULT encode(X509 *x509, struct keyfile_certificate *ret_certificate)
{
    X509_NAME *subject = X509_get_subject_name(x509);
    X509_NAME *issuer = X509_get_issuer_name(x509);
    ASN1_INTEGER *serial = X509_get_serialNumber(x509);
    const int sizes[PARTS] = {i2d_X509(x509, NULL), i2d_X509_NAME(subject, NULL),
                              i2d_X509_NAME(issuer, NULL), i2d_ASN1_INTEGER(serial, NULL)};
    struct bytes *parts[PARTS] = {&ret_certificate->value, &ret_certificate->subject,
                                  &ret_certificate->issuer, &ret_certificate->serial};
    size_t size = 0;
    uint8_t *to;

    for (unsigned i = 0; i < PARTS; i++) {
        if (sizes[i] <= 0 || sizes[i] > (int)ATTRIBUTE_SIZE_MAX) {
            return QH_ELIMIT;
        }
        size += (size_t)sizes[i];
    }
    ret_certificate->block = malloc(size);
    if (ret_certificate->block == NULL) {
        return QH_ENOMEM;
    }
    to = ret_certificate->block;
    for (unsigned i = 0; i < PARTS; i++) {
        *parts[i] = (struct bytes){to, (size_t)sizes[i]};
        to += sizes[i];
    }
    to = ret_certificate->block;
    if (i2d_X509(x509, &to) != sizes[0] || i2d_X509_NAME(subject, &to) != sizes[1] ||
        i2d_X509_NAME(issuer, &to) != sizes[2] || i2d_ASN1_INTEGER(serial, &to) != sizes[3]) {
        return QH_EMALFORMED;
    }
    return QH_OK;
}

QH_RESULT keyfile_take_certificate(struct keyfile *file, X509 *certificate, char *ret_detail)
{
    struct keyfile_certificate *next = &file->certificates[file->certificate_count];
    unsigned size = 0;
    enum qh_err err;

    if (file->certificate_count == KEYFILE_CERTIFICATES_MAX) {
        (void)snprintf(ret_detail, KEYFILE_DETAIL_ROOM, "a file has at most %u certificates",
                       KEYFILE_CERTIFICATES_MAX);
        return QH_ELIMIT;
    }
    *next = (struct keyfile_certificate){.block = NULL};
    err = encode(certificate, next);
    if (err == QH_OK && X509_pubkey_digest(certificate, EVP_sha1(), next->id, &size) != 1) {
        err = QH_EMALFORMED;
    }
    if (err == QH_ELIMIT) {
        (void)snprintf(ret_detail, KEYFILE_DETAIL_ROOM, "a certificate has at most %u bytes of DER",
                       ATTRIBUTE_SIZE_MAX);
    }
    if (err != QH_OK) {
        free(next->block);
        return err;
    }
    name_of(certificate, next->name);
    file->certificate_count++;
    return QH_OK;
}

void keyfile_match_certificates(struct keyfile *file)
{
    bool key = file->object_class != CK_UNAVAILABLE_INFORMATION;

    for (unsigned i = 0; i < file->certificate_count; i++) {
        struct keyfile_certificate *certificate = &file->certificates[i];

        certificate->of_key = key && memcmp(certificate->id, file->id, KEYFILE_ID_SIZE) == 0;
    }
}
