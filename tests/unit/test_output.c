/* What the command prints: tables, safe text, errors, exit status. */
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "tests/lib/test.h"

static char *out_text, *err_text;
static size_t out_size, err_size;
static struct output output;

static void open_output(void)
{
    output = (struct output){0};
    output.out = open_memstream(&out_text, &out_size);
    output.err = open_memstream(&err_text, &err_size);
    ck_assert_ptr_nonnull(output.out);
    ck_assert_ptr_nonnull(output.err);
}

static void close_output(void)
{
    (void)fclose(output.out);
    (void)fclose(output.err);
    free(out_text);
    free(err_text);
}

static void printed(const char *wanted)
{
    (void)fflush(output.out);
    ck_assert_str_eq(out_text, wanted);
}

static void safe_is(const char *text, size_t length, const char *wanted)
{
    char safe[64];

    output_safe(text, length, safe, sizeof(safe));
    ck_assert_str_eq(safe, wanted);
}

#define SAFE_IS(text, wanted) safe_is(text, sizeof(text) - 1, wanted)

START_TEST(text_from_outside_cannot_move_the_cursor)
{
    SAFE_IS("plain text", "plain text");
    SAFE_IS("a\033[2Jb", "a\\x1b[2Jb");
    SAFE_IS("a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f");
    SAFE_IS("a\0b", "a\\x00b");
    SAFE_IS("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91",
            "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91");
    SAFE_IS("\xff\xc3", "\\xff\\xc3");
    SAFE_IS("\xc2\x9b"
            "31m",
            "\\xc2\\x9b31m");
    SAFE_IS("\xc0\xaf", "\\xc0\\xaf");
    SAFE_IS("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
    SAFE_IS("\xed\xa0\x80", "\\xed\\xa0\\x80");
    SAFE_IS("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    SAFE_IS("a\xe2\x80\xae"
            "b",
            "a\\xe2\\x80\\xaeb");
}
END_TEST

START_TEST(safe_text_is_cut_between_characters)
{
    char safe[8];

    output_safe("abcdefghij", 10, safe, sizeof(safe));
    ck_assert_str_eq(safe, "abcd");
    output_safe("ab\xe2\x82\xac\xe2\x82\xac", 8, safe, sizeof(safe));
    ck_assert_str_eq(safe, "ab\xe2\x82\xac");
}
END_TEST

START_TEST(table_aligns_its_columns)
{
    static const char *const heads[] = {"name", ">keys", "state", NULL};
    struct table table;

    table_init(&table, heads);
    table_cell(&table, STYLE_PLAIN, "a");
    table_cell(&table, STYLE_GOOD, "7");
    table_cell(&table, STYLE_BAD, "ready");
    table_cell(&table, STYLE_PLAIN, "caf\xc3\xa9s");
    table_cell(&table, STYLE_PLAIN, "12345");
    table_cell(&table, STYLE_PLAIN, "%s", "");
    table_print(&table, &output, 0, true);
    printed("name    keys  state\n"
            "a          7  ready\n"
            "caf\xc3\xa9s  12345  \n");
}
END_TEST

START_TEST(table_has_lines_between_its_rows)
{
    static const char *const heads[] = {"", "", NULL};
    struct table table;

    table_init(&table, heads);
    table_line(&table, STYLE_BOLD, "a long line");
    table_cell(&table, STYLE_PLAIN, "x");
    table_cell(&table, STYLE_PLAIN, "y");
    table_print(&table, &output, 2, false);
    printed("a long line\n  x  y\n");
}
END_TEST

START_TEST(colour_is_printed_on_a_terminal_alone)
{
    static const char *const heads[] = {"", NULL};
    struct table table;

    output.colour = true;
    table_init(&table, heads);
    table_cell(&table, STYLE_GOOD, "ready");
    table_print(&table, &output, 0, false);
    printed("\033[32mready\033[0m\n");
}
END_TEST

START_TEST(empty_table_prints_its_heads)
{
    static const char *const heads[] = {"name", ">keys", NULL};
    struct table table;

    table_init(&table, heads);
    table_print(&table, &output, 0, true);
    printed("name  keys\n");
}
END_TEST

static void said(const char *wanted)
{
    (void)fflush(output.err);
    ck_assert_str_eq(err_text, wanted);
}

START_TEST(error_says_what_happened_and_what_to_do)
{
    ck_assert_int_eq(output_fail(&output, QH_EPINLOCKED, "", "logging in as %s", "co"), EXIT_LOGIN);
    said("quadhsm: logging in as co: the role is locked after too many wrong PINs\n"
         "  `quadhsm role unlock` opens it again: co and cu by po, po by the security officer\n");
    printed("");
}
END_TEST

START_TEST(what_the_cluster_says_to_do_stands_alone)
{
    (void)output_fail(&output, QH_EPINLOCKED, "wait a minute", "logging in");
    said("quadhsm: logging in: the role is locked after too many wrong PINs\n  wait a minute\n");
}
END_TEST

START_TEST(nodes_that_were_tried_stand_beside_what_to_do)
{
    (void)output_fail(&output, QH_ECONN, "a:1: refused", "asking");
    said("quadhsm: asking: no connection\n"
         "  a:1: refused\n"
         "  check that the nodes run and that their addresses stand under endpoints: in the "
         "client's "
         "configuration\n");
}
END_TEST

START_TEST(error_cannot_be_forged_by_its_parts)
{
    (void)output_fail(&output, QH_EREFUSED, "one\ntwo\033[H", "x\ny");
    said("quadhsm: x\\x0ay: refused by the cluster's policy\n  one\n  two\\x1b[H\n");
}
END_TEST

START_TEST(error_is_an_object_with_json)
{
    json_t *object;
    json_t *error;

    output.json = true;
    ck_assert_int_eq(output_fail(&output, QH_ENOQUORUM, NULL, "making a key"), EXIT_NO_QUORUM);
    (void)fflush(output.err);
    object = json_loads(err_text, 0, NULL);
    ck_assert_ptr_nonnull(object);
    error = json_object_get(object, "error");
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), "QH_ENOQUORUM");
    ck_assert_str_eq(json_string_value(json_object_get(error, "what")), "making a key");
    ck_assert_int_eq(json_integer_value(json_object_get(error, "exit_status")), 5);
    json_decref(object);
}
END_TEST

