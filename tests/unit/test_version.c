/* The pin on libraft: the library that was configured against passes, any other is refused. */
#include "raft-glue/version.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "tests/lib/test.h"

#define CHILD_VARIABLE "QUADHSM_TEST_VERSION_CHILD"
#define CHILD_REFUSED 7
#define CHILD_PASSED 8

static char logged[2048];

static void keep_line(void *data, enum log_level level, const char *line)
{
    (void)data;
    (void)level;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

static struct version_library library_of(const char *build_id)
{
    struct version_library library = {.path = "/some/where/libraft.so.2"};

    (void)snprintf(library.build_id, sizeof library.build_id, "%s", build_id);
    return library;
}

START_TEST(the_same_build_id_passes_silently)
{
    struct version_library library = library_of("83b85e24");

    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(version_compare("83b85e24", &library), QH_OK);
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(another_build_id_is_refused_and_both_are_named)
{
    static const char *const others[] = {"83b85e25", "83b85e2", "83b85e240", "", "83B85E24"};
    struct version_library library = library_of(others[_i]);

    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(version_compare("83b85e24", &library), QH_EVERSION);
    ck_assert_ptr_nonnull(strstr(logged, "expected=83b85e24"));
    ck_assert_ptr_nonnull(strstr(logged, others[_i][0] != '\0' ? others[_i] : "found=none"));
    ck_assert_ptr_nonnull(strstr(logged, "/some/where/libraft.so.2"));
    ck_assert_ptr_nonnull(strstr(logged, "install the package libraft2"));
}
END_TEST

START_TEST(no_expectation_is_never_met)
{
    struct version_library library = library_of("");

    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(version_compare("", &library), QH_EVERSION);
}
END_TEST

START_TEST(the_loaded_library_is_the_one_that_was_configured)
{
    struct version_library library;

    ck_assert_int_eq(version_find(&library), QH_OK);
    ck_assert_ptr_nonnull(strstr(library.path, "libraft.so.2"));
    ck_assert_str_eq(library.build_id, RAFT_BUILD_ID);
    ck_assert_int_eq(version_check(), QH_OK);
}
END_TEST

/* The bytes of the build id in @content, or NULL. */
static char *find_id(char *content, size_t size)
{
    char id[VERSION_ID_LENGTH_MAX / 2];
    size_t id_size = strlen(RAFT_BUILD_ID) / 2;

    for (size_t i = 0; i < id_size; i++) {
        unsigned value = 0;

        ck_assert_int_eq(sscanf(&RAFT_BUILD_ID[2 * i], "%2x", &value), 1);
        id[i] = (char)value;
    }
    return memmem(content, size, id, id_size);
}

/* Copy the loaded library to @path with one bit of its build id changed. */
static void copy_changed(const char *path)
{
    struct version_library library;
    char *content = malloc(4u << 20);
    char *id;
    size_t size;
    FILE *file;

    ck_assert_ptr_nonnull(content);
    ck_assert_int_eq(version_find(&library), QH_OK);
    file = fopen(library.path, "rb");
    ck_assert_ptr_nonnull(file);
    size = fread(content, 1, 4u << 20, file);
    ck_assert_int_eq(fclose(file), 0);
    id = find_id(content, size);
    ck_assert_ptr_nonnull(id);
    *id ^= 1;
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    free(content);
}

/* Exit status of this program, started with libraries from @dir first. */
static int run_child(const char *dir)
{
    int status = 0;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)setenv("LD_LIBRARY_PATH", dir, 1);
        (void)setenv(CHILD_VARIABLE, "1", 1);
        (void)execl("/proc/self/exe", "test_version", (char *)NULL);
        _exit(99);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(a_process_that_loads_another_build_refuses_to_start)
{
    char dir[256];
    char path[300];

    test_make_dir(dir, sizeof dir);
    ck_assert_int_eq(run_child(dir), CHILD_PASSED);
    (void)snprintf(path, sizeof path, "%s/libraft.so.2", dir);
    copy_changed(path);
    ck_assert_int_eq(run_child(dir), CHILD_REFUSED);
    test_remove_dir(dir);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (getenv(CHILD_VARIABLE) != NULL) {
        return version_check() == QH_EVERSION ? CHILD_REFUSED : CHILD_PASSED;
    }
    suite = suite_create("version");
    tcase = tcase_create("version");
    tcase_add_test(tcase, the_same_build_id_passes_silently);
    tcase_add_loop_test(tcase, another_build_id_is_refused_and_both_are_named, 0, 5);
    tcase_add_test(tcase, no_expectation_is_never_met);
    tcase_add_test(tcase, the_loaded_library_is_the_one_that_was_configured);
    tcase_add_test(tcase, a_process_that_loads_another_build_refuses_to_start);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
