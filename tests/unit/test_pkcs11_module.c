/* The module from outside: starting and stopping, slots and tokens, sessions, logins, fork. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pkcs11_fixture.h"

/* ---- starting and stopping ---- */

START_TEST(nothing_works_before_c_initialize)
{
    CK_INFO info;
    CK_ULONG count = 0;
    CK_SESSION_INFO session_info;

    GIVES(CKR_CRYPTOKI_NOT_INITIALIZED, C_GetInfo(&info));
    GIVES(CKR_CRYPTOKI_NOT_INITIALIZED, C_GetSlotList(CK_FALSE, NULL, &count));
    GIVES(CKR_CRYPTOKI_NOT_INITIALIZED, C_GetSessionInfo(1, &session_info));
    GIVES(CKR_CRYPTOKI_NOT_INITIALIZED, C_WaitForSlotEvent(CKF_DONT_BLOCK, &count, NULL));
    GIVES(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
}
END_TEST

static CK_RV create_mutex(CK_VOID_PTR_PTR mutex)
{
    (void)mutex;
    return CKR_OK;
}

static CK_RV use_mutex(CK_VOID_PTR mutex)
{
    (void)mutex;
    return CKR_OK;
}

START_TEST(the_arguments_of_c_initialize_are_checked)
{
    CK_CHAR_PTR parameter = NULL;
    CK_C_INITIALIZE_ARGS some = {.CreateMutex = create_mutex, .flags = CKF_OS_LOCKING_OK};
    CK_C_INITIALIZE_ARGS all = {create_mutex, use_mutex, use_mutex, use_mutex, 0, NULL, NULL};
    CK_C_INITIALIZE_ARGS reserved = {.LibraryParameters = &parameter};
    CK_C_INITIALIZE_ARGS no_threads = {.flags = CKF_LIBRARY_CANT_CREATE_OS_THREADS};

    fixture_configure("false");
    GIVES(CKR_ARGUMENTS_BAD, C_Initialize(&some));
    GIVES(CKR_ARGUMENTS_BAD, C_Initialize(&reserved));
    OK(C_Initialize(&all));
    ck_assert(!pocket_threads_forbidden());
    GIVES(CKR_CRYPTOKI_ALREADY_INITIALIZED, C_Initialize(NULL));
    GIVES(CKR_ARGUMENTS_BAD, C_Finalize(&some));
    OK(C_Finalize(NULL));
    OK(C_Initialize(&no_threads));
    ck_assert(pocket_threads_forbidden());
    fixture_stop();
}
END_TEST

START_TEST(a_configuration_that_is_not_there_is_an_error_and_can_be_mended)
{
    fixture_configure("false");
    ck_assert_int_eq(setenv("QUADHSM_CONFIG", "/nonexistent/client.yaml", 1), 0);
    GIVES(CKR_GENERAL_ERROR, C_Initialize(NULL));
    GIVES(CKR_GENERAL_ERROR, C_Initialize(NULL));
    test_remove_dir(fixture_dir);
    fixture_configure("maybe");
    GIVES(CKR_GENERAL_ERROR, C_Initialize(NULL));
    test_remove_dir(fixture_dir);
    fixture_start();
    fixture_stop();
}
END_TEST

START_TEST(sessions_do_not_survive_c_finalize_and_their_numbers_are_not_given_again)
{
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE old;

    fixture_log_in();
    old = session;
    make_ec(CK_FALSE, "x");
    OK(C_Finalize(NULL));
    fixture_log_in();
    ck_assert_uint_ne(session, old);
    GIVES(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(old, &info));
    fixture_stop();
}
END_TEST

START_TEST(the_interfaces_are_found_by_name_and_version)
{
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_UTF8CHAR other[] = "Vendor";
    CK_VERSION v2 = {2, 40};
    CK_VERSION v3 = {3, 0};
    CK_VERSION v9 = {9, 9};
    CK_INTERFACE list[2];
    CK_INTERFACE *interface = NULL;
    CK_FUNCTION_LIST *functions = NULL;
    CK_ULONG count = 0;

    OK(C_GetInterfaceList(NULL, &count));
    ck_assert_uint_eq(count, 2);
    count = 1;
    GIVES(CKR_BUFFER_TOO_SMALL, C_GetInterfaceList(list, &count));
    OK(C_GetInterfaceList(list, &count));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq((char *)list[i].pInterfaceName, "PKCS 11");
        ck_assert_uint_eq(list[i].flags, CKF_INTERFACE_FORK_SAFE);
    }
    OK(C_GetInterface(NULL, NULL, &interface, 0));
    ck_assert_uint_eq(((CK_FUNCTION_LIST_3_0 *)interface->pFunctionList)->version.major, 3);
    ck_assert_ptr_eq(((CK_FUNCTION_LIST_3_0 *)interface->pFunctionList)->C_SessionCancel,
                     C_SessionCancel);
    OK(C_GetInterface(name, &v2, &interface, CKF_INTERFACE_FORK_SAFE));
    ck_assert_uint_eq(((CK_FUNCTION_LIST *)interface->pFunctionList)->version.minor, 40);
    OK(C_GetInterface(name, &v3, &interface, 0));
    GIVES(CKR_FUNCTION_FAILED, C_GetInterface(name, &v9, &interface, 0));
    GIVES(CKR_FUNCTION_FAILED, C_GetInterface(other, NULL, &interface, 0));
    GIVES(CKR_FUNCTION_FAILED, C_GetInterface(NULL, NULL, &interface, 0x100));
    OK(C_GetFunctionList(&functions));
    ck_assert_uint_eq(functions->version.major, 2);
    ck_assert_ptr_eq(functions->C_WaitForSlotEvent, C_WaitForSlotEvent);
    GIVES(CKR_ARGUMENTS_BAD, C_GetFunctionList(NULL));
}
END_TEST

