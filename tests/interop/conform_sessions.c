/* Sessions and logins, trust that the SO gives, PINs and a token made anew. */
#include "tests/interop/conform.h"

#include <string.h>

#define READ_ONLY CKF_SERIAL_SESSION
#define READ_WRITE (CKF_SERIAL_SESSION | CKF_RW_SESSION)

static CK_SESSION_HANDLE open_session(CK_SLOT_ID slot, CK_FLAGS flags)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;

    expect_rv(P11->C_OpenSession(slot, flags, NULL, NULL, &session), CKR_OK, "C_OpenSession");
    return session;
}

static CK_RV log_in(CK_SESSION_HANDLE session, CK_USER_TYPE user, const char *pin)
{
    CK_UTF8CHAR copy[256];
    size_t size = strlen(pin);

    memcpy(copy, pin, size);
    return P11->C_Login(session, user, copy, size);
}

static void expect_state(CK_SESSION_HANDLE session, CK_STATE state, const char *what)
{
    CK_SESSION_INFO info = {.state = 99};

    expect_rv(P11->C_GetSessionInfo(session, &info), CKR_OK, "C_GetSessionInfo");
    expect(info.state == state, "state %lu, %s", info.state, what);
}

static CK_RV make_data(CK_SESSION_HANDLE session, bool token, bool private, CK_OBJECT_HANDLE *ret)
{
    static uint8_t label[] = "of sessions";
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_DATA);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    put_flag(&template, CKA_TOKEN, token);
    put_flag(&template, CKA_PRIVATE, private);
    return P11->C_CreateObject(session, template.list, template.count, ret);
}

static unsigned count_data(CK_SESSION_HANDLE session)
{
    static uint8_t label[] = "of sessions";
    CK_OBJECT_HANDLE found[16];
    struct template template;
    CK_ULONG count = 0;

    template_start(&template);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    (void)P11->C_FindObjectsInit(session, template.list, template.count);
    expect_rv(P11->C_FindObjects(session, found, 16, &count), CKR_OK, "C_FindObjects");
    (void)P11->C_FindObjectsFinal(session);
    return (unsigned)count;
}

static void check_public(CK_SESSION_HANDLE reader, CK_SESSION_HANDLE writer)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct template template;

    about("sessions without a login");
    expect_state(reader, CKS_RO_PUBLIC_SESSION, "R/O public");
    expect_state(writer, CKS_RW_PUBLIC_SESSION, "R/W public");
    expect_rv(make_data(reader, false, true, &object), CKR_USER_NOT_LOGGED_IN, "private data");
    expect_rv(make_data(reader, true, false, &object), CKR_SESSION_READ_ONLY, "token data, R/O");
    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, 16);
    expect_rv(P11->C_GenerateKey(writer, &mechanism, template.list, 1, &object),
              CKR_USER_NOT_LOGGED_IN, "a secret key");
    expect_rv(make_data(reader, false, false, &object), CKR_OK, "public data of a session");
    expect(count_data(writer) == 1, "other sessions see them");
    expect_rv(P11->C_Logout(writer), CKR_USER_NOT_LOGGED_IN, "C_Logout");
    expect_rv(log_in(writer, CKU_SO, conform.so_pin), CKR_SESSION_READ_ONLY_EXISTS,
              "the SO beside a R/O session");
    expect_rv(log_in(writer, CKU_USER, "not the PIN"), CKR_PIN_INCORRECT, "a wrong PIN");
    expect_rv(log_in(writer, 77, conform.pin), CKR_USER_TYPE_INVALID, "no such user");
    expect_rv(log_in(writer, CKU_CONTEXT_SPECIFIC, conform.pin), CKR_OPERATION_NOT_INITIALIZED,
              "a PIN for no operation");
}

