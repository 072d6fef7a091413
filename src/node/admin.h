/* What the security officer's changes share. Thread: control. */
#ifndef QH_NODE_ADMIN_H
#define QH_NODE_ADMIN_H

#include "hsm/logins.h"
#include "node/change.h"

/* May a partition have this name? The rule says what names it may have. */
bool admin_name_valid(const char *name);
extern const char admin_name_rule[];

/* Of changes that look at names, one at a time happens: this writes c/settings as it is.
 * Errors: those of loading and sealing. */
QH_RESULT admin_touch_names(const struct keyring *keyring, const struct store *store,
                            struct change_list *list);

#endif
