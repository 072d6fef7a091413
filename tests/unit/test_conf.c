/* The examples in conf/: each is what the daemon or the library would take. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/client_config.h"
#include "config/node_config.h"
#include "tests/lib/test.h"

#define PATH_ROOM 4096u

static void conf_path(const char *name, char ret_path[PATH_ROOM])
{
    const char *top = getenv("top_srcdir");

    (void)snprintf(ret_path, PATH_ROOM, "%s/conf/%s", top != NULL ? top : ".", name);
}

static struct node_config *node_loads(const char *name)
{
    struct node_config *config = NULL;
    char path[PATH_ROOM];
    char *error = NULL;

    conf_path(name, path);
    ck_assert_msg(node_config_load(path, &config, &error) == QH_OK, "%s",
                  error != NULL ? error : name);
    return config;
}

static int is_node_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL && strcmp(dot, ".yaml") == 0 && strcmp(entry->d_name, "client.yaml") != 0;
}

START_TEST(every_node_file_loads)
{
    struct dirent **entries = NULL;
    char path[PATH_ROOM];
    int count;

    conf_path("", path);
    count = scandir(path, &entries, is_node_file, alphasort);
    ck_assert_int_ge(count, 5);
    for (int i = 0; i < count; i++) {
        node_config_free(node_loads(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
}
END_TEST

START_TEST(files_have_the_role_that_their_name_says)
{
    static const char *const nodes[] = {"single.yaml", "pair.yaml", "quad.yaml"};
    static const char *const witnesses[] = {"pair-witness.yaml", "quad-witness.yaml"};

    for (size_t i = 0; i < 3; i++) {
        struct node_config *config = node_loads(nodes[i]);

        ck_assert(!config->witness);
        ck_assert_int_eq(config->unlock, CONFIG_UNLOCK_FILE);
        node_config_free(config);
    }
    for (size_t i = 0; i < 2; i++) {
        struct node_config *config = node_loads(witnesses[i]);

        ck_assert(config->witness);
        node_config_free(config);
    }
}
END_TEST

START_TEST(client_file_loads)
{
    struct client_config *config = NULL;
    char path[PATH_ROOM];
    char *error = NULL;

    conf_path("client.yaml", path);
    ck_assert_msg(client_config_load(path, &config, &error) == QH_OK, "%s",
                  error != NULL ? error : path);
    ck_assert_uint_eq(config->endpoint_count, 4);
    ck_assert_uint_eq(config->timeout_ms, CLIENT_CONFIG_TIMEOUT_MS);
    client_config_free(config);
}
END_TEST

/* A commented-out key must be right, too, for somebody will take away the mark. */
START_TEST(files_load_with_their_optional_keys_switched_on)
{
    char path[PATH_ROOM];
    char text[CONFIG_FILE_SIZE_MAX];
    char line[512];
    char dir[128];
    char copy[192];
    size_t at = 0;
    FILE *file;
    struct client_config *config = NULL;
    char *error = NULL;

    conf_path("client.yaml", path);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        bool option = strncmp(line, "# region: ", 10) == 0 || strncmp(line, "# cache: ", 9) == 0 ||
                      strncmp(line, "# source: ", 10) == 0;

        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", line + (option ? 2 : 0));
    }
    (void)fclose(file);
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(copy, sizeof(copy), "%s/client.yaml", dir);
    file = fopen(copy, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, at, file), at);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_msg(client_config_load(copy, &config, &error) == QH_OK, "%s",
                  error != NULL ? error : copy);
    ck_assert_str_eq(config->region, "east");
    ck_assert_str_eq(config->source, "10.0.0.9");
    ck_assert_ptr_nonnull(config->cache);
    client_config_free(config);
    test_remove_dir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf");
    TCase *tcase = tcase_create("conf");

    tcase_add_test(tcase, every_node_file_loads);
    tcase_add_test(tcase, files_have_the_role_that_their_name_says);
    tcase_add_test(tcase, client_file_loads);
    tcase_add_test(tcase, files_load_with_their_optional_keys_switched_on);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
