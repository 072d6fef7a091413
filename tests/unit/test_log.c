/* The log: what a line looks like, that text cannot forge one, and threads. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define LINE_LENGTH_MAX 1024
#define THREADS 4
#define LINES_A_THREAD 200

struct captured {
    unsigned count;
    enum log_level level;
    char line[2048];
};

static void capture_line(void *data, enum log_level level, const char *line)
{
    struct captured *captured = data;

    captured->count++;
    captured->level = level;
    ck_assert_uint_lt(strlen(line), sizeof captured->line);
    memcpy(captured->line, line, strlen(line) + 1);
}

START_TEST(a_sink_gets_the_level_and_the_line)
{
    struct captured captured = {0};

    log_set_sink(capture_line, &captured);
    log_error("disk: %s code=%d", "gone", 7);
    ck_assert_uint_eq(captured.count, 1);
    ck_assert_int_eq(captured.level, LOG_LEVEL_ERROR);
    ck_assert_str_eq(captured.line, "disk: gone code=7");
    log_warning("w");
    ck_assert_int_eq(captured.level, LOG_LEVEL_WARNING);
    log_info("%s", "");
    ck_assert_int_eq(captured.level, LOG_LEVEL_INFO);
    ck_assert_str_eq(captured.line, "");
    ck_assert_uint_eq(captured.count, 3);
}
END_TEST

START_TEST(lines_above_the_level_are_dropped)
{
    struct captured captured = {0};

    log_set_sink(capture_line, &captured);
    log_debug("not at first");
    ck_assert_uint_eq(captured.count, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("now");
    ck_assert_uint_eq(captured.count, 1);
    ck_assert_int_eq(captured.level, LOG_LEVEL_DEBUG);
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("no more");
    ck_assert_uint_eq(captured.count, 1);
    log_error("always");
    ck_assert_uint_eq(captured.count, 2);
}
END_TEST

START_TEST(what_is_not_printable_ascii_is_shown_as_an_escape)
{
    struct captured captured = {0};

    log_set_sink(capture_line, &captured);
    log_info("peer=%s", "a\nb\r\t\x1b[2J\x7f\xc2\x9b~ ");
    ck_assert_str_eq(captured.line, "peer=a\\x0ab\\x0d\\x09\\x1b[2J\\x7f\\xc2\\x9b~ ");
}
END_TEST

START_TEST(a_line_is_cut_at_its_limit)
{
    struct captured captured = {0};
    char text[LINE_LENGTH_MAX + 2];

    log_set_sink(capture_line, &captured);
    memset(text, 'x', sizeof text);
    text[LINE_LENGTH_MAX] = '\0';
    log_info("%s", text);
    ck_assert_uint_eq(strlen(captured.line), LINE_LENGTH_MAX);
    text[LINE_LENGTH_MAX] = 'x';
    text[LINE_LENGTH_MAX + 1] = '\0';
    log_info("%s", text);
    ck_assert_uint_eq(strlen(captured.line), LINE_LENGTH_MAX);
}
END_TEST

START_TEST(an_escape_is_never_cut_in_two)
{
    struct captured captured = {0};
    char text[LINE_LENGTH_MAX];

    log_set_sink(capture_line, &captured);
    memset(text, 'x', sizeof text);
    text[LINE_LENGTH_MAX - 4] = '\n'; /* the escape ends at the limit */
    text[LINE_LENGTH_MAX - 3] = '\0';
    log_info("%s", text);
    ck_assert_uint_eq(strlen(captured.line), LINE_LENGTH_MAX);
    text[LINE_LENGTH_MAX - 4] = 'x';
    text[LINE_LENGTH_MAX - 3] = '\n';
    text[LINE_LENGTH_MAX - 2] = '\0';
    log_info("%s", text);
    ck_assert_uint_eq(strlen(captured.line), LINE_LENGTH_MAX - 3);
}
END_TEST

START_TEST(errno_survives_a_line)
{
    struct captured captured = {0};

    log_set_sink(capture_line, &captured);
    errno = ENOSPC;
    log_error("full");
    ck_assert_int_eq(errno, ENOSPC);
    log_set_sink(NULL, NULL);
    ck_assert_int_eq(close(STDERR_FILENO), 0);
    errno = ENOSPC;
    log_error("nowhere to go");
    ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

/* Everything that was written to stderr since it was made to be the file. */
static char *read_stderr(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)size, 0), size);
    return text;
}

static int redirect_stderr(void)
{
    FILE *file = tmpfile();
    int fd;

    ck_assert_ptr_nonnull(file);
    fd = dup(fileno(file));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    return fd;
}

START_TEST(stderr_gets_a_stamp_a_level_word_and_a_newline)
{
    int fd = redirect_stderr();
    regex_t regex;
    char *text;

    log_warning("what: why key=%d", 1);
    text = read_stderr(fd);
    ck_assert_int_eq(regcomp(&regex,
                             "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                             "warning what: why key=1\n$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    ck_assert_msg(regexec(&regex, text, 0, NULL, 0) == 0, "unexpected line: %s", text);
    regfree(&regex);
    free(text);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void *write_lines(void *data)
{
    for (unsigned i = 0; i < LINES_A_THREAD; i++) {
        log_info("thread=%s END", (const char *)data);
    }
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    static char words[THREADS][512];
    pthread_t threads[THREADS];
    int fd = redirect_stderr();
    unsigned lines = 0;
    char *text;

    for (unsigned i = 0; i < THREADS; i++) {
        memset(words[i], 'a' + (int)i, sizeof words[i] - 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, words[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    text = read_stderr(fd);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *word = strstr(line, "thread=");

        *end = '\0';
        lines++;
        ck_assert_ptr_nonnull(word);
        word += strlen("thread=");
        ck_assert_uint_eq(strspn(word, (char[]){word[0], '\0'}), sizeof words[0] - 1);
        ck_assert_str_eq(word + sizeof words[0] - 1, " END");
    }
    ck_assert_uint_eq(lines, THREADS * LINES_A_THREAD);
    free(text);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");

    tcase_add_test(tcase, a_sink_gets_the_level_and_the_line);
    tcase_add_test(tcase, lines_above_the_level_are_dropped);
    tcase_add_test(tcase, what_is_not_printable_ascii_is_shown_as_an_escape);
    tcase_add_test(tcase, a_line_is_cut_at_its_limit);
    tcase_add_test(tcase, an_escape_is_never_cut_in_two);
    tcase_add_test(tcase, errno_survives_a_line);
    tcase_add_test(tcase, stderr_gets_a_stamp_a_level_word_and_a_newline);
    tcase_add_test(tcase, lines_of_several_threads_do_not_mix);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
