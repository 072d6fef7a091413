/* The authority: what it issues verifies, says who it is for, and nothing else is issued. */
#include "crypto/pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#define NOW 1900000000u /* 2030 */
#define DAY 86400u

static struct pki_der authority;
static struct secret *authority_key;

static struct bytes span(struct pki_der der)
{
    return (struct bytes){der.base, der.size};
}

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(pki_authority_new("test cluster", NOW, &authority, &authority_key), QH_OK);
}

static void teardown(void)
{
    free(authority.base);
    secret_free(authority_key);
}

static X509 *parse(struct pki_der der)
{
    const unsigned char *next = der.base;
    X509 *cert = d2i_X509(NULL, &next, (long)der.size);

    ck_assert_ptr_nonnull(cert);
    ck_assert_ptr_eq(next, der.base + der.size);
    return cert;
}

/* X509_V_OK or why not, at @time. */
static int verify(struct pki_der der, struct pki_der issuer, int purpose, time_t at)
{
    X509 *cert = parse(der);
    X509 *root = parse(issuer);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int result;

    ck_assert_int_eq(X509_STORE_add_cert(store, root), 1);
    ck_assert_int_eq(X509_STORE_CTX_init(context, store, cert, NULL), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), at);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
    ck_assert_int_eq(X509_STORE_CTX_set_purpose(context, purpose), 1);
    ck_assert_int_ge(X509_verify_cert(context), 0);
    result = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(cert);
    return result;
}

static void common_name(struct pki_der der, char *ret_name, int room)
{
    X509 *cert = parse(der);

    ck_assert_int_gt(
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ret_name, room), 0);
    X509_free(cert);
}

/* A request by a key of the test's own. */
static struct pki_der request_of(EVP_PKEY *key)
{
    X509_REQ *request = X509_REQ_new();
    struct pki_der der = {0};
    int size;

    ck_assert_int_eq(X509_REQ_set_pubkey(request, key), 1);
    ck_assert_int_gt(
        X509_REQ_sign(request, key,
                      EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()),
        0);
    size = i2d_X509_REQ(request, &der.base);
    ck_assert_int_gt(size, 0);
    der.size = (size_t)size;
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return der;
}

static enum qh_err issue_for(EVP_PKEY *key)
{
    struct pki_der csr = request_of(key);
    struct pki_der cert = {0};
    enum qh_err err =
        pki_issue_client(span(authority), authority_key, span(csr), "web", NOW, &cert);

    if (err == QH_OK) {
        ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    }
    free(cert.base);
    OPENSSL_free(csr.base);
    return err;
}

START_TEST(a_node_certificate_verifies_for_both_ends_of_tls)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, cert;
    char name[64];
    X509 *parsed;

    ck_assert_int_eq(pki_request_new("whatever", &key, &csr), QH_OK);
    ck_assert_int_eq(
        pki_issue_node(span(authority), authority_key, span(csr), "eu-1.example", NOW, &cert),
        QH_OK);
    ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    common_name(cert, name, sizeof name);
    ck_assert_str_eq(name, "eu-1.example");
    parsed = parse(cert);
    ck_assert_int_eq(X509_check_host(parsed, "eu-1.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(parsed, "whatever", 0, 0, NULL), 0);
    ck_assert_int_eq(X509_check_ca(parsed), 0);
    X509_free(parsed);
    free(csr.base);
    free(cert.base);
}
END_TEST

START_TEST(a_witness_certificate_is_for_peers_and_says_what_it_is)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, cert;
    char text[64];
    X509 *parsed;

    ck_assert_int_eq(pki_request_new("whatever", &key, &csr), QH_OK);
    ck_assert_int_eq(
        pki_issue_witness(span(authority), authority_key, span(csr), "w-1", NOW, &cert), QH_OK);
    ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    common_name(cert, text, sizeof text);
    ck_assert_str_eq(text, "w-1");
    parsed = parse(cert);
    ck_assert_int_gt(X509_NAME_get_text_by_NID(X509_get_subject_name(parsed),
                                               NID_organizationalUnitName, text, sizeof text),
                     0);
    ck_assert_str_eq(text, PKI_WITNESS_UNIT);
    X509_free(parsed);
    free(csr.base);
    free(cert.base);
}
END_TEST

