/* PINs and passwords of the command: from files, from a pipe, and from a terminal. */
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/password.h"
#include "tests/lib/test.h"

static char dir[128];
static char path[192];
static char detail[PASSWORD_DETAIL_ROOM];
static struct secret *password;

static void make_dir(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/pin", dir);
    password = NULL;
}

static void remove_dir(void)
{
    secret_free(password);
    test_remove_dir(dir);
}

static void write_file(const void *base, size_t size)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(base, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void password_is(const char *wanted)
{
    ck_assert_ptr_nonnull(password);
    ck_assert_uint_eq(secret_size(password), strlen(wanted));
    ck_assert_mem_eq(secret_view(password), wanted, strlen(wanted));
    secret_free(password);
    password = NULL;
}

static enum qh_err get_file(size_t size_min)
{
    struct password_ask ask = {
        .file = path, .option = "pin-file", .prompt = "PIN of co", .size_min = size_min};

    return password_get(&ask, &password, detail);
}

START_TEST(file_loses_one_newline_at_its_end)
{
    write_file("1234", 4);
    ck_assert_int_eq(get_file(4), QH_OK);
    password_is("1234");
    write_file("1234\n", 5);
    ck_assert_int_eq(get_file(4), QH_OK);
    password_is("1234");
    write_file("1234\n\n", 6);
    ck_assert_int_eq(get_file(4), QH_OK);
    password_is("1234\n");
}
END_TEST

START_TEST(size_is_checked_on_both_sides)
{
    char text[PIN_SIZE_MAX + 3];

    memset(text, 'x', sizeof(text));
    write_file("123\n", 4);
    ck_assert_int_eq(get_file(4), QH_EPINRANGE);
    ck_assert_str_eq(detail, "PIN of co: 4 to 255 bytes are needed");
    write_file("1234567\n", 8);
    ck_assert_int_eq(get_file(8), QH_EPINRANGE);
    write_file(text, PIN_SIZE_MAX);
    ck_assert_int_eq(get_file(8), QH_OK);
    ck_assert_uint_eq(secret_size(password), PIN_SIZE_MAX);
    text[PIN_SIZE_MAX] = '\n';
    secret_free(password);
    password = NULL;
    write_file(text, PIN_SIZE_MAX + 1);
    ck_assert_int_eq(get_file(8), QH_OK);
    ck_assert_uint_eq(secret_size(password), PIN_SIZE_MAX);
    secret_free(password);
    password = NULL;
    text[PIN_SIZE_MAX] = 'x';
    write_file(text, PIN_SIZE_MAX + 1);
    ck_assert_int_eq(get_file(8), QH_EPINRANGE);
    write_file(text, PIN_SIZE_MAX + 3);
    ck_assert_int_eq(get_file(8), QH_EPINRANGE);
    write_file("", 0);
    ck_assert_int_eq(get_file(4), QH_EPINRANGE);
    ck_assert_ptr_null(password);
}
END_TEST

START_TEST(missing_file_is_named_with_its_option)
{
    ck_assert_int_eq(get_file(4), QH_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(detail, "the file of --pin-file cannot be read: "));
    ck_assert_ptr_nonnull(strstr(detail, path));
}
END_TEST

START_TEST(lines_of_standard_input_are_taken_one_by_one)
{
    struct password_ask ask = {.prompt = "PIN", .size_min = 4};
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(write(fds[1], "first\nsecond\nlast", 17), 17);
    ck_assert_int_eq(close(fds[1]), 0);
    ck_assert_int_eq(password_read_line(fds[0], &ask, &password, detail), QH_OK);
    password_is("first");
    ck_assert_int_eq(password_read_line(fds[0], &ask, &password, detail), QH_OK);
    password_is("second");
    ck_assert_int_eq(password_read_line(fds[0], &ask, &password, detail), QH_OK);
    password_is("last");
    ck_assert_int_eq(password_read_line(fds[0], &ask, &password, detail), QH_EPINRANGE);
    ck_assert_int_eq(close(fds[0]), 0);
}
END_TEST

/* ---- a terminal, with somebody who types ---- */

struct typist {
    int master;
    unsigned prompts;
    const char *lines[2];
    bool echo_seen; /* while typing */
    char shown[512];
};

static bool has_prompts(const char *shown, unsigned wanted)
{
    unsigned count = 0;

    for (const char *at = strstr(shown, ": "); at != NULL; at = strstr(at + 1, ": ")) {
        count++;
    }
    return count >= wanted;
}

/* Waits for each prompt, and then types. */
static void *type_lines(void *data)
{
    struct typist *typist = data;
    size_t at = 0;

    for (unsigned i = 0; i < typist->prompts; i++) {
        struct termios state;

        while (!has_prompts(typist->shown, i + 1)) {
            ssize_t count =
                read(typist->master, typist->shown + at, sizeof(typist->shown) - 1 - at);

            if (count <= 0) {
                return NULL;
            }
            at += (size_t)count;
        }
        (void)tcgetattr(typist->master, &state);
        typist->echo_seen = typist->echo_seen || (state.c_lflag & ECHO) != 0;
        if (write(typist->master, typist->lines[i], strlen(typist->lines[i])) < 0) {
            return NULL;
        }
    }
    return NULL;
}

static enum qh_err ask_typist(struct typist *typist, bool fresh)
{
    struct password_ask ask = {.prompt = "PIN of co", .fresh = fresh, .size_min = 4};
    struct termios before;
    struct termios after;
    pthread_t thread;
    enum qh_err err;
    int slave;

    ck_assert_int_eq(openpty(&typist->master, &slave, NULL, NULL, NULL), 0);
    ck_assert_int_eq(tcgetattr(slave, &before), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, type_lines, typist), 0);
    err = password_prompt(slave, &ask, &password, detail);
    ck_assert_int_eq(tcgetattr(slave, &after), 0);
    ck_assert_uint_eq(before.c_lflag, after.c_lflag);
    (void)close(slave);
    (void)pthread_join(thread, NULL);
    (void)close(typist->master);
    return err;
}

