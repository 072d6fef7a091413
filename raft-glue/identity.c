/* Who this node is, and which starts of its peers it has seen. */
#include "raft-glue/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "raft-glue/diskio.h"

#define FILE_NAME "identity"
#define RAFT_DIR_NAME "raft"
#define MAGIC_SIZE 8u
#define IDENTITY_VERSION 1u
#define CHECKSUM_SIZE 32u
#define PEERS_MAX (sizeof(((struct identity *)NULL)->peers) / sizeof(struct identity_peer))
#define FIXED_SIZE 64u /* bytes before the name */
#define PEER_SIZE 24u
#define FILE_SIZE_MAX (FIXED_SIZE + NODE_NAME_LENGTH_MAX + PEERS_MAX * PEER_SIZE + CHECKSUM_SIZE)

static const uint8_t magic[MAGIC_SIZE] = {'Q', 'H', 'I', 'D', 'E', 'N', 'T', 0};

static bool name_char_inner(char c)
{
    return c == '-' || c == '.';
}

static bool name_char_outer(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool identity_name_valid(const char *name)
{
    size_t length = strnlen(name, NODE_NAME_LENGTH_MAX + 1);

    if (length == 0 || length > NODE_NAME_LENGTH_MAX || !name_char_outer(name[0]) ||
        !name_char_outer(name[length - 1])) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!name_char_outer(name[i]) && !name_char_inner(name[i])) {
            return false;
        }
    }
    return true;
}

static void draw_setup(void)
{
    int status = sodium_init();

    QH_ASSERT(status >= 0);
}

/* 63 bits, so that it is the same number in every language that may print it. */
static uint64_t draw_number(void)
{
    uint64_t number = 0;

    while (number == 0) {
        randombytes_buf(&number, sizeof(number));
        number &= INT64_MAX;
    }
    return number;
}

static void checksum(const uint8_t *base, size_t size, uint8_t ret_sum[CHECKSUM_SIZE])
{
    (void)crypto_generichash(ret_sum, CHECKSUM_SIZE, base, size, NULL, 0);
}

static size_t encode(const struct identity *identity, uint8_t *base, size_t room)
{
    size_t length = strlen(identity->name);
    uint8_t sum[CHECKSUM_SIZE];
    struct bytes_writer writer;

    QH_ASSERT(identity->peer_count <= PEERS_MAX);
    bytes_writer_init(&writer, base, room);
    bytes_write_span(&writer, magic, MAGIC_SIZE);
    bytes_write_u32(&writer, IDENTITY_VERSION);
    bytes_write_u32(&writer, 0);
    bytes_write_span(&writer, identity->cluster, sizeof(identity->cluster));
    bytes_write_u64(&writer, identity->id);
    bytes_write_u64(&writer, identity->generation);
    bytes_write_u64(&writer, identity->start_count);
    bytes_write_u8(&writer, identity->member);
    bytes_write_u8(&writer, (uint8_t)length);
    bytes_write_u16(&writer, 0);
    bytes_write_u32(&writer, identity->peer_count);
    bytes_write_span(&writer, identity->name, length);
    for (unsigned i = 0; i < identity->peer_count; i++) {
        bytes_write_u64(&writer, identity->peers[i].id);
        bytes_write_u64(&writer, identity->peers[i].start_count);
        bytes_write_u64(&writer, identity->peers[i].nonce);
    }
    checksum(base, writer.size, sum);
    bytes_write_span(&writer, sum, sizeof(sum));
    QH_ASSERT(!writer.failed);
    return writer.size;
}

static bool read_peers(struct bytes_reader *reader, struct identity *identity)
{
    if (identity->peer_count > PEERS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < identity->peer_count; i++) {
        struct identity_peer *peer = &identity->peers[i];

        peer->id = bytes_read_u64(reader);
        peer->start_count = bytes_read_u64(reader);
        peer->nonce = bytes_read_u64(reader);
        if (peer->id == 0 || peer->id == identity->id) {
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            if (identity->peers[j].id == peer->id) {
                return false;
            }
        }
    }
    return !reader->failed && reader->left == 0;
}

