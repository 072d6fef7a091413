/* The note of how far the closed segments go (closednote.h), kept while libraft runs.
 *
 *   append --> in a while: [look, on a pool thread] --> more is closed than noted: raise the note
 *   truncate, install of a snapshot --> lower the note, at once and durably --> raft_uv
 *
 * raft_uv does not say when it closes a segment. So the directory is looked at, at most once every
 * LINK_CLOSED_MS, and only after something was appended; a note costs its three or four
 * fsyncs once a segment. What was closed within that time before a crash is not noted yet, and its
 * loss would not be noticed.
 *
 * The note must never say more than the directory holds, or the next start is refused: hence the
 * order of the fsyncs, the turn, by which a look that began before a lowering does not count,
 * and no looks while something is being removed. */
#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/closednote.h"
#include "raft-glue/diskio.h"
#include "raft-glue/link.h"

struct link_closed {
    /* Under the mutex: the loop's thread lowers, one of the pool raises. */
    uv_mutex_t mutex;
    uint64_t noted; /* what the file may say, at most */
    bool uncertain; /* a write failed: the file may say less */
    uint64_t turn;  /* counts the lowerings */
    /* The loop's thread alone. */
    struct link *link; /* NULL: closed */
    uv_timer_t timer;
    uv_work_t work;
    bool working, timer_closed, installing, complained;
    int (*uv_snapshot_put)(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);
    /* Of the look under way. */
    DIR *dir;
    uint64_t look_turn;
    enum qh_err look_err;
};

static struct link *link_of(struct raft_io *io)
{
    return (struct link *)(void *)((char *)io - offsetof(struct link, io));
}

/* Looking, on a pool thread */

static uint64_t last_closed(DIR *dir)
{
    const struct dirent *entry;
    uint64_t found = 0;

    while ((entry = readdir(dir)) != NULL) {
        uint64_t first;
        uint64_t last;
        int length = 0;

        if (sscanf(entry->d_name, "%16" SCNu64 "-%16" SCNu64 "%n", &first, &last, &length) == 2 &&
            length == 33 && entry->d_name[length] == '\0' && last > found) {
            found = last;
        }
    }
    return found;
}

static QH_RESULT raise_note(struct link_closed *closed, int dir_fd, uint64_t found)
{
    enum qh_err err = QH_OK;

    uv_mutex_lock(&closed->mutex);
    if (closed->turn == closed->look_turn && (found > closed->noted || closed->uncertain)) {
        err = closednote_write(dir_fd, found);
        closed->uncertain = err != QH_OK;
        if (err == QH_OK || found > closed->noted) {
            closed->noted = found;
        }
    }
    uv_mutex_unlock(&closed->mutex);
    return err;
}

static bool worth_noting(struct link_closed *closed, uint64_t found)
{
    bool worth;

    uv_mutex_lock(&closed->mutex);
    worth = found > closed->noted || closed->uncertain;
    uv_mutex_unlock(&closed->mutex);
    return worth;
}

/* The names first have to be there for good. */
static void look(uv_work_t *work)
{
    struct link_closed *closed = work->data;
    uint64_t found = last_closed(closed->dir);

    closed->look_err = QH_OK;
    if (worth_noting(closed, found)) {
        closed->look_err = diskio_sync(dirfd(closed->dir));
        if (closed->look_err == QH_OK) {
            closed->look_err = raise_note(closed, dirfd(closed->dir), found);
        }
    }
}

/* The loop's thread */

static void free_if_done(struct link_closed *closed)
{
    if (closed->timer_closed && !closed->working) {
        uv_mutex_destroy(&closed->mutex);
        free(closed);
    }
}