START_TEST(exit_status_tells_the_kinds_of_failure_apart)
{
    ck_assert_int_eq(output_exit_status(QH_OK), 0);
    ck_assert_int_eq(output_exit_status(QH_EREFUSED), 1);
    ck_assert_int_eq(output_exit_status(QH_EUNKNOWN), 1);
    ck_assert_int_eq(output_exit_status(QH_ECONFIG), 1);
    ck_assert_int_eq(output_exit_status(QH_ECONN), 3);
    ck_assert_int_eq(output_exit_status(QH_ETIMEOUT), 3);
    ck_assert_int_eq(output_exit_status(QH_EPIN), 4);
    ck_assert_int_eq(output_exit_status(QH_EPINLOCKED), 4);
    ck_assert_int_eq(output_exit_status(QH_ENOPIN), 4);
    ck_assert_int_eq(output_exit_status(QH_ENOQUORUM), 5);
    ck_assert_int_eq(output_misuse(&output, "x"), 2);
}
END_TEST

START_TEST(json_says_nothing_for_people)
{
    output.json = true;
    output_say(&output, "hello");
    printed("");
    output_json(&output, json_pack("{s:i}", "a", 1));
    printed("{\n  \"a\": 1\n}\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output");
    TCase *tcase = tcase_create("output");

    tcase_add_checked_fixture(tcase, open_output, close_output);
    tcase_add_test(tcase, text_from_outside_cannot_move_the_cursor);
    tcase_add_test(tcase, safe_text_is_cut_between_characters);
    tcase_add_test(tcase, table_aligns_its_columns);
    tcase_add_test(tcase, table_has_lines_between_its_rows);
    tcase_add_test(tcase, colour_is_printed_on_a_terminal_alone);
    tcase_add_test(tcase, empty_table_prints_its_heads);
    tcase_add_test(tcase, error_says_what_happened_and_what_to_do);
    tcase_add_test(tcase, what_the_cluster_says_to_do_stands_alone);
    tcase_add_test(tcase, nodes_that_were_tried_stand_beside_what_to_do);
    tcase_add_test(tcase, error_cannot_be_forged_by_its_parts);
    tcase_add_test(tcase, error_is_an_object_with_json);
    tcase_add_test(tcase, exit_status_tells_the_kinds_of_failure_apart);
    tcase_add_test(tcase, json_says_nothing_for_people);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
