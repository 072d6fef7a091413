/* Searches. All that matches is looked up by C_FindObjectsInit; C_FindObjects hands it out. */
#ifndef QH_PKCS11_FIND_H
#define QH_PKCS11_FIND_H

#include "pkcs11/module.h"

void search_free(struct search *search); /* NULL is allowed */
/* The session's, which has none then; NULL if it had none. */
struct search *search_take(struct session *session);

#endif