/* ---- slots ---- */

static CK_ULONG list_slots(CK_SLOT_ID *list, CK_ULONG room)
{
    CK_ULONG count = 0;

    OK(C_GetSlotList(CK_TRUE, NULL, &count));
    ck_assert_uint_le(count, room);
    OK(C_GetSlotList(CK_TRUE, list, &count));
    return count;
}

START_TEST(slot_numbers_come_from_the_partition_and_collisions_are_resolved)
{
    /* The same 31 bits as alpha's, and their successor. */
    static const uint8_t twin[16] = {9, [12] = 0, [15] = 0x2a};
    static const uint8_t next[16] = {8, [12] = 0, [15] = 0x2b};
    CK_SLOT_ID list[4];
    CK_ULONG room = 1;

    fixture_start();
    ck_assert_uint_eq(fixture_slot, 0x2a);
    pocket_add_partition("twin", twin);
    pocket_add_partition("next", next);
    ck_assert_uint_eq(list_slots(list, 4), 3);
    ck_assert_uint_eq(list[0], 0x2a);
    ck_assert_uint_eq(list[1], 0x2b);
    ck_assert_uint_eq(list[2], 0x2c);
    GIVES(CKR_BUFFER_TOO_SMALL, C_GetSlotList(CK_TRUE, list, &room));
    ck_assert_uint_eq(room, 3);
    fixture_stop();
}
END_TEST

START_TEST(a_slot_keeps_its_number_when_another_goes)
{
    static const uint8_t twin[16] = {9, [12] = 0, [15] = 0x2a};
    CK_SLOT_ID list[4];
    CK_SLOT_INFO info;
    CK_TOKEN_INFO token;

    pocket_add_partition("twin", twin);
    fixture_configure("false");
    OK(C_Initialize(NULL));
    ck_assert_uint_eq(list_slots(list, 4), 2);
    pocket_remove_partition();
    ck_assert_uint_eq(list_slots(list, 4), 1);
    ck_assert_uint_eq(list[0], 0x2b);
    OK(C_GetSlotInfo(0x2a, &info));
    ck_assert_uint_eq(info.flags & CKF_TOKEN_PRESENT, 0);
    GIVES(CKR_TOKEN_NOT_PRESENT, C_GetTokenInfo(0x2a, &token));
    GIVES(CKR_SLOT_ID_INVALID, C_GetTokenInfo(0x77, &token));
    fixture_stop();
}
END_TEST

START_TEST(a_slot_can_be_used_without_asking_for_the_list)
{
    CK_SESSION_HANDLE handle = 0;

    fixture_configure("false");
    OK(C_Initialize(NULL));
    OK(C_OpenSession(0x2a, CKF_SERIAL_SESSION, NULL, NULL, &handle));
    GIVES(CKR_SLOT_ID_INVALID, C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &handle));
    fixture_stop();
}
END_TEST

