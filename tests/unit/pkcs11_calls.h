/* Calls of every function of PKCS#11, with arguments made of bytes: right ones most of the time,
 * and hostile ones. */
#ifndef QH_TESTS_UNIT_PKCS11_CALLS_H
#define QH_TESTS_UNIT_PKCS11_CALLS_H

#include "tests/unit/pkcs11_args.h"

/* The next call that @args tells of. Aborts if the function answers with a code that is not its own
 * (pkcs11_codes.h), after saying which. */
void pkcs11_call_next(struct args *args);

/* A client configuration in $QUADHSM_CONFIG, once in a process; removed at its end. */
void pkcs11_configure(void);

#endif