static void check_user(CK_SESSION_HANDLE reader, CK_SESSION_HANDLE writer)
{
    CK_OBJECT_HANDLE private = CK_INVALID_HANDLE, token = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE object;

    about("sessions of the user");
    expect_rv(log_in(reader, CKU_USER, conform.pin), CKR_OK, "the user logs in");
    expect_state(reader, CKS_RO_USER_FUNCTIONS, "R/O user");
    expect_state(writer, CKS_RW_USER_FUNCTIONS, "R/W user");
    expect_rv(log_in(writer, CKU_USER, conform.pin), CKR_USER_ALREADY_LOGGED_IN, "again");
    expect_rv(log_in(writer, CKU_SO, conform.so_pin), CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "the SO");
    expect_rv(make_data(reader, false, true, &private), CKR_OK, "private data");
    expect_rv(make_data(reader, true, true, &object), CKR_SESSION_READ_ONLY, "token data, R/O");
    expect_rv(make_data(writer, true, true, &token), CKR_OK, "private token data");
    expect(count_data(reader) == 3, "both are found");
    expect_rv(P11->C_DestroyObject(reader, token), CKR_SESSION_READ_ONLY, "R/O destroys");
    expect_rv(P11->C_Logout(reader), CKR_OK, "C_Logout");
    expect_state(writer, CKS_RW_PUBLIC_SESSION, "R/W public");
    expect(count_data(reader) == 1, "private objects are not seen");
    expect_rv(P11->C_DestroyObject(writer, token), CKR_OBJECT_HANDLE_INVALID,
              "handles of private objects end");
    expect_rv(log_in(writer, CKU_USER, conform.pin), CKR_OK, "the user logs in");
    expect(count_data(writer) == 2, "private session objects ended with the login");
}

/* The SO makes what is public, and nothing that is private. */
static void check_officer(CK_SESSION_HANDLE session)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    struct template template;

    expect_rv(make_data(session, false, true, &object), CKR_USER_NOT_LOGGED_IN, "private data");
    expect_rv(make_data(session, true, false, &object), CKR_OK, "public token data");
    expect_rv(P11->C_DestroyObject(session, object), CKR_OK, "and they go");
    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, 16);
    expect_rv(P11->C_GenerateKey(session, &mechanism, template.list, 1, &object),
              CKR_USER_NOT_LOGGED_IN, "a secret key");
}

static void check_ends(CK_SESSION_HANDLE reader, CK_SESSION_HANDLE writer)
{
    CK_SESSION_HANDLE other;
    CK_SESSION_INFO info;

    about("sessions end");
    expect_rv(P11->C_CloseSession(reader), CKR_OK, "C_CloseSession");
    expect_rv(P11->C_CloseSession(reader), CKR_SESSION_HANDLE_INVALID, "C_CloseSession again");
    expect_rv(P11->C_GetSessionInfo(reader, &info), CKR_SESSION_HANDLE_INVALID, "C_GetSessionInfo");
    expect(count_data(writer) == 1, "a session's objects end with it");
    expect_rv(P11->C_CloseSession(writer), CKR_OK, "the last is closed");
    other = open_session(conform.slot, READ_WRITE);
    expect_state(other, CKS_RW_PUBLIC_SESSION, "the login ended with the last session");
    expect(count_data(other) == 0, "nothing that is public is left");
    expect_rv(log_in(other, CKU_SO, conform.so_pin), CKR_OK, "the SO logs in");
    expect_state(other, CKS_RW_SO_FUNCTIONS, "R/W SO");
    expect_rv(P11->C_OpenSession(conform.slot, READ_ONLY, NULL, NULL, &reader),
              CKR_SESSION_READ_WRITE_SO_EXISTS, "a R/O session beside the SO");
    expect(count_data(other) == 0, "the SO sees nothing that is private");
    check_officer(other);
    expect_rv(P11->C_CloseAllSessions(conform.slot), CKR_OK, "C_CloseAllSessions");
    expect_rv(P11->C_GetSessionInfo(other, &info), CKR_SESSION_HANDLE_INVALID, "C_GetSessionInfo");
}

void rules_of_sessions(void)
{
    CK_SESSION_HANDLE reader, writer;

    about("sessions");
    expect_rv(P11->C_OpenSession(conform.slot, CKF_RW_SESSION, NULL, NULL, &reader),
              CKR_SESSION_PARALLEL_NOT_SUPPORTED, "no CKF_SERIAL_SESSION");
    expect_rv(P11->C_OpenSession(0x7fffffff, READ_ONLY, NULL, NULL, &reader), CKR_SLOT_ID_INVALID,
              "no such slot");
    reader = open_session(conform.slot, READ_ONLY);
    writer = open_session(conform.slot, READ_WRITE);
    check_public(reader, writer);
    check_user(reader, writer);
    check_ends(reader, writer);
}

/* ---- trust ---- */