START_TEST(a_client_certificate_is_no_server_and_no_node)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, cert;
    char name[64];

    ck_assert_int_eq(pki_request_new("node-1", &key, &csr), QH_OK);
    ck_assert_int_eq(
        pki_issue_client(span(authority), authority_key, span(csr), "node-1", NOW, &cert), QH_OK);
    ck_assert_int_eq(verify(cert, authority, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    ck_assert_int_ne(verify(cert, authority, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    common_name(cert, name, sizeof name);
    ck_assert_str_eq(name, "client:node-1");
    free(csr.base);
    free(cert.base);
}
END_TEST

START_TEST(validity_begins_an_hour_ago_and_ends)
{
    SECRET_SCOPED struct secret *key = NULL;
    const int purpose = X509_PURPOSE_SSL_CLIENT;
    time_t end = NOW + (time_t)PKI_LEAF_DAYS * DAY;
    struct pki_der csr, cert;

    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), "web", NOW, &cert),
                     QH_OK);
    ck_assert_int_eq(verify(cert, authority, purpose, NOW - 3600), X509_V_OK);
    ck_assert_int_ne(verify(cert, authority, purpose, NOW - 3602), X509_V_OK);
    ck_assert_int_eq(verify(cert, authority, purpose, end - 1), X509_V_OK);
    ck_assert_int_eq(verify(cert, authority, purpose, end + 1), X509_V_ERR_CERT_HAS_EXPIRED);
    free(csr.base);
    free(cert.base);
}
END_TEST

START_TEST(another_authority_does_not_vouch_for_it)
{
    SECRET_SCOPED struct secret *key = NULL;
    SECRET_SCOPED struct secret *other_key = NULL;
    struct pki_der csr, cert, other;

    ck_assert_int_eq(pki_authority_new("test cluster", NOW, &other, &other_key), QH_OK);
    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), "web", NOW, &cert),
                     QH_OK);
    ck_assert_int_ne(verify(cert, other, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    free(cert.base);
    cert = (struct pki_der){0};
    /* Nor can it issue with a key that is not its own. */
    ck_assert_int_eq(pki_issue_client(span(authority), other_key, span(csr), "web", NOW, &cert),
                     QH_ESYSTEM);
    ck_assert_ptr_null(cert.base);
    free(csr.base);
    free(other.base);
}
END_TEST

START_TEST(serial_numbers_differ)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, one, two;
    X509 *first, *second;

    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), "web", NOW, &one),
                     QH_OK);
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), "web", NOW, &two),
                     QH_OK);
    first = parse(one);
    second = parse(two);
    ck_assert_int_ne(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(first), X509_get0_serialNumber(second)), 0);
    X509_free(first);
    X509_free(second);
    free(csr.base);
    free(one.base);
    free(two.base);
}
END_TEST

START_TEST(keys_of_the_listed_kinds_alone_are_certified)
{
    ck_assert_int_eq(issue_for(EVP_EC_gen("P-256")), QH_OK);
    ck_assert_int_eq(issue_for(EVP_EC_gen("P-384")), QH_OK);
    ck_assert_int_eq(issue_for(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), QH_OK);
    ck_assert_int_eq(issue_for(EVP_RSA_gen(2048)), QH_OK);
    ck_assert_int_eq(issue_for(EVP_RSA_gen(2040)), QH_EKEYTYPE);
    ck_assert_int_eq(issue_for(EVP_EC_gen("P-521")), QH_EKEYTYPE);
    ck_assert_int_eq(issue_for(EVP_EC_gen("secp256k1")), QH_EKEYTYPE);
}
END_TEST

static enum qh_err issue_from(const uint8_t *base, size_t size)
{
    struct pki_der cert = {0};
    enum qh_err err = pki_issue_client(span(authority), authority_key, (struct bytes){base, size},
                                       "web", NOW, &cert);

    free(cert.base);
    return err;
}

