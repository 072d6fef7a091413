/* The module from outside: what comes in between. A change while an answer is on its way, and
 * fork() while a login is taken up. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/pkcs11_fixture.h"

/* ---- answers ---- */

static CK_OBJECT_HANDLE renamed;

static void set_label(const char *label)
{
    CK_BYTE name[32];
    CK_ATTRIBUTE attribute = {CKA_LABEL, name, strlen(label)};

    memcpy(name, label, strlen(label));
    OK(C_SetAttributeValue(session, renamed, &attribute, 1));
}

static void rename_it(void)
{
    set_label("new");
}

static void assert_label(const char *label)
{
    CK_BYTE name[32];
    CK_ATTRIBUTE attribute = {CKA_LABEL, name, sizeof name};

    OK(C_GetAttributeValue(session, renamed, &attribute, 1));
    ck_assert_uint_eq(attribute.ulValueLen, strlen(label));
    ck_assert_mem_eq(name, label, strlen(label));
}

START_TEST(what_was_read_before_a_change_does_not_hide_it)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_OBJECT_HANDLE found[8];
    CK_BYTE data[64] = {1};
    CK_ULONG size = sizeof data, count = 0;

    fixture_log_in();
    renamed = make_ec(CK_TRUE, "old").private;
    pocket_before_answer(rename_it);
    OK(C_FindObjectsInit(session, NULL, 0));
    OK(C_FindObjects(session, found, 8, &count));
    OK(C_FindObjectsFinal(session));
    ck_assert_uint_ge(count, 2);
    assert_label("new");
    set_label("old");
    /* What is known of it is let go of. */
    OK(C_SignInit(session, &mechanism, renamed));
    pocket_fail(QUADHSM_EKEYUSE, 1);
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, C_Sign(session, data, 32, data, &size));
    pocket_before_answer(rename_it);
    assert_label("new");
    assert_label("new");
    fixture_stop();
}
END_TEST

/* ---- fork ---- */

/* Check's own assertions would report to the parent's pipe. */
#define NEED(condition)     \
    do {                    \
        if (!(condition)) { \
            _exit(1);       \
        }                   \
    } while (0)

static void *ask_module(void *done)
{
    CK_INFO info;

    NEED(C_GetInfo(&info) == CKR_OK);
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

/* fork() takes the library's locks, then the module's: whoever wants them in the other order and
 * forks meanwhile waits for ever. */
static void need_the_module_to_be_free(void)
{
    static atomic_bool done;
    struct timespec pause = {.tv_nsec = 1000000};
    pthread_t thread;

    NEED(pthread_create(&thread, NULL, ask_module, &done) == 0);
    for (unsigned i = 0; i < 5000 && !atomic_load(&done); i++) {
        (void)nanosleep(&pause, NULL);
    }
    NEED(atomic_load(&done));
    NEED(pthread_join(thread, NULL) == 0);
}

static void take_up_the_login(void)
{
    NEED(C_Initialize(NULL) == CKR_OK);
    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    pocket_fail(QUADHSM_ECONN, 1000);
    pocket_before_give(need_the_module_to_be_free);
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_OK);
}

START_TEST(a_login_is_taken_up_without_the_modules_lock)
{
    int status = 0;
    pid_t child;

    fixture_log_in();
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        take_up_the_login();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    fixture_stop();
}
END_TEST

/* In a forked child ThreadSanitizer takes a lock for held that the hooks of fork() have released.
 */
#if defined(__SANITIZE_THREAD__)
static const bool follows_no_forks = true;
#else
static const bool follows_no_forks = false;
#endif

int main(void)
{
    Suite *suite = suite_create("pkcs11_between");
    TCase *tcase = tcase_create("between");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_was_read_before_a_change_does_not_hide_it);
    if (!follows_no_forks) {
        tcase_add_test(tcase, a_login_is_taken_up_without_the_modules_lock);
    }
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
