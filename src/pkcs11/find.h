/* Searches. C_FindObjectsInit asks for the first page, C_FindObjects for the others as they are
 * wanted, so that no search holds more than a page of handles. */
#ifndef QH_PKCS11_FIND_H
#define QH_PKCS11_FIND_H

#include "pkcs11/module.h"

void search_free(struct search *search); /* NULL is allowed */
/* The session's, which has none then; NULL if it had none. */
struct search *search_take(struct session *session);

#endif
