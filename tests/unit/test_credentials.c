/* The folder that a new client gets. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/credentials.h"
#include "tests/lib/test.h"

static char dir[128];
static char out[192];
static struct cli cli;
static char *said;
static size_t said_size;

static void make_dir(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(out, sizeof(out), "%s/out", dir);
    cli = (struct cli){0};
    cli.output.out = stdout;
    cli.output.err = open_memstream(&said, &said_size);
    ck_assert_ptr_nonnull(cli.output.err);
}

static void remove_dir(void)
{
    (void)fclose(cli.output.err);
    free(said);
    test_remove_dir(dir);
}

static bool exists(const char *name, mode_t wanted_mode)
{
    char path[256];
    struct stat state;

    (void)snprintf(path, sizeof(path), "%s/%s", out, name);
    if (stat(path, &state) != 0) {
        return false;
    }
    ck_assert_uint_eq(state.st_mode & 07777, wanted_mode);
    return true;
}

/* A certificate for the request, as a node would give it. */
static void issue(const struct credentials *credentials, Quadhsm__ClientCertificate *ret_answer)
{
    struct secret *ca_key = NULL;
    struct pki_der ca = {0};
    struct pki_der cert = {0};

    ck_assert_int_eq(pki_authority_new("test", 1700000000, &ca, &ca_key), QH_OK);
    ck_assert_int_eq(pki_issue_client((struct bytes){ca.base, ca.size}, ca_key,
                                      (struct bytes){credentials->csr.base, credentials->csr.size},
                                      "shop", 1700000000, &cert),
                     QH_OK);
    secret_free(ca_key);
    quadhsm__client_certificate__init(ret_answer);
    ret_answer->ca = (ProtobufCBinaryData){.data = ca.base, .len = ca.size};
    ret_answer->certificate = (ProtobufCBinaryData){.data = cert.base, .len = cert.size};
}

START_TEST(folder_gets_four_files_and_a_configuration_that_loads)
{
    static const char *const endpoints[] = {"10.0.0.1:7600", "[2001:db8::1]:7600"};
    struct credentials credentials;
    Quadhsm__ClientCertificate answer;
    struct client_config *config = NULL;
    char path[256];
    char *error = NULL;

    ck_assert_int_eq(credentials_begin(&cli, out, "shop", &credentials), EXIT_DONE);
    ck_assert(exists("client.key", 0600));
    issue(&credentials, &answer);
    ck_assert_int_eq(credentials_finish(&cli, &credentials, &answer, endpoints, 2), EXIT_DONE);
    credentials_close(&credentials, true);
    ck_assert(exists("client.key", 0600));
    ck_assert(exists("client.crt", 0644));
    ck_assert(exists("ca.crt", 0644));
    (void)snprintf(path, sizeof(path), "%s/client.yaml", out);
    ck_assert_msg(client_config_load(path, &config, &error) == QH_OK, "%s",
                  error != NULL ? error : "");
    ck_assert_uint_eq(config->endpoint_count, 2);
    ck_assert_str_eq(config->endpoints[1].host, "2001:db8::1");
    client_config_free(config);
    free(answer.ca.data);
    free(answer.certificate.data);
}
END_TEST

START_TEST(nothing_is_overwritten)
{
    static const char *const names[] = {"ca.crt", "client.crt", "client.key", "client.yaml"};
    struct credentials credentials;
    char path[256];

    ck_assert_int_eq(mkdir(out, 0700), 0);
    for (size_t i = 0; i < 4; i++) {
        int fd;

        (void)snprintf(path, sizeof(path), "%s/%s", out, names[i]);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(close(fd), 0);
        ck_assert_int_eq(credentials_begin(&cli, out, "shop", &credentials), EXIT_FAILED);
        credentials_close(&credentials, false);
        ck_assert(exists(names[i], 0600));
        ck_assert_int_eq(unlink(path), 0);
    }
    (void)fflush(cli.output.err);
    ck_assert_ptr_nonnull(strstr(said, "nothing is overwritten: name another folder"));
}
END_TEST

START_TEST(what_failed_leaves_nothing_behind)
{
    struct credentials credentials;

    ck_assert_int_eq(credentials_begin(&cli, out, "shop", &credentials), EXIT_DONE);
    credentials_close(&credentials, false);
    ck_assert_int_ne(access(out, F_OK), 0);
    ck_assert_int_eq(mkdir(out, 0700), 0);
    ck_assert_int_eq(credentials_begin(&cli, out, "shop", &credentials), EXIT_DONE);
    credentials_close(&credentials, false);
    ck_assert(!exists("client.key", 0600));
    ck_assert_int_eq(access(out, F_OK), 0);
}
END_TEST

START_TEST(name_that_no_certificate_can_have_is_refused)
{
    struct credentials credentials;

    ck_assert_int_eq(credentials_begin(&cli, out, "a b", &credentials), EXIT_USAGE);
    credentials_close(&credentials, false);
    ck_assert_int_ne(access(out, F_OK), 0);
}
END_TEST

START_TEST(endpoint_of_ipv6_has_brackets)
{
    char text[64];

    credentials_endpoint("::1", 7600, text, sizeof(text));
    ck_assert_str_eq(text, "[::1]:7600");
    credentials_endpoint("a.example", 1, text, sizeof(text));
    ck_assert_str_eq(text, "a.example:1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tcase = tcase_create("credentials");

    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, folder_gets_four_files_and_a_configuration_that_loads);
    tcase_add_test(tcase, nothing_is_overwritten);
    tcase_add_test(tcase, what_failed_leaves_nothing_behind);
    tcase_add_test(tcase, name_that_no_certificate_can_have_is_refused);
    tcase_add_test(tcase, endpoint_of_ipv6_has_brackets);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
