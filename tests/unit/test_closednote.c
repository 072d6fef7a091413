/* The note of how far the closed segments go: read as written, and never read as anything else. */
#include "raft-glue/closednote.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

static char dir[128];
static int dir_fd;

static void setup(void)
{
    test_make_dir(dir, sizeof dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
    (void)close(dir_fd);
    test_remove_dir(dir);
}

START_TEST(a_note_is_read_as_it_was_written_last)
{
    uint64_t index = 1;

    ck_assert_int_eq(closednote_read(dir_fd, &index), QH_OK);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(closednote_write(dir_fd, 4711), QH_OK);
    ck_assert_int_eq(closednote_write(dir_fd, UINT64_MAX - 1), QH_OK);
    ck_assert_int_eq(closednote_read(dir_fd, &index), QH_OK);
    ck_assert_uint_eq(index, UINT64_MAX - 1);
}
END_TEST

START_TEST(a_note_with_a_flipped_bit_or_of_another_size_is_refused)
{
    uint64_t index;
    int fd;

    ck_assert_int_eq(closednote_write(dir_fd, 4711), QH_OK);
    fd = openat(dir_fd, CLOSEDNOTE_NAME, O_RDWR);
    for (unsigned bit = 0; bit < CLOSEDNOTE_SIZE * 8; bit++) {
        uint8_t byte;
        uint8_t changed;

        ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
        changed = (uint8_t)(byte ^ 1u << bit % 8);
        ck_assert_int_eq(pwrite(fd, &changed, 1, (off_t)(bit / 8)), 1);
        ck_assert_int_eq(closednote_read(dir_fd, &index), QH_ECORRUPT);
        ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    }
    ck_assert_int_eq(closednote_read(dir_fd, &index), QH_OK);
    for (off_t size = CLOSEDNOTE_SIZE + 1; size >= 0; size--) {
        if (size != CLOSEDNOTE_SIZE) {
            ck_assert_int_eq(ftruncate(fd, size), 0);
            ck_assert_int_eq(closednote_read(dir_fd, &index), QH_ECORRUPT);
        }
    }
    (void)close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("closednote");
    TCase *tcase = tcase_create("closednote");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_note_is_read_as_it_was_written_last);
    tcase_add_test(tcase, a_note_with_a_flipped_bit_or_of_another_size_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
