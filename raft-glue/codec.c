/* Raft messages to bytes and back. What it is not: a judge of whether a message
 * makes sense now; that is for the guard and for libraft. */
#include "raft-glue/codec.h"

#include <string.h>

#include "base/limits.h"
#include "raft-glue/identity.h"

#define HEADER_SIZE 8u        /* type and zeroes */
#define APPEND_FIXED_SIZE 40u /* AppendEntries before its entries */
#define ENTRY_HEAD_SIZE 16u   /* an entry without its data */
#define RESULT_SIZE 24u
#define VOTE_SIZE 40u
#define VOTE_RESULT_SIZE 16u
#define INSTALL_FIXED_SIZE 40u /* InstallSnapshot before its configuration */
#define TIMEOUT_NOW_SIZE 24u
#define CONFIGURATION_FIXED_SIZE 8u
#define SERVER_FIXED_SIZE 10u

/* Encoding */

/* The sizes of what codec_encode() will write, so that it can allocate once. */
struct layout {
    size_t head_size;
    unsigned piece_count;
    size_t configuration_size;
};

static QH_RESULT measure_configuration(const struct raft_configuration *conf, size_t *ret_size)
{
    size_t size = CONFIGURATION_FIXED_SIZE;

    if (conf->n > NODES_MAX) {
        return QH_ELIMIT;
    }
    for (unsigned i = 0; i < conf->n; i++) {
        size_t length = strlen(conf->servers[i].address);

        if (length > NODE_NAME_LENGTH_MAX) {
            return QH_ELIMIT;
        }
        size += SERVER_FIXED_SIZE + length;
    }
    *ret_size = size;
    return QH_OK;
}

static QH_RESULT measure_entries(const struct raft_append_entries *append,
                                 struct layout *ret_layout)
{
    if (append->n_entries > CODEC_ENTRIES_MAX) {
        return QH_ELIMIT;
    }
    for (unsigned i = 0; i < append->n_entries; i++) {
        if (append->entries[i].buf.len > ENTRY_SIZE_MAX) {
            return QH_ELIMIT;
        }
    }
    ret_layout->head_size =
        HEADER_SIZE + APPEND_FIXED_SIZE + (size_t)append->n_entries * ENTRY_HEAD_SIZE;
    ret_layout->piece_count = append->n_entries;
    return QH_OK;
}

static QH_RESULT measure_install(const struct raft_install_snapshot *install,
                                 struct layout *ret_layout)
{
    enum qh_err err = measure_configuration(&install->conf, &ret_layout->configuration_size);

    if (err != QH_OK) {
        return err;
    }
    ret_layout->head_size = HEADER_SIZE + INSTALL_FIXED_SIZE + ret_layout->configuration_size + 8;
    ret_layout->piece_count = 1;
    return QH_OK;
}

static QH_RESULT measure(const struct raft_message *message, struct layout *ret_layout)
{
    memset(ret_layout, 0, sizeof(*ret_layout));
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return measure_entries(&message->append_entries, ret_layout);
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        ret_layout->head_size = HEADER_SIZE + RESULT_SIZE;
        return QH_OK;
    case RAFT_IO_REQUEST_VOTE:
        ret_layout->head_size = HEADER_SIZE + VOTE_SIZE;
        return QH_OK;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        ret_layout->head_size = HEADER_SIZE + VOTE_RESULT_SIZE;
        return QH_OK;
    case RAFT_IO_INSTALL_SNAPSHOT:
        return measure_install(&message->install_snapshot, ret_layout);
    case RAFT_IO_TIMEOUT_NOW:
        ret_layout->head_size = HEADER_SIZE + TIMEOUT_NOW_SIZE;
        return QH_OK;
    default:
        return QH_EINVAL;
    }
}

static void write_zeroes(struct bytes_writer *writer, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes_write_u8(writer, 0);
    }
}

