/* Any bytes as the file that remembers the nodes: refused, or a list that can be taken over. The
 * checksum would keep every change away from the parser behind it, so it is made right
 * first. */
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "client/endpoints.h"
#include "tests/fuzz/fuzz.h"
#include "wire/frame.h"

#define MAGIC_SIZE 8u
#define SUM_SIZE 16u

static void take_over(const Quadhsm__EndpointList *list)
{
    static const struct client_config config = {.endpoint_count = 1,
                                                .endpoints[0] = {.host = "10.0.0.1", .port = 7600}};
    struct endpoints endpoints;
    bool changed = false;

    QH_ASSERT(endpoints_init(&endpoints, &config, 0) == QH_OK);
    QH_ASSERT(endpoints_update(&endpoints, list, 1, 0, &changed) == QH_OK);
    QH_ASSERT(changed);
    QH_ASSERT(endpoints.count >= 1);
    QH_ASSERT(endpoints.count <= list->n_endpoints + 1);
    endpoints_close(&endpoints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[ENDPOINTS_FILE_SIZE_MAX];
    Quadhsm__EndpointList *list;

    if (endpoints_file_decode((struct bytes){.base = data, .size = size}, &list) == QH_OK) {
        take_over(list);
        wire_message_free(&list->base);
    }
    if (size > sizeof file - MAGIC_SIZE - SUM_SIZE) {
        return 0;
    }
    memcpy(file, "QHENDP1\n", MAGIC_SIZE);
    (void)crypto_generichash(file + MAGIC_SIZE, SUM_SIZE, data, size, NULL, 0);
    if (size > 0) {
        memcpy(file + MAGIC_SIZE + SUM_SIZE, data, size);
    }
    if (endpoints_file_decode((struct bytes){.base = file, .size = MAGIC_SIZE + SUM_SIZE + size},
                              &list) == QH_OK) {
        take_over(list);
        wire_message_free(&list->base);
    }
    return 0;
}
