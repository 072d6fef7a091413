/* A node's configuration: what is taken, and that each mistake is named with file, line, key and
 * what to write instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/document.h"
#include "config/node_config.h"
#include "config/parse.h"
#include "tests/lib/test.h"

#define HEAD "node: alpha\nregion: east\ndata: /d\n"
#define PEER "peer:\n  listen: 10.0.0.1:7601\n"
#define CLIENT "client:\n  listen: 10.0.0.1:7600\n"
#define UNLOCK "unlock:\n  method: passphrase\n"
#define SMALL HEAD PEER CLIENT UNLOCK /* 9 lines */

static struct node_config *takes(const char *text)
{
    struct node_config *config = NULL;
    char *error = NULL;
    enum qh_err err = node_config_parse(
        "n.yaml", (struct bytes){.base = (const uint8_t *)text, .size = strlen(text)}, &config,
        &error);

    ck_assert_msg(err == QH_OK, "%s", error != NULL ? error : "no text");
    ck_assert_ptr_null(error);
    return config;
}

static void refuses_bytes(const char *text, size_t size, const char *wanted)
{
    struct node_config *config = NULL;
    char *error = NULL;
    enum qh_err err = node_config_parse(
        "n.yaml", (struct bytes){.base = (const uint8_t *)text, .size = size}, &config, &error);

    ck_assert_int_eq(err, QH_ECONFIG);
    ck_assert_ptr_null(config);
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strncmp(error, wanted, strlen(wanted)) == 0, "wanted: %s\ngot:    %s", wanted,
                  error);
    free(error);
}

static void refuses(const char *text, const char *wanted)
{
    refuses_bytes(text, strlen(text), wanted);
}

START_TEST(small_file_gets_the_defaults)
{
    struct node_config *config = takes(SMALL);

    ck_assert_str_eq(config->path, "n.yaml");
    ck_assert_str_eq(config->node, "alpha");
    ck_assert_str_eq(config->region, "east");
    ck_assert(!config->witness);
    ck_assert(!config->cross_region);
    ck_assert_str_eq(config->data, "/d");
    ck_assert_str_eq(config->control, "/d/control.sock");
    ck_assert_str_eq(config->client_listen.host, "10.0.0.1");
    ck_assert_uint_eq(config->client_listen.port, 7600);
    ck_assert_str_eq(config->client_advertise.host, "10.0.0.1");
    ck_assert_uint_eq(config->client_advertise.port, 7600);
    ck_assert_uint_eq(config->peer_advertise.port, 7601);
    ck_assert_str_eq(config->peer_source, "");
    ck_assert_int_eq(config->unlock, CONFIG_UNLOCK_PASSPHRASE);
    ck_assert_ptr_null(config->unlock_file);
    ck_assert_uint_ge(config->service_threads, 1);
    ck_assert_uint_ge(config->worker_threads, 1);
    ck_assert_uint_eq(config->connections_max, 4096);
    ck_assert_uint_eq(config->request_timeout_ms, 5000);
    ck_assert_int_eq(config->log_level, LOG_LEVEL_INFO);
    node_config_free(config);
}
END_TEST

START_TEST(every_key_is_taken)
{
    struct node_config *config =
        takes("node: a-1.b\nregion: east\nrole: hsm\ndata: /var/lib/quadhsm\n"
              "control: /run/q.sock\ntiming: cross-region\n"
              "client:\n  listen: '[::]:7600'\n  advertise: hsm-a.example:17600\n"
              "peer: {listen: '0.0.0.0:7601', advertise: 'hsm-a.example:17601', source: 10.0.0.9}\n"
              "unlock:\n  method: file\n  file: /etc/quadhsm/unlock.key\n"
              "threads:\n  service: 3\n  workers: 256\n"
              "limits:\n  connections: 65536\n  request_timeout_ms: 100\n"
              "log: debug\n");

    ck_assert_str_eq(config->node, "a-1.b");
    ck_assert(config->cross_region);
    ck_assert_str_eq(config->control, "/run/q.sock");
    ck_assert_str_eq(config->client_listen.host, "::");
    ck_assert_str_eq(config->client_advertise.host, "hsm-a.example");
    ck_assert_uint_eq(config->client_advertise.port, 17600);
    ck_assert_uint_eq(config->peer_advertise.port, 17601);
    ck_assert_str_eq(config->peer_source, "10.0.0.9");
    ck_assert_int_eq(config->unlock, CONFIG_UNLOCK_FILE);
    ck_assert_str_eq(config->unlock_file, "/etc/quadhsm/unlock.key");
    ck_assert_uint_eq(config->service_threads, 3);
    ck_assert_uint_eq(config->worker_threads, 256);
    ck_assert_uint_eq(config->connections_max, 65536);
    ck_assert_uint_eq(config->request_timeout_ms, 100);
    ck_assert_int_eq(config->log_level, LOG_LEVEL_DEBUG);
    node_config_free(config);
}
END_TEST

