/* Raft messages as bytes: whatever arrives is either refused or becomes a message that libraft
 * can take, and nothing is lost on the way. */
#include "raft-glue/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tests/lib/test.h"

#define ENTRY_COUNT 3u

/* One message of each type, and the memory that they point to. */
struct samples {
    struct raft_message messages[6];
    struct raft_entry entries[ENTRY_COUNT];
    uint8_t data[3][24];
    uint8_t snapshot[1000];
    struct raft_configuration conf;
};

static void add_server(struct raft_configuration *conf, raft_id id, const char *name, int role)
{
    ck_assert_int_eq(raft_configuration_add(conf, id, name, role), 0);
}

static void fill_append(struct samples *samples, struct raft_message *message)
{
    static const unsigned short types[ENTRY_COUNT] = {RAFT_COMMAND, RAFT_BARRIER, RAFT_CHANGE};

    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        memset(samples->data[i], (int)(0x41 + i), sizeof(samples->data[i]));
        samples->entries[i].term = 3 + i;
        samples->entries[i].type = types[i];
        samples->entries[i].buf.base = samples->data[i];
        samples->entries[i].buf.len = 8 * (i + 1);
    }
    message->type = RAFT_IO_APPEND_ENTRIES;
    message->append_entries.term = 5;
    message->append_entries.prev_log_index = 17;
    message->append_entries.prev_log_term = 2;
    message->append_entries.leader_commit = 16;
    message->append_entries.entries = samples->entries;
    message->append_entries.n_entries = ENTRY_COUNT;
}

static void fill_install(struct samples *samples, struct raft_message *message)
{
    add_server(&samples->conf, 7, "alpha", RAFT_VOTER);
    add_server(&samples->conf, UINT64_MAX, "b-2.example", RAFT_STANDBY);
    add_server(&samples->conf, 9, "w", RAFT_SPARE);
    memset(samples->snapshot, 0x5a, sizeof(samples->snapshot));
    message->type = RAFT_IO_INSTALL_SNAPSHOT;
    message->install_snapshot.term = 8;
    message->install_snapshot.last_index = 900;
    message->install_snapshot.last_term = 7;
    message->install_snapshot.conf_index = 12;
    message->install_snapshot.conf = samples->conf;
    message->install_snapshot.data.base = samples->snapshot;
    message->install_snapshot.data.len = sizeof(samples->snapshot);
}

static void samples_init(struct samples *samples)
{
    struct raft_message *messages = samples->messages;

    memset(samples, 0, sizeof(*samples));
    raft_configuration_init(&samples->conf);
    fill_append(samples, &messages[0]);
    messages[1].type = RAFT_IO_APPEND_ENTRIES_RESULT;
    messages[1].append_entries_result.term = 4;
    messages[1].append_entries_result.rejected = 11;
    messages[1].append_entries_result.last_log_index = 10;
    messages[2].type = RAFT_IO_REQUEST_VOTE;
    messages[2].request_vote.term = 6;
    messages[2].request_vote.candidate_id = 7;
    messages[2].request_vote.last_log_index = 21;
    messages[2].request_vote.last_log_term = 5;
    messages[2].request_vote.disrupt_leader = true;
    messages[3].type = RAFT_IO_REQUEST_VOTE_RESULT;
    messages[3].request_vote_result.term = 6;
    messages[3].request_vote_result.vote_granted = true;
    messages[3].request_vote_result.pre_vote = raft_tribool_false;
    fill_install(samples, &messages[4]);
    messages[5].type = RAFT_IO_TIMEOUT_NOW;
    messages[5].timeout_now.term = 9;
    messages[5].timeout_now.last_log_index = 33;
    messages[5].timeout_now.last_log_term = 9;
}

static void samples_close(struct samples *samples)
{
    raft_configuration_close(&samples->conf);
}

/* The whole frame in one piece; free() its base. */
static struct bytes flatten(const struct raft_message *message)
{
    struct codec_encoded encoded;
    struct bytes_writer writer;
    uint8_t *base;

