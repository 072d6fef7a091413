/* The data directory before a start: lock, room, and the state of the log. */
#include "raft-glue/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/diskio.h"
#include "raft-glue/logdir.h"

#define LOCK_NAME "lock"
#define PROBE_NAME "tmp-datadir-check" /* libraft clears such names away */
#define PID_LENGTH_MAX 20u

/* The lock */

static enum qh_err lock_error(const char *dir, int errnum)
{
    enum qh_err err = err_from_errno(errnum);

    log_error("data directory cannot be locked: %s file=%s/" LOCK_NAME
              "; let this user write the directory",
              strerror(errnum), dir);
    return err == QH_EEXIST || err == QH_EINVAL ? QH_ESYSTEM : err;
}

static enum qh_err lock_busy(const char *dir, int fd)
{
    char pid[PID_LENGTH_MAX + 1] = "?";
    ssize_t length = pread(fd, pid, PID_LENGTH_MAX, 0);

    pid[length > 0 ? strcspn(pid, "\n") : 1] = 0;
    log_error("data directory is in use: pid=%s dir=%s; stop that process first", pid, dir);
    return QH_EBUSY;
}

/* For people, and for the message of whoever finds it locked; the lock itself does not need it. */
static void lock_tell_pid(int fd)
{
    if (ftruncate(fd, 0) == 0) {
        (void)dprintf(fd, "%ld\n", (long)getpid());
    }
}

QH_RESULT datadir_lock(const char *dir, int *ret_fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    enum qh_err err;
    int dir_fd;
    int fd;

    err = diskio_open_dir(dir, NULL, &dir_fd);
    if (err != QH_OK) {
        return lock_error(dir, errno);
    }
    fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    (void)close(dir_fd);
    if (fd < 0) {
        return lock_error(dir, errno);
    }
    /* Of the open file, not of the process: another close() of the same file does not end it. */
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        err = errno == EAGAIN || errno == EACCES ? lock_busy(dir, fd) : lock_error(dir, errno);
        (void)close(fd);
        return err;
    }
    lock_tell_pid(fd);
    *ret_fd = fd;
    return QH_OK;
}

/* The check */

static QH_RESULT check_room(const struct logdir *logdir)
{
    struct statvfs info;
    uint64_t room;

    if (fstatvfs(logdir->fd, &info) != 0) {
        return logdir_refuse(logdir, QH_EIO, ".", "its free space cannot be told",
                             "check the disk and the kernel's log");
    }
    room = (uint64_t)info.f_bavail * info.f_frsize;
    if (room < DATADIR_FREE_MIN) {
        log_error("data directory refused: too little free space file=%s/. error=QH_ENOSPACE "
                  "free=%" PRIu64 " needed=%llu; make room on that file system",
                  logdir->path, room, DATADIR_FREE_MIN);
        return QH_ENOSPACE;
    }
    return QH_OK;
}

static QH_RESULT check_writable(const struct logdir *logdir)
{
    int fd = openat(logdir->fd, PROBE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                    S_IRUSR | S_IWUSR);
    enum qh_err err;

    if (fd >= 0) {
        (void)close(fd);
        if (unlinkat(logdir->fd, PROBE_NAME, 0) == 0) {
            return QH_OK;
        }
    }
    err = err_from_errno(errno);
    return logdir_refuse(logdir, err == QH_EPERM || err == QH_ENOSPACE ? err : QH_EIO, ".",
                         "no file can be made in it",
                         "let this user write it, and see that the disk is not mounted read-only");
}

static QH_RESULT check_member(const struct logdir *logdir, bool member)
{
    if (member && logdir->last_index == 0) {
        return logdir_refuse(logdir, QH_EROLLEDBACK, ".",
                             "it is empty, though this node has had a log", LOGDIR_REJOIN);
    }
    return QH_OK;
}

static enum qh_err missing(const char *path, bool member)
{
    enum qh_err err = member ? QH_EROLLEDBACK : QH_EIO;

    log_error("data directory refused: it is not there file=%s error=%s; %s", path, err_name(err),
              member ? LOGDIR_REJOIN : "make the node again");
    return err;
}

QH_RESULT datadir_check(const char *dir, bool member)
{
    struct logdir logdir;
    char path[PATH_MAX];
    enum qh_err err;

    if (snprintf(path, sizeof(path), "%s/raft", dir) >= (int)sizeof(path)) {
        return QH_ESYSTEM;
    }
    err = logdir_open(path, &logdir);
    if (err != QH_OK) {
        return err == QH_ENOTFOUND ? missing(path, member) : err;
    }
    err = check_room(&logdir);
    if (err == QH_OK) {
        err = check_writable(&logdir);
    }
    if (err == QH_OK) {
        err = logdir_check(&logdir, true);
    }
    if (err == QH_OK) {
        err = check_member(&logdir, member);
    }
    logdir_close(&logdir);
    return err;
}