static CK_OBJECT_HANDLE find_labelled(uint8_t *label, size_t size)
{
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    struct template template;
    CK_ULONG count = 0;

    template_start(&template);
    put_bytes(&template, CKA_LABEL, label, size);
    expect_rv(P11->C_FindObjectsInit(conform.session, template.list, 1), CKR_OK,
              "C_FindObjectsInit");
    expect_rv(P11->C_FindObjects(conform.session, &found, 1, &count), CKR_OK, "C_FindObjects");
    expect_rv(P11->C_FindObjectsFinal(conform.session), CKR_OK, "C_FindObjectsFinal");
    expect(count == 1, "it is found");
    return found;
}

static CK_OBJECT_HANDLE make_guarded(void)
{
    static uint8_t value[16] = "a key's value..";
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, value, sizeof value);
    put_flag(&template, CKA_EXTRACTABLE, true);
    put_flag(&template, CKA_WRAP_WITH_TRUSTED, true);
    return create(&template, "a key that only the trusted may wrap");
}

static CK_RV try_wrap(CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key)
{
    uint8_t wrapped[BUFFER_SIZE];
    CK_ULONG size = sizeof wrapped;

    return P11->C_WrapKey(conform.session, usual_mechanism(CKM_RSA_PKCS_OAEP), wrapping, key,
                          wrapped, &size);
}

void rules_of_trust(void)
{
    static uint8_t label[] = "wraps what is guarded";
    CK_OBJECT_HANDLE wrapping, guarded;
    struct template template;

    about("trust");
    template_start(&template);
    put_public(&template, RSA_2048, pair_imported(RSA_2048)->pkey);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    put_flag(&template, CKA_TOKEN, true);
    wrapping = create(&template, "a public key");
    guarded = make_guarded();
    expect_rv(try_wrap(wrapping, guarded), CKR_KEY_NOT_WRAPPABLE, "without trust");
    expect_rv(set_flag(wrapping, CKA_TRUSTED, true), CKR_ATTRIBUTE_READ_ONLY,
              "the user gives trust");
    expect_rv(P11->C_Logout(conform.session), CKR_OK, "C_Logout");
    expect_rv(log_in(conform.session, CKU_SO, conform.so_pin), CKR_OK, "the SO logs in");
    wrapping = find_labelled(label, sizeof label);
    expect_rv(set_flag(wrapping, CKA_TRUSTED, true), CKR_OK, "the SO gives trust");
    expect(read_number(wrapping, CKA_TRUSTED) == 1, "it is trusted");
    expect_rv(P11->C_Logout(conform.session), CKR_OK, "C_Logout");
    expect_rv(log_in(conform.session, CKU_USER, conform.pin), CKR_OK, "the user logs in");
    wrapping = find_labelled(label, sizeof label);
    guarded = make_guarded();
    expect_rv(try_wrap(wrapping, guarded), CKR_OK, "with trust");
    destroy(guarded);
    destroy(wrapping);
}

/* ---- PINs ---- */

static CK_RV init_pin(CK_SESSION_HANDLE session, const char *pin)
{
    CK_UTF8CHAR copy[256];
    size_t size = strlen(pin);

    memcpy(copy, pin, size);
    return P11->C_InitPIN(session, copy, size);
}

static CK_RV set_pin(CK_SESSION_HANDLE session, const char *from, const char *to)
{
    CK_UTF8CHAR from_copy[256], to_copy[256];

    memcpy(from_copy, from, strlen(from));
    memcpy(to_copy, to, strlen(to));
    return P11->C_SetPIN(session, from_copy, strlen(from), to_copy, strlen(to));
}

static CK_RV init_token(CK_SLOT_ID slot, const char *pin, const char *label)
{
    CK_UTF8CHAR padded[32], copy[256];

    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    memcpy(copy, pin, strlen(pin));
    return P11->C_InitToken(slot, copy, strlen(pin), padded);
}

static bool has_flag(CK_SLOT_ID slot, CK_FLAGS flag)
{
    CK_TOKEN_INFO info;

    expect_rv(P11->C_GetTokenInfo(slot, &info), CKR_OK, "C_GetTokenInfo");
    return (info.flags & flag) != 0;
}

