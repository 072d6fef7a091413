/* The built `quadhsm`: help, usage errors and their exit status, and what happens without a node.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "tests/lib/test.h"

#define PROGRAM "./quadhsm" /* tests run in the build directory */

static char dir[128];
static char out_text[16384], err_text[16384];

static void make_dir(void)
{
    test_make_dir(dir, sizeof(dir));
    /* No configuration of this machine is to be found. */
    ck_assert_int_eq(setenv("HOME", dir, 1), 0);
    ck_assert_int_eq(setenv("QUADHSM_CONFIG", "/nonexistent/client.yaml", 1), 0);
}

static void remove_dir(void)
{
    test_remove_dir(dir);
}

static void read_back(const char *name, char *text, size_t room)
{
    char path[192];
    FILE *file;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size = fread(text, 1, room - 1, file);
    text[size] = '\0';
    (void)fclose(file);
}

static void send_to(int fd, const char *name)
{
    char path[192];
    int file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, fd) != fd) {
        _exit(127);
    }
}

/* Without a terminal, so that nothing can be asked. */
static int run(const char *const *arguments)
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)setsid();
        send_to(STDOUT_FILENO, "out");
        send_to(STDERR_FILENO, "err");
        (void)execv(PROGRAM, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    read_back("out", out_text, sizeof(out_text));
    read_back("err", err_text, sizeof(err_text));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 127, "%s", err_text);
    return WEXITSTATUS(status);
}

#define RUN(...) run((const char *[]){PROGRAM, __VA_ARGS__, NULL})

static void says(const char *text)
{
    ck_assert_msg(strstr(err_text, text) != NULL, "wanted: %s\ngot: %s", text, err_text);
}

START_TEST(wrong_use_ends_with_2_and_says_what_there_is)
{
    ck_assert_int_eq(run((const char *[]){PROGRAM, NULL}), 2);
    says("usage: quadhsm GROUP COMMAND");
    ck_assert_int_eq(RUN("nodes"), 2);
    says("there is no command \"nodes\"; `quadhsm --help` lists them");
    ck_assert_int_eq(RUN("node"), 2);
    says("usage: quadhsm node COMMAND");
    ck_assert_int_eq(RUN("node", "start"), 2);
    says("there is no command \"node start\"; `quadhsm node --help` lists them");
    ck_assert_int_eq(RUN("key", "list"), 2);
    says("--partition P is missing; `quadhsm key list --help` explains it");
    says("usage: quadhsm key list --partition P [options]");
    ck_assert_int_eq(RUN("partition", "create"), 2);
    says("NAME is missing");
    ck_assert_int_eq(RUN("cluster", "status", "--wtch"), 2);
    says("there is no option --wtch");
    ck_assert_int_eq(RUN("key", "generate", "--partition", "p", "--label", "l", "--type", "rsa"),
                     2);
    says("write rsa:2048, ec:P-256");
    ck_assert_int_eq(RUN("role", "init", "--partition", "p", "--role", "admin"), 2);
    says("\"admin\" is no role here");
    ck_assert_int_eq(RUN("role", "passwd", "--role", "co"), 2);
    says("--partition P is missing");
    ck_assert_int_eq(RUN("role", "passwd", "--role", "so", "--partition", "p"), 2);
    says("leave --partition out");
    ck_assert_str_eq(out_text, "");
}
END_TEST

START_TEST(every_command_has_help_with_an_example_and_the_exit_status)
{
    static const struct command *const tables[] = {
        node_commands,   cluster_commands, partition_commands, role_commands,
        client_commands, key_commands,     migrate_commands};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct command *at = tables[i]; at->run != NULL; at++) {
            ck_assert_int_eq(RUN(at->group, at->name, "--help"), 0);
            ck_assert_ptr_nonnull(strstr(out_text, "\nexample:\n  quadhsm "));
            ck_assert_ptr_nonnull(strstr(out_text, "\nexit status: 0 done"));
            ck_assert_ptr_nonnull(strstr(out_text, "--json"));
        }
        ck_assert_int_eq(RUN(tables[i]->group, "--help"), 0);
    }
    ck_assert_int_eq(RUN("--help"), 0);
    ck_assert_ptr_nonnull(strstr(out_text, "quadhsm partition create"));
    ck_assert_int_eq(RUN("--version"), 0);
    ck_assert_int_eq(strncmp(out_text, "quadhsm ", 8), 0);
}
END_TEST

START_TEST(no_node_at_the_socket_ends_with_3)
{
    char path[192];

    (void)snprintf(path, sizeof(path), "%s/control.sock", dir);
    ck_assert_int_eq(RUN("node", "status", "--control", path), 3);
    says("asking the node: no connection\n  nobody listens at ");
    says("start quadhsmd");
}
END_TEST

START_TEST(missing_configuration_ends_with_1_and_names_the_file)
{
    ck_assert_int_eq(RUN("cluster", "status"), 1);
    says("/nonexistent/client.yaml: cannot be read");
    ck_assert_int_eq(RUN("node", "status", "--config", "/nonexistent/node.yaml"), 1);
    says("/nonexistent/node.yaml: cannot be read");
}
END_TEST

START_TEST(errors_are_json_when_asked_for)
{
    json_t *object;

    ck_assert_int_eq(RUN("cluster", "status", "--json"), 1);
    object = json_loads(err_text, 0, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(object, "error"), "exit_status")), 1);
    json_decref(object);
    ck_assert_int_eq(RUN("--json", "nodes"), 2);
    ck_assert_int_eq(RUN("key", "list", "--json"), 2);
    object = json_loads(err_text, 0, NULL);
    ck_assert_ptr_nonnull(object);
    json_decref(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_main");
    TCase *tcase = tcase_create("cli_main");

    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, wrong_use_ends_with_2_and_says_what_there_is);
    tcase_add_test(tcase, every_command_has_help_with_an_example_and_the_exit_status);
    tcase_add_test(tcase, no_node_at_the_socket_ends_with_3);
    tcase_add_test(tcase, missing_configuration_ends_with_1_and_names_the_file);
    tcase_add_test(tcase, errors_are_json_when_asked_for);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
