/* The PKCS#11 module, called by many threads at once with whatever comes to mind (pkcs11_calls.h),
 * while it is finalized and initialized under their feet. Under ThreadSanitizer no two of them
 * meet. */
#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "tests/unit/pkcs11_calls.h"
#include "tests/lib/test.h"
#include "tests/unit/pocket_cluster.h"

#define THREADS 6u
#define INPUTS 150u /* of each thread */
#define INPUT_SIZE 1500u

static CK_SLOT_ID slot;

/* Its own sessions, and handles of others now and then. */
static void *call_around(void *data)
{
    static const uint8_t name[randombytes_SEEDBYTES] = "race";
    uint8_t seed[randombytes_SEEDBYTES], input[INPUT_SIZE];
    unsigned number = *(unsigned *)data;

    for (unsigned i = 0; i < INPUTS; i++) {
        struct args args = {.slot = slot};

        memcpy(seed, name, sizeof seed);
        seed[30] = (uint8_t)number;
        seed[31] = (uint8_t)i;
        randombytes_buf_deterministic(input, sizeof input, seed);
        bytes_reader_init(&args.reader, input, sizeof input);
        (void)C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                            &args.sessions[0]);
        args.sessions[1] = args.sessions[0];
        args.sessions[2] = number; /* may be somebody's */
        args.next_session = 3;
        while (!args_end(&args)) {
            pkcs11_call_next(&args);
        }
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i + 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_around, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}

START_TEST(threads_may_call_anything_while_others_finalize)
{
    CK_UTF8CHAR pin[] = POCKET_CO_PIN;
    CK_SESSION_HANDLE session;
    CK_ULONG count = 1;
    CK_RV rv;

    pkcs11_configure();
    ck_assert_uint_eq(C_Initialize(NULL), CKR_OK);
    ck_assert_uint_eq(C_GetSlotList(CK_TRUE, &slot, &count), CKR_OK);
    ck_assert_uint_eq(
        C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session), CKR_OK);
    ck_assert_uint_eq(C_Login(session, CKU_USER, pin, sizeof pin - 1), CKR_OK);
    run_threads();
    rv = C_Finalize(NULL);
    ck_assert(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    ck_assert_uint_eq(pocket_handles_open(), 0);
    pocket_empty();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_race");
    TCase *tcase = tcase_create("race");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, threads_may_call_anything_while_others_finalize);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