START_TEST(typed_password_is_not_shown)
{
    struct typist typist = {.prompts = 1, .lines = {"12345\n"}};

    ck_assert_int_eq(ask_typist(&typist, false), QH_OK);
    password_is("12345");
    ck_assert(!typist.echo_seen);
    ck_assert_ptr_nonnull(strstr(typist.shown, "PIN of co: "));
    ck_assert_ptr_null(strstr(typist.shown, "12345"));
}
END_TEST

START_TEST(new_password_is_typed_twice)
{
    struct typist typist = {.prompts = 2, .lines = {"12345\n", "12345\n"}};
    struct typist other = {.prompts = 2, .lines = {"12345\n", "12346\n"}};

    ck_assert_int_eq(ask_typist(&typist, true), QH_OK);
    password_is("12345");
    ck_assert_int_eq(ask_typist(&other, true), QH_EINVAL);
    ck_assert_str_eq(detail, "PIN of co: typed differently the second time; try again");
    ck_assert_ptr_null(password);
}
END_TEST

START_TEST(too_short_a_password_is_not_asked_for_again)
{
    struct typist typist = {.prompts = 1, .lines = {"123\n"}};

    ck_assert_int_eq(ask_typist(&typist, true), QH_EPINRANGE);
    ck_assert_str_eq(detail, "PIN of co: 4 to 255 bytes are needed");
}
END_TEST

START_TEST(what_is_no_terminal_is_refused)
{
    struct password_ask ask = {.prompt = "PIN", .size_min = 4};
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(password_prompt(fds[0], &ask, &password, detail), QH_EINVAL);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_password");
    TCase *tcase = tcase_create("cli_password");

    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, file_loses_one_newline_at_its_end);
    tcase_add_test(tcase, size_is_checked_on_both_sides);
    tcase_add_test(tcase, missing_file_is_named_with_its_option);
    tcase_add_test(tcase, lines_of_standard_input_are_taken_one_by_one);
    tcase_add_test(tcase, typed_password_is_not_shown);
    tcase_add_test(tcase, new_password_is_typed_twice);
    tcase_add_test(tcase, too_short_a_password_is_not_asked_for_again);
    tcase_add_test(tcase, what_is_no_terminal_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
