/* Any bytes as a join token: refused, or made again to the very same text. Half of the inputs are
 * given the prefix and the right checksum, or hardly any would get behind it. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/join_token.h"
#include "tests/fuzz/fuzz.h"

#define BODY_SIZE_MAX 4096u

static void try_text(const char *text)
{
    struct join_token token;
    struct secret *again;

    if (join_token_parse(text, &token) != QH_OK) {
        return;
    }
    QH_ASSERT(token.address_count >= 1);
    QH_ASSERT(token.address_count <= JOIN_TOKEN_ADDRESSES_MAX);
    QH_ASSERT(join_token_make(&token, &again) == QH_OK);
    QH_ASSERT(strcmp((const char *)secret_view(again), text) == 0);
    secret_free(again);
    join_token_close(&token);
}

/* @body as what stands between prefix and checksum. */
static void try_body(const uint8_t *body, size_t size)
{
    static uint8_t hashed[sizeof JOIN_TOKEN_PREFIX + BODY_SIZE_MAX + 32];
    static char text[sizeof JOIN_TOKEN_PREFIX + (sizeof hashed * 4) / 3 + 4];
    const size_t prefix = strlen(JOIN_TOKEN_PREFIX);
    uint8_t sum[32];

    memcpy(hashed, JOIN_TOKEN_PREFIX, prefix);
    memcpy(hashed + prefix, body, size);
    QH_ASSERT(crypto_generichash(sum, sizeof sum, hashed, prefix + size, NULL, 0) == 0);
    memcpy(hashed + prefix + size, sum, JOIN_TOKEN_CHECKSUM_SIZE);
    memcpy(text, JOIN_TOKEN_PREFIX, prefix);
    (void)sodium_bin2base64(text + prefix, sizeof text - prefix, hashed + prefix,
                            size + JOIN_TOKEN_CHECKSUM_SIZE,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    try_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    QH_ASSERT(secret_setup() == QH_OK);
    if (size > 0 && (data[0] & 1) != 0) {
        if (size - 1 <= BODY_SIZE_MAX) {
            try_body(data + 1, size - 1);
        }
        return 0;
    }
    text = calloc(1, size + 1);
    QH_ASSERT(text != NULL);
    if (size > 1) {
        memcpy(text, data + 1, size - 1);
    }
    try_text(text);
    free(text);
    return 0;
}
