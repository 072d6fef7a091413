/* Logins: one for the process and each token. */
#ifndef QH_PKCS11_LOGIN_H
#define QH_PKCS11_LOGIN_H

#include "pkcs11/module.h"

/* Log out if @slot has no session any more, as the standard wants it. */
void login_end(struct slot *slot);
/* Which login calls are made under; 0: none. */
uint64_t login_current(struct slot *slot);
enum quadhsm_role login_role(struct slot *slot);
/* The cluster says that login @login has ended (the PIN was changed): an application that logs in
 * again goes on with the handles it has. */
void login_lost(struct slot *slot, uint64_t login);
/* The PIN is another one now: a forked child has to ask a node about what it says. */
void login_forget_pin(struct slot *slot);

#endif
