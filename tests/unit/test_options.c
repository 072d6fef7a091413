/* Options and arguments of commands. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "tests/lib/test.h"

static int run_nothing(struct cli *cli)
{
    (void)cli;
    return 0;
}

static const struct option_spec own[] = {
    {.name = "out", .kind = OPTION_TEXT, .argument = "DIR", .help = "a folder", .required = true},
    {.name = "lifetime", .kind = OPTION_NUMBER, .argument = "S", .help = "s", .min = 5, .max = 90},
    {.name = "partition", .kind = OPTION_MANY, .argument = "P", .help = "a partition"},
    {.name = "admin", .kind = OPTION_FLAG, .help = "admin"},
    {.name = "watch", .kind = OPTION_MAYBE, .argument = "S", .help = "w", .min = 1, .max = 9},
    {.name = NULL},
};
static const struct option_spec common[] = {
    {.name = "config", .kind = OPTION_TEXT, .argument = "FILE", .help = "a file"},
    {.name = NULL},
};
static const struct command command = {
    "client", "enroll", "NAME",      1, 2, "Enroll.", "More.", "quadhsm client enroll shop --out d",
    own,      common,   run_nothing,
};

static struct options options;
static char error[OPTIONS_ERROR_ROOM];

#define PARSE(...)                                                                         \
    options_parse(&command, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
                  (const char *[]){__VA_ARGS__}, &options, error)

static void error_has(const char *text)
{
    ck_assert_msg(strstr(error, text) != NULL, "%s", error);
    ck_assert_msg(strstr(error, "`quadhsm client enroll --help` explains it") != NULL, "%s", error);
}

START_TEST(options_and_arguments_may_stand_in_any_order)
{
    ck_assert_int_eq(PARSE("--out", "d", "shop", "--config=c", "--admin"), QH_OK);
    ck_assert_str_eq(options_argument(&options, 0), "shop");
    ck_assert_ptr_null(options_argument(&options, 1));
    ck_assert_str_eq(options_text(&options, "out"), "d");
    ck_assert_str_eq(options_text(&options, "config"), "c");
    ck_assert(options_flag(&options, "admin"));
    ck_assert(!options_flag(&options, "json"));
    ck_assert_int_eq(PARSE("shop", "--out=d=e", "--json"), QH_OK);
    ck_assert_str_eq(options_text(&options, "out"), "d=e");
    ck_assert(options_flag(&options, "json"));
}
END_TEST

START_TEST(a_dash_is_a_value_and_two_dashes_end_the_options)
{
    ck_assert_int_eq(PARSE("--out", "-", "--", "--shop"), QH_OK);
    ck_assert_str_eq(options_text(&options, "out"), "-");
    ck_assert_str_eq(options_argument(&options, 0), "--shop");
    ck_assert_int_eq(PARSE("-", "--out=d"), QH_OK);
    ck_assert_str_eq(options_argument(&options, 0), "-");
}
END_TEST

START_TEST(options_that_may_be_repeated_keep_their_order)
{
    ck_assert_int_eq(PARSE("a", "--out=d", "--partition", "x", "--partition=y"), QH_OK);
    ck_assert_str_eq(options_many(&options, "partition", 0), "x");
    ck_assert_str_eq(options_many(&options, "partition", 1), "y");
    ck_assert_ptr_null(options_many(&options, "partition", 2));
}
END_TEST

START_TEST(number_is_taken_in_its_range_and_refused_outside)
{
    ck_assert_int_eq(PARSE("a", "--out=d"), QH_OK);
    ck_assert_uint_eq(options_number(&options, "lifetime", 7), 7);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=5"), QH_OK);
    ck_assert_uint_eq(options_number(&options, "lifetime", 7), 5);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=90"), QH_OK);
    ck_assert_uint_eq(options_number(&options, "lifetime", 7), 90);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=4"), QH_EINVAL);
    error_has("--lifetime must be a number, 5 to 90");
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=91"), QH_EINVAL);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=9x"), QH_EINVAL);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime="), QH_EINVAL);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=-9"), QH_EINVAL);
    ck_assert_int_eq(PARSE("a", "--out=d", "--lifetime=99999999999999999999"), QH_EINVAL);
}
END_TEST

START_TEST(number_that_may_be_left_out_never_takes_the_next_argument)
{
    ck_assert_int_eq(PARSE("--out=d", "--watch", "3"), QH_OK);
    ck_assert(options_flag(&options, "watch"));
    ck_assert_uint_eq(options_number(&options, "watch", 2), 2);
    ck_assert_str_eq(options_argument(&options, 0), "3");
    ck_assert_int_eq(PARSE("a", "--out=d", "--watch=3"), QH_OK);
    ck_assert_uint_eq(options_number(&options, "watch", 2), 3);
    ck_assert_int_eq(PARSE("a", "--out=d", "--watch=0"), QH_EINVAL);
}
END_TEST

START_TEST(what_is_unknown_missing_or_too_much_is_named)
{
    ck_assert_int_eq(PARSE("a", "--outt=d"), QH_EINVAL);
    error_has("there is no option --outt;");
    ck_assert_int_eq(PARSE("a", "--ou", "d"), QH_EINVAL);
    error_has("there is no option --ou;");
    ck_assert_int_eq(PARSE("a", "-o", "d"), QH_EINVAL);
    error_has("there is no option -o;");
    ck_assert_int_eq(PARSE("a"), QH_EINVAL);
    error_has("--out DIR is missing;");
    ck_assert_int_eq(PARSE("--out=d"), QH_EINVAL);
    error_has("NAME is missing;");
    ck_assert_int_eq(PARSE("a", "b", "c", "--out=d"), QH_EINVAL);
    error_has("\"c\" is one argument too many;");
    ck_assert_int_eq(PARSE("a", "--out"), QH_EINVAL);
    error_has("--out lacks its DIR;");
    ck_assert_int_eq(PARSE("a", "--out="), QH_EINVAL);
    error_has("--out is empty;");
    ck_assert_int_eq(PARSE("a", "--out=d", "--out=e"), QH_EINVAL);
    error_has("--out is given twice;");
    ck_assert_int_eq(PARSE("a", "--out=d", "--admin=yes"), QH_EINVAL);
    error_has("--admin takes no value;");
}
END_TEST

START_TEST(help_needs_nothing_else)
{
    ck_assert_int_eq(PARSE("--help"), QH_OK);
    ck_assert(options.help);
}
END_TEST

START_TEST(repeated_options_are_bounded)
{
    const char *arguments[OPTIONS_VALUES_MAX + 2];

    arguments[0] = "a";
    arguments[1] = "--out=d";
    for (unsigned i = 2; i < OPTIONS_VALUES_MAX + 2; i++) {
        arguments[i] = "--partition=p";
    }
    ck_assert_int_eq(options_parse(&command, OPTIONS_VALUES_MAX + 1, arguments, &options, error),
                     QH_OK);
    ck_assert_int_eq(options_parse(&command, OPTIONS_VALUES_MAX + 2, arguments, &options, error),
                     QH_EINVAL);
    error_has("too many options");
}
END_TEST

START_TEST(help_shows_every_option_an_example_and_the_exit_status)
{
    static const char *const wanted[] = {
        "usage: quadhsm client enroll NAME --out DIR [options]\n",
        "\nEnroll.\n",
        "\nMore.\n",
        "--out DIR",
        "--lifetime S",
        "--partition P",
        "(may be repeated)",
        "--watch[=S]",
        "--config FILE",
        "--json",
        "--help",
        "example:\n  quadhsm client enroll shop --out d\n",
        "exit status: 0 done, 1 refused or failed, 2 usage, 3 no node",
    };
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(file);
    options_print_help(&command, file);
    ck_assert_int_eq(fclose(file), 0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s in %s", wanted[i], text);
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");

    tcase_add_test(tcase, options_and_arguments_may_stand_in_any_order);
    tcase_add_test(tcase, a_dash_is_a_value_and_two_dashes_end_the_options);
    tcase_add_test(tcase, options_that_may_be_repeated_keep_their_order);
    tcase_add_test(tcase, number_is_taken_in_its_range_and_refused_outside);
    tcase_add_test(tcase, number_that_may_be_left_out_never_takes_the_next_argument);
    tcase_add_test(tcase, what_is_unknown_missing_or_too_much_is_named);
    tcase_add_test(tcase, help_needs_nothing_else);
    tcase_add_test(tcase, repeated_options_are_bounded);
    tcase_add_test(tcase, help_shows_every_option_an_example_and_the_exit_status);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
