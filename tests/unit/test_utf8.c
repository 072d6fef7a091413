/* Text that people read. */
#include "base/utf8.h"

#include <string.h>

#include "tests/lib/test.h"

static bool is_text(const char *text)
{
    return utf8_is_text(text, strlen(text));
}

START_TEST(characters_of_every_length_are_text)
{
    ck_assert(is_text(""));
    ck_assert(is_text("web 1 ~"));
    ck_assert(is_text("Schl\xc3\xbcssel"));
    ck_assert(is_text("\xc2\xa0"));         /* U+00A0, the first behind the controls */
    ck_assert(is_text("\xe2\x82\xac"));     /* U+20AC */
    ck_assert(is_text("\xed\x9f\xbf"));     /* U+D7FF, before the surrogates */
    ck_assert(is_text("\xee\x80\x80"));     /* U+E000, behind them */
    ck_assert(is_text("\xf4\x8f\xbf\xbf")); /* U+10FFFF, the last */
}
END_TEST

START_TEST(controls_are_not)
{
    ck_assert(!is_text("a\nb"));
    ck_assert(!is_text("\x1b[2J"));
    ck_assert(!is_text("\x7f"));
    ck_assert(!is_text("\xc2\x9b")); /* U+009B, a terminal's CSI */
    ck_assert(!utf8_is_text("a\0b", 3));
}
END_TEST

START_TEST(what_is_cut_or_malformed_is_not)
{
    ck_assert(!is_text("\x80"));
    ck_assert(!is_text("\xc3"));
    ck_assert(!is_text("\xe2\x82"));
    ck_assert(!is_text("\xc3(")); /* no continuation */
    ck_assert(!is_text("\xff"));
    ck_assert(!is_text("\xc0\xaf"));         /* "/" in two bytes */
    ck_assert(!is_text("\xe0\x9f\xbf"));     /* U+07FF in three */
    ck_assert(!is_text("\xf0\x8f\xbf\xbf")); /* U+FFFF in four */
    ck_assert(!is_text("\xed\xa0\x80"));     /* a surrogate */
    ck_assert(!is_text("\xf4\x90\x80\x80")); /* U+110000 */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, characters_of_every_length_are_text);
    tcase_add_test(tcase, controls_are_not);
    tcase_add_test(tcase, what_is_cut_or_malformed_is_not);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
