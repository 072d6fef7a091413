/* An application's configuration: what is taken, what is refused and how, and where it is found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/client_config.h"
#include "config/parse.h"
#include "tests/lib/test.h"

#define FILES "ca: /q/ca.crt\ncertificate: client.crt\nkey: keys/client.key\n"
#define SMALL "endpoints:\n  - 10.0.0.1:7600\n" FILES /* 5 lines */

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){.base = (const uint8_t *)text, .size = strlen(text)};
}

static struct client_config *takes(const char *path, const char *text)
{
    struct client_config *config = NULL;
    char *error = NULL;
    enum qh_err err = client_config_parse(path, bytes_of(text), &config, &error);

    ck_assert_msg(err == QH_OK, "%s", error != NULL ? error : "no text");
    ck_assert_ptr_null(error);
    return config;
}

static void refuses(const char *text, const char *wanted)
{
    struct client_config *config = NULL;
    char *error = NULL;

    ck_assert_int_eq(client_config_parse("c.yaml", bytes_of(text), &config, &error), QH_ECONFIG);
    ck_assert_ptr_null(config);
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strncmp(error, wanted, strlen(wanted)) == 0, "wanted: %s\ngot:    %s", wanted,
                  error);
    free(error);
}

START_TEST(small_file_gets_the_defaults)
{
    struct client_config *config = takes("/etc/q/c.yaml", SMALL);

    ck_assert_uint_eq(config->endpoint_count, 1);
    ck_assert_str_eq(config->endpoints[0].host, "10.0.0.1");
    ck_assert_uint_eq(config->endpoints[0].port, 7600);
    ck_assert_str_eq(config->region, "");
    ck_assert_ptr_null(config->cache);
    ck_assert_str_eq(config->source, "");
    ck_assert_uint_eq(config->timeout_ms, CLIENT_CONFIG_TIMEOUT_MS);
    ck_assert(!config->spread);
    ck_assert(!config->hardware);
    ck_assert_uint_eq(config->search_cache_ms, 100);
    client_config_free(config);
}
END_TEST

START_TEST(relative_paths_begin_at_the_folder_of_the_file)
{
    struct client_config *config = takes("/etc/q/c.yaml", SMALL "cache: cache\n");

    ck_assert_str_eq(config->ca, "/q/ca.crt");
    ck_assert_str_eq(config->certificate, "/etc/q/client.crt");
    ck_assert_str_eq(config->key, "/etc/q/keys/client.key");
    ck_assert_str_eq(config->cache, "/etc/q/cache");
    client_config_free(config);
    config = takes("c.yaml", SMALL);
    ck_assert_str_eq(config->certificate, "client.crt");
    client_config_free(config);
    config = takes("q/c.yaml", SMALL);
    ck_assert_str_eq(config->certificate, "q/client.crt");
    client_config_free(config);
}
END_TEST

START_TEST(every_key_is_taken)
{
    struct client_config *config =
        takes("c.yaml", FILES "endpoints: ['a.example:1', '[::1]:2']\nregion: east\ncache: /c\n"
                              "source: '::1'\ntimeout_ms: 600000\nspread: true\n"
                              "pkcs11:\n  hardware: true\n  search_cache_ms: 60000\n");

    ck_assert_uint_eq(config->endpoint_count, 2);
    ck_assert_str_eq(config->endpoints[1].host, "::1");
    ck_assert_str_eq(config->region, "east");
    ck_assert_str_eq(config->cache, "/c");
    ck_assert_str_eq(config->source, "::1");
    ck_assert_uint_eq(config->timeout_ms, 600000);
    ck_assert(config->spread);
    ck_assert(config->hardware);
    ck_assert_uint_eq(config->search_cache_ms, 60000);
    client_config_free(config);
    config = takes("c.yaml", SMALL "pkcs11:\n  search_cache_ms: 0\n");
    ck_assert_uint_eq(config->search_cache_ms, 0);
    client_config_free(config);
}
END_TEST

/* "endpoints:" with @count nodes, and the rest. */
static void endpoints_text(unsigned count, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, FILES "endpoints:\n");

    for (unsigned i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, room - at, "  - 10.0.0.1:%u\n", 7600 + i);
    }
}

START_TEST(endpoints_are_1_to_32)
{
    char text[4096];

    endpoints_text(CLIENT_CONFIG_ENDPOINTS_MAX, text, sizeof(text));
    client_config_free(takes("c.yaml", text));
    endpoints_text(CLIENT_CONFIG_ENDPOINTS_MAX + 1, text, sizeof(text));
    refuses(text, "c.yaml:4: endpoints: has 33 nodes; write 1 to 32");
    refuses(FILES "endpoints: []\n", "c.yaml:4: endpoints: has 0 nodes; write 1 to 32");
    refuses(FILES, "c.yaml:1: endpoints: is missing; write for example");
    refuses(FILES "endpoints: 10.0.0.1:7600\n",
            "c.yaml:4: endpoints: must be a list, with \"- \" before each entry");
}
END_TEST

START_TEST(a_bad_endpoint_is_named_with_its_place_and_line)
{
    refuses(FILES "endpoints:\n  - 10.0.0.1:7600\n  - 10.0.0.2\n",
            "c.yaml:6: endpoints[2]: \"10.0.0.2\" is not an address; write HOST:PORT");
    refuses(FILES "endpoints: ['0.0.0.0:7600']\n",
            "c.yaml:4: endpoints[1]: nobody can connect to 0.0.0.0; write the address of a node");
    refuses(FILES "endpoints:\n  - {host: a}\n", "c.yaml:5: endpoints[1]: must be one value");
    refuses(FILES "endpoints:\n  - [a]\n", "c.yaml:5: endpoints[1]: must be one value");
}
END_TEST