    ck_assert_int_eq(codec_encode(message, &encoded), QH_OK);
    base = malloc(encoded.size);
    ck_assert_ptr_nonnull(base);
    bytes_writer_init(&writer, base, encoded.size);
    bytes_write_span(&writer, encoded.head, encoded.head_size);
    for (unsigned i = 0; i < encoded.piece_count; i++) {
        bytes_write_span(&writer, encoded.pieces[i].base, encoded.pieces[i].size);
    }
    ck_assert(!writer.failed);
    ck_assert_uint_eq(writer.size, encoded.size);
    codec_encoded_close(&encoded);
    return (struct bytes){base, writer.size};
}

static void release(struct bytes frame)
{
    free((void *)(uintptr_t)frame.base);
}

/* Decode from a block of exactly the right size, so that a sanitizer sees a read past it. */
static enum qh_err decode_copy(struct bytes frame, struct raft_message *ret_message)
{
    uint8_t *copy = malloc(frame.size > 0 ? frame.size : 1);
    enum qh_err err;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, frame.base, frame.size);
    err = codec_decode((struct bytes){copy, frame.size}, ret_message);
    free(copy);
    return err;
}

static uint8_t *mutable_bytes(struct bytes frame)
{
    return (uint8_t *)(uintptr_t)frame.base;
}

/* Change @size bytes at @offset of the frame of @message, and tell what decoding says. */
static enum qh_err decode_changed(const struct raft_message *message, size_t offset, uint64_t value,
                                  size_t size)
{
    struct bytes frame = flatten(message);
    struct raft_message decoded;
    struct bytes_writer writer;
    uint8_t number[8];
    enum qh_err err;

    bytes_writer_init(&writer, number, sizeof(number));
    bytes_write_u64(&writer, value);
    ck_assert_uint_le(offset + size, frame.size);
    memcpy(mutable_bytes(frame) + offset, number, size);
    err = decode_copy(frame, &decoded);
    if (err == QH_OK) {
        codec_message_close(&decoded);
    }
    release(frame);
    return err;
}

START_TEST(every_type_survives_the_way_there_and_back)
{
    struct samples samples;

    samples_init(&samples);
    for (unsigned i = 0; i < 6; i++) {
        struct raft_message decoded;
        struct bytes frame = flatten(&samples.messages[i]);
        struct bytes again;

        ck_assert_int_eq(decode_copy(frame, &decoded), QH_OK);
        ck_assert_int_eq(decoded.type, samples.messages[i].type);
        again = flatten(&decoded);
        ck_assert_uint_eq(again.size, frame.size);
        ck_assert_mem_eq(again.base, frame.base, frame.size);
        release(frame);
        release(again);
        codec_message_close(&decoded);
    }
    samples_close(&samples);
}
END_TEST

START_TEST(entries_come_in_the_shape_that_libraft_takes_over)
{
    struct samples samples;
    struct raft_message decoded;
    struct bytes frame;
    const struct raft_append_entries *append = &decoded.append_entries;
    const uint8_t *expected;

    samples_init(&samples);
    frame = flatten(&samples.messages[0]);
    ck_assert_int_eq(decode_copy(frame, &decoded), QH_OK);
    ck_assert_uint_eq(append->term, 5);
    ck_assert_uint_eq(append->prev_log_index, 17);
    ck_assert_uint_eq(append->prev_log_term, 2);
    ck_assert_uint_eq(append->leader_commit, 16);
    ck_assert_uint_eq(append->n_entries, ENTRY_COUNT);
    expected = append->entries[0].batch;
    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        const struct raft_entry *entry = &append->entries[i];

        ck_assert_ptr_eq(entry->batch, append->entries[0].batch);
        ck_assert_ptr_eq(entry->buf.base, expected);
        ck_assert_uint_eq(entry->term, samples.entries[i].term);
        ck_assert_uint_eq(entry->type, samples.entries[i].type);
        ck_assert_uint_eq(entry->buf.len, samples.entries[i].buf.len);
        ck_assert_mem_eq(entry->buf.base, samples.data[i], entry->buf.len);
        expected += entry->buf.len;
    }
    codec_message_close(&decoded);
    release(frame);
    samples_close(&samples);
}
END_TEST

START_TEST(a_heartbeat_has_no_entries_at_all)
{
    struct samples samples;
    struct raft_message decoded;
    struct bytes frame;

    samples_init(&samples);
    samples.messages[0].append_entries.n_entries = 0;
    samples.messages[0].append_entries.prev_log_index = 0;
    samples.messages[0].append_entries.prev_log_term = 0;
    frame = flatten(&samples.messages[0]);
    ck_assert_int_eq(decode_copy(frame, &decoded), QH_OK);
    ck_assert_uint_eq(decoded.append_entries.n_entries, 0);
    ck_assert_ptr_null(decoded.append_entries.entries);
    codec_message_close(&decoded);
    release(frame);
    samples_close(&samples);
}
END_TEST