START_TEST(a_damaged_request_is_refused)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr;
    uint8_t *longer;

    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    for (size_t cut = 0; cut < csr.size; cut++) {
        ck_assert_int_eq(issue_from(csr.base, cut), QH_EMALFORMED);
    }
    longer = calloc(1, csr.size + 1);
    memcpy(longer, csr.base, csr.size);
    ck_assert_int_eq(issue_from(longer, csr.size), QH_OK);
    ck_assert_int_eq(issue_from(longer, csr.size + 1), QH_EMALFORMED);
    longer[csr.size - 1] ^= 1; /* in the signature */
    ck_assert_int_eq(issue_from(longer, csr.size), QH_EMALFORMED);
    free(longer);
    longer = calloc(1, PKI_DER_SIZE_MAX + 1);
    ck_assert_int_eq(issue_from(longer, PKI_DER_SIZE_MAX + 1), QH_EMALFORMED);
    free(longer);
    free(csr.base);
}
END_TEST

START_TEST(names_have_limits_on_both_sides)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, cert = {0};
    char name[70], common[70];

    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    memset(name, 'a', sizeof name);
    name[CLIENT_NAME_LENGTH_MAX] = '\0';
    ck_assert(pki_client_name_valid(name));
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), name, NOW, &cert),
                     QH_OK);
    common_name(cert, common, sizeof common);
    ck_assert_uint_eq(strlen(common), 64);
    free(cert.base);
    name[CLIENT_NAME_LENGTH_MAX] = 'a';
    name[CLIENT_NAME_LENGTH_MAX + 1] = '\0';
    ck_assert(!pki_client_name_valid(name));
    ck_assert_int_eq(pki_issue_client(span(authority), authority_key, span(csr), name, NOW, &cert),
                     QH_EINVAL);
    memset(name, 'a', sizeof name);
    name[NODE_NAME_LENGTH_MAX] = '\0';
    ck_assert_int_eq(pki_issue_node(span(authority), authority_key, span(csr), name, NOW, &cert),
                     QH_OK);
    free(cert.base);
    name[NODE_NAME_LENGTH_MAX] = 'a';
    name[NODE_NAME_LENGTH_MAX + 1] = '\0';
    ck_assert_int_eq(pki_issue_node(span(authority), authority_key, span(csr), name, NOW, &cert),
                     QH_EINVAL);
    free(csr.base);
}
END_TEST

START_TEST(names_of_other_characters_are_refused)
{
    static const char *const bad[] = {"", "-a", "a-", "a b", "a:b", "a/b", "a,b", "\xc3\xa4", "."};
    SECRET_SCOPED struct secret *key = NULL;
    struct pki_der csr, cert = {0};

    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!pki_client_name_valid(bad[i]));
        ck_assert_int_eq(
            pki_issue_node(span(authority), authority_key, span(csr), bad[i], NOW, &cert),
            QH_EINVAL);
    }
    ck_assert(pki_client_name_valid("a"));
    ck_assert(pki_client_name_valid("Web-1.eu_2"));
    ck_assert_int_eq(pki_issue_node(span(authority), authority_key, span(csr), "a_b", NOW, &cert),
                     QH_EINVAL);
    free(csr.base);
}
END_TEST

START_TEST(an_authority_needs_a_name_that_fits)
{
    struct pki_der cert = {0};
    struct secret *key = NULL;
    char name[66];

    memset(name, 'a', sizeof name);
    name[65] = '\0';
    ck_assert_int_eq(pki_authority_new(name, NOW, &cert, &key), QH_EINVAL);
    ck_assert_int_eq(pki_authority_new("", NOW, &cert, &key), QH_EINVAL);
    ck_assert_ptr_null(cert.base);
    ck_assert_ptr_null(key);
    name[64] = '\0';
    ck_assert_int_eq(pki_authority_new(name, NOW, &cert, &key), QH_OK);
    ck_assert_int_eq(verify(cert, cert, X509_PURPOSE_ANY, NOW), X509_V_OK);
    free(cert.base);
    secret_free(key);
}
END_TEST

