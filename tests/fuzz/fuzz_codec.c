/* Any bytes as a Raft message: refused, or encoded again to the very same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = {data, size};
    struct codec_encoded encoded;
    struct raft_message message;
    size_t offset;

    if (codec_decode(body, &message) != QH_OK) {
        return 0;
    }
    QH_ASSERT(codec_encode(&message, &encoded) == QH_OK);
    QH_ASSERT(encoded.size == size);
    QH_ASSERT(memcmp(data, encoded.head, encoded.head_size) == 0);
    offset = encoded.head_size;
    for (unsigned i = 0; i < encoded.piece_count; i++) {
        QH_ASSERT(memcmp(data + offset, encoded.pieces[i].base, encoded.pieces[i].size) == 0);
        offset += encoded.pieces[i].size;
    }
    QH_ASSERT(offset == size);
    codec_encoded_close(&encoded);
    codec_message_close(&message);
    return 0;
}