START_TEST(a_snapshot_brings_its_configuration_and_its_data)
{
    struct samples samples;
    struct raft_message decoded;
    struct bytes frame;
    const struct raft_install_snapshot *install = &decoded.install_snapshot;

    samples_init(&samples);
    frame = flatten(&samples.messages[4]);
    ck_assert_int_eq(decode_copy(frame, &decoded), QH_OK);
    ck_assert_uint_eq(install->conf.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(install->conf.servers[i].id, samples.conf.servers[i].id);
        ck_assert_int_eq(install->conf.servers[i].role, samples.conf.servers[i].role);
        ck_assert_str_eq(install->conf.servers[i].address, samples.conf.servers[i].address);
    }
    ck_assert_uint_eq(install->data.len, sizeof(samples.snapshot));
    ck_assert_mem_eq(install->data.base, samples.snapshot, sizeof(samples.snapshot));
    codec_message_close(&decoded);
    release(frame);
    samples_close(&samples);
}
END_TEST

START_TEST(the_payload_is_not_copied)
{
    struct codec_encoded encoded;
    struct samples samples;

    samples_init(&samples);
    ck_assert_int_eq(codec_encode(&samples.messages[0], &encoded), QH_OK);
    ck_assert_uint_eq(encoded.piece_count, ENTRY_COUNT);
    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        ck_assert_ptr_eq(encoded.pieces[i].base, samples.data[i]);
    }
    codec_encoded_close(&encoded);
    ck_assert_int_eq(codec_encode(&samples.messages[4], &encoded), QH_OK);
    ck_assert_uint_eq(encoded.piece_count, 1);
    ck_assert_ptr_eq(encoded.pieces[0].base, samples.snapshot);
    codec_encoded_close(&encoded);
    ck_assert_int_eq(codec_encode(&samples.messages[1], &encoded), QH_OK);
    ck_assert_uint_eq(encoded.piece_count, 0);
    ck_assert_ptr_null(encoded.pieces);
    codec_encoded_close(&encoded);
    samples_close(&samples);
}
END_TEST

START_TEST(every_truncation_and_every_extra_byte_is_refused)
{
    struct samples samples;

    samples_init(&samples);
    for (unsigned i = 0; i < 6; i++) {
        struct bytes frame = flatten(&samples.messages[i]);
        struct raft_message decoded;
        uint8_t *longer = calloc(1, frame.size + 8);

        for (size_t size = 0; size < frame.size; size++) {
            enum qh_err err = decode_copy((struct bytes){frame.base, size}, &decoded);

            ck_assert_int_eq(err, QH_EMALFORMED);
        }
        ck_assert_ptr_nonnull(longer);
        memcpy(longer, frame.base, frame.size);
        for (size_t extra = 1; extra <= 8; extra++) {
            enum qh_err err = decode_copy((struct bytes){longer, frame.size + extra}, &decoded);

            ck_assert_int_eq(err, QH_EMALFORMED);
        }
        free(longer);
        release(frame);
    }
    samples_close(&samples);
}
END_TEST

/* A flipped bit gives an error or another message; what is accepted says exactly what the bytes
 * say, and the sanitizers watch the rest. */