START_TEST(a_token_says_what_clients_want_to_hear)
{
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO info;

    fixture_start();
    OK(C_GetTokenInfo(fixture_slot, &info));
    ck_assert_mem_eq(info.label, "alpha                           ", 32);
    ck_assert_mem_eq(info.serialNumber, "0123456789abcdef", 16);
    ck_assert_uint_eq(info.flags, CKF_RNG | CKF_LOGIN_REQUIRED | CKF_TOKEN_INITIALIZED |
                                      CKF_DUAL_CRYPTO_OPERATIONS | CKF_USER_PIN_INITIALIZED);
    ck_assert_uint_eq(info.ulMaxSessionCount, CK_EFFECTIVELY_INFINITE);
    OK(C_GetSlotInfo(fixture_slot, &slot_info));
    ck_assert_uint_eq(slot_info.flags, CKF_TOKEN_PRESENT);
    ck_assert_mem_eq(slot_info.slotDescription, "Quadhsm partition alpha ", 24);
    fixture_stop();
}
END_TEST

static CK_FLAGS flags_at(unsigned left)
{
    CK_TOKEN_INFO info;

    pocket_set_tries(left, 10);
    OK(C_Finalize(NULL));
    OK(C_Initialize(NULL));
    OK(C_GetTokenInfo(fixture_slot, &info));
    return info.flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
}

START_TEST(pin_flags_rise_late)
{
    fixture_start();
    ck_assert_uint_eq(flags_at(10), 0);
    ck_assert_uint_eq(flags_at(3), 0);
    ck_assert_uint_eq(flags_at(2), CKF_USER_PIN_COUNT_LOW);
    ck_assert_uint_eq(flags_at(1), CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
    ck_assert_uint_eq(flags_at(0), CKF_USER_PIN_LOCKED);
    fixture_stop();
}
END_TEST

START_TEST(hardware_is_what_the_configuration_says)
{
    CK_MECHANISM_INFO info;
    CK_SLOT_INFO slot_info;

    fixture_start();
    OK(C_GetMechanismInfo(fixture_slot, CKM_ECDSA, &info));
    ck_assert_uint_eq(info.flags & CKF_HW, 0);
    fixture_stop();
    fixture_configure("true");
    OK(C_Initialize(NULL));
    OK(C_GetMechanismInfo(fixture_slot, CKM_ECDSA, &info));
    ck_assert_uint_ne(info.flags & CKF_HW, 0);
    OK(C_GetSlotInfo(fixture_slot, &slot_info));
    ck_assert_uint_ne(slot_info.flags & CKF_HW_SLOT, 0);
    ck_assert_uint_eq(slot_info.flags & CKF_REMOVABLE_DEVICE, 0);
    fixture_stop();
}
END_TEST

START_TEST(every_listed_mechanism_has_its_info_and_no_other)
{
    CK_MECHANISM_TYPE list[128];
    CK_MECHANISM_INFO info;
    CK_ULONG count = 0;
    CK_ULONG room = 1;

    fixture_start();
    OK(C_GetMechanismList(fixture_slot, NULL, &count));
    ck_assert_uint_gt(count, 20);
    GIVES(CKR_BUFFER_TOO_SMALL, C_GetMechanismList(fixture_slot, list, &room));
    ck_assert_uint_eq(room, count);
    OK(C_GetMechanismList(fixture_slot, list, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        OK(C_GetMechanismInfo(fixture_slot, list[i], &info));
    }
    GIVES(CKR_MECHANISM_INVALID, C_GetMechanismInfo(fixture_slot, CKM_DES3_CBC, &info));
    GIVES(CKR_SLOT_ID_INVALID, C_GetMechanismInfo(1, CKM_ECDSA, &info));
    fixture_stop();
}
END_TEST

START_TEST(while_no_node_answers_the_device_is_away_and_sessions_stay)
{
    CK_SESSION_INFO info;
    CK_TOKEN_INFO token;
    CK_SLOT_ID list[4];
    CK_BYTE random[16];

    fixture_log_in();
    pocket_fail(QUADHSM_ECONN, 1000);
    /* Known slots are still there. */
    ck_assert_uint_eq(list_slots(list, 4), 1);
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_USER_FUNCTIONS);
    GIVES(CKR_DEVICE_ERROR, C_GenerateRandom(session, random, sizeof random));
    usleep(1100 * 1000);
    GIVES(CKR_DEVICE_REMOVED, C_GetTokenInfo(fixture_slot, &token));
    pocket_fail(0, 0);
    OK(C_GetTokenInfo(fixture_slot, &token));
    OK(C_GetSessionInfo(session, &info));
    OK(C_GenerateRandom(session, random, sizeof random));
    fixture_stop();
}
END_TEST

START_TEST(without_a_node_and_without_a_known_slot_the_list_is_an_error)
{
    CK_ULONG count = 0;

    fixture_configure("false");
    OK(C_Initialize(NULL));
    pocket_fail(QUADHSM_ETIMEOUT, 1);
    GIVES(CKR_DEVICE_REMOVED, C_GetSlotList(CK_TRUE, NULL, &count));
    OK(C_GetSlotList(CK_TRUE, NULL, &count));
    ck_assert_uint_eq(count, 1);
    fixture_stop();
}
END_TEST

/* ---- slot events ---- */

struct waiter {
    CK_SLOT_ID slot;
    CK_RV rv;
};

static void *wait_for_event(void *data)
{
    struct waiter *waiter = data;

    waiter->rv = C_WaitForSlotEvent(0, &waiter->slot, NULL);
    return NULL;
}

START_TEST(a_new_partition_is_a_slot_event)
{
    static const uint8_t id[16] = {7, [15] = 7};
    struct waiter waiter = {0, 0};
    pthread_t thread;

    fixture_start();
    GIVES(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &waiter.slot, NULL));
    GIVES(CKR_ARGUMENTS_BAD, C_WaitForSlotEvent(CKF_DONT_BLOCK, &waiter.slot, &thread));
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_event, &waiter), 0);
    usleep(50 * 1000);
    pocket_add_partition("new", id);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(waiter.rv, CKR_OK);
    ck_assert_uint_eq(waiter.slot, 7);
    fixture_stop();
}
END_TEST

