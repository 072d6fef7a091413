/* C_GetSlotList, C_GetSlotInfo, C_GetTokenInfo, C_GetMechanismList, C_GetMechanismInfo,
 * C_WaitForSlotEvent. */
#include "pkcs11/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "pkcs11/general.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/template.h"

#define LIST_FRESH_MS 1000u  /* how long what was read of the partitions is told again */
#define EVENT_EVERY_MS 2000u /* how often a blocking C_WaitForSlotEvent looks */
#define TRIES_LOW 2u         /* tries left that CKF_*_PIN_COUNT_LOW is raised at */

CK_SLOT_ID slot_id_of(const uint8_t partition_id[QUADHSM_PARTITION_ID_SIZE])
{
    const uint8_t *low = partition_id + QUADHSM_PARTITION_ID_SIZE - 4;

    return ((CK_SLOT_ID)(low[0] & 0x7f) << 24) | ((CK_SLOT_ID)low[1] << 16) |
           ((CK_SLOT_ID)low[2] << 8) | low[3];
}

CK_SLOT_ID slot_id_after(CK_SLOT_ID id)
{
    return (id + 1) & 0x7fffffffu;
}

/* ---- the list ---- */

static struct slot *find_partition(const uint8_t *partition_id)
{
    for (size_t i = 0; i < module_slot_count(); i++) {
        struct slot *slot = module_slot(i);

        if (memcmp(slot->partition.id, partition_id, sizeof slot->partition.id) == 0) {
            return slot;
        }
    }
    return NULL;
}

static struct slot *find_id(CK_SLOT_ID id)
{
    for (size_t i = 0; i < module_slot_count(); i++) {
        if (module_slot(i)->id == id) {
            return module_slot(i);
        }
    }
    return NULL;
}

/* Under the lock. */
static QH_RESULT add_slot(struct slot *slot)
{
    slot->id = slot_id_of(slot->partition.id);
    /* In the cluster's order, which never changes: the older partition keeps the number. */
    while (find_id(slot->id) != NULL) {
        slot->id = slot_id_after(slot->id);
    }
    return module_add_slot(slot);
}

static CKR_RESULT make_slot(const struct quadhsm_partition *partition)
{
    struct slot *slot = calloc(1, sizeof *slot);
    enum qh_err err = QH_OK;
    int error;

    if (slot == NULL) {
        return CKR_HOST_MEMORY;
    }
    slot->partition = *partition;
    slot->position = SIZE_MAX;
    error = quadhsm_token_open(module_client(), partition->id, &slot->token);
    if (error != QUADHSM_OK) {
        free(slot);
        return ckr_from_error(error, ABOUT_TOKEN);
    }
    module_lock();
    /* Another thread may have been quicker. */
    if (find_partition(partition->id) == NULL) {
        err = add_slot(slot);
        slot = err == QH_OK ? NULL : slot;
    }
    module_unlock();
    if (slot != NULL) {
        quadhsm_token_close(slot->token);
        free(slot);
    }
    return ckr_from_error((int)err, ABOUT_TOKEN);
}

/* Under the lock. What was there when the list was read first did not come. */
static void note_events(void)
{
    for (size_t i = 0; i < module_slot_count(); i++) {
        struct slot *slot = module_slot(i);
        bool present = slot->position != SIZE_MAX;

        slot->event =
            (slot->event || present != slot->was_present) && module_slots_read_at_ms() != 0;
    }
}

static void place_slots(const struct quadhsm_partition *list, size_t count)
{
    module_lock();
    for (size_t i = 0; i < module_slot_count(); i++) {
        module_slot(i)->was_present = module_slot(i)->position != SIZE_MAX;
        module_slot(i)->position = SIZE_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = find_partition(list[i].id);

        if (slot != NULL) {
            slot->partition = list[i];
            slot->position = i;
        }
    }
    note_events();
    module_sort_slots();
    module_set_slots_read_at_ms(module_now_ms());
    module_unlock();
}

