/* A copy of a directory of plain files. */
#include "raft-glue/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raft-glue/diskio.h"

#define TEMPORARY_NAME "backup.tmp"

static enum qh_err copy_error(int errnum)
{
    enum qh_err err = err_from_errno(errnum);

    return err == QH_EPERM || err == QH_ENOSPACE || err == QH_EIO ? err : QH_ESYSTEM;
}

/* The kernel copies, and shares blocks where the file system can. */
static QH_RESULT copy_content(int from_fd, int to_fd)
{
    ssize_t count = 1;

    while (count > 0) {
        count = copy_file_range(from_fd, NULL, to_fd, NULL, INT_MAX, 0);
        if (count < 0 && errno == EINTR) {
            count = 1;
        }
    }
    return count == 0 ? diskio_sync(to_fd) : copy_error(errno);
}

static QH_RESULT copy_file(int from_dir, int to_dir, const char *name)
{
    int from_fd = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum qh_err err = QH_OK;
    struct stat info;
    int to_fd;

    if (from_fd < 0) {
        return copy_error(errno);
    }
    if (fstat(from_fd, &info) != 0) {
        err = copy_error(errno);
    } else if (S_ISREG(info.st_mode)) {
        to_fd = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (to_fd < 0) {
            err = copy_error(errno);
        } else {
            err = copy_content(from_fd, to_fd);
            if (close(to_fd) != 0 && err == QH_OK) {
                err = copy_error(errno);
            }
        }
    }
    (void)close(from_fd);
    return err;
}

/* Apply to every name in the directory but "." and ".." */
typedef enum qh_err (*name_visit)(int dir_fd, int other_fd, const char *name);

static QH_RESULT each_name(int dir_fd, int other_fd, name_visit visit)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry = NULL;
    enum qh_err err = QH_OK;

    if (stream == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return QH_ESYSTEM;
    }
    do {
        errno = 0;
        entry = readdir(stream);
        if (entry != NULL && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            err = visit(dir_fd, other_fd, entry->d_name);
        }
    } while (entry != NULL && err == QH_OK);
    if (err == QH_OK && errno != 0) {
        err = copy_error(errno);
    }
    (void)closedir(stream);
    return err;
}

static enum qh_err remove_name(int dir_fd, int other_fd, const char *name)
{
    (void)other_fd;
    return unlinkat(dir_fd, name, 0) == 0 ? QH_OK : copy_error(errno);
}

/* What an earlier attempt may have left. */
static QH_RESULT remove_temporary(int dir_fd)
{
    int fd = openat(dir_fd, TEMPORARY_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum qh_err err;

    if (fd < 0) {
        return errno == ENOENT ? QH_OK : copy_error(errno);
    }
    err = each_name(fd, -1, remove_name);
    (void)close(fd);
    if (err == QH_OK && unlinkat(dir_fd, TEMPORARY_NAME, AT_REMOVEDIR) != 0) {
        err = copy_error(errno);
    }
    return err;
}

static QH_RESULT copy_files(int dir_fd, const char *from)
{
    int from_fd = openat(dir_fd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum qh_err err;
    int to_fd;

    if (from_fd < 0) {
        return copy_error(errno);
    }
    to_fd = openat(dir_fd, TEMPORARY_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (to_fd < 0) {
        err = copy_error(errno);
    } else {
        err = each_name(from_fd, to_fd, copy_file);
        if (err == QH_OK) {
            err = diskio_sync(to_fd);
        }
        (void)close(to_fd);
    }
    (void)close(from_fd);
    return err;
}

static QH_RESULT name_copy(int dir_fd, const char *to)
{
    char name[NAME_MAX + 1];

    for (unsigned i = 0; i < BACKUP_NAMES_MAX; i++) {
        int length = i == 0 ? snprintf(name, sizeof(name), "%s", to)
                            : snprintf(name, sizeof(name), "%s.%u", to, i);

        if (length < 0 || (size_t)length >= sizeof(name)) {
            return QH_ESYSTEM;
        }
        if (renameat2(dir_fd, TEMPORARY_NAME, dir_fd, name, RENAME_NOREPLACE) == 0) {
            return diskio_sync(dir_fd);
        }
        if (errno != EEXIST) {
            return copy_error(errno);
        }
    }
    return QH_EEXIST;
}

static QH_RESULT make_at(int dir_fd, const char *from, const char *to)
{
    enum qh_err err = remove_temporary(dir_fd);

    if (err != QH_OK) {
        return err;
    }
    if (mkdirat(dir_fd, TEMPORARY_NAME, S_IRWXU) != 0) {
        return copy_error(errno);
    }
    err = copy_files(dir_fd, from);
    if (err == QH_OK) {
        err = name_copy(dir_fd, to);
    }
    if (err != QH_OK) {
        enum qh_err ignored = remove_temporary(dir_fd);

        (void)ignored;
    }
    return err;
}

QH_RESULT backup_make(const char *dir, const char *from, const char *to)
{
    enum qh_err err;
    int fd;

    err = diskio_open_dir(dir, NULL, &fd);
    if (err != QH_OK) {
        return err == QH_ENOTFOUND ? QH_ESYSTEM : err;
    }
    err = make_at(fd, from, to);
    (void)close(fd);
    return err;
}
