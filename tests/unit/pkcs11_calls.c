/* Calls of every function of PKCS#11, with arguments made of bytes. */
#include "tests/unit/pkcs11_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/unit/pkcs11_codes.h"
#include "tests/unit/pocket_cluster.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const CK_MECHANISM_TYPE ciphers[] = {
    CKM_AES_CBC,  CKM_AES_CBC_PAD, CKM_AES_ECB,       CKM_AES_GCM,      CKM_AES_CTR,
    CKM_RSA_PKCS, CKM_RSA_X_509,   CKM_RSA_PKCS_OAEP, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP};
static const CK_MECHANISM_TYPE signers[] = {
    CKM_ECDSA,    CKM_ECDSA_SHA256, CKM_EDDSA,           CKM_SHA256_HMAC,         CKM_SHA512_HMAC,
    CKM_AES_CMAC, CKM_RSA_PKCS,     CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_RSA_X_509};
static const CK_MECHANISM_TYPE digests[] = {CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384,
                                            CKM_SHA512};
static const CK_MECHANISM_TYPE makers[] = {CKM_AES_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN};
static const CK_MECHANISM_TYPE pairs[] = {CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN,
                                          CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
                                          CKM_RSA_PKCS_KEY_PAIR_GEN};
static const CK_MECHANISM_TYPE derivers[] = {CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE,
                                             CKM_HKDF_DERIVE};

/* ---- functions, by the shape of their arguments ---- */

typedef CK_RV (*begin_function)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
typedef CK_RV (*whole_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                                CK_ULONG_PTR);
typedef CK_RV (*feed_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);
typedef CK_RV (*last_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG_PTR);

static CK_RV begin(struct args *args, begin_function function, const CK_MECHANISM_TYPE *types,
                   size_t count)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, types, count);

    return function(session, mechanism, args_object(args));
}

static CK_RV whole(struct args *args, whole_function function)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size, *room_size;
    CK_BYTE *data = args_data(args, 70000, &size);
    CK_BYTE *room = args_room(args, &room_size);

    return function(session, data, size, room, room_size);
}

static CK_RV feed(struct args *args, feed_function function)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size;
    CK_BYTE *data = args_data(args, 70000, &size);

    return function(session, data, size);
}

static CK_RV last(struct args *args, last_function function)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG *size;
    CK_BYTE *room = args_room(args, &size);

    return function(session, room, size);
}

static void keep_object(struct args *args, CK_RV rv, const CK_ULONG *place)
{
    CK_OBJECT_HANDLE handle;

    if (rv == CKR_OK) {
        memcpy(&handle, (const void *)place, sizeof handle);
        QH_ASSERT(handle != CK_INVALID_HANDLE);
        args_keep_object(args, handle);
    }
}

/* ---- one wrapper for each function ---- */