static CKR_RESULT read_list(void)
{
    struct quadhsm_partition *list = NULL;
    size_t count = 0;
    CK_RV rv = CKR_OK;
    int error = quadhsm_partitions(module_client(), &list, &count);

    if (error != QUADHSM_OK) {
        return ckr_from_error(error, ABOUT_TOKEN);
    }
    for (size_t i = 0; i < count && rv == CKR_OK; i++) {
        bool known;

        module_lock();
        known = find_partition(list[i].id) != NULL;
        module_unlock();
        if (!known) {
            rv = make_slot(&list[i]);
        }
    }
    if (rv == CKR_OK) {
        place_slots(list, count);
    }
    free(list);
    return rv;
}

static bool list_is_fresh(void)
{
    uint64_t read_at_ms;

    module_lock();
    read_at_ms = module_slots_read_at_ms();
    module_unlock();
    return read_at_ms != 0 && module_now_ms() - read_at_ms < LIST_FRESH_MS;
}

/* Not 0, which says that it was never read. */
void slot_list_changed(void)
{
    module_lock();
    if (module_slots_read_at_ms() != 0) {
        module_set_slots_read_at_ms(1);
    }
    module_unlock();
}

static struct slot *find_locked(CK_SLOT_ID id, bool *ret_gone)
{
    struct slot *slot;

    module_lock();
    slot = find_id(id);
    *ret_gone = slot != NULL && slot->position == SIZE_MAX;
    module_unlock();
    return slot;
}

CKR_RESULT slot_find(CK_SLOT_ID id, struct slot **ret_slot)
{
    bool gone = false;
    struct slot *slot = find_locked(id, &gone);
    CK_RV rv;

    if ((slot == NULL || gone) && !list_is_fresh()) {
        rv = read_list();
        if (rv != CKR_OK) {
            return rv;
        }
        slot = find_locked(id, &gone);
    }
    if (slot == NULL) {
        return CKR_SLOT_ID_INVALID;
    }
    if (gone) {
        return CKR_TOKEN_NOT_PRESENT;
    }
    *ret_slot = slot;
    return CKR_OK;
}

/* Under the lock. */
static CKR_RESULT copy_list(CK_SLOT_ID *list, CK_ULONG *count)
{
    CK_ULONG room = template_get_ulong(count);
    CK_ULONG present = 0;

    while (present < module_slot_count() && module_slot(present)->position != SIZE_MAX) {
        present++;
    }
    template_set_ulong(count, present);
    if (list != NULL && room < present) {
        return CKR_BUFFER_TOO_SMALL;
    }
    for (size_t i = 0; list != NULL && i < present; i++) {
        template_set_ulong(list + i, module_slot(i)->id);
    }
    return CKR_OK;
}

/* With no list the slots are looked up again; with one they are those of that time, unless there
 * was none. While no node answers, the slots that are known are still there. */
static CKR_RESULT slot_list(CK_SLOT_ID *list, CK_ULONG *count)
{
    bool known;
    CK_RV rv = CKR_OK;

    if (count == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    module_lock();
    known = module_slots_read_at_ms() != 0;
    module_unlock();
    if (list == NULL || !known) {
        rv = read_list();
    }
    module_lock();
    known = known || module_slot_count() > 0; /* the parent's, in a child */
    module_unlock();
    if (rv != CKR_OK && !known) {
        return rv;
    }
    module_lock();
    rv = copy_list(list, count);
    module_unlock();
    return rv;
}

MODULE_API CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID_PTR list, CK_ULONG_PTR count)
{
    CK_RV rv = module_enter();

    (void)token_present; /* every slot has its token */
    if (rv == CKR_OK) {
        rv = slot_list(list, count);
        module_leave();
    }
    return rv;
}

/* ---- one slot, its token ---- */

