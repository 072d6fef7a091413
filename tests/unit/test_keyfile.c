/* Files with keys: every format that OpenSSL writes is read back as the same key; what is damaged,
 * locked or of a kind that we do not have is refused with what to do. */
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/keyfile.h"
#include "tests/lib/test.h"

static char dir[128];
static char path[192];
static char detail[KEYFILE_DETAIL_ROOM];
static struct keyfile file;
static const char *passphrase; /* what the user would type; NULL: nobody is there */
static unsigned asked;
static EVP_PKEY *rsa;

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    passphrase = NULL;
    asked = 0;
    if (rsa == NULL) {
        rsa = EVP_RSA_gen(2048);
    }
}

static void teardown(void)
{
    keyfile_close(&file);
    test_remove_dir(dir);
}

static enum qh_err ask(void *argument, struct secret **ret_passphrase,
                       char ret_detail[KEYFILE_DETAIL_ROOM])
{
    ck_assert_ptr_eq(argument, &asked);
    asked++;
    if (passphrase == NULL) {
        (void)snprintf(ret_detail, KEYFILE_DETAIL_ROOM, "nobody to ask");
        return QH_EINVAL;
    }
    return secret_from(passphrase, strlen(passphrase), ret_passphrase);
}

static BIO *opened(void)
{
    BIO *bio = BIO_new_file(path, "w");

    ck_assert_ptr_nonnull(bio);
    return bio;
}

static void write_bytes(const void *base, size_t size)
{
    BIO *bio = opened();
    size_t written = 0;

    ck_assert(size == 0 || BIO_write_ex(bio, base, size, &written) == 1);
    ck_assert_uint_eq(written, size);
    BIO_free(bio);
}

static enum qh_err parse(void)
{
    struct secret *content = NULL;
    enum qh_err err;

    keyfile_close(&file);
    err = keyfile_read(path, &content, detail);
    if (err == QH_OK) {
        err = keyfile_parse(content, ask, &asked, &file, detail);
    }
    secret_free(content);
    return err;
}

static void parses(CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type)
{
    enum qh_err err = parse();

    ck_assert_msg(err == QH_OK, "%s: %s", err_name(err), detail);
    ck_assert_uint_eq(file.object_class, object_class);
    ck_assert_uint_eq(file.key_type, key_type);
}

static void refuses(enum qh_err wanted, const char *text)
{
    enum qh_err err = parse();

    ck_assert_msg(err == wanted, "%s: %s", err_name(err), detail);
    ck_assert_msg(strstr(detail, text) != NULL, "%s", detail);
    ck_assert_ptr_null(file.material);
    ck_assert_uint_eq(file.certificate_count, 0);
}

/* The key of the file is @pkey. */
static void is_key(EVP_PKEY *pkey)
{
    const uint8_t *at = secret_view(file.material);
    EVP_PKEY *read = d2i_AutoPrivateKey(NULL, &at, (long)secret_size(file.material));

    ck_assert_ptr_nonnull(read);
    ck_assert_int_eq(EVP_PKEY_eq(read, pkey), 1);
    EVP_PKEY_free(read);
    at = file.public.spki.base;
    read = d2i_PUBKEY(NULL, &at, (long)file.public.spki.size);
    ck_assert_int_eq(EVP_PKEY_eq(read, pkey), 1);
    EVP_PKEY_free(read);
}