START_TEST(witness_needs_neither_client_nor_unlock)
{
    struct node_config *config = takes(HEAD PEER "role: witness\n");

    ck_assert(config->witness);
    ck_assert_str_eq(config->client_listen.host, "");
    ck_assert_uint_eq(config->client_listen.port, 0);
    node_config_free(config);
}
END_TEST

START_TEST(witness_with_client_or_unlock_is_refused)
{
    refuses(HEAD PEER "role: witness\n" CLIENT,
            "n.yaml:7: client: a witness serves no clients; remove this section");
    refuses(HEAD PEER "role: witness\n" UNLOCK,
            "n.yaml:7: unlock: a witness has no key to unlock; remove this section");
}
END_TEST

START_TEST(unknown_keys_are_named_with_those_that_are_known)
{
    refuses(SMALL "colour: red\n",
            "n.yaml:10: colour: is not a key that is known here; known are node, region, role,");
    refuses(HEAD PEER "  lisen: x\n" CLIENT UNLOCK,
            "n.yaml:6: peer.lisen: is not a key that is known here; known are listen, advertise, "
            "source");
}
END_TEST

START_TEST(all_unknown_and_missing_keys_are_named_at_once)
{
    refuses("nod: alpha\nregion: east\ndata: /d\npeer:\n  listn: 1\n",
            "n.yaml:1: nod: is not a key that is known here; known are node, region, role, data, "
            "control, timing, client, peer, unlock, threads, limits, log\n"
            "n.yaml:5: peer.listn: is not a key that is known here; known are listen, advertise, "
            "source\n"
            "n.yaml:1: node: is missing; write for example node: alpha\n"
            "n.yaml:4: peer.listen: is missing; write for example listen: 10.0.0.1:7601");
}
END_TEST

START_TEST(missing_sections_are_named_with_an_example)
{
    refuses(HEAD CLIENT UNLOCK, "n.yaml:1: peer: is missing; write for example \"peer:\" and");
    refuses(HEAD PEER UNLOCK, "n.yaml:1: client: is missing; write for example \"client:\" and");
    refuses(HEAD PEER CLIENT, "n.yaml:1: unlock: is missing; write for example \"unlock:\" and");
}
END_TEST

START_TEST(duplicate_keys_are_refused_with_both_lines)
{
    refuses(SMALL "node: beta\n", "n.yaml:10: node: is given twice, first in line 1; keep one");
    refuses(SMALL "threads: {service: 1,\n  service: 2}\n",
            "n.yaml:11: threads.service: is given twice, first in line 10");
    refuses(SMALL "peer:\n  source: 10.0.0.1\n", "n.yaml:10: peer: is given twice");
}
END_TEST

START_TEST(wrong_kinds_are_refused_with_an_example)
{
    refuses("node: [alpha]\n", "n.yaml:1: node: must be one value; write for example node: alpha");
    refuses(HEAD CLIENT UNLOCK "peer: 10.0.0.1:7601\n",
            "n.yaml:8: peer: must be a section, its keys indented below it; write for example");
    refuses(SMALL "limits:\n", "n.yaml:10: limits: must be a section");
    refuses("- node\n", "n.yaml:1: must be keys with values");
    refuses("alpha\n", "n.yaml:1: must be keys with values");
    refuses("", "n.yaml: is empty");
    refuses("# nothing\n", "n.yaml: is empty");
}
END_TEST