#define BEGIN(name, types)                                 \
    static CK_RV run_##name(struct args *args)             \
    {                                                      \
        return begin(args, C_##name, types, COUNT(types)); \
    }
#define WHOLE(name)                            \
    static CK_RV run_##name(struct args *args) \
    {                                          \
        return whole(args, C_##name);          \
    }
#define FEED(name)                             \
    static CK_RV run_##name(struct args *args) \
    {                                          \
        return feed(args, C_##name);           \
    }
#define LAST(name)                             \
    static CK_RV run_##name(struct args *args) \
    {                                          \
        return last(args, C_##name);           \
    }
#define ONLY_SESSION(name)                     \
    static CK_RV run_##name(struct args *args) \
    {                                          \
        return C_##name(args_session(args));   \
    }

BEGIN(EncryptInit, ciphers)
BEGIN(DecryptInit, ciphers)
BEGIN(SignInit, signers)
BEGIN(VerifyInit, signers)
BEGIN(SignRecoverInit, signers)
BEGIN(VerifyRecoverInit, signers)
BEGIN(MessageEncryptInit, ciphers)
BEGIN(MessageDecryptInit, ciphers)
BEGIN(MessageSignInit, signers)
BEGIN(MessageVerifyInit, signers)
WHOLE(Encrypt)
WHOLE(EncryptUpdate)
WHOLE(Decrypt)
WHOLE(DecryptUpdate)
WHOLE(Digest)
WHOLE(Sign)
WHOLE(SignRecover)
WHOLE(VerifyRecover)
WHOLE(DigestEncryptUpdate)
WHOLE(DecryptDigestUpdate)
WHOLE(SignEncryptUpdate)
WHOLE(DecryptVerifyUpdate)
FEED(SignUpdate)
FEED(VerifyUpdate)
FEED(DigestUpdate)
FEED(VerifyFinal)
FEED(SeedRandom)
LAST(EncryptFinal)
LAST(DecryptFinal)
LAST(DigestFinal)
LAST(SignFinal)
LAST(GetOperationState)
ONLY_SESSION(CloseSession)
ONLY_SESSION(Logout)
ONLY_SESSION(FindObjectsFinal)
ONLY_SESSION(MessageEncryptFinal)
ONLY_SESSION(MessageDecryptFinal)
ONLY_SESSION(MessageSignFinal)
ONLY_SESSION(MessageVerifyFinal)
ONLY_SESSION(GetFunctionStatus)
ONLY_SESSION(CancelFunction)

static CK_RV run_DigestInit(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);

    return C_DigestInit(session, args_mechanism(args, digests, COUNT(digests)));
}

static CK_RV run_DigestKey(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);

    return C_DigestKey(session, args_object(args));
}

static CK_RV run_Verify(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size, signature_size;
    CK_BYTE *data = args_data(args, 70000, &size);
    CK_BYTE *signature = args_data(args, 600, &signature_size);

    return C_Verify(session, data, size, signature, signature_size);
}

static CK_RV run_OpenSession(struct args *args)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (args_rarely(args, 64) ? 0 : CKF_RW_SESSION);
    CK_SLOT_ID slot = args_slot(args);
    CK_ULONG *place = args_number(args);
    CK_SESSION_HANDLE session;
    CK_RV rv =
        C_OpenSession(slot, args_rarely(args, 8) ? args_byte(args) : flags, NULL, NULL, place);

    if (rv == CKR_OK) {
        memcpy(&session, (const void *)place, sizeof session);
        args_keep_session(args, session);
    }
    return rv;
}

static CK_RV run_CloseAllSessions(struct args *args)
{
    /* Often, it would leave nothing to do. */
    return args_rarely(args, 64) ? C_CloseAllSessions(args_slot(args)) : CKR_OK;
}

static CK_RV run_GetSessionInfo(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);

    return C_GetSessionInfo(
        session, args_rarely(args, 8) ? NULL : args_block(args, sizeof(CK_SESSION_INFO)));
}

static CK_RV run_SessionCancel(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_FLAGS flags = (CK_FLAGS)args_byte(args) << 8 | args_byte(args);

    return C_SessionCancel(session, flags);
}

static CK_RV run_SetOperationState(struct args *args)
{
    CK_SESSION_HANDLE from = args_session(args), to = args_session(args);
    CK_BYTE state[512];
    CK_ULONG size = sizeof state;
    CK_RV rv = C_GetOperationState(from, state, &size);

    if (rv != CKR_OK || size > sizeof state) {
        size = 16;
        memset(state, args_byte(args), size);
    } else if (size > 0 && args_rarely(args, 64)) {
        state[args_byte(args) % size] ^= 1;
    }
    return C_SetOperationState(to, state, size, args_object(args) & 1 ? 0 : args_object(args), 0);
}

static CK_RV run_Login(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size;
    CK_UTF8CHAR *pin = args_pin(args, &size);

    return C_Login(session, args_byte(args) % 4u, pin, size);
}

static CK_RV run_LoginUser(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size, name_size;
    CK_UTF8CHAR *pin = args_pin(args, &size);
    CK_UTF8CHAR *name = args_data(args, 64, &name_size);

    return C_LoginUser(session, args_byte(args) % 4u, pin, size, name, name_size);
}

static CK_RV run_InitPIN(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size;
    CK_UTF8CHAR *pin = args_pin(args, &size);

    return C_InitPIN(session, pin, size);
}

static CK_RV run_SetPIN(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG old_size, new_size;
    CK_UTF8CHAR *old_pin = args_pin(args, &old_size);
    CK_UTF8CHAR *new_pin = args_pin(args, &new_size);

    return C_SetPIN(session, old_pin, old_size, new_pin, new_size);
}