START_TEST(pem_is_read_by_openssl_and_by_us)
{
    struct pki_der pem, back;
    X509 *cert;
    BIO *bio;

    ck_assert_int_eq(pki_cert_to_pem(span(authority), &pem), QH_OK);
    ck_assert_uint_eq(strlen((const char *)pem.base), pem.size);
    ck_assert_int_eq(pem.base[pem.size - 1], '\n');
    bio = BIO_new_mem_buf(pem.base, (int)pem.size);
    cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(cert);
    X509_free(cert);
    BIO_free(bio);
    ck_assert_int_eq(pki_cert_from_pem(span(pem), &back), QH_OK);
    ck_assert_uint_eq(back.size, authority.size);
    ck_assert_mem_eq(back.base, authority.base, back.size);
    free(pem.base);
    free(back.base);
}
END_TEST

START_TEST(a_key_in_pem_is_read_by_openssl)
{
    SECRET_SCOPED struct secret *pem = NULL;
    EVP_PKEY *key;
    X509 *cert = parse(authority);
    BIO *bio;

    ck_assert_int_eq(pki_key_to_pem(authority_key, &pem), QH_OK);
    ck_assert_uint_eq(strlen((const char *)secret_view(pem)) + 1, secret_size(pem));
    bio = BIO_new_mem_buf(secret_view(pem), -1);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(X509_check_private_key(cert, key), 1);
    EVP_PKEY_free(key);
    BIO_free(bio);
    X509_free(cert);
}
END_TEST

static enum qh_err read_pem(const char *pem)
{
    struct pki_der cert = {0};
    enum qh_err err = pki_cert_from_pem((struct bytes){(const uint8_t *)pem, strlen(pem)}, &cert);

    free(cert.base);
    return err;
}

START_TEST(what_is_no_certificate_in_pem_is_refused)
{
    struct pki_der pem;
    char *text;

    ck_assert_int_eq(read_pem(""), QH_EMALFORMED);
    ck_assert_int_eq(read_pem("-----BEGIN CERTIFICATE-----"), QH_EMALFORMED);
    ck_assert_int_eq(read_pem("-----BEGIN CERTIFICATE----------END CERTIFICATE-----"),
                     QH_EMALFORMED);
    ck_assert_int_eq(read_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
                     QH_EMALFORMED);
    ck_assert_int_eq(pki_cert_to_pem(span(authority), &pem), QH_OK);
    text = (char *)pem.base;
    ck_assert_int_eq(read_pem(text), QH_OK);
    text[40] = '*';
    ck_assert_int_eq(read_pem(text), QH_EMALFORMED);
    free(pem.base);
}
END_TEST

START_TEST(a_fingerprint_is_the_one_openssl_prints)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];
    unsigned char expected[EVP_MAX_MD_SIZE];
    X509 *cert = parse(authority);
    unsigned size;

    ck_assert_int_eq(pki_fingerprint(span(authority), fingerprint), QH_OK);
    ck_assert_int_eq(X509_digest(cert, EVP_sha256(), expected, &size), 1);
    ck_assert_uint_eq(size, FINGERPRINT_SIZE);
    ck_assert_mem_eq(fingerprint, expected, FINGERPRINT_SIZE);
    X509_free(cert);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pki");
    TCase *tcase = tcase_create("pki");

    tcase_set_timeout(tcase, 60.0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_node_certificate_verifies_for_both_ends_of_tls);
    tcase_add_test(tcase, a_witness_certificate_is_for_peers_and_says_what_it_is);
    tcase_add_test(tcase, a_client_certificate_is_no_server_and_no_node);
    tcase_add_test(tcase, validity_begins_an_hour_ago_and_ends);
    tcase_add_test(tcase, another_authority_does_not_vouch_for_it);
    tcase_add_test(tcase, serial_numbers_differ);
    tcase_add_test(tcase, keys_of_the_listed_kinds_alone_are_certified);
    tcase_add_test(tcase, a_damaged_request_is_refused);
    tcase_add_test(tcase, names_have_limits_on_both_sides);
    tcase_add_test(tcase, names_of_other_characters_are_refused);
    tcase_add_test(tcase, an_authority_needs_a_name_that_fits);
    tcase_add_test(tcase, pem_is_read_by_openssl_and_by_us);
    tcase_add_test(tcase, a_key_in_pem_is_read_by_openssl);
    tcase_add_test(tcase, what_is_no_certificate_in_pem_is_refused);
    tcase_add_test(tcase, a_fingerprint_is_the_one_openssl_prints);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