static void check_set_pin(CK_SESSION_HANDLE session, CK_SESSION_HANDLE reader)
{
    about("C_SetPIN");
    expect_rv(log_in(session, CKU_USER, "first-pin-1"), CKR_OK, "the user logs in");
    expect_rv(init_pin(session, "other-pin-1"), CKR_USER_NOT_LOGGED_IN, "the user inits the PIN");
    expect_rv(set_pin(reader, "first-pin-1", "second-pin-2"), CKR_SESSION_READ_ONLY, "R/O");
    expect_rv(set_pin(session, "wrong-pin", "second-pin-2"), CKR_PIN_INCORRECT, "a wrong PIN");
    expect_rv(set_pin(session, "first-pin-1", ""), CKR_PIN_LEN_RANGE, "an empty PIN");
    expect_rv(set_pin(session, "first-pin-1", "second-pin-2"), CKR_OK, "the PIN");
    expect_state(session, CKS_RW_USER_FUNCTIONS, "the login goes on");
    expect_rv(P11->C_Logout(session), CKR_OK, "C_Logout");
    expect_rv(log_in(session, CKU_USER, "first-pin-1"), CKR_PIN_INCORRECT, "the old PIN");
    expect_rv(set_pin(session, "second-pin-2", "third-pin-3"), CKR_OK, "without a login");
    expect_rv(log_in(session, CKU_USER, "third-pin-3"), CKR_OK, "the new PIN");
}

static void check_init_token(CK_SLOT_ID slot, const char *pin, CK_SESSION_HANDLE session)
{
    CK_OBJECT_HANDLE object;

    about("C_InitToken");
    expect_rv(make_data(session, true, false, &object), CKR_OK, "public token data");
    expect(count_data(session) == 1, "they are there");
    expect_rv(init_token(slot, pin, "anew"), CKR_SESSION_EXISTS, "with sessions");
    expect_rv(P11->C_CloseAllSessions(slot), CKR_OK, "C_CloseAllSessions");
    expect_rv(init_token(slot, "not the PIN", "anew"), CKR_PIN_INCORRECT, "a wrong PIN");
    expect_rv(init_token(slot, pin, "anew"), CKR_OK, "the PIN");
    expect(!has_flag(slot, CKF_USER_PIN_INITIALIZED), "the user's PIN is gone");
    expect(has_flag(slot, CKF_TOKEN_INITIALIZED), "the token is initialized");
    session = open_session(slot, READ_WRITE);
    expect(count_data(session) == 0, "all objects are gone");
    expect_rv(log_in(session, CKU_USER, "third-pin-3"), CKR_USER_PIN_NOT_INITIALIZED,
              "the user has no PIN");
    expect_rv(log_in(session, CKU_SO, pin), CKR_OK, "the SO has the same PIN");
    expect_rv(init_pin(session, "fourth-pin-4"), CKR_OK, "the user's PIN");
    expect_rv(P11->C_Logout(session), CKR_OK, "C_Logout");
    expect_rv(log_in(session, CKU_USER, "fourth-pin-4"), CKR_OK, "the user logs in");
    expect_rv(P11->C_CloseAllSessions(slot), CKR_OK, "C_CloseAllSessions");
}

void rules_of_pins(CK_SLOT_ID slot, char *pin)
{
    CK_SESSION_HANDLE session, reader;

    about("C_InitPIN");
    session = open_session(slot, READ_WRITE);
    expect(!has_flag(slot, CKF_USER_PIN_INITIALIZED), "the user has no PIN");
    expect_rv(log_in(session, CKU_USER, "first-pin-1"), CKR_USER_PIN_NOT_INITIALIZED,
              "the user without a PIN");
    expect_rv(init_pin(session, "first-pin-1"), CKR_USER_NOT_LOGGED_IN, "nobody");
    expect_rv(log_in(session, CKU_SO, pin), CKR_OK, "the SO logs in");
    expect_rv(init_pin(session, ""), CKR_PIN_LEN_RANGE, "an empty PIN");
    expect_rv(init_pin(session, "first-pin-1"), CKR_OK, "the SO");
    expect(has_flag(slot, CKF_USER_PIN_INITIALIZED), "the user has a PIN");
    expect_rv(P11->C_Logout(session), CKR_OK, "C_Logout");
    reader = open_session(slot, READ_ONLY);
    check_set_pin(session, reader);
    check_init_token(slot, pin, session);
}
