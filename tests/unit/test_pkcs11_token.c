/* The module from outside: tokens made ready, PINs, logins by name, what a logout ends. */
#include "tests/unit/pkcs11_fixture.h"

static CK_UTF8CHAR label[33] = "a new name                      ";
static CK_UTF8CHAR po_pin[] = POCKET_PO_PIN;
static CK_UTF8CHAR co_pin[] = POCKET_CO_PIN;
static CK_UTF8CHAR new_pin[] = "a new pin";

static CK_RV init_token(CK_UTF8CHAR *pin)
{
    return C_InitToken(fixture_slot, pin, strlen((const char *)pin), label);
}

static CK_FLAGS flags_now(void)
{
    CK_TOKEN_INFO info;

    OK(C_GetTokenInfo(fixture_slot, &info));
    return info.flags;
}

START_TEST(a_token_is_made_anew)
{
    CK_TOKEN_INFO info;
    CK_ULONG size = 0;
    CK_OBJECT_HANDLE key;

    fixture_log_in();
    key = make_ec(CK_TRUE, "x").public;
    GIVES(CKR_SESSION_EXISTS, init_token(po_pin));
    OK(C_CloseAllSessions(fixture_slot));
    GIVES(CKR_PIN_INCORRECT, init_token(new_pin));
    GIVES(CKR_ARGUMENTS_BAD, C_InitToken(fixture_slot, NULL, 0, label));
    GIVES(CKR_ARGUMENTS_BAD, C_InitToken(fixture_slot, po_pin, 11, NULL));
    GIVES(CKR_SLOT_ID_INVALID, C_InitToken(fixture_slot + 1, po_pin, 11, label));
    ck_assert_uint_eq(pocket_object_count(), 2);
    OK(init_token(po_pin));
    ck_assert_uint_eq(pocket_object_count(), 0);
    OK(C_GetTokenInfo(fixture_slot, &info));
    ck_assert_mem_eq(info.label, label, 32);
    ck_assert_uint_eq(info.flags & CKF_USER_PIN_INITIALIZED, 0);
    session = open_session(CKF_RW_SESSION);
    GIVES(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(session, key, &size));
    GIVES(CKR_USER_PIN_NOT_INITIALIZED, log_in(session, CKU_USER, POCKET_CO_PIN));
    GIVES(CKR_USER_NOT_LOGGED_IN, C_InitPIN(session, new_pin, 9));
    OK(log_in(session, CKU_SO, POCKET_PO_PIN));
    OK(C_InitPIN(session, new_pin, 9));
    ck_assert_uint_ne(flags_now() & CKF_USER_PIN_INITIALIZED, 0);
    OK(C_Logout(session));
    GIVES(CKR_PIN_INCORRECT, log_in(session, CKU_USER, POCKET_CO_PIN));
    OK(log_in(session, CKU_USER, "a new pin"));
    fixture_stop();
}
END_TEST

START_TEST(a_label_of_blanks_leaves_the_name)
{
    CK_UTF8CHAR blank[32];
    CK_TOKEN_INFO info;

    memset(blank, ' ', sizeof blank);
    fixture_start();
    OK(C_InitToken(fixture_slot, po_pin, 11, blank));
    OK(C_GetTokenInfo(fixture_slot, &info));
    ck_assert_mem_eq(info.label, "alpha   ", 8);
    fixture_stop();
}
END_TEST

START_TEST(a_token_that_waits_for_its_owner_says_so)
{
    pocket_make_claimable();
    fixture_start();
    ck_assert_uint_eq(flags_now() & CKF_TOKEN_INITIALIZED, 0);
    OK(init_token(new_pin));
    ck_assert_uint_ne(flags_now() & CKF_TOKEN_INITIALIZED, 0);
    GIVES(CKR_PIN_INCORRECT, init_token(po_pin));
    fixture_stop();
}
END_TEST

START_TEST(without_a_node_no_token_is_made)
{
    fixture_start();
    pocket_fail(QUADHSM_ECONN, 1);
    GIVES(CKR_DEVICE_REMOVED, init_token(po_pin));
    pocket_fail(QUADHSM_ENOQUORUM, 1);
    GIVES(CKR_FUNCTION_FAILED, init_token(po_pin));
    pocket_fail(QUADHSM_EPINLOCKED, 1);
    GIVES(CKR_PIN_LOCKED, init_token(po_pin));
    pocket_fail(QUADHSM_ENOPIN, 1);
    GIVES(CKR_TOKEN_WRITE_PROTECTED, init_token(po_pin));
    OK(init_token(po_pin));
    fixture_stop();
}
END_TEST

