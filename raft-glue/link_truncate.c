/* Truncations of the log: nothing is written behind one that has not happened.
 *
 * What raft_uv does: truncates on a pool thread, by writing the shortened segment anew and removing
 * the long one. If that fails - a full disk is enough - it sets a field that nothing reads, and
 * goes on to write the next entries, for which room was allocated long before. Why that is wrong:
 * at the next start the entries that were to go are still there, and those written later stand
 * behind them under other indexes: a log that never was. What is done here: appends that come after
 * a truncation are held until the directory shows that it has happened, and fail if it does not in
 * time; the guard then stops the process (R4), with nothing on the disk but what was there before.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raft-glue/link.h"

#define POLL_MS 1u

struct link_append {
    struct link_append *next;
    struct raft_io_append *request;
    const struct raft_entry *entries; /* libraft keeps them until the callback */
    unsigned count;
    raft_io_append_cb cb;
};

static struct link *link_of(struct raft_io *io)
{
    return (struct link *)(void *)((char *)io - offsetof(struct link, io));
}

/* Has something been written to this open segment? Those prepared for later are zero. */
static bool is_used(int dir, const char *name)
{
    uint64_t format = 1;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return true; /* it may have been renamed just now: look again */
    }
    if (read(fd, &format, sizeof format) != (ssize_t)sizeof format) {
        format = 1;
    }
    (void)close(fd);
    return format != 0;
}

/* Does this file still hold something of the log from @index on? raft_uv closes the open segment
 * before it truncates, so that a used open one means that it has not begun. */
static bool stands_in_the_way(int dir, const char *name, raft_index index)
{
    uint64_t first;
    uint64_t last;
    int length = 0;

    if (sscanf(name, "%16" SCNu64 "-%16" SCNu64 "%n", &first, &last, &length) == 2 &&
        name[length] == '\0') {
        return last >= index;
    }
    return strncmp(name, "open-", 5) == 0 && is_used(dir, name);
}

static bool truncation_has_happened(const struct link *link)
{
    DIR *dir = opendir(link->dir);
    const struct dirent *entry;
    bool happened = true;

    if (dir == NULL) {
        return false;
    }
    while (happened && (entry = readdir(dir)) != NULL) {
        happened = !stands_in_the_way(dirfd(dir), entry->d_name, link->truncating);
    }
    (void)closedir(dir);
    return happened;
}

static struct link_append *take_held(struct link *link)
{
    struct link_append *append = link->held;

    link->held = append->next;
    if (link->held == NULL) {
        link->held_end = &link->held;
    }
    return append;
}

static void fail_held(struct link *link, int status)
{
    while (link->held != NULL) {
        struct link_append *append = take_held(link);
        struct raft_io_append *request = append->request;
        raft_io_append_cb cb = append->cb;

        raft_free(append);
        cb(request, status); /* does not return in production */
    }
}

static void release_held(struct link *link)
{
    while (link->held != NULL && link->truncating == 0) {
        struct link_append *append = take_held(link);
        struct link_append copy = *append;
        int rv;

        raft_free(append);
        rv = link->uv_append(&link->io, copy.request, copy.entries, copy.count, copy.cb);
        if (rv != 0) {
            copy.cb(copy.request, rv);
        }
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct link *link = timer->data;

    /* Twice: a segment that is renamed while the directory is read may be missed under both names,
     * once. */
    if (truncation_has_happened(link) && truncation_has_happened(link)) {
        link->truncating = 0;
        (void)uv_timer_stop(timer);
        release_held(link);
    } else if (uv_now(timer->loop) >= link->truncate_deadline_ms) {
        (void)snprintf(link->io.errmsg, sizeof link->io.errmsg,
                       "truncating the log from index %llu failed", link->truncating);
        fail_held(link, RAFT_IOERR);
    }
}

static int link_truncate(struct raft_io *io, raft_index index)
{
    struct link *link = link_of(io);
    int rv = link_closed_lower(link, index - 1);

    if (rv == 0) {
        rv = link->uv_truncate(io, index);
    }
    if (rv != 0) {
        return rv;
    }
    if (link->truncating == 0 || index < link->truncating) {
        link->truncating = index;
    }
    link->truncate_deadline_ms = uv_now(link->poll->loop) + link->truncate_ms;
    (void)uv_timer_start(link->poll, on_poll, POLL_MS, POLL_MS);
    return 0;
}

static int link_append(struct raft_io *io, struct raft_io_append *request,
                       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct link *link = link_of(io);
    struct link_append *append;

    link_closed_look_later(link);
    if (link->truncating == 0) {
        return link->uv_append(io, request, entries, n, cb);
    }
    append = raft_malloc(sizeof *append);
    if (append == NULL) {
        return RAFT_NOMEM;
    }
    *append = (struct link_append){.request = request, .entries = entries, .count = n, .cb = cb};
    request->cb = cb;
    *link->held_end = append;
    link->held_end = &append->next;
    return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

QH_RESULT link_truncate_init(struct link *link, uv_loop_t *loop, const char *dir)
{
    link->dir = strdup(dir);
    link->poll = malloc(sizeof *link->poll);
    if (link->dir == NULL || link->poll == NULL) {
        free(link->dir);
        free(link->poll);
        return QH_ENOMEM;
    }
    (void)uv_timer_init(loop, link->poll);
    link->poll->data = link;
    link->held_end = &link->held;
    link->truncate_ms = LINK_TRUNCATE_MS;
    link->uv_append = link->io.append;
    link->uv_truncate = link->io.truncate;
    link->io.append = link_append;
    link->io.truncate = link_truncate;
    return QH_OK;
}

void link_truncate_close(struct link *link)
{
    fail_held(link, RAFT_CANCELED);
    uv_close((uv_handle_t *)link->poll, on_poll_closed);
    free(link->dir);
}