START_TEST(c_finalize_ends_a_wait)
{
    struct waiter waiter = {0, 0};
    pthread_t thread;

    fixture_start();
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_event, &waiter), 0);
    usleep(50 * 1000);
    OK(C_Finalize(NULL));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(waiter.rv, CKR_CRYPTOKI_NOT_INITIALIZED);
    fixture_stop();
}
END_TEST

/* ---- sessions ---- */

START_TEST(sessions_are_opened_closed_and_described_without_a_node)
{
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE handle = 0;
    unsigned calls;

    fixture_start();
    calls = pocket_calls();
    GIVES(CKR_SESSION_PARALLEL_NOT_SUPPORTED, C_OpenSession(fixture_slot, 0, NULL, NULL, &handle));
    GIVES(CKR_ARGUMENTS_BAD, C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, NULL));
    handle = open_session(0);
    session = open_session(CKF_RW_SESSION);
    OK(C_GetSessionInfo(handle, &info));
    ck_assert_uint_eq(info.slotID, fixture_slot);
    ck_assert_uint_eq(info.state, CKS_RO_PUBLIC_SESSION);
    ck_assert_uint_eq(info.flags, CKF_SERIAL_SESSION);
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_PUBLIC_SESSION);
    GIVES(CKR_ARGUMENTS_BAD, C_GetSessionInfo(session, NULL));
    OK(C_CloseSession(handle));
    GIVES(CKR_SESSION_HANDLE_INVALID, C_CloseSession(handle));
    OK(C_CloseAllSessions(fixture_slot));
    GIVES(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(session, &info));
    GIVES(CKR_FUNCTION_NOT_PARALLEL, C_GetFunctionStatus(open_session(0)));
    GIVES(CKR_FUNCTION_NOT_PARALLEL, C_GetFunctionStatus(CK_INVALID_HANDLE));
    GIVES(CKR_FUNCTION_NOT_PARALLEL, C_CancelFunction(CK_INVALID_HANDLE));
    ck_assert_uint_eq(pocket_calls(), calls);
    fixture_stop();
}
END_TEST