static void write_append(struct bytes_writer *writer, const struct raft_append_entries *append)
{
    bytes_write_u64(writer, append->term);
    bytes_write_u64(writer, append->prev_log_index);
    bytes_write_u64(writer, append->prev_log_term);
    bytes_write_u64(writer, append->leader_commit);
    bytes_write_u32(writer, append->n_entries);
    bytes_write_u32(writer, 0);
    for (unsigned i = 0; i < append->n_entries; i++) {
        const struct raft_entry *entry = &append->entries[i];

        bytes_write_u64(writer, entry->term);
        bytes_write_u16(writer, entry->type);
        bytes_write_u16(writer, 0);
        bytes_write_u32(writer, (uint32_t)entry->buf.len);
    }
}

static void write_result(struct bytes_writer *writer,
                         const struct raft_append_entries_result *result)
{
    bytes_write_u64(writer, result->term);
    bytes_write_u64(writer, result->rejected);
    bytes_write_u64(writer, result->last_log_index);
}

static void write_vote(struct bytes_writer *writer, const struct raft_request_vote *vote)
{
    bytes_write_u64(writer, vote->term);
    bytes_write_u64(writer, vote->candidate_id);
    bytes_write_u64(writer, vote->last_log_index);
    bytes_write_u64(writer, vote->last_log_term);
    bytes_write_u8(writer, vote->disrupt_leader);
    bytes_write_u8(writer, vote->pre_vote);
    write_zeroes(writer, 6);
}

static void write_vote_result(struct bytes_writer *writer,
                              const struct raft_request_vote_result *result)
{
    bytes_write_u64(writer, result->term);
    bytes_write_u8(writer, result->vote_granted);
    bytes_write_u8(writer, (uint8_t)result->pre_vote);
    write_zeroes(writer, 6);
}

static void write_configuration(struct bytes_writer *writer, const struct raft_configuration *conf)
{
    bytes_write_u32(writer, conf->n);
    bytes_write_u32(writer, 0);
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        size_t length = strlen(server->address);

        bytes_write_u64(writer, server->id);
        bytes_write_u8(writer, (uint8_t)server->role);
        bytes_write_u8(writer, (uint8_t)length);
        bytes_write_span(writer, server->address, length);
    }
}

static void write_install(struct bytes_writer *writer, const struct raft_install_snapshot *install,
                          size_t configuration_size)
{
    bytes_write_u64(writer, install->term);
    bytes_write_u64(writer, install->last_index);
    bytes_write_u64(writer, install->last_term);
    bytes_write_u64(writer, install->conf_index);
    bytes_write_u32(writer, (uint32_t)configuration_size);
    bytes_write_u32(writer, 0);
    write_configuration(writer, &install->conf);
    bytes_write_u64(writer, install->data.len);
}

static void write_timeout_now(struct bytes_writer *writer, const struct raft_timeout_now *now)
{
    bytes_write_u64(writer, now->term);
    bytes_write_u64(writer, now->last_log_index);
    bytes_write_u64(writer, now->last_log_term);
}

static void write_head(struct bytes_writer *writer, const struct raft_message *message,
                       const struct layout *layout)
{
    bytes_write_u16(writer, message->type);
    write_zeroes(writer, 6);
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        write_append(writer, &message->append_entries);
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        write_result(writer, &message->append_entries_result);
        break;
    case RAFT_IO_REQUEST_VOTE:
        write_vote(writer, &message->request_vote);
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        write_vote_result(writer, &message->request_vote_result);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        write_install(writer, &message->install_snapshot, layout->configuration_size);
        break;
    default:
        write_timeout_now(writer, &message->timeout_now);
        break;
    }
}

/* List the payload where it lies. */
static size_t list_pieces(const struct raft_message *message, struct bytes *pieces)
{
    size_t size = 0;

    if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        pieces[0].base = message->install_snapshot.data.base;
        pieces[0].size = message->install_snapshot.data.len;
        return pieces[0].size;
    }
    for (unsigned i = 0; i < message->append_entries.n_entries; i++) {
        pieces[i].base = message->append_entries.entries[i].buf.base;
        pieces[i].size = message->append_entries.entries[i].buf.len;
        size += pieces[i].size;
    }
    return size;
}

