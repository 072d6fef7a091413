/* Any bytes as a sealed cluster key: refused, for nobody can make one that opens. Inputs of the
 * right size are tried with the right checksum too. What asks for a passphrase takes too long. */
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/cmk.h"
#include "tests/fuzz/fuzz.h"

#define METHOD_AT 9u
#define CHECKSUM_SIZE 16u

static const uint8_t cluster[16] = "fuzzed cluster.";

static void try_open(const struct secret *unlock, struct bytes sealed)
{
    struct secret *cmk = NULL;
    enum qh_err err = cmk_open(unlock, cluster, sealed, &cmk);

    QH_ASSERT(err == QH_EPIN || err == QH_EMALFORMED || err == QH_EVERSION || err == QH_ECORRUPT);
    QH_ASSERT(cmk == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret *unlock;
    uint8_t mended[CMK_SEALED_SIZE];

    if (unlock == NULL) {
        QH_ASSERT(secret_setup() == QH_OK);
        QH_ASSERT(secret_new(CMK_FILE_KEY_SIZE, &unlock) == QH_OK);
    }
    if (size > METHOD_AT && data[METHOD_AT] == CMK_PASSPHRASE) {
        return 0;
    }
    try_open(unlock, (struct bytes){data, size});
    if (size == CMK_SEALED_SIZE) {
        memcpy(mended, data, sizeof mended);
        QH_ASSERT(crypto_generichash(mended + sizeof mended - CHECKSUM_SIZE, CHECKSUM_SIZE, mended,
                                     sizeof mended - CHECKSUM_SIZE, NULL, 0) == 0);
        try_open(unlock, (struct bytes){mended, sizeof mended});
    }
    return 0;
}