START_TEST(there_are_as_many_sessions_as_the_limit_and_no_more)
{
    CK_SESSION_HANDLE handle = 0;
    CK_TOKEN_INFO info;

    fixture_start();
    for (unsigned i = 0; i < 65536; i++) {
        handle = open_session(0);
    }
    GIVES(CKR_SESSION_COUNT, C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &handle));
    OK(C_GetTokenInfo(fixture_slot, &info));
    ck_assert_uint_eq(info.ulSessionCount, 65536);
    OK(C_CloseSession(handle));
    open_session(0);
    fixture_stop();
}
END_TEST

/* ---- logins ---- */

START_TEST(a_login_is_the_processs_and_the_tokens)
{
    CK_SESSION_HANDLE other;
    CK_SESSION_INFO info;

    fixture_log_in();
    other = open_session(0);
    GIVES(CKR_USER_ALREADY_LOGGED_IN, log_in(other, CKU_USER, POCKET_CO_PIN));
    GIVES(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, log_in(other, CKU_SO, POCKET_PO_PIN));
    OK(C_GetSessionInfo(other, &info));
    ck_assert_uint_eq(info.state, CKS_RO_USER_FUNCTIONS);
    OK(C_Logout(other));
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_PUBLIC_SESSION);
    GIVES(CKR_USER_NOT_LOGGED_IN, C_Logout(session));
    fixture_stop();
}
END_TEST

START_TEST(wrong_pins_and_users_are_refused)
{
    CK_UTF8CHAR pin[300] = POCKET_CO_PIN;
    CK_UTF8CHAR name[] = "bob";

    fixture_start();
    session = open_session(0);
    GIVES(CKR_PIN_INCORRECT, log_in(session, CKU_USER, "nope"));
    GIVES(CKR_ARGUMENTS_BAD, C_Login(session, CKU_USER, NULL, 4));
    GIVES(CKR_PIN_INCORRECT, C_Login(session, CKU_USER, NULL, 0));
    GIVES(CKR_PIN_INCORRECT, C_Login(session, CKU_USER, pin, 256));
    GIVES(CKR_USER_TYPE_INVALID, log_in(session, 77, POCKET_CO_PIN));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, log_in(session, CKU_CONTEXT_SPECIFIC, POCKET_CO_PIN));
    GIVES(CKR_ARGUMENTS_BAD,
          C_LoginUser(session, CKU_USER, pin, strlen(POCKET_CO_PIN), name, sizeof name));
    OK(C_LoginUser(session, CKU_USER, pin, strlen(POCKET_CO_PIN), NULL, 0));
    fixture_stop();
}
END_TEST

START_TEST(the_security_officer_wants_sessions_that_write)
{
    CK_SESSION_HANDLE reader = 0;
    CK_SESSION_INFO info;
    CK_UTF8CHAR pin[] = "new-pin";

    fixture_start();
    session = open_session(CKF_RW_SESSION);
    reader = open_session(0);
    GIVES(CKR_SESSION_READ_ONLY_EXISTS, log_in(session, CKU_SO, POCKET_PO_PIN));
    GIVES(CKR_USER_NOT_LOGGED_IN, C_InitPIN(session, pin, 7));
    OK(C_CloseSession(reader));
    OK(log_in(session, CKU_SO, POCKET_PO_PIN));
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_SO_FUNCTIONS);
    GIVES(CKR_SESSION_READ_WRITE_SO_EXISTS,
          C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &reader));
    OK(C_InitPIN(session, pin, 7));
    GIVES(CKR_PIN_LEN_RANGE, C_InitPIN(session, pin, 3));
    GIVES(CKR_ARGUMENTS_BAD, C_InitPIN(session, NULL, 7));
    fixture_stop();
}
END_TEST

START_TEST(the_last_session_takes_the_login_with_it)
{
    fixture_log_in();
    OK(C_CloseSession(session));
    session = open_session(CKF_RW_SESSION);
    GIVES(CKR_USER_NOT_LOGGED_IN, C_Logout(session));
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
    OK(C_CloseAllSessions(fixture_slot));
    session = open_session(0);
    GIVES(CKR_USER_NOT_LOGGED_IN, C_Logout(session));
    fixture_stop();
}
END_TEST

START_TEST(a_new_pin_does_not_end_the_login_that_set_it)
{
    CK_UTF8CHAR pin[] = POCKET_CO_PIN;
    CK_UTF8CHAR wrong[] = "wrong!";
    struct key_pair pair;
    CK_ULONG size = 64;
    CK_BYTE signature[64];
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    GIVES(CKR_PIN_INCORRECT, C_SetPIN(session, wrong, 6, pin, 6));
    GIVES(CKR_SESSION_READ_ONLY, C_SetPIN(open_session(0), pin, 6, pin, 6));
    OK(C_SetPIN(session, pin, 6, pin, 6));
    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_Sign(session, signature, 32, signature, &size));
    fixture_stop();
}
END_TEST