static CKR_RESULT slot_info(CK_SLOT_ID id, CK_SLOT_INFO *ret_info)
{
    char text[sizeof ret_info->slotDescription + 1];
    struct slot *slot;
    CK_RV rv;

    rv = slot_find(id, &slot);
    if (rv != CKR_OK && rv != CKR_TOKEN_NOT_PRESENT) {
        return rv;
    }
    memset(ret_info, 0, sizeof *ret_info);
    if (rv == CKR_OK) {
        module_lock();
        snprintf(text, sizeof text, "Quadhsm partition %s", slot->partition.name);
        module_unlock();
        ret_info->flags = CKF_TOKEN_PRESENT;
    } else {
        snprintf(text, sizeof text, "Quadhsm partition, deleted");
    }
    module_pad(ret_info->slotDescription, sizeof ret_info->slotDescription, text);
    module_pad(ret_info->manufacturerID, sizeof ret_info->manufacturerID, MODULE_MANUFACTURER);
    ret_info->flags |= module_is_hardware() ? CKF_HW_SLOT : 0;
    ret_info->hardwareVersion = general_version();
    ret_info->firmwareVersion = general_version();
    return CKR_OK;
}

MODULE_API CK_RV C_GetSlotInfo(CK_SLOT_ID id, CK_SLOT_INFO_PTR info)
{
    CK_SLOT_INFO filled;
    CK_RV rv = module_enter();

    if (rv == CKR_OK) {
        rv = info == NULL ? CKR_ARGUMENTS_BAD : slot_info(id, &filled);
        module_tell(info, &filled, sizeof filled, rv);
        module_leave();
    }
    return rv;
}

static CK_FLAGS tries_flags(bool ready, unsigned left, unsigned tries, CK_FLAGS low, CK_FLAGS final,
                            CK_FLAGS locked)
{
    if (!ready || tries == 0) {
        return 0;
    }
    if (left == 0) {
        return locked;
    }
    return (left < tries && left <= TRIES_LOW ? low : 0) | (left < tries && left == 1 ? final : 0);
}

CK_FLAGS slot_pin_flags(const struct quadhsm_partition *partition)
{
    return tries_flags(partition->co_ready, partition->co_tries_left, partition->co_tries,
                       CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED) |
           tries_flags(partition->po_ready, partition->po_tries_left, partition->po_tries,
                       CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
}

/* Under the lock. */
static void describe_token(const struct slot *slot, CK_TOKEN_INFO *ret_info)
{
    memset(ret_info, 0, sizeof *ret_info);
    module_pad(ret_info->label, sizeof ret_info->label, slot->partition.name);
    module_pad(ret_info->manufacturerID, sizeof ret_info->manufacturerID, MODULE_MANUFACTURER);
    module_pad(ret_info->model, sizeof ret_info->model, "Quadhsm");
    module_pad(ret_info->serialNumber, sizeof ret_info->serialNumber, slot->partition.serial);
    module_pad(ret_info->utcTime, sizeof ret_info->utcTime, "");
    ret_info->flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_DUAL_CRYPTO_OPERATIONS |
                      (slot->partition.claimable ? 0 : CKF_TOKEN_INITIALIZED) |
                      (slot->partition.co_ready ? CKF_USER_PIN_INITIALIZED : 0) |
                      slot_pin_flags(&slot->partition);
    ret_info->ulMaxSessionCount = CK_EFFECTIVELY_INFINITE;
    ret_info->ulSessionCount = slot->session_count;
    ret_info->ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE;
    ret_info->ulRwSessionCount = slot->writable_count;
    ret_info->ulMaxPinLen = PIN_SIZE_MAX;
    ret_info->ulMinPinLen = PIN_SIZE_MIN;
    ret_info->ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION;
    ret_info->ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION;
    ret_info->ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION;
    ret_info->ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION;
    ret_info->hardwareVersion = general_version();
    ret_info->firmwareVersion = general_version();
}

static CKR_RESULT token_info(CK_SLOT_ID id, CK_TOKEN_INFO *ret_info)
{
    struct slot *slot;
    CK_RV rv = CKR_OK;

    if (!list_is_fresh()) {
        rv = read_list();
    }
    if (rv == CKR_OK) {
        rv = slot_find(id, &slot);
    }
    if (rv != CKR_OK) {
        return rv;
    }
    module_lock();
    describe_token(slot, ret_info);
    module_unlock();
    return CKR_OK;
}

MODULE_API CK_RV C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO_PTR info)
{
    CK_TOKEN_INFO filled;
    CK_RV rv = module_enter();

    if (rv == CKR_OK) {
        rv = info == NULL ? CKR_ARGUMENTS_BAD : token_info(id, &filled);
        module_tell(info, &filled, sizeof filled, rv);
        module_leave();
    }
    return rv;
}