START_TEST(every_flipped_bit_is_refused_or_read_as_it_stands)
{
    struct samples samples;
    unsigned accepted = 0;
    unsigned refused = 0;

    samples_init(&samples);
    for (unsigned i = 0; i < 6; i++) {
        struct bytes frame = flatten(&samples.messages[i]);

        for (size_t bit = 0; bit < frame.size * 8; bit++) {
            struct raft_message decoded;
            enum qh_err err;

            mutable_bytes(frame)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            err = decode_copy(frame, &decoded);
            if (err == QH_OK) {
                struct bytes again = flatten(&decoded);

                ck_assert_uint_eq(again.size, frame.size);
                ck_assert_mem_eq(again.base, frame.base, frame.size);
                release(again);
                codec_message_close(&decoded);
                accepted++;
            } else {
                ck_assert(err == QH_EMALFORMED || err == QH_ELIMIT);
                refused++;
            }
            mutable_bytes(frame)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        release(frame);
    }
    ck_assert_uint_gt(accepted, 0);
    ck_assert_uint_gt(refused, 0);
    samples_close(&samples);
}
END_TEST

START_TEST(what_must_not_be_zero_is_checked)
{
    struct samples samples;
    const struct raft_message *messages = samples.messages;

    samples_init(&samples);
    for (unsigned i = 0; i < 6; i++) { /* the term stands first in every type */
        ck_assert_int_eq(decode_changed(&messages[i], 8, 0, 8), QH_EMALFORMED);
        ck_assert_int_eq(decode_changed(&messages[i], 2, 1, 1), QH_EMALFORMED);
        ck_assert_int_eq(decode_changed(&messages[i], 7, 1, 1), QH_EMALFORMED);
    }
    ck_assert_int_eq(decode_changed(&messages[0], 16, 0, 8), QH_EMALFORMED); /* prev index alone */
    ck_assert_int_eq(decode_changed(&messages[0], 24, 0, 8), QH_EMALFORMED); /* prev term alone */
    ck_assert_int_eq(decode_changed(&messages[0], 44, 1, 1), QH_EMALFORMED); /* after the count */
    ck_assert_int_eq(decode_changed(&messages[0], 48, 0, 8), QH_EMALFORMED); /* an entry's term */
    ck_assert_int_eq(decode_changed(&messages[0], 58, 1, 1), QH_EMALFORMED); /* in an entry */
    ck_assert_int_eq(decode_changed(&messages[2], 16, 0, 8), QH_EMALFORMED); /* candidate */
    ck_assert_int_eq(decode_changed(&messages[2], 24, 0, 8), QH_EMALFORMED); /* index alone */
    ck_assert_int_eq(decode_changed(&messages[4], 16, 0, 8), QH_EMALFORMED); /* last index */
    ck_assert_int_eq(decode_changed(&messages[4], 24, 0, 8), QH_EMALFORMED); /* last term */
    ck_assert_int_eq(decode_changed(&messages[4], 32, 0, 8), QH_EMALFORMED); /* conf index */
    ck_assert_int_eq(decode_changed(&messages[5], 16, 0, 8), QH_EMALFORMED); /* last index */
    ck_assert_int_eq(decode_changed(&messages[5], 24, 0, 8), QH_EMALFORMED); /* last term */
    samples_close(&samples);
}
END_TEST

START_TEST(ranges_are_checked_on_both_sides)
{
    struct samples samples;
    const struct raft_message *messages = samples.messages;

    samples_init(&samples);
    ck_assert_int_eq(decode_changed(&messages[0], 0, 0, 2), QH_EMALFORMED); /* type */
    ck_assert_int_eq(decode_changed(&messages[0], 0, 7, 2), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[0], 24, 5, 8), QH_OK); /* prev term: up to the term */
    ck_assert_int_eq(decode_changed(&messages[0], 24, 6, 8), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[0], 48, 5, 8), QH_OK); /* and an entry's */
    ck_assert_int_eq(decode_changed(&messages[0], 48, 6, 8), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[0], 56, 0, 2), QH_EMALFORMED); /* entry type */
    ck_assert_int_eq(decode_changed(&messages[0], 56, 3, 2), QH_OK);
    ck_assert_int_eq(decode_changed(&messages[0], 56, 4, 2), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[2], 40, 2, 1), QH_EMALFORMED); /* flags */
    ck_assert_int_eq(decode_changed(&messages[2], 41, 1, 1), QH_OK);
    ck_assert_int_eq(decode_changed(&messages[2], 41, 2, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[3], 16, 2, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[3], 17, 2, 1), QH_OK); /* a tribool */
    ck_assert_int_eq(decode_changed(&messages[3], 17, 3, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[4], 24, 8, 8), QH_OK); /* snapshot term */
    ck_assert_int_eq(decode_changed(&messages[4], 24, 9, 8), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&messages[4], 32, 900, 8), QH_OK); /* conf index */
    ck_assert_int_eq(decode_changed(&messages[4], 32, 901, 8), QH_EMALFORMED);
    samples_close(&samples);
}
END_TEST