START_TEST(numbers_must_be_plain_and_in_range)
{
    refuses(SMALL "threads:\n  service: 1x\n",
            "n.yaml:11: threads.service: \"1x\" is not a number; write 0 to 256, digits alone");
    refuses(SMALL "threads:\n  service: -1\n",
            "n.yaml:11: threads.service: \"-1\" is not a number");
    refuses(SMALL "threads:\n  workers: 0x10\n", "n.yaml:11: threads.workers: \"0x10\" is not a");
    refuses(SMALL "threads:\n  workers: 257\n",
            "n.yaml:11: threads.workers: \"257\" is out of range; write 0 to 256");
    refuses(SMALL "threads:\n  workers:\n", "n.yaml:11: threads.workers: \"\" is out of range");
    refuses(SMALL "limits:\n  connections: 0\n", "n.yaml:11: limits.connections: \"0\" is out of");
    refuses(SMALL "limits:\n  connections: 65537\n", "n.yaml:11: limits.connections: \"65537\" is");
    refuses(SMALL "limits:\n  request_timeout_ms: 99\n",
            "n.yaml:11: limits.request_timeout_ms: \"99\" is out of range; write 100 to 600000");
    refuses(SMALL "limits:\n  request_timeout_ms: 600001\n",
            "n.yaml:11: limits.request_timeout_ms: \"600001\" is out of range");
    refuses(SMALL "limits:\n  connections: 99999999999999999999999999999999\n",
            "n.yaml:11: limits.connections: \"99999999999999999999999999999999\" is out of range");
    node_config_free(takes(SMALL "limits:\n  request_timeout_ms: 600000\n"));
}
END_TEST

START_TEST(choices_name_what_may_be_written)
{
    refuses(SMALL "role: leader\n",
            "n.yaml:10: role: \"leader\" is none of its values; write hsm or witness");
    refuses(SMALL "timing: fast\n",
            "n.yaml:10: timing: \"fast\" is none of its values; write region or cross-region");
    refuses(SMALL "log: verbose\n", "n.yaml:10: log: \"verbose\" is none of its values; write "
                                    "error or warning or info or debug");
    refuses(HEAD PEER CLIENT "unlock:\n  method: shares\n",
            "n.yaml:9: unlock.method: \"shares\" is none of its values; write file or passphrase");
}
END_TEST

START_TEST(names_have_a_form_and_a_length)
{
    char text[400];

    refuses("node: alpha_1\nregion: e\ndata: /d\n" PEER CLIENT UNLOCK,
            "n.yaml:1: node: \"alpha_1\" is not a name; write 1 to 63 letters, digits, - and .");
    refuses("node: -a\nregion: e\ndata: /d\n" PEER CLIENT UNLOCK, "n.yaml:1: node: \"-a\" is not");
    refuses("node:\nregion: e\ndata: /d\n" PEER CLIENT UNLOCK, "n.yaml:1: node: \"\" is not");
    (void)snprintf(text, sizeof(text), "node: %064d\nregion: e\ndata: /d\n" PEER CLIENT UNLOCK, 1);
    refuses(text, "n.yaml:1: node: ");
    (void)snprintf(text, sizeof(text), "node: a\nregion: %032d\ndata: /d\n" PEER CLIENT UNLOCK, 1);
    refuses(text, "n.yaml:2: region: ");
    (void)snprintf(text, sizeof(text), "node: %063d\nregion: %031d\ndata: /d\n" PEER CLIENT UNLOCK,
                   1, 1);
    node_config_free(takes(text));
}
END_TEST

START_TEST(addresses_must_be_complete_and_reachable)
{
    refuses(HEAD CLIENT UNLOCK "peer:\n  listen: 10.0.0.1\n",
            "n.yaml:9: peer.listen: \"10.0.0.1\" is not an address; write HOST:PORT");
    refuses(HEAD CLIENT UNLOCK "peer:\n  listen: 0.0.0.0:7601\n",
            "n.yaml:8: peer.advertise: nobody can connect to 0.0.0.0; write the address");
    refuses(HEAD CLIENT UNLOCK "peer:\n  listen: 10.0.0.1:7601\n  advertise: '[::]:1'\n",
            "n.yaml:10: peer.advertise: nobody can connect to ::");
    refuses(HEAD CLIENT UNLOCK "peer:\n  listen: 10.0.0.1:7600\n",
            "n.yaml:5: client.listen: is the same as peer.listen");
    refuses(HEAD CLIENT UNLOCK PEER "  source: 10.0.0.1:7\n",
            "n.yaml:10: peer.source: \"10.0.0.1:7\" is not an address of this machine; write one "
            "without a port");
}
END_TEST