QH_RESULT codec_encode(const struct raft_message *message, struct codec_encoded *ret_encoded)
{
    struct codec_encoded encoded = {0};
    struct bytes_writer writer;
    struct layout layout;
    enum qh_err err = measure(message, &layout);

    if (err != QH_OK) {
        return err;
    }
    encoded.head = raft_malloc(layout.head_size);
    if (encoded.head == NULL) {
        return QH_ENOMEM;
    }
    if (layout.piece_count > 0) {
        encoded.pieces = raft_malloc(layout.piece_count * sizeof(*encoded.pieces));
        if (encoded.pieces == NULL) {
            raft_free(encoded.head);
            return QH_ENOMEM;
        }
    }
    bytes_writer_init(&writer, encoded.head, layout.head_size);
    write_head(&writer, message, &layout);
    encoded.head_size = writer.size;
    encoded.piece_count = layout.piece_count;
    encoded.size = encoded.head_size;
    if (encoded.piece_count > 0) {
        encoded.size += list_pieces(message, encoded.pieces);
    }
    *ret_encoded = encoded;
    return QH_OK;
}

void codec_encoded_close(struct codec_encoded *encoded)
{
    raft_free(encoded->head);
    raft_free(encoded->pieces);
    memset(encoded, 0, sizeof(*encoded));
}

/* Decoding. Each reader returns QH_OK only for a message that is complete and
 * in range; what it allocates before it fails it releases itself. */

static bool read_zeroes(struct bytes_reader *reader, size_t size)
{
    struct bytes span = bytes_read_span(reader, size);

    for (size_t i = 0; i < span.size; i++) {
        if (span.base[i] != 0) {
            return false;
        }
    }
    return !reader->failed;
}

/* A bool, or false in *ret_valid. */
static bool read_flag(struct bytes_reader *reader, bool *ret_valid)
{
    uint8_t value = bytes_read_u8(reader);

    *ret_valid = *ret_valid && value <= 1;
    return value == 1;
}

static bool reader_done(const struct bytes_reader *reader)
{
    return !reader->failed && reader->left == 0;
}

/* A position in a log: index and term are zero together, and no log entry is of a later term
 * than the message that tells of it. */
static bool position_valid(uint64_t index, uint64_t entry_term, uint64_t term)
{
    return (index == 0) == (entry_term == 0) && entry_term <= term;
}

static bool type_known(unsigned type)
{
    return type == RAFT_COMMAND || type == RAFT_BARRIER || type == RAFT_CHANGE;
}

/* Check the heads of @count entries and that their data is exactly what follows. */
static QH_RESULT check_entries(struct bytes_reader reader, unsigned count, uint64_t term)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t entry_term = bytes_read_u64(&reader);
        uint16_t type = bytes_read_u16(&reader);
        uint16_t zero = bytes_read_u16(&reader);
        uint32_t size = bytes_read_u32(&reader);

        if (reader.failed || entry_term == 0 || entry_term > term || !type_known(type) ||
            zero != 0 || size == 0 || size % 8 != 0) {
            return QH_EMALFORMED;
        }
        if (size > ENTRY_SIZE_MAX) {
            return QH_ELIMIT;
        }
        total += size;
    }
    return total == reader.left ? QH_OK : QH_EMALFORMED;
}

/* Build the array that libraft takes over: one batch for the data of all entries. */
static QH_RESULT build_entries(struct bytes_reader heads, unsigned count,
                               struct raft_entry **ret_entries)
{
    struct bytes_reader data = heads;
    struct raft_entry *entries;
    uint8_t *batch;

    (void)bytes_read_span(&data, (size_t)count * ENTRY_HEAD_SIZE);
    entries = raft_malloc(count * sizeof(*entries));
    if (entries == NULL) {
        return QH_ENOMEM;
    }
    batch = raft_malloc(data.left);
    if (batch == NULL) {
        raft_free(entries);
        return QH_ENOMEM;
    }
    memcpy(batch, data.next, data.left);
    for (unsigned i = 0; i < count; i++) {
        entries[i].term = bytes_read_u64(&heads);
        entries[i].type = bytes_read_u16(&heads);
        (void)bytes_read_u16(&heads);
        entries[i].buf.len = bytes_read_u32(&heads);
        entries[i].buf.base =
            i == 0 ? batch : (uint8_t *)entries[i - 1].buf.base + entries[i - 1].buf.len;
        entries[i].batch = batch;
    }
    *ret_entries = entries;
    return QH_OK;
}