START_TEST(rsa_is_read_in_every_form)
{
    BIO *bio = opened();

    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    bio = opened();
    ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    bio = opened();
    ck_assert_int_eq(i2d_PKCS8PrivateKey_bio(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    bio = opened();
    ck_assert_int_eq(i2d_PrivateKey_bio(bio, rsa), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    ck_assert_uint_eq(asked, 0);
}
END_TEST

static EVP_PKEY *make(const char *type, const char *curve)
{
    EVP_PKEY *pkey = curve != NULL ? EVP_EC_gen(curve) : EVP_PKEY_Q_keygen(NULL, NULL, type);

    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

START_TEST(every_curve_is_read)
{
    static const struct {
        const char *type, *curve;
        CK_KEY_TYPE key_type;
    } all[] = {
        {"EC", "P-256", CKK_EC},
        {"EC", "P-384", CKK_EC},
        {"EC", "P-521", CKK_EC},
        {"EC", "secp256k1", CKK_EC},
        {"ED25519", NULL, CKK_EC_EDWARDS},
        {"ED448", NULL, CKK_EC_EDWARDS},
        {"X25519", NULL, CKK_EC_MONTGOMERY},
        {"X448", NULL, CKK_EC_MONTGOMERY},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        EVP_PKEY *pkey = make(all[i].type, all[i].curve);
        BIO *bio = opened();

        ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
        BIO_free(bio);
        parses(CKO_PRIVATE_KEY, all[i].key_type);
        is_key(pkey);
        bio = opened();
        ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
        BIO_free(bio);
        parses(CKO_PUBLIC_KEY, all[i].key_type);
        ck_assert_ptr_null(file.material);
        EVP_PKEY_free(pkey);
    }
}
END_TEST

START_TEST(ec_key_with_a_compressed_point_and_parameters_before_it_is_read)
{
    EVP_PKEY *pkey = make("EC", "P-256");
    BIO *bio = opened();

    ck_assert_int_eq(EVP_PKEY_set_utf8_string_param(pkey, "point-format", "compressed"), 1);
    ck_assert_int_gt(BIO_puts(bio, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                                   "-----END EC PARAMETERS-----\n"),
                     0);
    ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_EC);
    is_key(pkey);
    ck_assert_uint_eq(file.public.ec_point.size, 67);
    EVP_PKEY_free(pkey);
}
END_TEST

static void write_encrypted(void)
{
    BIO *bio = opened();

    ck_assert_int_eq(
        PEM_write_bio_PKCS8PrivateKey(bio, rsa, EVP_aes_256_cbc(), "open sesame", 11, NULL, NULL),
        1);
    BIO_free(bio);
}

START_TEST(encrypted_file_asks_for_its_passphrase_once)
{
    BIO *bio;

    write_encrypted();
    passphrase = "open sesame";
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    ck_assert_uint_eq(asked, 1);
    bio = opened();
    ck_assert_int_eq(
        i2d_PKCS8PrivateKey_bio(bio, rsa, EVP_aes_256_cbc(), "open sesame", 11, NULL, NULL), 1);
    BIO_free(bio);
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    ck_assert_uint_eq(asked, 2);
    passphrase = "wrong";
    refuses(QH_EPIN, "--passphrase-file");
    ck_assert_uint_eq(asked, 3);
    passphrase = NULL;
    refuses(QH_EINVAL, "nobody to ask");
    ck_assert_uint_eq(asked, 4);
}
END_TEST

static X509 *certify(EVP_PKEY *subject_key, const char *name, EVP_PKEY *issuer_key)
{
    X509 *x509 = X509_new();

    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(x509), 77), 1);
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(x509), 0));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(x509), 3600));
    ck_assert_int_eq(X509_set_pubkey(x509, subject_key), 1);
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    ck_assert_int_gt(X509_sign(x509, issuer_key, EVP_sha256()), 0);
    return x509;
}

START_TEST(pkcs12_gives_the_key_and_all_certificates)
{
    EVP_PKEY *ca_key = make("EC", "P-256");
    X509 *ca = certify(ca_key, "An issuer", ca_key);
    X509 *leaf = certify(rsa, "server.example", ca_key);
    STACK_OF(X509) *others = sk_X509_new_null();
    PKCS12 *p12;
    BIO *bio = opened();

    ck_assert_int_eq(sk_X509_push(others, ca), 1);
    p12 = PKCS12_create("p12 pass", "friendly", rsa, leaf, others, 0, 0, 100, 100, 0);
    ck_assert_int_eq(i2d_PKCS12_bio(bio, p12), 1);
    BIO_free(bio);
    passphrase = "p12 pass";
    parses(CKO_PRIVATE_KEY, CKK_RSA);
    is_key(rsa);
    ck_assert_uint_eq(file.certificate_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct keyfile_certificate *certificate = &file.certificates[i];

        ck_assert_str_eq(certificate->name, certificate->of_key ? "server.example" : "An issuer");
        ck_assert_uint_eq(certificate->serial.size, 3);
        ck_assert_mem_eq(certificate->serial.base, "\x02\x01\x4d", 3);
    }
    ck_assert(file.certificates[0].of_key != file.certificates[1].of_key);
    passphrase = "no";
    refuses(QH_EPIN, "wrong");
    PKCS12_free(p12);
    sk_X509_free(others);
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}
END_TEST