static void on_looked(uv_work_t *work, int status)
{
    struct link_closed *closed = work->data;

    (void)status;
    closed->working = false;
    (void)closedir(closed->dir);
    if (closed->look_err != QH_OK && !closed->complained) {
        log_warning("log: the note of its closed segments cannot be written: %s; a segment that is"
                    " lost may go unnoticed",
                    err_message(closed->look_err));
    }
    closed->complained = closed->look_err != QH_OK;
    free_if_done(closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct link_closed *closed = timer->data;
    struct link *link = closed->link;

    if (link->truncating != 0 || closed->installing || closed->working) {
        link_closed_look_later(link);
        return;
    }
    closed->dir = opendir(link->dir);
    if (closed->dir == NULL) {
        return;
    }
    closed->look_turn = closed->turn;
    closed->work.data = closed;
    closed->working = uv_queue_work(timer->loop, &closed->work, look, on_looked) == 0;
    if (!closed->working) {
        (void)closedir(closed->dir);
    }
}

void link_closed_look_later(struct link *link)
{
    uv_timer_t *timer = &link->closed->timer;

    if (!uv_is_active((uv_handle_t *)timer)) {
        (void)uv_timer_start(timer, on_timer, LINK_CLOSED_MS, 0);
    }
}

static QH_RESULT write_lower(struct link_closed *closed, const char *dir, uint64_t index)
{
    enum qh_err err;
    int fd;

    err = diskio_open_dir(dir, NULL, &fd);
    if (err == QH_OK) {
        err = closednote_write(fd, index);
        (void)close(fd);
    }
    if (err == QH_OK) {
        closed->noted = index;
        closed->uncertain = false;
    }
    return err;
}

/* A disk error here ends the process, like every other one of the log. */
int link_closed_lower(struct link *link, uint64_t index)
{
    struct link_closed *closed = link->closed;
    enum qh_err err = QH_OK;

    uv_mutex_lock(&closed->mutex);
    closed->turn++;
    if (closed->noted > index) {
        err = write_lower(closed, link->dir, index);
    }
    uv_mutex_unlock(&closed->mutex);
    if (err != QH_OK) {
        (void)snprintf(link->io.errmsg, sizeof link->io.errmsg,
                       "the note of the closed segments: %s", err_message(err));
        return RAFT_IOERR;
    }
    return 0;
}

/* A snapshot of a leader, for which raft_uv removes the whole log. */
struct install {
    struct raft_io_snapshot_put request;
    struct link *link;
    struct raft_io_snapshot_put *original;
    raft_io_snapshot_put_cb cb;
};

static void installed(struct raft_io_snapshot_put *request, int status)
{
    struct install *install = request->data;
    struct install copy = *install;

    raft_free(install);
    copy.link->closed->installing = false;
    copy.cb(copy.original, status);
}

static int link_snapshot_put(struct raft_io *io, unsigned trailing,
                             struct raft_io_snapshot_put *request,
                             const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct link *link = link_of(io);
    struct link_closed *closed = link->closed;
    struct install *install;
    int rv;

    link_closed_look_later(link); /* a snapshot closes a segment, too */
    if (trailing != 0) {
        return closed->uv_snapshot_put(io, trailing, request, snapshot, cb);
    }
    rv = link_closed_lower(link, snapshot->index);
    if (rv != 0) {
        return rv;
    }
    install = raft_malloc(sizeof *install);
    if (install == NULL) {
        return RAFT_NOMEM;
    }
    *install = (struct install){.link = link, .original = request, .cb = cb};
    install->request.data = install;
    rv = closed->uv_snapshot_put(io, trailing, &install->request, snapshot, installed);
    if (rv != 0) {
        raft_free(install);
        return rv;
    }
    closed->installing = true;
    return 0;
}

static QH_RESULT read_note(const char *dir, uint64_t *ret_index)
{
    enum qh_err err;
    int fd;

    err = diskio_open_dir(dir, NULL, &fd);
    if (err == QH_OK) {
        err = closednote_read(fd, ret_index);
        (void)close(fd);
    }
    return err;
}

QH_RESULT link_closed_init(struct link *link, uv_loop_t *loop)
{
    struct link_closed *closed = calloc(1, sizeof *closed);
    enum qh_err err;

    if (closed == NULL) {
        return QH_ENOMEM;
    }
    err = read_note(link->dir, &closed->noted);
    if (err == QH_OK && uv_mutex_init(&closed->mutex) != 0) {
        err = QH_ESYSTEM;
    }
    if (err != QH_OK) {
        free(closed);
        return err;
    }
    (void)uv_timer_init(loop, &closed->timer);
    closed->timer.data = closed;
    closed->link = link;
    closed->uv_snapshot_put = link->io.snapshot_put;
    link->io.snapshot_put = link_snapshot_put;
    link->closed = closed;
    return QH_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct link_closed *closed = handle->data;

    closed->timer_closed = true;
    free_if_done(closed);
}

void link_closed_close(struct link *link)
{
    link->closed->link = NULL;
    uv_close((uv_handle_t *)&link->closed->timer, on_timer_closed);
    link->closed = NULL;
}
