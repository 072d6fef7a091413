/* The file that outlives the addresses of the configuration. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/endpoints.h"
#include "wire/frame.h"

#define MAGIC "QHENDP1\n"
#define MAGIC_SIZE 8u
#define SUM_SIZE 16u
#define HEAD_SIZE (MAGIC_SIZE + SUM_SIZE)

static void sum(const uint8_t *body, size_t size, uint8_t ret_sum[SUM_SIZE])
{
    (void)crypto_generichash(ret_sum, SUM_SIZE, body, size, NULL, 0);
}

QH_RESULT endpoints_file_decode(struct bytes file, Quadhsm__EndpointList **ret_list)
{
    uint8_t expected[SUM_SIZE];
    ProtobufCMessage *message;
    Quadhsm__EndpointList *list;
    enum qh_err err;

    if (file.size <= HEAD_SIZE || file.size > ENDPOINTS_FILE_SIZE_MAX ||
        memcmp(file.base, MAGIC, MAGIC_SIZE) != 0) {
        return QH_EMALFORMED;
    }
    sum(file.base + HEAD_SIZE, file.size - HEAD_SIZE, expected);
    if (memcmp(expected, file.base + MAGIC_SIZE, SUM_SIZE) != 0) {
        return QH_EMALFORMED;
    }
    err = wire_unpack(&quadhsm__endpoint_list__descriptor,
                      (struct bytes){.base = file.base + HEAD_SIZE, .size = file.size - HEAD_SIZE},
                      &message);
    if (err != QH_OK) {
        return err;
    }
    list = (Quadhsm__EndpointList *)message;
    err = endpoints_check(list);
    if (err != QH_OK) {
        wire_message_free(message);
        return err;
    }
    *ret_list = list;
    return QH_OK;
}

/* One byte more than is allowed, so that too much is noticed. */
static QH_RESULT read_all(const char *path, uint8_t *buffer, size_t room, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t size = 0;
    ssize_t count = -1;

    if (fd < 0) {
        return errno == ENOENT ? QH_ENOTFOUND : QH_EIO;
    }
    while (size < room && (count = read(fd, buffer + size, room - size)) > 0) {
        size += (size_t)count;
    }
    (void)close(fd);
    if (count < 0) {
        return QH_EIO;
    }
    *ret_size = size;
    return QH_OK;
}

QH_RESULT endpoints_file_read(const char *path, Quadhsm__EndpointList **ret_list)
{
    uint8_t *buffer = malloc(ENDPOINTS_FILE_SIZE_MAX + 1);
    size_t size = 0;
    enum qh_err err;

    if (buffer == NULL) {
        return QH_ENOMEM;
    }
    err = read_all(path, buffer, ENDPOINTS_FILE_SIZE_MAX + 1, &size);
    if (err == QH_OK) {
        err = endpoints_file_decode((struct bytes){.base = buffer, .size = size}, ret_list);
    }
    free(buffer);
    return err;
}

static QH_RESULT write_all(int fd, const uint8_t *base, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, base, size);

        if (count < 0) {
            return QH_EIO;
        }
        base += count;
        size -= (size_t)count;
    }
    return QH_OK;
}

/* In a file of its own first. A file left by a process that died is removed. */
static QH_RESULT replace(const char *path, const uint8_t *base, size_t size)
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    enum qh_err err;
    int fd;

    if (length < 0 || (size_t)length >= sizeof temporary) {
        return QH_ELIMIT;
    }
    (void)unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return QH_EIO;
    }
    err = write_all(fd, base, size);
    if (fsync(fd) != 0) {
        err = QH_EIO;
    }
    if (close(fd) != 0) {
        err = QH_EIO;
    }
    if (err == QH_OK && rename(temporary, path) != 0) {
        err = QH_EIO;
    }
    if (err != QH_OK) {
        (void)unlink(temporary);
    }
    return err;
}

/* Its folder, if only that is missing. */
static void make_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) : 0;

    if (length > 0 && length < sizeof folder) {
        memcpy(folder, path, length);
        folder[length] = '\0';
        (void)mkdir(folder, 0700);
    }
}

QH_RESULT endpoints_file_write(const char *path, const Quadhsm__EndpointList *list)
{
    size_t size = protobuf_c_message_get_packed_size(&list->base);
    uint8_t *file;
    enum qh_err err;

    if (size > ENDPOINTS_FILE_SIZE_MAX - HEAD_SIZE) {
        return QH_ELIMIT;
    }
    file = malloc(HEAD_SIZE + size);
    if (file == NULL) {
        return QH_ENOMEM;
    }
    memcpy(file, MAGIC, MAGIC_SIZE);
    (void)protobuf_c_message_pack(&list->base, file + HEAD_SIZE);
    sum(file + HEAD_SIZE, size, file + MAGIC_SIZE);
    make_folder(path);
    err = replace(path, file, HEAD_SIZE + size);
    free(file);
    return err;
}