/* Everything between the version and the checksum. */
static bool read_body(struct bytes_reader *reader, struct identity *identity)
{
    struct bytes span;
    uint8_t member;
    uint8_t length;
    uint16_t zero;

    if (bytes_read_u32(reader) != 0) {
        return false;
    }
    span = bytes_read_span(reader, sizeof(identity->cluster));
    if (span.base == NULL) {
        return false;
    }
    memcpy(identity->cluster, span.base, span.size);
    identity->id = bytes_read_u64(reader);
    identity->generation = bytes_read_u64(reader);
    identity->start_count = bytes_read_u64(reader);
    member = bytes_read_u8(reader);
    length = bytes_read_u8(reader);
    zero = bytes_read_u16(reader);
    identity->peer_count = bytes_read_u32(reader);
    span = bytes_read_span(reader, length);
    if (reader->failed || zero != 0 || member > 1 || length > NODE_NAME_LENGTH_MAX ||
        identity->id == 0 || identity->generation == 0) {
        return false;
    }
    identity->member = member == 1;
    memcpy(identity->name, span.base, span.size);
    return strlen(identity->name) == length && identity_name_valid(identity->name) &&
           read_peers(reader, identity);
}

static QH_RESULT decode(const uint8_t *base, size_t size, struct identity *ret_identity)
{
    uint8_t sum[CHECKSUM_SIZE];
    struct bytes_reader reader;
    struct identity identity;

    if (size < MAGIC_SIZE + 4 + CHECKSUM_SIZE || memcmp(base, magic, MAGIC_SIZE) != 0) {
        return QH_ECORRUPT;
    }
    checksum(base, size - CHECKSUM_SIZE, sum);
    if (sodium_memcmp(sum, base + size - CHECKSUM_SIZE, CHECKSUM_SIZE) != 0) {
        return QH_ECORRUPT;
    }
    bytes_reader_init(&reader, base + MAGIC_SIZE, size - MAGIC_SIZE - CHECKSUM_SIZE);
    if (bytes_read_u32(&reader) != IDENTITY_VERSION) {
        return QH_EVERSION;
    }
    memset(&identity, 0, sizeof(identity));
    if (!read_body(&reader, &identity)) {
        return QH_ECORRUPT;
    }
    *ret_identity = identity;
    return QH_OK;
}

QH_RESULT identity_load(const char *dir, struct identity *ret_identity)
{
    uint8_t *base;
    enum qh_err err;
    size_t size;
    int fd;

    draw_setup();
    err = diskio_open_dir(dir, NULL, &fd);
    if (err != QH_OK) {
        return err;
    }
    err = diskio_read(fd, FILE_NAME, FILE_SIZE_MAX, &base, &size);
    (void)close(fd);
    if (err != QH_OK) {
        return err == QH_ELIMIT ? QH_ECORRUPT : err;
    }
    err = decode(base, size, ret_identity);
    free(base);
    return err;
}

static QH_RESULT store_at(int dir_fd, const struct identity *identity)
{
    uint8_t content[FILE_SIZE_MAX];
    struct bytes span = {content, encode(identity, content, sizeof(content))};

    return diskio_replace(dir_fd, FILE_NAME, span);
}

QH_RESULT identity_store(const char *dir, const struct identity *identity)
{
    enum qh_err err;
    int fd;

    draw_setup();
    err = diskio_open_dir(dir, NULL, &fd);
    if (err != QH_OK) {
        return err == QH_ENOTFOUND ? QH_ESYSTEM : err;
    }
    err = store_at(fd, identity);
    (void)close(fd);
    return err;
}

/* Making a node */

static enum qh_err create_error(int errnum)
{
    enum qh_err err = err_from_errno(errnum);

    return err == QH_EPERM || err == QH_ENOSPACE || err == QH_EIO ? err : QH_ESYSTEM;
}

/* Make @dir durable in its parent. */
static QH_RESULT sync_parent(const char *dir)
{
    enum qh_err err;
    int fd;

    err = diskio_open_dir(dir, "..", &fd);
    if (err != QH_OK) {
        return err == QH_ENOTFOUND ? QH_ESYSTEM : err;
    }
    err = diskio_sync(fd);
    (void)close(fd);
    return err;
}