START_TEST(a_login_that_ended_elsewhere_is_said_and_can_be_made_again)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE data[64] = {1};
    CK_ULONG size = 64;
    struct key_pair pair;

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    pocket_end_tickets();
    OK(C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_USER_NOT_LOGGED_IN, C_Sign(session, data, 32, data, &size));
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_Sign(session, data, 32, data, &size));
    fixture_stop();
}
END_TEST

/* ---- fork ---- */

static void in_child(void (*check)(const struct key_pair *), const struct key_pair *pair)
{
    int status = 0;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        check(pair);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* Check's own assertions would report to the parent's pipe. */
#define NEED(condition)     \
    do {                    \
        if (!(condition)) { \
            _exit(1);       \
        }                   \
    } while (0)

static void go_on(const struct key_pair *pair)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE data[64] = {1};
    CK_ULONG size = 64;

    NEED(C_SignInit(session, &mechanism, pair->private) == CKR_OK);
    NEED(C_Sign(session, data, 32, data, &size) == CKR_OK);
}

static void start_afresh(const struct key_pair *pair)
{
    CK_SESSION_INFO info;

    (void)pair;
    NEED(C_Initialize(NULL) == CKR_OK);
    NEED(C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    NEED(C_GetSessionInfo(session, &info) == CKR_SESSION_HANDLE_INVALID);
    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_OK);
    NEED(C_Finalize(NULL) == CKR_OK);
}

static void end(const struct key_pair *pair)
{
    (void)pair;
    NEED(C_Finalize(NULL) == CKR_OK);
    NEED(C_Initialize(NULL) == CKR_OK);
}

/* libp11 waits for ever when it cannot open a session. */
static void start_without_a_node(const struct key_pair *pair)
{
    CK_SESSION_INFO info;
    CK_ULONG count = 0;

    (void)pair;
    NEED(C_Initialize(NULL) == CKR_OK);
    pocket_fail(QUADHSM_ECONN, 1000);
    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    NEED(C_GetSessionInfo(session, &info) == CKR_OK);
    NEED(info.state == CKS_RO_PUBLIC_SESSION);
    NEED(C_GetSlotList(CK_TRUE, NULL, &count) == CKR_OK && count == 1);
    NEED(log_in(session, CKU_USER, "wrong-pin") == CKR_DEVICE_ERROR);
    NEED(log_in(session, CKU_SO, POCKET_CO_PIN) != CKR_OK);
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_OK); /* its parent's */
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_USER_ALREADY_LOGGED_IN);
    NEED(C_Logout(session) == CKR_OK);
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_DEVICE_ERROR); /* that was it */
    pocket_fail(QUADHSM_ECONN, 0);
    NEED(log_in(session, CKU_USER, POCKET_CO_PIN) == CKR_OK);
    NEED(C_Finalize(NULL) == CKR_OK);
    NEED(C_Initialize(NULL) == CKR_OK);
    pocket_fail(QUADHSM_ECONN, 1000);
    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK);
}

static void needs_the_pin(const struct key_pair *pair)
{
    CK_SESSION_INFO info;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};

    NEED(C_Initialize(NULL) == CKR_OK);
    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    NEED(C_SignInit(session, &mechanism, pair->private) != CKR_OK);
    NEED(log_in(session, CKU_USER, "wrong-pin") == CKR_PIN_INCORRECT);
    NEED(C_GetSessionInfo(session, &info) == CKR_OK);
    NEED(info.state == CKS_RO_PUBLIC_SESSION);
}

START_TEST(a_child_is_not_logged_in_as_its_parent_is)
{
    struct key_pair pair;

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    in_child(needs_the_pin, &pair);
    fixture_stop();
}
END_TEST

START_TEST(a_child_starts_with_its_parents_login_while_no_node_answers)
{
    fixture_log_in();
    in_child(start_without_a_node, NULL);
    fixture_stop();
}
END_TEST

