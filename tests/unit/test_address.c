/* Addresses in configurations. */
#include <stdio.h>
#include <string.h>

#include "config/node_config.h"
#include "config/parse.h"
#include "tests/lib/test.h"

static void takes(const char *text, const char *host, unsigned port)
{
    struct config_address address;

    ck_assert_msg(config_address_parse(text, &address) == QH_OK, "%s", text);
    ck_assert_str_eq(address.host, host);
    ck_assert_uint_eq(address.port, port);
}

static void refuses(const char *text)
{
    struct config_address address = {.host = "kept", .port = 7};

    ck_assert_msg(config_address_parse(text, &address) == QH_EINVAL, "%s", text);
    ck_assert_str_eq(address.host, "kept");
    ck_assert_uint_eq(address.port, 7);
}

START_TEST(address_takes_ipv4_ipv6_in_brackets_and_names)
{
    takes("10.0.0.1:7600", "10.0.0.1", 7600);
    takes("[2001:db8::1]:7601", "2001:db8::1", 7601);
    takes("[::]:1", "::", 1);
    takes("hsm-a.example:65535", "hsm-a.example", 65535);
    takes("localhost:1", "localhost", 1);
    takes("3com.example:80", "3com.example", 80);
}
END_TEST

START_TEST(address_refuses_what_lacks_a_host_or_a_port)
{
    refuses("");
    refuses(":");
    refuses("10.0.0.1");
    refuses("10.0.0.1:");
    refuses(":7600");
    refuses("[]:7600");
    refuses("[::1]7600");
    refuses("[:7600");
    refuses("[::1:7600");
}
END_TEST

START_TEST(address_refuses_ipv6_without_brackets_and_other_things_in_them)
{
    refuses("::1:7600");
    refuses("2001:db8::1:7600");
    refuses("[10.0.0.1]:7600");
    refuses("[hsm.example]:7600");
    refuses("[::1%eth0]:7600");
}
END_TEST

START_TEST(address_refuses_ports_out_of_range_or_not_plain)
{
    refuses("a:0");
    refuses("a:65536");
    refuses("a:100000");
    refuses("a:-1");
    refuses("a:+1");
    refuses("a: 1");
    refuses("a:07600");
    refuses("a:0x10");
}
END_TEST

START_TEST(address_refuses_mistyped_ipv4_and_bad_names)
{
    refuses("10.0.0:7600");
    refuses("10.0.0.256:7600");
    refuses("10.0.0.1.2:7600");
    refuses("-a:1");
    refuses("a-:1");
    refuses("a-.b:1");
    refuses("a..b:1");
    refuses(".a:1");
    refuses("a b:1");
    refuses("a\n:1");
    refuses("h\xc3\xb6st:1");
}
END_TEST

/* Labels of 63 characters, so that the whole has @length. */
static void name_of(char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        name[i] = i % 64 == 63 ? '.' : 'a';
    }
    name[length] = '\0';
}

START_TEST(address_takes_a_host_of_253_characters_and_refuses_254)
{
    char name[256];
    char text[300];

    name_of(name, CONFIG_HOST_LENGTH_MAX);
    (void)snprintf(text, sizeof(text), "%s:1", name);
    takes(text, name, 1);
    name_of(name, CONFIG_HOST_LENGTH_MAX + 1);
    (void)snprintf(text, sizeof(text), "%s:1", name);
    refuses(text);
}
END_TEST

START_TEST(address_takes_a_label_of_63_characters_and_refuses_64)
{
    char text[80];

    memset(text, 'a', 64);
    memcpy(text + 63, ":1", 3);
    takes(text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1);
    memset(text, 'a', 64);
    memcpy(text + 64, ":1", 3);
    refuses(text);
}
END_TEST

START_TEST(host_is_any_knows_both_wildcards)
{
    ck_assert(config_host_is_any("0.0.0.0"));
    ck_assert(config_host_is_any("::"));
    ck_assert(config_host_is_any("0:0::0"));
    ck_assert(!config_host_is_any("::1"));
    ck_assert(!config_host_is_any("127.0.0.1"));
    ck_assert(!config_host_is_any("a"));
    ck_assert(!config_host_is_any(""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    TCase *tcase = tcase_create("address");

    tcase_add_test(tcase, address_takes_ipv4_ipv6_in_brackets_and_names);
    tcase_add_test(tcase, address_refuses_what_lacks_a_host_or_a_port);
    tcase_add_test(tcase, address_refuses_ipv6_without_brackets_and_other_things_in_them);
    tcase_add_test(tcase, address_refuses_ports_out_of_range_or_not_plain);
    tcase_add_test(tcase, address_refuses_mistyped_ipv4_and_bad_names);
    tcase_add_test(tcase, address_takes_a_host_of_253_characters_and_refuses_254);
    tcase_add_test(tcase, address_takes_a_label_of_63_characters_and_refuses_64);
    tcase_add_test(tcase, host_is_any_knows_both_wildcards);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