START_TEST(paths_must_be_absolute)
{
    refuses("node: a\nregion: e\ndata: var/lib\n" PEER CLIENT UNLOCK,
            "n.yaml:3: data: \"var/lib\" is not an absolute path; write one that begins with /");
    refuses(SMALL "control: c.sock\n", "n.yaml:10: control: \"c.sock\" is not an absolute path");
    refuses(HEAD PEER CLIENT "unlock:\n  method: file\n  file: k\n",
            "n.yaml:10: unlock.file: \"k\" is not an absolute path");
    refuses(HEAD PEER CLIENT "unlock:\n  method: file\n",
            "n.yaml:8: unlock.file: is missing; write for example file: /etc/quadhsm/unlock.key");
    refuses(SMALL "  file: /k\n", "n.yaml:10: unlock.file: is not used with method: passphrase");
}
END_TEST

START_TEST(control_path_of_107_characters_is_taken_and_108_refused)
{
    char text[600];

    (void)snprintf(text, sizeof(text), SMALL "control: /%0106d\n", 1);
    node_config_free(takes(text));
    (void)snprintf(text, sizeof(text), SMALL "control: /%0107d\n", 1);
    refuses(text, "n.yaml:10: control: the socket's path \"/000");
    (void)snprintf(text, sizeof(text), "node: a\nregion: e\ndata: /%0100d\n" PEER CLIENT UNLOCK, 1);
    refuses(text, "n.yaml:1: control: the socket's path \"/000");
}
END_TEST

START_TEST(what_is_not_yaml_is_named_with_its_line)
{
    refuses("node: a\n\tb: c\n", "n.yaml:2: is not YAML: ");
    refuses("node: a\nregion: 'x\n", "n.yaml:3: is not YAML: ");
    refuses("node: a\nregion: \xff\n", "n.yaml:2: is not YAML: ");
    refuses("node: &a b\n", "n.yaml:1: has an anchor");
    refuses("peer: &a {listen: x}\n", "n.yaml:1: has an anchor");
    refuses("node: *a\n", "n.yaml:1: has an alias");
    refuses("node: a\n? [b]\n: c\n", "n.yaml:2: has a list or section for a key");
    refuses(SMALL "---\nnode: b\n", "n.yaml:10: has a second document");
    refuses("node: \"a\\0b\"\n", "n.yaml:1: node: has a zero byte in its value");
    refuses_bytes("node: a\nb\0c: d\n", 15, "n.yaml:2: is not YAML: ");
    refuses("a: {b: {c: {d: {e: f}}}}\n", "n.yaml:1: has sections deeper than");
    refuses("'': a\n", "n.yaml:1: has a key that is empty or too long");
}
END_TEST

START_TEST(a_file_cannot_forge_lines_of_the_message)
{
    refuses("\"a\\nn.yaml:1: b\": c\n", "n.yaml:1: a\\x0an.yaml:1: b: is not a key");
    refuses(SMALL "log: \"\\e[2J\"\n", "n.yaml:10: log: \"\\x1b[2J\" is none of its values");
}
END_TEST

START_TEST(many_mistakes_end_with_a_line_that_says_so)
{
    char text[8192] = "";
    size_t at = 0;
    struct node_config *config = NULL;
    char *error = NULL;
    size_t lines = 0;

    for (unsigned i = 0; i < DOCUMENT_ENTRIES_MAX - 1; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "k%u: 1\n", i);
    }
    ck_assert_int_eq(node_config_parse("n.yaml",
                                       (struct bytes){.base = (const uint8_t *)text, .size = at},
                                       &config, &error),
                     QH_ECONFIG);
    for (const char *line = error; line != NULL; line = strchr(line + 1, '\n')) {
        lines++;
    }
    ck_assert_uint_eq(lines, PROBLEMS_MAX + 1);
    ck_assert_ptr_nonnull(strstr(error, "\nn.yaml: there is more; mend these first"));
    free(error);
    at += (size_t)snprintf(text + at, sizeof(text) - at, "one: 1\n");
    refuses(text, "n.yaml:512: has more keys than any configuration needs");
}
END_TEST