/* ---- mechanisms ---- */

static CKR_RESULT mechanism_list(CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    unsigned table_count = 0;
    const struct mech_info *table = mech_table(&table_count);
    CK_ULONG room;
    CK_ULONG offered = 0;
    struct slot *slot;
    CK_RV rv;

    if (count == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = slot_find(id, &slot);
    if (rv != CKR_OK) {
        return rv;
    }
    room = template_get_ulong(count);
    for (unsigned i = 0; i < table_count; i++) {
        if (mechanism_flags(&table[i]) == 0) {
            continue;
        }
        if (list != NULL && offered < room) {
            template_set_ulong(list + offered, table[i].type);
        }
        offered++;
    }
    template_set_ulong(count, offered);
    return list != NULL && room < offered ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

MODULE_API CK_RV C_GetMechanismList(CK_SLOT_ID id, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR count)
{
    CK_RV rv = module_enter();

    if (rv == CKR_OK) {
        rv = mechanism_list(id, list, count);
        module_leave();
    }
    return rv;
}

static CKR_RESULT mechanism_info(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info)
{
    const struct mech_info *info = mech_find(type);
    struct slot *slot;
    CK_RV rv;

    rv = slot_find(id, &slot);
    if (rv != CKR_OK) {
        return rv;
    }
    if (info == NULL || mechanism_flags(info) == 0) {
        return CKR_MECHANISM_INVALID;
    }
    ret_info->ulMinKeySize = info->key_min;
    ret_info->ulMaxKeySize = info->key_max;
    ret_info->flags = mechanism_flags(info) | (module_is_hardware() ? CKF_HW : 0);
    return CKR_OK;
}

MODULE_API CK_RV C_GetMechanismInfo(CK_SLOT_ID id, CK_MECHANISM_TYPE type,
                                    CK_MECHANISM_INFO_PTR info)
{
    CK_MECHANISM_INFO filled;
    CK_RV rv = module_enter();

    if (rv == CKR_OK) {
        rv = info == NULL ? CKR_ARGUMENTS_BAD : mechanism_info(id, type, &filled);
        module_tell(info, &filled, sizeof filled, rv);
        module_leave();
    }
    return rv;
}

/* ---- events ---- */

/* A slot that came or went since it was last told of; false if none did. */
static bool take_event(CK_SLOT_ID *ret_id)
{
    bool found = false;

    module_lock();
    for (size_t i = 0; i < module_slot_count() && !found; i++) {
        struct slot *slot = module_slot(i);

        found = slot->event;
        if (found) {
            slot->event = false;
            *ret_id = slot->id;
        }
    }
    module_unlock();
    return found;
}

/* While no node answers, nothing is known to have happened. */
static bool look_for_event(CK_SLOT_ID *ret_id)
{
    return take_event(ret_id) || (!list_is_fresh() && read_list() == CKR_OK && take_event(ret_id));
}

static CKR_RESULT wait_for_event(CK_FLAGS flags, CK_SLOT_ID *ret_slot)
{
    CK_SLOT_ID id = 0;

    if (ret_slot == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    while (!look_for_event(&id)) {
        if ((flags & CKF_DONT_BLOCK) != 0) {
            return CKR_NO_EVENT;
        }
        if (module_wait_stopping(EVENT_EVERY_MS)) {
            return CKR_CRYPTOKI_NOT_INITIALIZED;
        }
    }
    template_set_ulong(ret_slot, id);
    return CKR_OK;
}

MODULE_API CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID_PTR slot, CK_VOID_PTR reserved)
{
    CK_RV rv;

    if (reserved != NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = module_enter();
    if (rv == CKR_OK) {
        rv = wait_for_event(flags, slot);
        module_leave();
    }
    return rv;
}