START_TEST(a_configuration_is_checked)
{
    struct samples samples;
    const struct raft_message *install = &samples.messages[4];
    const size_t conf = 48; /* where the configuration begins, and its first server */
    const size_t server = conf + 8;

    samples_init(&samples);
    ck_assert_int_eq(decode_changed(install, conf, 0, 4), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, conf, 2, 4), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, conf, NODES_MAX, 4), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, conf, NODES_MAX + 1, 4), QH_ELIMIT);
    ck_assert_int_eq(decode_changed(install, server, 0, 8), QH_EMALFORMED);          /* id 0 */
    ck_assert_int_eq(decode_changed(install, server, UINT64_MAX, 8), QH_EMALFORMED); /* taken */
    ck_assert_int_eq(decode_changed(install, server, 8, 8), QH_OK);
    ck_assert_int_eq(decode_changed(install, server + 8, 2, 1), QH_OK); /* role */
    ck_assert_int_eq(decode_changed(install, server + 8, 3, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, server + 9, 0, 1), QH_EMALFORMED); /* no name */
    ck_assert_int_eq(decode_changed(install, server + 9, 255, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, server + 12, 0, 1), QH_EMALFORMED); /* a NUL in it */
    ck_assert_int_eq(decode_changed(install, server + 12, '/', 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(install, server + 12, 'x', 1), QH_OK);
    samples_close(&samples);
}
END_TEST

/* Round-trip a configuration of @count servers with names of @length characters. */
static enum qh_err encode_configuration(unsigned count, size_t length)
{
    struct raft_message message = {.type = RAFT_IO_INSTALL_SNAPSHOT};
    struct raft_install_snapshot *install = &message.install_snapshot;
    struct codec_encoded encoded;
    uint8_t data[8] = {0};
    enum qh_err err;

    install->term = install->last_index = install->last_term = install->conf_index = 1;
    install->data.base = data;
    install->data.len = sizeof(data);
    raft_configuration_init(&install->conf);
    for (unsigned i = 0; i < count; i++) {
        char name[100];

        memset(name, 'n', sizeof(name));
        name[0] = (char)('a' + i);
        name[length] = 0;
        add_server(&install->conf, i + 1, name, RAFT_VOTER);
    }
    err = codec_encode(&message, &encoded);
    if (err == QH_OK) {
        struct bytes frame = flatten(&message);
        struct raft_message decoded;

        ck_assert_int_eq(decode_copy(frame, &decoded), QH_OK);
        ck_assert_uint_eq(decoded.install_snapshot.conf.n, count);
        codec_message_close(&decoded);
        release(frame);
        codec_encoded_close(&encoded);
    }
    raft_configuration_close(&install->conf);
    return err;
}

START_TEST(a_configuration_holds_so_many_servers_and_names_so_long)
{
    ck_assert_int_eq(encode_configuration(NODES_MAX, NODE_NAME_LENGTH_MAX), QH_OK);
    ck_assert_int_eq(encode_configuration(NODES_MAX + 1, 5), QH_ELIMIT);
    ck_assert_int_eq(encode_configuration(1, NODE_NAME_LENGTH_MAX + 1), QH_ELIMIT);
}
END_TEST

START_TEST(a_name_of_one_more_character_is_refused_on_arrival)
{
    struct samples samples;
    struct raft_configuration conf;
    char name[NODE_NAME_LENGTH_MAX + 1];
    uint8_t *longer;
    struct raft_message decoded;
    struct bytes frame;

    samples_init(&samples);
    raft_configuration_init(&conf);
    memset(name, 'n', sizeof(name));
    name[NODE_NAME_LENGTH_MAX] = 0;
    add_server(&conf, 1, name, RAFT_VOTER);
    samples.messages[4].install_snapshot.conf = conf;
    frame = flatten(&samples.messages[4]);
    longer = malloc(frame.size + 1);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, frame.base, 66);
    longer[66] = 'n'; /* one more, before the first character */
    memcpy(longer + 67, frame.base + 66, frame.size - 66);
    longer[40]++; /* the size of the configuration */
    longer[65]++; /* the length of the name */
    ck_assert_int_eq(decode_copy((struct bytes){longer, frame.size + 1}, &decoded), QH_ELIMIT);
    free(longer);
    release(frame);
    raft_configuration_close(&conf);
    samples_close(&samples);
}
END_TEST

