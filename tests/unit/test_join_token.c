/* Join tokens: a text and what it says; a mistyped one is told. */
#include "hsm/join_token.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

static struct join_token token;
static struct secret *text;

static void set_address(unsigned index, const char *host, uint16_t port)
{
    (void)snprintf(token.addresses[index].host, sizeof token.addresses[index].host, "%s", host);
    token.addresses[index].port = port;
}

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    memset(&token, 0, sizeof token);
    memset(token.cluster, 1, sizeof token.cluster);
    memset(token.fingerprint, 2, sizeof token.fingerprint);
    memset(token.id, 3, sizeof token.id);
    ck_assert_int_eq(secret_from("0123456789abcdef0123456789abcdef", 32, &token.secret), QH_OK);
    token.address_count = 2;
    set_address(0, "10.0.0.1", 7600);
    set_address(1, "node-2.eu.example", 65535);
    ck_assert_int_eq(join_token_make(&token, &text), QH_OK);
}

static void teardown(void)
{
    join_token_close(&token);
    secret_free(text);
}

static char *chars(void)
{
    return (char *)secret_bytes(text);
}

static enum qh_err parse(const char *from)
{
    struct join_token parsed;
    enum qh_err err = join_token_parse(from, &parsed);

    if (err == QH_OK) {
        join_token_close(&parsed);
    }
    return err;
}

START_TEST(a_token_says_what_was_put_into_it)
{
    struct join_token parsed;

    ck_assert_int_eq(strncmp(chars(), "qhjoin1.", 8), 0);
    ck_assert_uint_eq(strlen(chars()) + 1, secret_size(text));
    ck_assert_int_eq(join_token_parse(chars(), &parsed), QH_OK);
    ck_assert_mem_eq(parsed.cluster, token.cluster, sizeof token.cluster);
    ck_assert_mem_eq(parsed.fingerprint, token.fingerprint, sizeof token.fingerprint);
    ck_assert_mem_eq(parsed.id, token.id, sizeof token.id);
    ck_assert(secret_equal(parsed.secret, token.secret));
    ck_assert(!parsed.witness);
    ck_assert_uint_eq(parsed.address_count, 2);
    ck_assert_str_eq(parsed.addresses[0].host, "10.0.0.1");
    ck_assert_uint_eq(parsed.addresses[0].port, 7600);
    ck_assert_str_eq(parsed.addresses[1].host, "node-2.eu.example");
    ck_assert_uint_eq(parsed.addresses[1].port, 65535);
    join_token_close(&parsed);
    ck_assert_ptr_null(parsed.secret);
}
END_TEST

START_TEST(a_witness_token_says_so)
{
    SECRET_SCOPED struct secret *other = NULL;
    struct join_token parsed;

    token.witness = true;
    ck_assert_int_eq(join_token_make(&token, &other), QH_OK);
    ck_assert_int_eq(join_token_parse((const char *)secret_view(other), &parsed), QH_OK);
    ck_assert(parsed.witness);
    join_token_close(&parsed);
}
END_TEST

START_TEST(every_mistyped_character_is_told)
{
    size_t length = strlen(chars());

    for (size_t i = 0; i < length; i++) {
        char right = chars()[i];

        chars()[i] = right == 'A' ? 'B' : 'A';
        ck_assert_int_eq(parse(chars()), i >= 6 && i < 8 ? QH_EVERSION : QH_EMALFORMED);
        chars()[i] = right;
    }
    ck_assert_int_eq(parse(chars()), QH_OK);
}
END_TEST

START_TEST(two_characters_changed_for_each_other_are_told)
{
    size_t length = strlen(chars());

    for (size_t i = 8; i + 1 < length; i++) {
        char left = chars()[i];
        char right = chars()[i + 1];

        chars()[i] = right;
        chars()[i + 1] = left;
        ck_assert_int_eq(parse(chars()), left == right ? QH_OK : QH_EMALFORMED);
        chars()[i] = left;
        chars()[i + 1] = right;
    }
}
END_TEST

START_TEST(a_cut_or_longer_text_is_told)
{
    size_t length = strlen(chars());
    char longer[512];

    for (size_t cut = 0; cut < length; cut++) {
        char right = chars()[cut];

        chars()[cut] = '\0';
        ck_assert_int_eq(parse(chars()), cut == 6 || cut == 7 ? QH_EVERSION : QH_EMALFORMED);
        chars()[cut] = right;
    }
    (void)snprintf(longer, sizeof longer, "%sA", chars());
    ck_assert_int_eq(parse(longer), QH_EMALFORMED);
    (void)snprintf(longer, sizeof longer, "%s\n", chars());
    ck_assert_int_eq(parse(longer), QH_EMALFORMED);
    (void)snprintf(longer, sizeof longer, " %s", chars());
    ck_assert_int_eq(parse(longer), QH_EMALFORMED);
    ck_assert_int_eq(parse("qhjoin2.AAAA"), QH_EVERSION);
}
END_TEST

static enum qh_err make(void)
{
    SECRET_SCOPED struct secret *made = NULL;
    enum qh_err err = join_token_make(&token, &made);

