/* Slots: one for each partition that this client may use. Their numbers come from the partition's
 * id, so that they are the same from every node, in every process and for ever. */
#ifndef QH_PKCS11_SLOT_H
#define QH_PKCS11_SLOT_H

#include "pkcs11/module.h"

/* Inside a call. @ret_slot stays valid until C_Finalize. Asks the cluster if the number is not
 * known yet. Errors: CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_PRESENT (it was deleted),
 * CKR_DEVICE_REMOVED (no node answers). */
CKR_RESULT slot_find(CK_SLOT_ID id, struct slot **ret_slot);

/* What is known of partitions may be wrong: it is read again when it is asked for. */
void slot_list_changed(void);

/* The number that a partition wants, and the next one to try if another partition has it. */
CK_SLOT_ID slot_id_of(const uint8_t partition_id[QUADHSM_PARTITION_ID_SIZE]);
CK_SLOT_ID slot_id_after(CK_SLOT_ID id);

/* CKF_USER_PIN_* and CKF_SO_PIN_* of a partition. They rise late: the counters are this client's
 * own, and an application that is refused because of a flag cannot start. */
CK_FLAGS slot_pin_flags(const struct quadhsm_partition *partition);

#endif