START_TEST(certificate_alone_has_the_id_that_its_key_would_have)
{
    X509 *x509 = certify(rsa, "alone", rsa);
    BIO *bio = opened();
    uint8_t id[KEYFILE_ID_SIZE];

    ck_assert_int_eq(PEM_write_bio_X509(bio, x509), 1);
    BIO_free(bio);
    parses(CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION);
    ck_assert_uint_eq(file.certificate_count, 1);
    ck_assert(!file.certificates[0].of_key);
    memcpy(id, file.certificates[0].id, sizeof(id));
    bio = opened();
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, rsa), 1);
    BIO_free(bio);
    parses(CKO_PUBLIC_KEY, CKK_RSA);
    ck_assert_mem_eq(file.id, id, sizeof(id));
    X509_free(x509);
}
END_TEST

START_TEST(seventeen_certificates_are_too_many_for_a_file)
{
    X509 *x509 = certify(rsa, "again", rsa);

    for (unsigned count = KEYFILE_CERTIFICATES_MAX; count <= KEYFILE_CERTIFICATES_MAX + 1;
         count++) {
        BIO *bio = opened();

        for (unsigned i = 0; i < count; i++) {
            ck_assert_int_eq(PEM_write_bio_X509(bio, x509), 1);
        }
        BIO_free(bio);
        if (count <= KEYFILE_CERTIFICATES_MAX) {
            parses(CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION);
            ck_assert_uint_eq(file.certificate_count, count);
        } else {
            refuses(QH_ELIMIT, "at most 16");
        }
    }
    X509_free(x509);
}
END_TEST

START_TEST(keys_that_we_do_not_take_are_refused_with_what_we_take)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);
    EVP_PKEY *other = make("EC", "secp224r1");
    BIO *bio = opened();

    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, small, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    refuses(QH_EKEYSIZE, "2048 to 8192");
    bio = opened();
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, other, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    refuses(QH_ECURVE, "P-256");
    bio = opened();
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    refuses(QH_EINVAL, "one by one");
    EVP_PKEY_free(small);
    EVP_PKEY_free(other);
}
END_TEST

/* The last byte of a number in the DER of the RSA key. */
static void spoil(uint8_t *der, size_t size, const char *name)
{
    uint8_t bytes[512];
    BIGNUM *number = NULL;
    uint8_t *at;
    int length;

    ck_assert_int_eq(EVP_PKEY_get_bn_param(rsa, name, &number), 1);
    length = BN_bn2bin(number, bytes);
    at = memmem(der, size, bytes, (size_t)length);
    ck_assert_ptr_nonnull(at);
    at[length - 1] ^= 2;
    BN_free(number);
}

START_TEST(rsa_key_whose_signatures_do_not_verify_is_refused)
{
    uint8_t *der = NULL;
    int size = i2d_PrivateKey(rsa, &der);

    ck_assert_int_gt(size, 0);
    spoil(der, (size_t)size, "d");
    spoil(der, (size_t)size, "rsa-exponent1");
    write_bytes(der, (size_t)size);
    refuses(QH_EMALFORMED, "do not belong together");
    OPENSSL_free(der);
}
END_TEST

