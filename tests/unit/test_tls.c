/* OpenSSL's set-up: two ends in memory, without a socket. */
#include "raft-glue/tls.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

static char dir[256], paths[3][512], logged[4096];
static SSL *client, *server;
static SSL_CTX *client_context, *server_context;

static void on_line(void *data, enum log_level level, const char *line)
{
    (void)data;
    (void)level;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

static void open_dir(void)
{
    test_make_dir(dir, sizeof dir);
    certs_make_ca(dir);
    certs_make_node(dir, "alpha");
    certs_make_node(dir, "beta");
    logged[0] = '\0';
    log_set_sink(on_line, NULL);
}

static void close_dir(void)
{
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_context);
    SSL_CTX_free(server_context);
    log_set_sink(NULL, NULL);
    test_remove_dir(dir);
}

static struct transport_tls config_of(const char *name)
{
    certs_path(paths[0], sizeof paths[0], dir, "ca", "crt");
    certs_path(paths[1], sizeof paths[1], dir, name, "crt");
    certs_path(paths[2], sizeof paths[2], dir, name, "key");
    return (struct transport_tls){.ca_file = paths[0], .cert_file = paths[1], .key_file = paths[2]};
}

static SSL_CTX *context_of(const char *name)
{
    struct transport_tls config = config_of(name);
    SSL_CTX *context = NULL;

    ck_assert_int_eq(tls_context_new(&config, &context), QH_OK);
    return context;
}

/* Shake hands through a pair of BIOs. True if both sides are done. */
static bool shake(const char *dialler, const char *acceptor, enum transport_channel channel)
{
    BIO *left, *right;

    client_context = context_of(dialler);
    server_context = context_of(acceptor);
    ck_assert_int_eq(tls_session_new(client_context, true, channel, &client), QH_OK);
    ck_assert_int_eq(tls_session_new(server_context, false, TRANSPORT_RAFT, &server), QH_OK);
    ck_assert_int_eq(BIO_new_bio_pair(&left, 0, &right, 0), 1);
    SSL_set_bio(client, left, left);
    SSL_set_bio(server, right, right);
    for (unsigned i = 0; i < 10; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    return SSL_is_init_finished(client) == 1 && SSL_is_init_finished(server) == 1;
}

START_TEST(two_nodes_agree_on_version_channel_and_names)
{
    char name[NODE_NAME_LENGTH_MAX + 1];
    enum transport_channel channel = TRANSPORT_CHANNELS;

    ck_assert(shake("alpha", "beta", (enum transport_channel)_i));
    ck_assert_int_eq(SSL_version(client), TLS1_3_VERSION);
    ck_assert_int_eq(tls_session_channel(client, &channel), QH_OK);
    ck_assert_int_eq(channel, _i);
    ck_assert_int_eq(tls_session_channel(server, &channel), QH_OK);
    ck_assert_int_eq(channel, _i);
    ck_assert_int_eq(tls_peer_name(client, name), QH_OK);
    ck_assert_str_eq(name, "beta");
    ck_assert_int_eq(tls_peer_name(server, name), QH_OK);
    ck_assert_str_eq(name, "alpha");
}
END_TEST

START_TEST(no_session_can_be_resumed)
{
    char byte;

    ck_assert(shake("alpha", "beta", TRANSPORT_RAFT));
    ck_assert_int_le(SSL_read(client, &byte, 1), 0); /* would take a ticket */
    ck_assert_int_eq(SSL_SESSION_is_resumable(SSL_get0_session(client)), 0);
}
END_TEST

START_TEST(a_foreign_or_expired_certificate_fails_on_either_side)
{
    certs_make_node_foreign(dir, "foreign");
    certs_make_node_expired(dir, "expired");
    switch (_i) {
    case 0:
        ck_assert(!shake("alpha", "foreign", TRANSPORT_RAFT));
        break;
    case 1:
        ck_assert(!shake("foreign", "beta", TRANSPORT_RAFT));
        break;
    case 2:
        ck_assert(!shake("alpha", "expired", TRANSPORT_RAFT));
        break;
    default:
        ck_assert(!shake("expired", "beta", TRANSPORT_RAFT));
        break;
    }
    ck_assert_ptr_nonnull(strstr(logged, "peers will refuse this node's certificate"));
}
END_TEST

static enum qh_err name_of(const char *common_name)
{
    char name[NODE_NAME_LENGTH_MAX + 1] = "untouched";
    enum qh_err err;

    certs_make_subject(dir, "subject", common_name);
    ck_assert(shake("subject", "beta", TRANSPORT_RAFT));
    err = tls_peer_name(server, name);
    ck_assert_str_eq(name, err == QH_OK ? common_name : "untouched");
    return err;
}

START_TEST(a_name_is_one_to_63_allowed_characters)
{
    static const struct {
        const char *name;
        enum qh_err err;
    } names[] = {
        {"a", QH_OK},
        {"node-1.example", QH_OK},
        {"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc", QH_OK},
        {"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd", QH_EPEER},
        {"two words", QH_EPEER},
        {"a/b", QH_EPEER},
        {NULL, QH_EPEER},
    };

    ck_assert_int_eq(name_of(names[_i].name), names[_i].err);
}
END_TEST

START_TEST(a_file_that_is_missing_or_wrong_is_named)
{
    struct transport_tls config = config_of("alpha");
    SSL_CTX *context = NULL;
    char other[512];

    config.ca_file = "/nonexistent/ca.crt";
    ck_assert_int_eq(tls_context_new(&config, &context), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(logged, "/nonexistent/ca.crt"));
    ck_assert_ptr_nonnull(strstr(logged, "No such file"));
    config = config_of("alpha");
    config.cert_file = paths[2]; /* a key is no certificate */
    ck_assert_int_eq(tls_context_new(&config, &context), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(logged, "cannot use the certificate"));
    config = config_of("alpha");
    certs_path(other, sizeof other, dir, "beta", "key");
    config.key_file = other;
    ck_assert_int_eq(tls_context_new(&config, &context), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(logged, "beta.key"));
    ck_assert_ptr_null(context);
}
END_TEST

START_TEST(an_error_has_a_text_even_if_there_is_none)
{
    char text[TLS_TEXT_ROOM];

    tls_error_text(NULL, text, sizeof text);
    ck_assert_str_eq(text, "no reason given");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tcase = tcase_create("tls");

    tcase_add_checked_fixture(tcase, open_dir, close_dir);
    tcase_add_loop_test(tcase, two_nodes_agree_on_version_channel_and_names, 0, TRANSPORT_CHANNELS);
    tcase_add_test(tcase, no_session_can_be_resumed);
    tcase_add_loop_test(tcase, a_foreign_or_expired_certificate_fails_on_either_side, 0, 4);
    tcase_add_loop_test(tcase, a_name_is_one_to_63_allowed_characters, 0, 7);
    tcase_add_test(tcase, a_file_that_is_missing_or_wrong_is_named);
    tcase_add_test(tcase, an_error_has_a_text_even_if_there_is_none);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