START_TEST(a_child_goes_on_starts_afresh_or_ends_and_its_parent_goes_on)
{
    struct key_pair pair;

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    in_child(go_on, &pair);
    in_child(start_afresh, &pair);
    in_child(end, &pair);
    go_on(&pair);
    fixture_stop();
}
END_TEST

static atomic_bool busy_stop;

static void *keep_busy(void *data)
{
    const struct key_pair *pair = data;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_SESSION_HANDLE mine = 0;
    CK_SESSION_INFO info;

    NEED(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &mine) == CKR_OK);
    while (!busy_stop) {
        NEED(C_SignInit(mine, &mechanism, pair->private) == CKR_OK);
        NEED(C_GetSessionInfo(mine, &info) == CKR_OK);
        NEED(C_SessionCancel(mine, CKF_SIGN) == CKR_OK);
    }
    return NULL;
}

static void look(const struct key_pair *pair)
{
    CK_SESSION_INFO info;

    (void)pair;
    NEED(C_GetSessionInfo(session, &info) == CKR_OK);
    NEED(C_Finalize(NULL) == CKR_OK);
}

/* A lock that another thread held at the time of the fork would never be released. */
START_TEST(a_child_is_whole_though_other_threads_were_inside)
{
    struct key_pair pair;
    pthread_t threads[2];

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_busy, &pair), 0);
    }
    for (unsigned i = 0; i < 15; i++) {
        in_child(look, &pair);
    }
    busy_stop = true;
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    fixture_stop();
}
END_TEST

static TCase *start_cases(void)
{
    TCase *tcase = tcase_create("start");

    tcase_add_test(tcase, nothing_works_before_c_initialize);
    tcase_add_test(tcase, the_arguments_of_c_initialize_are_checked);
    tcase_add_test(tcase, a_configuration_that_is_not_there_is_an_error_and_can_be_mended);
    tcase_add_test(tcase, sessions_do_not_survive_c_finalize_and_their_numbers_are_not_given_again);
    tcase_add_test(tcase, the_interfaces_are_found_by_name_and_version);
    return tcase;
}

static TCase *slot_cases(void)
{
    TCase *tcase = tcase_create("slot");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, slot_numbers_come_from_the_partition_and_collisions_are_resolved);
    tcase_add_test(tcase, a_slot_keeps_its_number_when_another_goes);
    tcase_add_test(tcase, a_slot_can_be_used_without_asking_for_the_list);
    tcase_add_test(tcase, a_token_says_what_clients_want_to_hear);
    tcase_add_test(tcase, pin_flags_rise_late);
    tcase_add_test(tcase, hardware_is_what_the_configuration_says);
    tcase_add_test(tcase, every_listed_mechanism_has_its_info_and_no_other);
    tcase_add_test(tcase, while_no_node_answers_the_device_is_away_and_sessions_stay);
    tcase_add_test(tcase, without_a_node_and_without_a_known_slot_the_list_is_an_error);
    tcase_add_test(tcase, a_new_partition_is_a_slot_event);
    tcase_add_test(tcase, c_finalize_ends_a_wait);
    return tcase;
}

static TCase *session_cases(void)
{
    TCase *tcase = tcase_create("session");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, sessions_are_opened_closed_and_described_without_a_node);
    tcase_add_test(tcase, there_are_as_many_sessions_as_the_limit_and_no_more);
    tcase_add_test(tcase, a_login_is_the_processs_and_the_tokens);
    tcase_add_test(tcase, wrong_pins_and_users_are_refused);
    tcase_add_test(tcase, the_security_officer_wants_sessions_that_write);
    tcase_add_test(tcase, the_last_session_takes_the_login_with_it);
    tcase_add_test(tcase, a_new_pin_does_not_end_the_login_that_set_it);
    tcase_add_test(tcase, a_login_that_ended_elsewhere_is_said_and_can_be_made_again);
    tcase_add_test(tcase, a_child_is_not_logged_in_as_its_parent_is);
    tcase_add_test(tcase, a_child_starts_with_its_parents_login_while_no_node_answers);
    tcase_add_test(tcase, a_child_goes_on_starts_afresh_or_ends_and_its_parent_goes_on);
    tcase_add_test(tcase, a_child_is_whole_though_other_threads_were_inside);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("pkcs11_module");

    suite_add_tcase(suite, start_cases());
    suite_add_tcase(suite, slot_cases());
    suite_add_tcase(suite, session_cases());
    return test_main(suite);
}