/* An AppendEntries of one entry of @size bytes. */
static enum qh_err encode_entry(size_t size, bool decode)
{
    struct raft_entry entry = {.term = 1, .type = RAFT_COMMAND};
    struct raft_message message = {.type = RAFT_IO_APPEND_ENTRIES};
    struct codec_encoded encoded;
    enum qh_err err;

    entry.buf.base = calloc(1, size + 1);
    entry.buf.len = size;
    ck_assert_ptr_nonnull(entry.buf.base);
    message.append_entries.term = 1;
    message.append_entries.entries = &entry;
    message.append_entries.n_entries = 1;
    err = codec_encode(&message, &encoded);
    if (err == QH_OK) {
        codec_encoded_close(&encoded);
    }
    if (err == QH_OK && decode) {
        struct bytes frame = flatten(&message);
        struct raft_message decoded;

        err = decode_copy(frame, &decoded);
        if (err == QH_OK) {
            codec_message_close(&decoded);
        }
        release(frame);
    }
    free(entry.buf.base);
    return err;
}

START_TEST(an_entry_has_8_bytes_or_a_multiple_up_to_the_limit)
{
    ck_assert_int_eq(encode_entry(0, true), QH_EMALFORMED);
    ck_assert_int_eq(encode_entry(8, true), QH_OK);
    ck_assert_int_eq(encode_entry(12, true), QH_EMALFORMED);
    ck_assert_int_eq(encode_entry(ENTRY_SIZE_MAX, true), QH_OK);
    ck_assert_int_eq(encode_entry(ENTRY_SIZE_MAX + 8, false), QH_ELIMIT);
}
END_TEST

START_TEST(an_entry_above_the_limit_is_refused_on_arrival)
{
    struct samples samples;

    samples_init(&samples);
    ck_assert_int_eq(decode_changed(&samples.messages[0], 60, ENTRY_SIZE_MAX + 8, 4), QH_ELIMIT);
    ck_assert_int_eq(decode_changed(&samples.messages[0], 60, ENTRY_SIZE_MAX, 4), QH_EMALFORMED);
    samples_close(&samples);
}
END_TEST

/* A frame of @count entries of 8 bytes each. */
static enum qh_err decode_count(uint32_t count)
{
    size_t size = 48 + (size_t)count * 24;
    uint8_t *base = calloc(1, size);
    struct raft_message decoded;
    struct bytes_writer writer;
    enum qh_err err;

    ck_assert_ptr_nonnull(base);
    bytes_writer_init(&writer, base, size);
    bytes_write_u64(&writer, RAFT_IO_APPEND_ENTRIES);
    bytes_write_u64(&writer, 1); /* term */
    for (unsigned i = 0; i < 3; i++) {
        bytes_write_u64(&writer, 0);
    }
    bytes_write_u64(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        bytes_write_u64(&writer, 1);
        bytes_write_u32(&writer, RAFT_COMMAND);
        bytes_write_u32(&writer, 8);
    }
    err = codec_decode((struct bytes){base, size}, &decoded);
    free(base);
    if (err == QH_OK) {
        ck_assert_uint_eq(decoded.append_entries.n_entries, count);
        codec_message_close(&decoded);
    }
    return err;
}

START_TEST(a_message_has_so_many_entries_and_no_more)
{
    ck_assert_int_eq(decode_count(CODEC_ENTRIES_MAX), QH_OK);
    ck_assert_int_eq(decode_count(CODEC_ENTRIES_MAX + 1), QH_ELIMIT);
}
END_TEST

START_TEST(a_count_that_the_bytes_do_not_bear_out_costs_no_memory)
{
    struct samples samples;

    samples_init(&samples);
    ck_assert_int_eq(decode_changed(&samples.messages[0], 40, CODEC_ENTRIES_MAX, 4), QH_EMALFORMED);
    ck_assert_int_eq(decode_changed(&samples.messages[0], 40, UINT32_MAX, 4), QH_ELIMIT);
    samples_close(&samples);
}
END_TEST

START_TEST(an_unknown_type_is_not_encoded)
{
    struct raft_message message = {.type = 7};
    struct codec_encoded encoded = {.size = 99};

    ck_assert_int_eq(codec_encode(&message, &encoded), QH_EINVAL);
    ck_assert_uint_eq(encoded.size, 99);
}
END_TEST