START_TEST(values_that_do_not_fit_are_named)
{
    refuses(SMALL "timeout_ms: 99\n", "c.yaml:6: timeout_ms: \"99\" is out of range; write 100 to");
    refuses(SMALL "timeout_ms: 600001\n", "c.yaml:6: timeout_ms: \"600001\" is out of range");
    refuses(SMALL "timeout_ms: 10s\n", "c.yaml:6: timeout_ms: \"10s\" is not a number");
    refuses(SMALL "spread: yes\n",
            "c.yaml:6: spread: \"yes\" is none of its values; write false or true");
    refuses(SMALL "pkcs11:\n  hardware: 1\n", "c.yaml:7: pkcs11.hardware: \"1\" is none of its");
    refuses(SMALL "pkcs11:\n  search_cache_ms: 60001\n",
            "c.yaml:7: pkcs11.search_cache_ms: \"60001\" is out of range; write 0 to 60000");
    refuses(SMALL "region: a b\n", "c.yaml:6: region: \"a b\" is not a name");
    refuses(SMALL "source: example\n", "c.yaml:6: source: \"example\" is not an address of this");
    refuses(SMALL "source: 0.0.0.0\n", "c.yaml:6: source: \"0.0.0.0\" is not an address of this");
    refuses(SMALL "cache: ''\n", "c.yaml:6: cache: \"\" is not");
    refuses("endpoints:\n  - a:1\nca: a\ncertificate: b\n", "c.yaml:1: key: is missing; write");
    refuses(SMALL "keys: x\n", "c.yaml:6: keys: is not a key that is known here; known are "
                               "endpoints, ca, certificate, key, region");
    refuses(SMALL "key: x\n", "c.yaml:6: key: is given twice, first in line 5");
}
END_TEST

static char dir[128];
static char path[192];

static void make_dir(void)
{
    test_make_dir(dir, sizeof(dir));
    ck_assert_int_eq(unsetenv("QUADHSM_CONFIG"), 0);
    ck_assert_int_eq(setenv("HOME", dir, 1), 0);
}

static void remove_dir(void)
{
    test_remove_dir(dir);
}

static void write_file(const char *name, const char *text)
{
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(file_is_found_by_name_by_environment_and_at_home)
{
    struct client_config *config = NULL;
    char folder[192];
    char *error = NULL;

    (void)snprintf(folder, sizeof(folder), "%s/.config", dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    (void)snprintf(folder, sizeof(folder), "%s/.config/quadhsm", dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    write_file(".config/quadhsm/client.yaml", SMALL "region: home\n");
    ck_assert_int_eq(client_config_load(NULL, &config, &error), QH_OK);
    ck_assert_str_eq(config->region, "home");
    client_config_free(config);
    write_file("env.yaml", SMALL "region: env\n");
    ck_assert_int_eq(setenv("QUADHSM_CONFIG", path, 1), 0);
    ck_assert_int_eq(client_config_load(NULL, &config, &error), QH_OK);
    ck_assert_str_eq(config->region, "env");
    ck_assert_str_eq(config->path, path);
    client_config_free(config);
    write_file("named.yaml", SMALL "region: named\n");
    ck_assert_int_eq(client_config_load(path, &config, &error), QH_OK);
    ck_assert_str_eq(config->region, "named");
    client_config_free(config);
}
END_TEST

START_TEST(file_that_is_not_there_is_an_error_with_its_name)
{
    struct client_config *config = NULL;
    char *error = NULL;

    ck_assert_int_eq(setenv("QUADHSM_CONFIG", "/nonexistent/c.yaml", 1), 0);
    ck_assert_int_eq(client_config_load(NULL, &config, &error), QH_ENOTFOUND);
    ck_assert_msg(strncmp(error, "/nonexistent/c.yaml: cannot be read: ", 37) == 0, "%s", error);
    free(error);
}
END_TEST

START_TEST(no_file_anywhere_names_all_the_places)
{
    struct client_config *config = NULL;
    char *error = NULL;
    enum qh_err err = client_config_load(NULL, &config, &error);

    /* A machine may have the file of the last place. */
    if (err == QH_OK) {
        ck_assert_str_eq(config->path, "/etc/quadhsm/client.yaml");
        client_config_free(config);
        return;
    }
    ck_assert_int_eq(err, QH_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(error, "$QUADHSM_CONFIG"));
    ck_assert_ptr_nonnull(strstr(error, "/.config/quadhsm/client.yaml"));
    ck_assert_ptr_nonnull(strstr(error, "/etc/quadhsm/client.yaml"));
    free(error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_config");
    TCase *parse = tcase_create("parse");
    TCase *file = tcase_create("file");

    tcase_add_test(parse, small_file_gets_the_defaults);
    tcase_add_test(parse, relative_paths_begin_at_the_folder_of_the_file);
    tcase_add_test(parse, every_key_is_taken);
    tcase_add_test(parse, endpoints_are_1_to_32);
    tcase_add_test(parse, a_bad_endpoint_is_named_with_its_place_and_line);
    tcase_add_test(parse, values_that_do_not_fit_are_named);
    suite_add_tcase(suite, parse);
    tcase_add_checked_fixture(file, make_dir, remove_dir);
    tcase_add_test(file, file_is_found_by_name_by_environment_and_at_home);
    tcase_add_test(file, file_that_is_not_there_is_an_error_with_its_name);
    tcase_add_test(file, no_file_anywhere_names_all_the_places);
    suite_add_tcase(suite, file);
    return test_main(suite);
}