static QH_RESULT read_append(struct bytes_reader *reader, struct raft_append_entries *append)
{
    enum qh_err err;
    uint32_t zero;

    append->term = bytes_read_u64(reader);
    append->prev_log_index = bytes_read_u64(reader);
    append->prev_log_term = bytes_read_u64(reader);
    append->leader_commit = bytes_read_u64(reader);
    append->n_entries = bytes_read_u32(reader);
    zero = bytes_read_u32(reader);
    append->entries = NULL;
    if (reader->failed || zero != 0 || append->term == 0 ||
        !position_valid(append->prev_log_index, append->prev_log_term, append->term)) {
        return QH_EMALFORMED;
    }
    if (append->n_entries > CODEC_ENTRIES_MAX) {
        return QH_ELIMIT;
    }
    err = check_entries(*reader, append->n_entries, append->term);
    if (err != QH_OK || append->n_entries == 0) {
        return err;
    }
    return build_entries(*reader, append->n_entries, &append->entries);
}

static QH_RESULT read_result(struct bytes_reader *reader, struct raft_append_entries_result *result)
{
    result->term = bytes_read_u64(reader);
    result->rejected = bytes_read_u64(reader);
    result->last_log_index = bytes_read_u64(reader);
    return reader_done(reader) && result->term != 0 ? QH_OK : QH_EMALFORMED;
}

static QH_RESULT read_vote(struct bytes_reader *reader, struct raft_request_vote *vote)
{
    bool valid = true;

    vote->term = bytes_read_u64(reader);
    vote->candidate_id = bytes_read_u64(reader);
    vote->last_log_index = bytes_read_u64(reader);
    vote->last_log_term = bytes_read_u64(reader);
    vote->disrupt_leader = read_flag(reader, &valid);
    vote->pre_vote = read_flag(reader, &valid);
    valid = read_zeroes(reader, 6) && valid;
    valid = valid && reader_done(reader) && vote->term != 0 && vote->candidate_id != 0;
    valid = valid && position_valid(vote->last_log_index, vote->last_log_term, vote->term);
    return valid ? QH_OK : QH_EMALFORMED;
}

static QH_RESULT read_vote_result(struct bytes_reader *reader,
                                  struct raft_request_vote_result *result)
{
    bool valid = true;
    uint8_t pre_vote;

    result->term = bytes_read_u64(reader);
    result->vote_granted = read_flag(reader, &valid);
    pre_vote = bytes_read_u8(reader);
    valid = read_zeroes(reader, 6) && valid;
    valid = valid && reader_done(reader) && result->term != 0;
    if (!valid || (pre_vote != raft_tribool_unknown && pre_vote != raft_tribool_true &&
                   pre_vote != raft_tribool_false)) {
        return QH_EMALFORMED;
    }
    result->pre_vote = (raft_tribool)pre_vote;
    return QH_OK;
}

static QH_RESULT read_server(struct bytes_reader *reader, struct raft_configuration *conf)
{
    char name[NODE_NAME_LENGTH_MAX + 1] = {0};
    uint64_t id = bytes_read_u64(reader);
    uint8_t role = bytes_read_u8(reader);
    uint8_t length = bytes_read_u8(reader);
    struct bytes span = bytes_read_span(reader, length);

    if (reader->failed || id == 0) {
        return QH_EMALFORMED;
    }
    if (length > NODE_NAME_LENGTH_MAX) {
        return QH_ELIMIT;
    }
    memcpy(name, span.base, span.size);
    if (memchr(name, 0, length) != NULL || !identity_name_valid(name)) {
        return QH_EMALFORMED;
    }
    switch (raft_configuration_add(conf, id, name, role)) {
    case 0:
        return QH_OK;
    case RAFT_NOMEM:
        return QH_ENOMEM;
    default: /* an id or a name twice, or no such role */
        return QH_EMALFORMED;
    }
}

