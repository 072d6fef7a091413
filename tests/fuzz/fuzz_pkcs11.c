/* Any bytes as calls of PKCS#11: every function of the module, in any order, with right arguments
 * and hostile ones, on a cluster inside the program (tests/unit/pocket_cluster.h). Nothing crashes,
 * nothing is written beyond a buffer, and no function answers with a code that is not its own
 * (pkcs11_codes.h); since the cluster never fails, none says that something failed. */
#include "base/assert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/pkcs11_calls.h"
#include "tests/unit/pocket_cluster.h"

#define CALLS_MAX 96u

static void start(struct args *args)
{
    CK_UTF8CHAR pin[] = POCKET_CO_PIN;
    CK_ULONG count = 1;

    QH_ASSERT(C_Initialize(NULL) == CKR_OK);
    QH_ASSERT(C_GetSlotList(CK_TRUE, &args->slot, &count) == CKR_OK && count == 1);
    QH_ASSERT(C_OpenSession(args->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                            &args->sessions[0]) == CKR_OK);
    args->sessions[1] = args->sessions[0];
    args->next_session = 2;
    if (args_byte(args) != 0) {
        QH_ASSERT(C_Login(args->sessions[0], CKU_USER, pin, sizeof pin - 1) == CKR_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct args args = {.slot = 0};
    CK_RV rv;

    pkcs11_configure();
    bytes_reader_init(&args.reader, data, size);
    start(&args);
    for (unsigned i = 0; i < CALLS_MAX && !args_end(&args); i++) {
        pkcs11_call_next(&args);
    }
    rv = C_Finalize(NULL);
    QH_ASSERT(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    QH_ASSERT(pocket_handles_open() == 0);
    pocket_empty();
    return 0;
}
