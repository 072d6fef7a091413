/* Any bytes as a snapshot, as they are and with a right checksum: what decodes must
 * encode to the same bytes. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pieces(const struct store_snapshot *snapshot, struct bytes expected)
{
    size_t size = 0;

    QH_ASSERT(snapshot->size == expected.size);
    for (unsigned i = 0; i < snapshot->piece_count; i++) {
        const struct store_piece *piece = &snapshot->pieces[i];

        QH_ASSERT(piece->size > 0);
        QH_ASSERT(piece->size <= expected.size - size);
        QH_ASSERT(memcmp(piece->base, expected.base + size, piece->size) == 0);
        size += piece->size;
    }
    QH_ASSERT(size == expected.size);
}

static void decode_and_encode(struct bytes encoded)
{
    struct store *store = NULL;
    struct store_view *view = NULL;
    struct store_snapshot snapshot;
    enum qh_err err = store_snapshot_decode(encoded, &store);

    if (err != QH_OK) {
        QH_ASSERT(err == QH_ECORRUPT || err == QH_EVERSION);
        return;
    }
    QH_ASSERT(store_freeze(store, &view) == QH_OK);
    QH_ASSERT(store_snapshot_encode(view, &snapshot) == QH_OK);
    check_pieces(&snapshot, encoded);
    store_snapshot_close(&snapshot);
    store_view_release(view);
    store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes encoded = {data, size};
    uint8_t *sealed = malloc(size + STORE_DIGEST_SIZE);

    QH_ASSERT(sealed != NULL);
    decode_and_encode(encoded);
    /* No search finds a BLAKE2b, so it is given. */
    if (size > 0) {
        memcpy(sealed, data, size);
    }
    QH_ASSERT(crypto_generichash(sealed + size, STORE_DIGEST_SIZE, sealed, size, NULL, 0) == 0);
    encoded.base = sealed;
    encoded.size = size + STORE_DIGEST_SIZE;
    decode_and_encode(encoded);
    free(sealed);
    return 0;
}