START_TEST(a_failed_decode_leaves_the_message_alone)
{
    struct raft_message message = {.type = 99};

    ck_assert_int_eq(codec_decode((struct bytes){NULL, 0}, &message), QH_EMALFORMED);
    ck_assert_uint_eq(message.type, 99);
}
END_TEST

/* Allocation faults by countdown, through libraft's own heap. */
struct failing_heap {
    struct raft_heap heap;
    unsigned left; /* allocations that still succeed */
};

static void *failing_malloc(void *data, size_t size)
{
    struct failing_heap *failing = data;

    if (failing->left == 0) {
        return NULL;
    }
    failing->left--;
    return malloc(size);
}

static void failing_free(void *data, void *ptr)
{
    (void)data;
    free(ptr);
}

static void *failing_calloc(void *data, size_t count, size_t size)
{
    struct failing_heap *failing = data;

    if (failing->left == 0) {
        return NULL;
    }
    failing->left--;
    return calloc(count, size);
}

static void *failing_realloc(void *data, void *ptr, size_t size)
{
    struct failing_heap *failing = data;

    if (failing->left == 0) {
        return NULL;
    }
    failing->left--;
    return realloc(ptr, size);
}

START_TEST(out_of_memory_is_an_error_and_leaks_nothing)
{
    struct failing_heap failing = {.left = UINT32_MAX};
    struct samples samples;

    failing.heap.data = &failing;
    failing.heap.malloc = failing_malloc;
    failing.heap.free = failing_free;
    failing.heap.calloc = failing_calloc;
    failing.heap.realloc = failing_realloc;
    raft_heap_set(&failing.heap);
    samples_init(&samples);
    for (unsigned i = 0; i < 6; i++) {
        struct bytes frame = flatten(&samples.messages[i]);
        struct codec_encoded encoded;
        struct raft_message decoded;
        enum qh_err err = QH_ENOMEM;

        for (unsigned left = 0; err != QH_OK; left++) {
            failing.left = left;
            err = codec_decode(frame, &decoded);
            ck_assert(err == QH_OK || err == QH_ENOMEM);
            ck_assert_uint_lt(left, 20);
        }
        failing.left = UINT32_MAX;
        codec_message_close(&decoded);
        failing.left = 0;
        ck_assert_int_eq(codec_encode(&samples.messages[i], &encoded), QH_ENOMEM);
        failing.left = 1;
        err = codec_encode(&samples.messages[i], &encoded);
        failing.left = UINT32_MAX;
        if (err == QH_OK) {
            codec_encoded_close(&encoded);
        }
        release(frame);
    }
    samples_close(&samples);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("codec");
    TCase *tcase = tcase_create("codec");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_type_survives_the_way_there_and_back);
    tcase_add_test(tcase, entries_come_in_the_shape_that_libraft_takes_over);
    tcase_add_test(tcase, a_heartbeat_has_no_entries_at_all);
    tcase_add_test(tcase, a_snapshot_brings_its_configuration_and_its_data);
    tcase_add_test(tcase, the_payload_is_not_copied);
    tcase_add_test(tcase, every_truncation_and_every_extra_byte_is_refused);
    tcase_add_test(tcase, every_flipped_bit_is_refused_or_read_as_it_stands);
    tcase_add_test(tcase, what_must_not_be_zero_is_checked);
    tcase_add_test(tcase, ranges_are_checked_on_both_sides);
    tcase_add_test(tcase, a_configuration_is_checked);
    tcase_add_test(tcase, a_configuration_holds_so_many_servers_and_names_so_long);
    tcase_add_test(tcase, a_name_of_one_more_character_is_refused_on_arrival);
    tcase_add_test(tcase, an_entry_has_8_bytes_or_a_multiple_up_to_the_limit);
    tcase_add_test(tcase, an_entry_above_the_limit_is_refused_on_arrival);
    tcase_add_test(tcase, a_message_has_so_many_entries_and_no_more);
    tcase_add_test(tcase, a_count_that_the_bytes_do_not_bear_out_costs_no_memory);
    tcase_add_test(tcase, an_unknown_type_is_not_encoded);
    tcase_add_test(tcase, a_failed_decode_leaves_the_message_alone);
    tcase_add_test(tcase, out_of_memory_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