static char dir[128];
static char path[192];

static void make_dir(void)
{
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/n.yaml", dir);
}

static void remove_dir(void)
{
    test_remove_dir(dir);
}

/* SMALL and as much comment as makes @size. */
static void write_file(size_t size)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(SMALL "#", file), 0);
    for (size_t i = strlen(SMALL "#"); i < size; i++) {
        ck_assert_int_ne(fputc('x', file), EOF);
    }
    ck_assert_int_eq(fclose(file), 0);
}

static void load_fails(const char *name, enum qh_err wanted, const char *what)
{
    struct node_config *config = NULL;
    char *error = NULL;

    ck_assert_int_eq(node_config_load(name, &config, &error), wanted);
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strncmp(error, name, strlen(name)) == 0, "%s", error);
    ck_assert_msg(strstr(error, what) != NULL, "%s", error);
    free(error);
}

START_TEST(file_of_the_largest_size_is_taken_and_one_byte_more_refused)
{
    struct node_config *config = NULL;
    char *error = NULL;

    write_file(CONFIG_FILE_SIZE_MAX);
    ck_assert_int_eq(node_config_load(path, &config, &error), QH_OK);
    ck_assert_str_eq(config->path, path);
    node_config_free(config);
    write_file(CONFIG_FILE_SIZE_MAX + 1);
    load_fails(path, QH_ECONFIG, ": is larger than 65536 bytes");
}
END_TEST

START_TEST(file_that_cannot_be_read_is_named)
{
    load_fails(path, QH_ENOTFOUND, ": cannot be read: No such file or directory; check the name");
    load_fails(dir, QH_EIO, ": cannot be read: Is a directory");
    if (geteuid() != 0) {
        write_file(strlen(SMALL "#"));
        ck_assert_int_eq(chmod(path, 0), 0);
        load_fails(path, QH_EPERM, ": cannot be read: Permission denied; run as a user who may");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node_config");
    TCase *parse = tcase_create("parse");
    TCase *file = tcase_create("file");

    tcase_add_test(parse, small_file_gets_the_defaults);
    tcase_add_test(parse, every_key_is_taken);
    tcase_add_test(parse, witness_needs_neither_client_nor_unlock);
    tcase_add_test(parse, witness_with_client_or_unlock_is_refused);
    tcase_add_test(parse, unknown_keys_are_named_with_those_that_are_known);
    tcase_add_test(parse, all_unknown_and_missing_keys_are_named_at_once);
    tcase_add_test(parse, missing_sections_are_named_with_an_example);
    tcase_add_test(parse, duplicate_keys_are_refused_with_both_lines);
    tcase_add_test(parse, wrong_kinds_are_refused_with_an_example);
    tcase_add_test(parse, numbers_must_be_plain_and_in_range);
    tcase_add_test(parse, choices_name_what_may_be_written);
    tcase_add_test(parse, names_have_a_form_and_a_length);
    tcase_add_test(parse, addresses_must_be_complete_and_reachable);
    tcase_add_test(parse, paths_must_be_absolute);
    tcase_add_test(parse, control_path_of_107_characters_is_taken_and_108_refused);
    tcase_add_test(parse, what_is_not_yaml_is_named_with_its_line);
    tcase_add_test(parse, a_file_cannot_forge_lines_of_the_message);
    tcase_add_test(parse, many_mistakes_end_with_a_line_that_says_so);
    suite_add_tcase(suite, parse);
    tcase_add_checked_fixture(file, make_dir, remove_dir);
    tcase_add_test(file, file_of_the_largest_size_is_taken_and_one_byte_more_refused);
    tcase_add_test(file, file_that_cannot_be_read_is_named);
    suite_add_tcase(suite, file);
    return test_main(suite);
}