static QH_RESULT read_configuration(struct bytes span, struct raft_configuration *ret_conf)
{
    struct raft_configuration conf;
    struct bytes_reader reader;
    enum qh_err err = QH_OK;
    uint32_t count;

    bytes_reader_init(&reader, span.base, span.size);
    count = bytes_read_u32(&reader);
    if (bytes_read_u32(&reader) != 0 || reader.failed || count == 0) {
        return QH_EMALFORMED;
    }
    if (count > NODES_MAX) {
        return QH_ELIMIT;
    }
    raft_configuration_init(&conf);
    for (uint32_t i = 0; i < count && err == QH_OK; i++) {
        err = read_server(&reader, &conf);
    }
    if (err == QH_OK && !reader_done(&reader)) {
        err = QH_EMALFORMED;
    }
    if (err != QH_OK) {
        raft_configuration_close(&conf);
        return err;
    }
    *ret_conf = conf;
    return QH_OK;
}

static QH_RESULT read_install(struct bytes_reader *reader, struct raft_install_snapshot *install)
{
    struct bytes configuration;
    uint32_t configuration_size;
    uint32_t zero;
    uint64_t size;
    enum qh_err err;

    install->term = bytes_read_u64(reader);
    install->last_index = bytes_read_u64(reader);
    install->last_term = bytes_read_u64(reader);
    install->conf_index = bytes_read_u64(reader);
    configuration_size = bytes_read_u32(reader);
    zero = bytes_read_u32(reader);
    configuration = bytes_read_span(reader, configuration_size);
    size = bytes_read_u64(reader);
    if (reader->failed || zero != 0 || size == 0 || size != reader->left ||
        install->last_index == 0 || install->last_term == 0 || install->last_term > install->term ||
        install->conf_index == 0 || install->conf_index > install->last_index) {
        return QH_EMALFORMED;
    }
    err = read_configuration(configuration, &install->conf);
    if (err != QH_OK) {
        return err;
    }
    install->data.base = raft_malloc(reader->left);
    if (install->data.base == NULL) {
        raft_configuration_close(&install->conf);
        return QH_ENOMEM;
    }
    install->data.len = reader->left;
    memcpy(install->data.base, reader->next, reader->left);
    return QH_OK;
}

static QH_RESULT read_timeout_now(struct bytes_reader *reader, struct raft_timeout_now *now)
{
    now->term = bytes_read_u64(reader);
    now->last_log_index = bytes_read_u64(reader);
    now->last_log_term = bytes_read_u64(reader);
    return reader_done(reader) && now->last_log_index != 0 && now->last_log_term != 0 &&
                   now->last_log_term <= now->term
               ? QH_OK
               : QH_EMALFORMED;
}

static QH_RESULT read_message(struct bytes_reader *reader, struct raft_message *message)
{
    message->type = bytes_read_u16(reader);
    if (!read_zeroes(reader, 6)) {
        return QH_EMALFORMED;
    }
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return read_append(reader, &message->append_entries);
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        return read_result(reader, &message->append_entries_result);
    case RAFT_IO_REQUEST_VOTE:
        return read_vote(reader, &message->request_vote);
    case RAFT_IO_REQUEST_VOTE_RESULT:
        return read_vote_result(reader, &message->request_vote_result);
    case RAFT_IO_INSTALL_SNAPSHOT:
        return read_install(reader, &message->install_snapshot);
    case RAFT_IO_TIMEOUT_NOW:
        return read_timeout_now(reader, &message->timeout_now);
    default:
        return QH_EMALFORMED;
    }
}

QH_RESULT codec_decode(struct bytes body, struct raft_message *ret_message)
{
    struct raft_message message;
    struct bytes_reader reader;
    enum qh_err err;

    memset(&message, 0, sizeof(message));
    bytes_reader_init(&reader, body.base, body.size);
    err = read_message(&reader, &message);
    if (err == QH_OK) {
        *ret_message = message;
    }
    return err;
}

void codec_message_close(struct raft_message *message)
{
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        if (message->append_entries.n_entries > 0) {
            raft_free(message->append_entries.entries[0].batch);
        }
        raft_free(message->append_entries.entries);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        break;
    default:
        break;
    }
    memset(message, 0, sizeof(*message));
}