START_TEST(the_pin_that_is_changed_is_that_of_who_is_logged_in)
{
    fixture_start();
    session = open_session(CKF_RW_SESSION);
    OK(C_SetPIN(session, co_pin, 6, new_pin, 9));
    GIVES(CKR_PIN_INCORRECT, C_SetPIN(session, co_pin, 6, new_pin, 9));
    OK(log_in(session, CKU_USER, "a new pin"));
    OK(C_SetPIN(session, new_pin, 9, co_pin, 6));
    OK(C_Logout(session));
    OK(log_in(session, CKU_SO, POCKET_PO_PIN));
    GIVES(CKR_PIN_INCORRECT, C_SetPIN(session, co_pin, 6, new_pin, 9));
    GIVES(CKR_PIN_LEN_RANGE, C_SetPIN(session, po_pin, 11, new_pin, 3));
    GIVES(CKR_ARGUMENTS_BAD, C_SetPIN(session, NULL, 0, new_pin, 9));
    GIVES(CKR_ARGUMENTS_BAD, C_SetPIN(session, po_pin, 11, NULL, 0));
    OK(C_SetPIN(session, po_pin, 11, new_pin, 9));
    OK(C_Logout(session));
    OK(log_in(session, CKU_SO, "a new pin"));
    fixture_stop();
}
END_TEST

START_TEST(a_name_says_which_role_logs_in)
{
    CK_UTF8CHAR cu_pin[] = POCKET_CU_PIN, cu[] = "cu", co[] = "co", po[] = "po";
    CK_SESSION_INFO info;

    fixture_start();
    session = open_session(CKF_RW_SESSION);
    GIVES(CKR_PIN_INCORRECT, C_LoginUser(session, CKU_USER, co_pin, 6, cu, 2));
    OK(C_LoginUser(session, CKU_USER, cu_pin, 6, cu, 2));
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_USER_FUNCTIONS);
    GIVES(CKR_USER_ALREADY_LOGGED_IN, C_LoginUser(session, CKU_USER, cu_pin, 6, cu, 2));
    GIVES(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, C_Login(session, CKU_USER, co_pin, 6));
    OK(C_Logout(session));
    OK(C_LoginUser(session, CKU_USER, co_pin, 6, co, 2));
    OK(C_Logout(session));
    GIVES(CKR_ARGUMENTS_BAD, C_LoginUser(session, CKU_SO, po_pin, 11, co, 2));
    GIVES(CKR_ARGUMENTS_BAD, C_LoginUser(session, CKU_USER, co_pin, 6, NULL, 2));
    GIVES(CKR_USER_TYPE_INVALID, C_LoginUser(session, 99, po_pin, 11, po, 2));
    OK(C_LoginUser(session, CKU_SO, po_pin, 11, po, 2));
    fixture_stop();
}
END_TEST

START_TEST(a_logout_ends_what_was_done_with_private_keys)
{
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
    CK_BYTE data[32] = {1}, signature[64];
    CK_ULONG size = sizeof signature;
    CK_SESSION_HANDLE other;
    struct key_pair pair;

    fixture_log_in();
    other = open_session(0);
    pair = make_ec(CK_TRUE, "x");
    OK(C_SignInit(session, &ecdsa, pair.private));
    OK(C_SignInit(other, &ecdsa, pair.private));
    OK(C_VerifyInit(other, &ecdsa, pair.public));
    OK(C_DigestInit(other, &sha));
    OK(C_Logout(other));
    GIVES(CKR_USER_NOT_LOGGED_IN, C_Logout(session));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_Sign(session, data, 32, signature, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_Sign(other, data, 32, signature, &size));
    GIVES(CKR_KEY_HANDLE_INVALID, C_SignInit(session, &ecdsa, pair.private));
    memset(signature, 1, sizeof signature);
    GIVES(CKR_SIGNATURE_INVALID, C_Verify(other, data, 32, signature, 64));
    OK(C_DigestFinal(other, data, &size));
    fixture_stop();
}
END_TEST

START_TEST(an_event_is_told_once_to_who_asks)
{
    static const uint8_t id[16] = {7, [15] = 7};
    CK_SLOT_ID slot = 0;
    CK_ULONG count = 0;

    fixture_start();
    GIVES(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    pocket_add_partition("new", id);
    OK(C_GetSlotList(CK_TRUE, NULL, &count));
    ck_assert_uint_eq(count, 2);
    OK(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    ck_assert_uint_eq(slot, 7);
    GIVES(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    pocket_remove_partition();
    OK(C_GetSlotList(CK_TRUE, NULL, &count));
    OK(C_WaitForSlotEvent(0, &slot, NULL));
    ck_assert_uint_eq(slot, fixture_slot);
    GIVES(CKR_ARGUMENTS_BAD, C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL));
    fixture_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_token");
    TCase *tcase = tcase_create("token");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_token_is_made_anew);
    tcase_add_test(tcase, a_label_of_blanks_leaves_the_name);
    tcase_add_test(tcase, a_token_that_waits_for_its_owner_says_so);
    tcase_add_test(tcase, without_a_node_no_token_is_made);
    tcase_add_test(tcase, the_pin_that_is_changed_is_that_of_who_is_logged_in);
    tcase_add_test(tcase, a_name_says_which_role_logs_in);
    tcase_add_test(tcase, a_logout_ends_what_was_done_with_private_keys);
    tcase_add_test(tcase, an_event_is_told_once_to_who_asks);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