START_TEST(what_is_damaged_or_no_key_is_refused)
{
    uint8_t *der = NULL;
    int size = i2d_PrivateKey(rsa, &der);

    write_bytes("not a key\n", 10);
    refuses(QH_EMALFORMED, "--secret");
    write_bytes("-----BEGIN PRIVATE KEY-----\nMIIB", 32);
    refuses(QH_EMALFORMED, "damaged");
    for (int cut = 1; cut < size; cut += size / 16) {
        write_bytes(der, (size_t)cut);
        refuses(QH_EMALFORMED, "damaged");
    }
    OPENSSL_free(der);
}
END_TEST

START_TEST(files_are_bounded_before_they_are_parsed)
{
    static uint8_t much[KEYFILE_SIZE_MAX + 1];
    struct secret *content = NULL;

    write_bytes(much, KEYFILE_SIZE_MAX);
    ck_assert_int_eq(keyfile_read(path, &content, detail), QH_OK);
    ck_assert_uint_eq(secret_size(content), KEYFILE_SIZE_MAX);
    secret_free(content);
    write_bytes(much, KEYFILE_SIZE_MAX + 1);
    refuses(QH_ELIMIT, "65,536");
    write_bytes(much, 0);
    refuses(QH_EINVAL, "empty");
    ck_assert_int_eq(unlink(path), 0);
    refuses(QH_ENOTFOUND, "No such file");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refuses(QH_EINVAL, "directory");
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

static enum qh_err secret_of(size_t size, CK_KEY_TYPE key_type)
{
    static uint8_t bytes[KEY_SECRET_SIZE_MAX + 1];
    struct secret *content = NULL;
    enum qh_err err;

    keyfile_close(&file);
    ck_assert_int_eq(secret_from(bytes, size, &content), QH_OK);
    err = keyfile_secret(content, key_type, &file, detail);
    secret_free(content);
    return err;
}

START_TEST(raw_secrets_have_the_sizes_of_their_kind)
{
    ck_assert_int_eq(secret_of(16, CKK_AES), QH_OK);
    ck_assert_uint_eq(file.object_class, CKO_SECRET_KEY);
    ck_assert_uint_eq(secret_size(file.material), 16);
    ck_assert_int_eq(secret_of(24, CKK_AES), QH_OK);
    ck_assert_int_eq(secret_of(32, CKK_AES), QH_OK);
    ck_assert_int_eq(secret_of(33, CKK_AES), QH_EKEYSIZE);
    ck_assert_ptr_nonnull(strstr(detail, "newline"));
    ck_assert_int_eq(secret_of(15, CKK_AES), QH_EKEYSIZE);
    ck_assert_int_eq(secret_of(1, CKK_GENERIC_SECRET), QH_OK);
    ck_assert_int_eq(secret_of(KEY_SECRET_SIZE_MAX, CKK_GENERIC_SECRET), QH_OK);
    ck_assert_int_eq(secret_of(KEY_SECRET_SIZE_MAX + 1, CKK_GENERIC_SECRET), QH_EKEYSIZE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyfile");
    TCase *tcase = tcase_create("keyfile");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, rsa_is_read_in_every_form);
    tcase_add_test(tcase, every_curve_is_read);
    tcase_add_test(tcase, ec_key_with_a_compressed_point_and_parameters_before_it_is_read);
    tcase_add_test(tcase, encrypted_file_asks_for_its_passphrase_once);
    tcase_add_test(tcase, pkcs12_gives_the_key_and_all_certificates);
    tcase_add_test(tcase, certificate_alone_has_the_id_that_its_key_would_have);
    tcase_add_test(tcase, seventeen_certificates_are_too_many_for_a_file);
    tcase_add_test(tcase, keys_that_we_do_not_take_are_refused_with_what_we_take);
    tcase_add_test(tcase, rsa_key_whose_signatures_do_not_verify_is_refused);
    tcase_add_test(tcase, what_is_damaged_or_no_key_is_refused);
    tcase_add_test(tcase, files_are_bounded_before_they_are_parsed);
    tcase_add_test(tcase, raw_secrets_have_the_sizes_of_their_kind);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