    ck_assert_int_eq(made != NULL, err == QH_OK);
    if (made != NULL) {
        ck_assert_int_eq(parse((const char *)secret_view(made)), QH_OK);
    }
    return err;
}

START_TEST(it_names_one_to_eight_addresses)
{
    for (unsigned i = 0; i < JOIN_TOKEN_ADDRESSES_MAX; i++) {
        set_address(i, "::1", 1);
    }
    token.address_count = 0;
    ck_assert_int_eq(make(), QH_EINVAL);
    token.address_count = 1;
    ck_assert_int_eq(make(), QH_OK);
    token.address_count = JOIN_TOKEN_ADDRESSES_MAX;
    ck_assert_int_eq(make(), QH_OK);
    token.address_count = JOIN_TOKEN_ADDRESSES_MAX + 1;
    ck_assert_int_eq(make(), QH_EINVAL);
}
END_TEST

START_TEST(hosts_and_ports_have_limits)
{
    char host[JOIN_TOKEN_HOST_LENGTH_MAX + 1];

    memset(host, 'h', sizeof host);
    host[JOIN_TOKEN_HOST_LENGTH_MAX] = '\0';
    set_address(0, host, 1);
    ck_assert_int_eq(make(), QH_OK);
    token.addresses[0].host[JOIN_TOKEN_HOST_LENGTH_MAX] = 'h'; /* without an end */
    ck_assert_int_eq(make(), QH_EINVAL);
    set_address(0, "", 1);
    ck_assert_int_eq(make(), QH_EINVAL);
    set_address(0, "a b", 1);
    ck_assert_int_eq(make(), QH_EINVAL);
    set_address(0, "h", 0);
    ck_assert_int_eq(make(), QH_EINVAL);
    set_address(0, "fe80::1%eth0", 1);
    ck_assert_int_eq(make(), QH_OK);
}
END_TEST

START_TEST(the_longest_text_is_the_named_limit)
{
    SECRET_SCOPED struct secret *longest = NULL;
    char host[JOIN_TOKEN_HOST_LENGTH_MAX + 1];

    memset(host, 'h', sizeof host);
    host[JOIN_TOKEN_HOST_LENGTH_MAX] = '\0';
    for (unsigned i = 0; i < JOIN_TOKEN_ADDRESSES_MAX; i++) {
        set_address(i, host, 1);
    }
    token.address_count = JOIN_TOKEN_ADDRESSES_MAX;
    ck_assert_int_eq(join_token_make(&token, &longest), QH_OK);
    ck_assert_uint_eq(secret_size(longest), JOIN_TOKEN_TEXT_LENGTH_MAX + 1);
    ck_assert_int_eq(parse((const char *)secret_view(longest)), QH_OK);
}
END_TEST

START_TEST(a_secret_of_another_size_is_refused)
{
    join_token_close(&token);
    ck_assert_int_eq(make(), QH_EINVAL);
    ck_assert_int_eq(secret_new(31, &token.secret), QH_OK);
    ck_assert_int_eq(make(), QH_EINVAL);
}
END_TEST

START_TEST(a_proof_is_of_one_side_one_connection_and_one_secret)
{
    SECRET_SCOPED struct secret *other = NULL;
    uint8_t exporter[32] = {9};
    uint8_t joiner[JOIN_TOKEN_PROOF_SIZE], member[JOIN_TOKEN_PROOF_SIZE];
    uint8_t again[JOIN_TOKEN_PROOF_SIZE];

    ck_assert_int_eq(secret_new(JOIN_TOKEN_SECRET_SIZE, &other), QH_OK);
    join_token_proof(token.secret, exporter, "joiner", joiner);
    join_token_proof(token.secret, exporter, "joiner", again);
    ck_assert_mem_eq(joiner, again, sizeof joiner);
    join_token_proof(token.secret, exporter, "member", member);
    ck_assert_mem_ne(joiner, member, sizeof joiner);
    join_token_proof(other, exporter, "joiner", again);
    ck_assert_mem_ne(joiner, again, sizeof joiner);
    exporter[31] = 1;
    join_token_proof(token.secret, exporter, "joiner", again);
    ck_assert_mem_ne(joiner, again, sizeof joiner);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("join_token");
    TCase *tcase = tcase_create("join_token");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_token_says_what_was_put_into_it);
    tcase_add_test(tcase, a_witness_token_says_so);
    tcase_add_test(tcase, every_mistyped_character_is_told);
    tcase_add_test(tcase, two_characters_changed_for_each_other_are_told);
    tcase_add_test(tcase, a_cut_or_longer_text_is_told);
    tcase_add_test(tcase, it_names_one_to_eight_addresses);
    tcase_add_test(tcase, hosts_and_ports_have_limits);
    tcase_add_test(tcase, the_longest_text_is_the_named_limit);
    tcase_add_test(tcase, a_secret_of_another_size_is_refused);
    tcase_add_test(tcase, a_proof_is_of_one_side_one_connection_and_one_secret);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
