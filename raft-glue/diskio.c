/* Small files on disk: read whole, replaced whole, made durable. */
#include "raft-glue/diskio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What diskio.h promises: no code that says something about a name when the trouble is another. */
static enum qh_err write_error(int errnum)
{
    enum qh_err err = err_from_errno(errnum);

    return err == QH_EPERM || err == QH_ENOSPACE || err == QH_EIO ? err : QH_ESYSTEM;
}

static enum qh_err read_error(int errnum)
{
    enum qh_err err = err_from_errno(errnum);

    return err == QH_ENOTFOUND ? err : write_error(errnum);
}

QH_RESULT diskio_open_dir(const char *path, const char *below, int *ret_fd)
{
    char joined[PATH_MAX];
    int length = snprintf(joined, sizeof(joined), "%s%s%s", path, below != NULL ? "/" : "",
                          below != NULL ? below : "");
    int fd;

    if (length < 0 || (size_t)length >= sizeof(joined)) {
        return QH_ESYSTEM;
    }
    fd = open(joined, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return read_error(errno);
    }
    *ret_fd = fd;
    return QH_OK;
}

static QH_RESULT read_fully(int fd, uint8_t *base, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = read(fd, base + done, size - done);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count == 0 ? QH_EIO : read_error(errno);
        }
        done += (size_t)count;
    }
    return QH_OK;
}

QH_RESULT diskio_read(int dir_fd, const char *name, uint64_t size_max, uint8_t **ret_base,
                      size_t *ret_size)
{
    enum qh_err err = QH_OK;
    uint8_t *base = NULL;
    struct stat info;
    /* Not blocking, so that a pipe of that name cannot hold up a start. */
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return read_error(errno);
    }
    if (fstat(fd, &info) != 0) {
        err = read_error(errno);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        err = QH_ESYSTEM;
        goto out;
    }
    if ((uint64_t)info.st_size > size_max) {
        err = QH_ELIMIT;
        goto out;
    }
    base = malloc((size_t)info.st_size + 1);
    if (base == NULL) {
        err = QH_ENOMEM;
        goto out;
    }
    err = read_fully(fd, base, (size_t)info.st_size);
    if (err != QH_OK) {
        goto out;
    }
    *ret_base = base;
    *ret_size = (size_t)info.st_size;
    base = NULL;
out:
    free(base);
    (void)close(fd);
    return err;
}

static QH_RESULT write_fully(int fd, struct bytes content)
{
    size_t done = 0;

    while (done < content.size) {
        ssize_t count = write(fd, content.base + done, content.size - done);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return write_error(errno);
        }
        done += (size_t)count;
    }
    return QH_OK;
}

QH_RESULT diskio_sync(int fd)
{
    if (fsync(fd) != 0) {
        return errno == EIO || errno == EROFS ? QH_EIO : write_error(errno);
    }
    return QH_OK;
}

static QH_RESULT write_temporary(int dir_fd, const char *name, struct bytes content)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                    S_IRUSR | S_IWUSR);
    enum qh_err err;

    if (fd < 0) {
        return write_error(errno);
    }
    err = write_fully(fd, content);
    if (err == QH_OK) {
        err = diskio_sync(fd);
    }
    if (close(fd) != 0 && err == QH_OK) {
        err = write_error(errno);
    }
    return err;
}

QH_RESULT diskio_replace(int dir_fd, const char *name, struct bytes content)
{
    char temporary[NAME_MAX + 1];
    int length = snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    enum qh_err err;

    if (length < 0 || (size_t)length >= sizeof(temporary)) {
        return QH_ESYSTEM;
    }
    err = write_temporary(dir_fd, temporary, content);
    if (err == QH_OK && renameat(dir_fd, temporary, dir_fd, name) != 0) {
        err = write_error(errno);
    }
    if (err != QH_OK) {
        (void)unlinkat(dir_fd, temporary, 0);
        return err;
    }
    return diskio_sync(dir_fd);
}
