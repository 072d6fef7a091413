/* The module's state: one for the process, under one lock that is never held across a call to the
 * client library. Slots, sessions and what they are doing.
 *
 *   IDLE --C_Initialize--> STARTING --> RUNNING --C_Finalize--> STOPPING --> IDLE
 *
 * Every call enters the module and leaves it; C_Finalize waits for those that are inside.
 *
 * Fork: the lock is taken around fork(), so that a child finds the state whole. A child that calls
 * nothing goes on with the sessions and logins it inherited; its first C_Initialize
 * starts afresh. */
#ifndef QH_PKCS11_MODULE_H
#define QH_PKCS11_MODULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cryptoki.h"
#include "client/token.h"
#include "crypto/seal.h"
#include "pkcs11/ckr.h"
#include "pkcs11/handle.h"
#include "pkcs11/objects.h"

/* Of the functions that applications call; everything else stays inside. */
#define MODULE_API __attribute__((visibility("default")))

#define MODULE_SESSIONS_MAX 65536u
/* Partitions come and go; those that went keep their number for the process. */
#define MODULE_SLOTS_MAX 1024u

#define MODULE_MANUFACTURER "Quadhsm"

/* Slots are never freed before C_Finalize, so that their pointers may be kept. */
struct slot {
    CK_SLOT_ID id;
    size_t index;                       /* in the order in which this process saw them */
    struct quadhsm_token *token;        /* set when made; in a child, its own */
    struct quadhsm_partition partition; /* as last read */
    size_t position;                    /* in the last list; SIZE_MAX: it is gone */
    bool was_present;                   /* in the list before */
    bool event;                         /* came or went, and C_WaitForSlotEvent has not said so */
    enum quadhsm_role role;             /* who is logged in */
    uint64_t login_count;               /* logins so far, to tell one from the next */
    unsigned session_count, writable_count;
    bool pin_known;                 /* @pin_mac is of the PIN of this login, or of @kept */
    uint8_t pin_mac[SEAL_MAC_SIZE]; /* login.c */
    struct token_login kept;        /* of the process that this one was forked from */
};

enum module_operation {
    OPERATION_SIGN,
    OPERATION_VERIFY,
    OPERATION_ENCRYPT,
    OPERATION_DECRYPT,
    OPERATION_DIGEST,
    OPERATION_SIGN_RECOVER,
    OPERATION_VERIFY_RECOVER,
    OPERATION_MESSAGE_ENCRYPT,
    OPERATION_MESSAGE_DECRYPT,
    OPERATION_MESSAGE_SIGN,
    OPERATION_MESSAGE_VERIFY,
    OPERATION_KINDS
};

struct operation; /* operation.h */
struct search;    /* find.c */

struct session {
    struct handle_item item; /* first */
    struct slot *slot;
    bool writable;
    bool closed;
    unsigned references; /* by the table and by calls */
    struct operation *operations[OPERATION_KINDS];
    struct search *search;
};

/* What a blanked-out field of PKCS#11 is filled with; cut off if it is too long. */
void module_pad(CK_UTF8CHAR *to, size_t size, const char *text);
/* Copy an answer to where the application wants it, which may be misaligned, if @rv is CKR_OK. */
void module_tell(void *to, const void *from, size_t size, CK_RV rv);

/* ---- calls ---- */

/* Errors: CKR_CRYPTOKI_NOT_INITIALIZED. Then module_leave(). */
CKR_RESULT module_enter(void);
void module_leave(void);
/* Enter, and hold a session until session_leave(). Errors: also CKR_SESSION_HANDLE_INVALID. */
CKR_RESULT module_enter_session(CK_SESSION_HANDLE handle, struct session **ret_session);
void module_leave_session(struct session *session);
/* For a session whose references were raised under the lock. */
void module_release_session(struct session *session);

void module_lock(void);
void module_unlock(void);
/* Wait for up to @timeout_ms for C_Finalize; true if it has come. Takes the lock itself. */
bool module_wait_stopping(unsigned timeout_ms);

/* Inside calls. */
struct quadhsm *module_client(void);
bool module_is_hardware(void);
unsigned module_search_cache_ms(void); /* 0: no search is answered from before */
uint64_t module_now_ms(void);

/* ---- under the lock ---- */

struct objects *module_objects(void);
struct handle_table *module_sessions(void);
/* Slots in the cluster's order, those that are gone last. */
struct slot *module_slot(size_t index);
size_t module_slot_count(void);
QH_RESULT module_add_slot(struct slot *slot);
void module_sort_slots(void);
uint64_t module_slots_read_at_ms(void); /* 0: never */
void module_set_slots_read_at_ms(uint64_t now_ms);

/* Take a session out of its table and its slot; what it did is freed when the last call leaves it.
 * True if it was the slot's last. */
bool module_close_session(struct session *session);

/* ---- C_Initialize and C_Finalize ---- */

/* Errors: CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_HOST_MEMORY, CKR_GENERAL_ERROR. */
CKR_RESULT module_start(bool may_make_threads);
CKR_RESULT module_stop(void);

#endif
