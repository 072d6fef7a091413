/* Encoding and decoding of the greeting. */
#include "raft-glue/hello.h"

#include <string.h>

#include "base/assert.h"
#include "raft-glue/identity.h"

size_t hello_encode(const struct transport_hello *hello, enum qh_err code,
                    uint8_t ret_body[HELLO_SIZE_MAX])
{
    size_t length = strnlen(hello->name, sizeof hello->name);
    struct bytes_writer writer;

    QH_ASSERT(hello->id != 0);
    QH_ASSERT(length > 0);
    QH_ASSERT(length <= NODE_NAME_LENGTH_MAX);
    bytes_writer_init(&writer, ret_body, HELLO_SIZE_MAX);
    bytes_write_u32(&writer, HELLO_MAGIC);
    bytes_write_u16(&writer, HELLO_VERSION);
    bytes_write_u16(&writer, 0);
    bytes_write_u32(&writer, (uint32_t)code);
    bytes_write_span(&writer, hello->cluster, sizeof hello->cluster);
    bytes_write_u64(&writer, hello->generation);
    bytes_write_u64(&writer, hello->id);
    bytes_write_u64(&writer, hello->start_count);
    bytes_write_u64(&writer, hello->nonce);
    bytes_write_u64(&writer, hello->term);
    bytes_write_u8(&writer, (uint8_t)length);
    bytes_write_span(&writer, hello->name, length);
    QH_ASSERT(!writer.failed);
    return writer.size;
}

/* What stands before the part that may differ between versions. */
static QH_RESULT read_start(struct bytes_reader *reader, uint32_t *ret_code)
{
    uint32_t magic = bytes_read_u32(reader);
    uint16_t version = bytes_read_u16(reader);
    uint16_t zero = bytes_read_u16(reader);
    uint32_t code = bytes_read_u32(reader);

    if (reader->failed || magic != HELLO_MAGIC || zero != 0) {
        return QH_EMALFORMED;
    }
    if (version != HELLO_VERSION) {
        return QH_EVERSION;
    }
    if (code > UINT16_MAX) { /* more than a number of an error can become */
        return QH_EMALFORMED;
    }
    *ret_code = code;
    return QH_OK;
}

QH_RESULT hello_decode(struct bytes body, struct transport_hello *ret_hello, enum qh_err *ret_code)
{
    struct transport_hello hello = {0};
    struct bytes_reader reader;
    struct bytes span;
    uint32_t code = 0;
    enum qh_err err;

    bytes_reader_init(&reader, body.base, body.size);
    err = read_start(&reader, &code);
    if (err != QH_OK) {
        return err;
    }
    span = bytes_read_span(&reader, sizeof hello.cluster);
    if (span.base != NULL) {
        memcpy(hello.cluster, span.base, span.size);
    }
    hello.generation = bytes_read_u64(&reader);
    hello.id = bytes_read_u64(&reader);
    hello.start_count = bytes_read_u64(&reader);
    hello.nonce = bytes_read_u64(&reader);
    hello.term = bytes_read_u64(&reader);
    span = bytes_read_span(&reader, bytes_read_u8(&reader));
    if (reader.failed || reader.left != 0 || span.size == 0 || span.size > NODE_NAME_LENGTH_MAX) {
        return QH_EMALFORMED;
    }
    memcpy(hello.name, span.base, span.size);
    if (strlen(hello.name) != span.size || !identity_name_valid(hello.name) || hello.id == 0) {
        return QH_EMALFORMED;
    }
    *ret_hello = hello;
    *ret_code = (enum qh_err)code;
    return QH_OK;
}