static CK_RV run_InitToken(struct args *args)
{
    CK_SLOT_ID slot = args_slot(args);
    CK_ULONG size;
    CK_UTF8CHAR *pin = args_pin(args, &size);
    CK_UTF8CHAR *label = args_block(args, 32);

    memset(label, ' ', 32);
    memcpy(label, "alpha", 5);
    return C_InitToken(slot, pin, size, args_rarely(args, 8) ? NULL : label);
}

static CK_RV run_CreateObject(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG count, *place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_RV rv = C_CreateObject(session, template, count, place);

    keep_object(args, rv, place);
    return rv;
}

static CK_RV run_CopyObject(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_OBJECT_HANDLE object = args_object(args);
    CK_ULONG count, *place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_RV rv = C_CopyObject(session, object, template, count, place);

    keep_object(args, rv, place);
    return rv;
}

static CK_RV run_DestroyObject(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);

    return args_rarely(args, 64) ? C_DestroyObject(session, args_object(args)) : CKR_OK;
}

static CK_RV run_GetObjectSize(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_OBJECT_HANDLE object = args_object(args);

    return C_GetObjectSize(session, object, args_number(args));
}

static CK_RV run_GetAttributeValue(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_OBJECT_HANDLE object = args_object(args);
    CK_ULONG count;
    CK_ATTRIBUTE *template = args_question(args, &count);

    return C_GetAttributeValue(session, object, template, count);
}

static CK_RV run_SetAttributeValue(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_OBJECT_HANDLE object = args_object(args);
    CK_ULONG count;
    CK_ATTRIBUTE *template = args_template(args, &count);

    return C_SetAttributeValue(session, object, template, count);
}

static CK_RV run_FindObjectsInit(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG count;
    CK_ATTRIBUTE *template = args_template(args, &count);

    return C_FindObjectsInit(session, template, args_rarely(args, 128) ? 0 : count);
}

static CK_RV run_FindObjects(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG room = args_byte(args) % 16u, *place = args_number(args), count;
    CK_OBJECT_HANDLE *handles = args_block(args, 16 * sizeof *handles), first;
    CK_RV rv = C_FindObjects(session, args_rarely(args, 8) ? NULL : handles, room, place);

    if (rv == CKR_OK) {
        memcpy(&count, (const void *)place, sizeof count);
        QH_ASSERT(count <= room);
        if (count > 0) {
            memcpy(&first, (const void *)handles, sizeof first);
            args_keep_object(args, first);
        }
    }
    return rv;
}

static CK_RV run_GenerateKey(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, makers, COUNT(makers));
    CK_ULONG count, *place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_RV rv = C_GenerateKey(session, mechanism, template, count, place);

    keep_object(args, rv, place);
    return rv;
}

static CK_RV run_GenerateKeyPair(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, pairs, COUNT(pairs));
    CK_ULONG count, private_count, *place = args_number(args), *private_place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_ATTRIBUTE *private_template = args_template(args, &private_count);
    CK_RV rv = C_GenerateKeyPair(session, mechanism, template, count, private_template,
                                 private_count, place, private_place);

    keep_object(args, rv, place);
    keep_object(args, rv, private_place);
    return rv;
}

/* A pair that comes to be, for the calls that need one. */
static CK_RV make_pair(struct args *args)
{
    static CK_BYTE curve[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BBOOL token = args_byte(args) & 1, yes = CK_TRUE;
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, curve, sizeof curve}, {CKA_TOKEN, &token, 1}};
    CK_ATTRIBUTE private[] = {{CKA_DERIVE, &yes, 1}, {CKA_TOKEN, &token, 1}};
    CK_ULONG handles[2];
    CK_RV rv = C_GenerateKeyPair(args_session(args), &mechanism, public, COUNT(public), private,
                                 COUNT(private), &handles[0], &handles[1]);

    keep_object(args, rv, &handles[0]);
    keep_object(args, rv, &handles[1]);
    return rv;
}

static CK_RV make_aes(struct args *args)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_BBOOL token = args_byte(args) & 1, yes = CK_TRUE;
    CK_ULONG size = 32, handle;
    CK_ATTRIBUTE list[] = {{CKA_VALUE_LEN, &size, sizeof size},
                           {CKA_TOKEN, &token, 1},
                           {CKA_WRAP, &yes, 1},
                           {CKA_UNWRAP, &yes, 1},
                           {CKA_EXTRACTABLE, &yes, 1}};
    CK_RV rv = C_GenerateKey(args_session(args), &mechanism, list, COUNT(list), &handle);

    keep_object(args, rv, &handle);
    return rv;
}