static QH_RESULT open_or_make(const char *dir, int *ret_fd)
{
    bool made = mkdir(dir, S_IRWXU) == 0;
    enum qh_err err;

    if (!made && errno != EEXIST) {
        return create_error(errno);
    }
    err = diskio_open_dir(dir, NULL, ret_fd);
    if (err == QH_OK && made) {
        err = sync_parent(dir);
        if (err != QH_OK) {
            (void)close(*ret_fd);
        }
    }
    return err == QH_ENOTFOUND ? QH_ESYSTEM : err;
}

static QH_RESULT check_empty(int dir_fd)
{
    enum qh_err err = QH_OK;
    struct dirent *entry;
    DIR *stream;
    int fd = openat(dir_fd, RAFT_DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return create_error(errno);
    }
    stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return QH_ESYSTEM;
    }
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lost+found") != 0) {
            err = QH_EEXIST;
        }
    }
    if (err == QH_OK && errno != 0) {
        err = create_error(errno);
    }
    (void)closedir(stream);
    return err;
}

static QH_RESULT create_at(int dir_fd, const struct identity *identity)
{
    enum qh_err err;

    if (faccessat(dir_fd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return QH_EEXIST;
    }
    if (mkdirat(dir_fd, RAFT_DIR_NAME, S_IRWXU) != 0 && errno != EEXIST) {
        return create_error(errno);
    }
    err = check_empty(dir_fd);
    return err == QH_OK ? store_at(dir_fd, identity) : err;
}

QH_RESULT identity_create(const char *dir, const uint8_t cluster[16], const char *name,
                          struct identity *ret_identity)
{
    struct identity identity;
    enum qh_err err;
    int fd;

    if (!identity_name_valid(name)) {
        return QH_EINVAL;
    }
    draw_setup();
    memset(&identity, 0, sizeof(identity));
    memcpy(identity.cluster, cluster, sizeof(identity.cluster));
    memcpy(identity.name, name, strlen(name));
    identity.id = draw_number();
    identity.generation = 1;
    err = open_or_make(dir, &fd);
    if (err != QH_OK) {
        return err;
    }
    err = create_at(fd, &identity);
    (void)close(fd);
    if (err == QH_OK) {
        *ret_identity = identity;
    }
    return err;
}

QH_RESULT identity_start(const char *dir, struct identity *identity)
{
    struct identity next = *identity;
    enum qh_err err;

    draw_setup();
    next.start_count++;
    next.nonce = draw_number();
    err = identity_store(dir, &next);
    if (err == QH_OK) {
        *identity = next;
    }
    return err;
}

/* Peers */

static unsigned find_peer(const struct identity *identity, uint64_t id)
{
    unsigned i = 0;

    while (i < identity->peer_count && identity->peers[i].id != id) {
        i++;
    }
    return i;
}

/* Drop peer @index and put @peer last: the table is in the order of the last new start. */
static void renew_peer(struct identity *identity, unsigned index, const struct identity_peer *peer)
{
    if (index == identity->peer_count && index < PEERS_MAX) {
        identity->peer_count++;
    } else {
        index = index == identity->peer_count ? 0 : index;
        memmove(&identity->peers[index], &identity->peers[index + 1],
                (identity->peer_count - index - 1) * sizeof(identity->peers[0]));
    }
    identity->peers[identity->peer_count - 1] = *peer;
}

QH_RESULT identity_check_peer(struct identity *identity, const struct identity_peer *peer,
                              bool *ret_changed)
{
    unsigned index = find_peer(identity, peer->id);
    struct identity_peer *known;

    if (peer->id == identity->id) {
        return QH_EROLLEDBACK;
    }
    if (index == identity->peer_count) {
        renew_peer(identity, index, peer);
        *ret_changed = true;
        return QH_OK;
    }
    known = &identity->peers[index];
    if (peer->start_count < known->start_count || peer->term < known->term ||
        (peer->start_count == known->start_count && peer->nonce != known->nonce)) {
        return QH_EROLLEDBACK;
    }
    known->term = peer->term;
    *ret_changed = peer->start_count > known->start_count;
    if (*ret_changed) {
        renew_peer(identity, index, peer);
    }
    return QH_OK;
}
