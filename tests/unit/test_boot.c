/* What init leaves on the disk when the disk does not play along. */
#include "node/boot.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "hsm/keyring.h"
#include "tests/lib/test.h"

static const uint8_t cluster[16] = {1};
static char dir[256], key_file[300];
static struct node_config config;
static struct secret *cmk;

static void setup(void)
{
    test_make_dir(dir, sizeof dir);
    (void)snprintf(key_file, sizeof key_file, "%s/unlock.key", dir);
    config.data = dir;
    config.unlock = CONFIG_UNLOCK_FILE;
    config.unlock_file = key_file;
    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(secret_new(KEYRING_CMK_SIZE, &cmk), QH_OK);
}

static void teardown(void)
{
    secret_free(cmk);
    test_remove_dir(dir);
}

static enum qh_err seal(void)
{
    struct bytes sealed = {NULL, 0};
    const char *detail = NULL;
    enum qh_err err = boot_seal_cmk(&config, cluster, cmk, NULL, &sealed, &detail);

    free((void *)(uintptr_t)sealed.base);
    return err;
}

/* The limit stands for a disk that is full. */
START_TEST(half_a_key_file_is_not_left_behind)
{
    struct rlimit before, full = {10, 10};
    enum qh_err err;
    int rv;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    /* Nothing of Check's in between: it writes files, too. */
    rv = setrlimit(RLIMIT_FSIZE, &full);
    err = seal();
    (void)setrlimit(RLIMIT_FSIZE, &before);
    ck_assert_int_eq(rv, 0);
    ck_assert_int_eq(err, QH_EIO);
    ck_assert_int_eq(seal(), QH_OK); /* there is room again */
    ck_assert_int_eq(seal(), QH_OK); /* with the file that is there now */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("boot");
    TCase *tcase = tcase_create("boot");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, half_a_key_file_is_not_left_behind);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