static CK_RV run_WrapKey(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, ciphers, COUNT(ciphers));
    CK_OBJECT_HANDLE wrapping = args_object(args), key = args_object(args);
    CK_ULONG *size;
    CK_BYTE *room = args_room(args, &size);

    return C_WrapKey(session, mechanism, wrapping, key, room, size);
}

static CK_RV run_UnwrapKey(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, ciphers, COUNT(ciphers));
    CK_OBJECT_HANDLE unwrapping = args_object(args);
    CK_ULONG count, size, *place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_BYTE *wrapped = args_data(args, 600, &size);
    CK_RV rv = C_UnwrapKey(session, mechanism, unwrapping, wrapped, size, template, count, place);

    keep_object(args, rv, place);
    return rv;
}

static CK_RV run_DeriveKey(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_MECHANISM *mechanism = args_mechanism(args, derivers, COUNT(derivers));
    CK_OBJECT_HANDLE base = args_object(args);
    CK_ULONG count, *place = args_number(args);
    CK_ATTRIBUTE *template = args_template(args, &count);
    CK_RV rv = C_DeriveKey(session, mechanism, base, template, count, place);

    keep_object(args, rv, place);
    return rv;
}

static CK_RV run_GenerateRandom(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size;
    CK_BYTE *room = args_data(args, 70000, &size);

    return C_GenerateRandom(session, room, size);
}

static CK_RV run_GetSlotList(struct args *args)
{
    CK_ULONG *size;
    CK_BYTE *room = args_room(args, &size);
    CK_ULONG count;

    if (size != NULL) { /* in slots */
        memcpy(&count, (const void *)size, sizeof count);
        count /= sizeof(CK_SLOT_ID);
        memcpy((void *)size, &count, sizeof count);
    }
    return C_GetSlotList(args_byte(args) & 1, (void *)room, size);
}

static CK_RV run_GetMechanismList(struct args *args)
{
    CK_ULONG *size;
    CK_BYTE *room = args_room(args, &size);
    CK_ULONG count;

    if (size != NULL) {
        memcpy(&count, (const void *)size, sizeof count);
        count /= sizeof(CK_MECHANISM_TYPE);
        memcpy((void *)size, &count, sizeof count);
    }
    return C_GetMechanismList(args_slot(args), (void *)room, size);
}

static CK_RV run_GetMechanismInfo(struct args *args)
{
    CK_SLOT_ID slot = args_slot(args);
    CK_MECHANISM_TYPE type = (CK_MECHANISM_TYPE)args_byte(args) << 4 | args_byte(args);

    return C_GetMechanismInfo(
        slot, type, args_rarely(args, 8) ? NULL : args_block(args, sizeof(CK_MECHANISM_INFO)));
}

static CK_RV run_GetTokenInfo(struct args *args)
{
    CK_SLOT_ID slot = args_slot(args);

    return C_GetTokenInfo(slot,
                          args_rarely(args, 8) ? NULL : args_block(args, sizeof(CK_TOKEN_INFO)));
}

static CK_RV run_GetSlotInfo(struct args *args)
{
    CK_SLOT_ID slot = args_slot(args);

    return C_GetSlotInfo(slot,
                         args_rarely(args, 8) ? NULL : args_block(args, sizeof(CK_SLOT_INFO)));
}

static CK_RV run_GetInfo(struct args *args)
{
    return C_GetInfo(args_rarely(args, 64) ? NULL : args_block(args, sizeof(CK_INFO)));
}

static CK_RV run_WaitForSlotEvent(struct args *args)
{
    return C_WaitForSlotEvent(CKF_DONT_BLOCK, args_number(args), NULL);
}

/* Whoever forgot everything starts again. */
static CK_RV run_Finalize(struct args *args)
{
    CK_RV rv = CKR_OK;

    if (args_rarely(args, 32)) {
        rv = C_Finalize(args_rarely(args, 64) ? args : NULL);
    }
    return rv;
}

static CK_RV run_Initialize(struct args *args)
{
    CK_C_INITIALIZE_ARGS given = {.flags = CKF_OS_LOCKING_OK};
    CK_RV rv = C_Initialize(args_rarely(args, 128) ? &given : NULL);

    return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : rv;
}

