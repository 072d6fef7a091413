/* Arguments for PKCS#11 functions made of bytes: right ones most of the time, so that calls get
 * somewhere, and hostile ones: no pointers, wrong sizes, wrong handles, pointers that are not
 * aligned. Every buffer has exactly the size that is told, so that AddressSanitizer sees the first
 * byte beyond it. */
#ifndef QH_TESTS_UNIT_PKCS11_ARGS_H
#define QH_TESTS_UNIT_PKCS11_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cryptoki.h"

#define ARGS_SESSIONS 4u
#define ARGS_OBJECTS 12u
#define ARGS_BLOCKS 128u /* of memory, in one call */
#define ARGS_ATTRIBUTES 12u

/* One input's world. */
struct args {
    struct bytes_reader reader;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE sessions[ARGS_SESSIONS];
    CK_OBJECT_HANDLE objects[ARGS_OBJECTS];
    unsigned next_session, next_object;
    void *blocks[ARGS_BLOCKS]; /* of the call under way */
    unsigned block_count;
};

uint8_t args_byte(struct args *args); /* 0 at the end of the input */
bool args_end(const struct args *args);
/* @chance in 256. */
bool args_rarely(struct args *args, unsigned chance);

CK_SESSION_HANDLE args_session(struct args *args);
CK_OBJECT_HANDLE args_object(struct args *args);
CK_SLOT_ID args_slot(struct args *args);
void args_keep_session(struct args *args, CK_SESSION_HANDLE session);
void args_keep_object(struct args *args, CK_OBJECT_HANDLE object);

/* Memory until args_release(); now and then misaligned. */
void *args_block(struct args *args, size_t size);
void args_release(struct args *args);

/* Some bytes that are read: up to @size_max of them. NULL now and then, with a size that is not 0.
 */
CK_BYTE *args_data(struct args *args, size_t size_max, CK_ULONG *ret_size);
/* Room for an answer: NULL now and then; too small now and then; *ret_size is NULL seldom. */
CK_BYTE *args_room(struct args *args, CK_ULONG **ret_size);
/* Where a handle or number goes: NULL seldom. */
CK_ULONG *args_number(struct args *args);
CK_ATTRIBUTE *args_template(struct args *args, CK_ULONG *ret_count);
/* One that reads values: with room of every size. */
CK_ATTRIBUTE *args_question(struct args *args, CK_ULONG *ret_count);
CK_MECHANISM *args_mechanism(struct args *args, const CK_MECHANISM_TYPE *types, size_t count);
CK_UTF8CHAR *args_pin(struct args *args, CK_ULONG *ret_size);

#endif