#define MESSAGE(name, function)                                                           \
    static CK_RV run_##name(struct args *args)                                            \
    {                                                                                     \
        CK_SESSION_HANDLE session = args_session(args);                                   \
        CK_ULONG aad_size, size, *room_size;                                              \
        CK_GCM_MESSAGE_PARAMS params = {args_block(args, 12), 12, 0, CKG_NO_GENERATE,     \
                                        args_block(args, 16), 128};                       \
        CK_BYTE *aad = args_data(args, 600, &aad_size);                                   \
        CK_BYTE *data = args_data(args, 70000, &size);                                    \
        CK_BYTE *room = args_room(args, &room_size);                                      \
        CK_ULONG params_size = sizeof params - (args_rarely(args, 8) ? 1 : 0);            \
        params.ivGenerator = args_byte(args) % 6u;                                        \
        params.ulIvFixedBits = args_byte(args) % 104u;                                    \
        return function(session, args_rarely(args, 8) ? NULL : &params, params_size, aad, \
                        aad_size, data, size, room, room_size);                           \
    }
MESSAGE(EncryptMessage, C_EncryptMessage)
MESSAGE(DecryptMessage, C_DecryptMessage)

static CK_RV run_SignMessage(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size, *room_size;
    CK_BYTE *data = args_data(args, 70000, &size);
    CK_BYTE *room = args_room(args, &room_size);

    return C_SignMessage(session, NULL, 0, data, size, room, room_size);
}

static CK_RV run_VerifyMessage(struct args *args)
{
    CK_SESSION_HANDLE session = args_session(args);
    CK_ULONG size, signature_size;
    CK_BYTE *data = args_data(args, 70000, &size);
    CK_BYTE *signature = args_data(args, 600, &signature_size);

    return C_VerifyMessage(session, NULL, 0, data, size, signature, signature_size);
}

/* Somebody else's doing. */
static CK_RV end_tickets(struct args *args)
{
    if (args_rarely(args, 32)) {
        pocket_end_tickets();
    }
    return CKR_OK;
}

/* ---- which comes next ---- */

#define CALL(name, codes)        \
    {                            \
#name, run_##name, codes \
    }
static const struct call {
    const char *name;
    CK_RV (*run)(struct args *args);
    enum codes codes;
} table[] = {
    CALL(OpenSession, CODES_SESSION),
    CALL(Login, CODES_LOGIN),
    {"make_pair", make_pair, CODES_MAKE},
    {"make_aes", make_aes, CODES_MAKE},
    CALL(CreateObject, CODES_MAKE),
    CALL(SignInit, CODES_BEGIN),
    CALL(Sign, CODES_SIGN),
    CALL(SignUpdate, CODES_SIGN),
    CALL(SignFinal, CODES_SIGN),
    CALL(EncryptInit, CODES_BEGIN),
    CALL(Encrypt, CODES_ENCRYPT),
    CALL(EncryptUpdate, CODES_ENCRYPT),
    CALL(EncryptFinal, CODES_ENCRYPT),
    CALL(DecryptInit, CODES_BEGIN),
    CALL(Decrypt, CODES_DECRYPT),
    CALL(DecryptUpdate, CODES_DECRYPT),
    CALL(DecryptFinal, CODES_DECRYPT),
    CALL(VerifyInit, CODES_BEGIN),
    CALL(Verify, CODES_VERIFY),
    CALL(VerifyUpdate, CODES_VERIFY),
    CALL(VerifyFinal, CODES_VERIFY),
    CALL(DigestInit, CODES_BEGIN),
    CALL(Digest, CODES_DIGEST),
    CALL(DigestUpdate, CODES_DIGEST),
    CALL(DigestKey, CODES_DIGEST),
    CALL(DigestFinal, CODES_DIGEST),
    CALL(FindObjectsInit, CODES_FIND),
    CALL(FindObjects, CODES_FIND),
    CALL(FindObjectsFinal, CODES_FIND),
    CALL(GetAttributeValue, CODES_READ),
    CALL(SetAttributeValue, CODES_OBJECT),
    CALL(GetObjectSize, CODES_OBJECT),
    CALL(CopyObject, CODES_MAKE),
    CALL(DestroyObject, CODES_OBJECT),
    CALL(GenerateKey, CODES_MAKE),
    CALL(GenerateKeyPair, CODES_MAKE),
    CALL(WrapKey, CODES_WRAP),
    CALL(UnwrapKey, CODES_UNWRAP),
    CALL(DeriveKey, CODES_DERIVE),
    CALL(GenerateRandom, CODES_RANDOM),
    CALL(SeedRandom, CODES_RANDOM),
    CALL(SignRecoverInit, CODES_BEGIN),
    CALL(SignRecover, CODES_SIGN),
    CALL(VerifyRecoverInit, CODES_BEGIN),
    CALL(VerifyRecover, CODES_VERIFY),
    CALL(DigestEncryptUpdate, CODES_DUAL),
    CALL(DecryptDigestUpdate, CODES_DUAL),
    CALL(SignEncryptUpdate, CODES_DUAL),
    CALL(DecryptVerifyUpdate, CODES_DUAL),
    CALL(MessageEncryptInit, CODES_BEGIN),
    CALL(EncryptMessage, CODES_ENCRYPT),
    CALL(MessageEncryptFinal, CODES_ENCRYPT),
    CALL(MessageDecryptInit, CODES_BEGIN),
    CALL(DecryptMessage, CODES_DECRYPT),
    CALL(MessageDecryptFinal, CODES_DECRYPT),
    CALL(MessageSignInit, CODES_BEGIN),
    CALL(SignMessage, CODES_SIGN),
    CALL(MessageSignFinal, CODES_SIGN),
    CALL(MessageVerifyInit, CODES_BEGIN),
    CALL(VerifyMessage, CODES_VERIFY),
    CALL(MessageVerifyFinal, CODES_VERIFY),
    CALL(GetOperationState, CODES_STATE),
    CALL(SetOperationState, CODES_STATE),
    CALL(GetSessionInfo, CODES_SESSION),
    CALL(SessionCancel, CODES_SESSION),
    CALL(CloseSession, CODES_SESSION),
    CALL(CloseAllSessions, CODES_SESSION),
    CALL(Logout, CODES_LOGIN),
    CALL(LoginUser, CODES_LOGIN),
    CALL(InitPIN, CODES_PIN),
    CALL(SetPIN, CODES_PIN),
    CALL(InitToken, CODES_PIN),
    CALL(GetInfo, CODES_GENERAL),
    CALL(GetSlotList, CODES_GENERAL),
    CALL(GetSlotInfo, CODES_SLOT),
    CALL(GetTokenInfo, CODES_SLOT),
    CALL(GetMechanismList, CODES_SLOT),
    CALL(GetMechanismInfo, CODES_SLOT),
    CALL(WaitForSlotEvent, CODES_EVENT),
    CALL(GetFunctionStatus, CODES_PARALLEL),
    CALL(CancelFunction, CODES_PARALLEL),
    CALL(Finalize, CODES_GENERAL),
    CALL(Initialize, CODES_GENERAL),
    {"end_tickets", end_tickets, CODES_GENERAL},
};

void pkcs11_call_next(struct args *args)
{
    const struct call *call = &table[args_byte(args) % COUNT(table)];
    CK_RV rv = call->run(args);

    args_release(args);
    if (!codes_allow(call->codes, rv)) {
        (void)fprintf(stderr, "C_%s answers 0x%lx\n", call->name, rv);
        abort();
    }
}

/* ---- the world around it ---- */

static char config_path[64];

static void remove_config(void)
{
    (void)unlink(config_path);
}

void pkcs11_configure(void)
{
    static const char text[] = "endpoints:\n  - 127.0.0.1:7600\nca: ca.crt\n"
                               "certificate: c.crt\nkey: c.key\n";
    int fd;

    if (config_path[0] != '\0') {
        return;
    }
    (void)snprintf(config_path, sizeof config_path, "/tmp/qh-calls-pkcs11.XXXXXX");
    fd = mkstemp(config_path);
    QH_ASSERT(fd >= 0);
    QH_ASSERT(write(fd, text, sizeof text - 1) == (ssize_t)(sizeof text - 1));
    QH_ASSERT(close(fd) == 0);
    QH_ASSERT(setenv("QUADHSM_CONFIG", config_path, 1) == 0);
    QH_ASSERT(atexit(remove_config) == 0);
}
