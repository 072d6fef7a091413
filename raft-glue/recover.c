/* Making a node and forcing a membership on a survivor: what is done to a data directory while no
 * daemon runs, by real libraft. */
#include <inttypes.h>
#include <limits.h>
#include <raft.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "raft-glue/backup.h"
#include "raft-glue/datadir.h"
#include "raft-glue/heap.h"
#include "raft-glue/identity.h"
#include "raft-glue/link.h"
#include "raft-glue/replica.h"

QH_RESULT replica_create(const char *dir, const uint8_t cluster[16], const char *name,
                         uint64_t *ret_id)
{
    struct identity identity;
    enum qh_err err = identity_create(dir, cluster, name, &identity);

    if (err == QH_OK) {
        *ret_id = identity.id;
    }
    return err;
}

static enum qh_err err_from_raft(int rv)
{
    switch (rv) {
    case 0:
        return QH_OK;
    case RAFT_NOMEM:
        return QH_ENOMEM;
    case RAFT_BADID:
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
        return QH_EINVAL;
    case RAFT_CANTBOOTSTRAP:
        return QH_EEXIST;
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return QH_ECORRUPT;
    case RAFT_NOSPACE:
        return QH_ENOSPACE;
    case RAFT_TOOBIG:
        return QH_ELIMIT;
    default:
        return QH_EIO;
    }
}

static QH_RESULT build_configuration(const struct replica_member *members, unsigned count,
                                     struct raft_configuration *ret_configuration)
{
    struct raft_configuration configuration;

    if (count == 0 || count > NODES_MAX) {
        return QH_EINVAL;
    }
    raft_configuration_init(&configuration);
    for (unsigned i = 0; i < count; i++) {
        enum qh_err err = QH_EINVAL;

        if (members[i].id != 0 && identity_name_valid(members[i].name)) {
            err = err_from_raft(
                raft_configuration_add(&configuration, members[i].id, members[i].name, RAFT_VOTER));
        }
        if (err != QH_OK) {
            raft_configuration_close(&configuration);
            return err;
        }
    }
    *ret_configuration = configuration;
    return QH_OK;
}

static bool is_among(const struct identity *identity, const struct replica_member *members,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (members[i].id == identity->id && strcmp(members[i].name, identity->name) == 0) {
            return true;
        }
    }
    return false;
}

/* raft_bootstrap() or raft_recover(). */
typedef int (*raft_step)(struct raft *raft, const struct raft_configuration *configuration);

static QH_RESULT run_raft(struct link *link, const struct identity *identity, raft_step step,
                          const struct raft_configuration *configuration, uv_loop_t *loop)
{
    struct raft_fsm fsm = {.version = 1}; /* never called: nothing is started */
    struct raft raft;
    enum qh_err err;
    int rv;

    memset(&raft, 0, sizeof(raft));
    rv = raft_init(&raft, &link->io, &fsm, identity->id, identity->name);
    if (rv != 0) {
        log_error("libraft refuses its directory: %s", raft_errmsg(&raft));
        return err_from_raft(rv);
    }
    rv = step(&raft, configuration);
    err = err_from_raft(rv);
    if (err != QH_OK && err != QH_EEXIST) {
        log_error("libraft could not write its first or new membership: %s", raft_strerror(rv));
    }
    /* Closing is safe as long as nothing was started. */
    raft_close(&raft, NULL);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    return err;
}

static QH_RESULT run_step(const char *dir, const struct identity *identity, raft_step step,
                          const struct raft_configuration *configuration)
{
    char path[PATH_MAX];
    struct link link;
    uv_loop_t loop;
    enum qh_err err;

    if (snprintf(path, sizeof(path), "%s/raft", dir) >= (int)sizeof(path)) {
        return QH_EINVAL;
    }
    heap_install();
    if (uv_loop_init(&loop) != 0) {
        return QH_ESYSTEM;
    }
    err = link_init(&link, &loop, path, LINK_SEGMENT_SIZE_MIN);
    if (err == QH_OK) {
        err = run_raft(&link, identity, step, configuration, &loop);
        link_close(&link);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* what was closed ends */
    (void)uv_loop_close(&loop);
    return err;
}

static QH_RESULT bootstrap_locked(const char *dir, const struct replica_member *members,
                                  unsigned count, const struct raft_configuration *configuration)
{
    struct datadir_summary summary;
    struct identity identity;
    enum qh_err err;

    err = identity_load(dir, &identity);
    if (err != QH_OK) {
        return err;
    }
    if (!is_among(&identity, members, count)) {
        return QH_EINVAL;
    }
    err = datadir_check(dir, identity.member);
    if (err == QH_OK) {
        err = datadir_summarize(dir, &summary);
    }
    if (err == QH_OK && (identity.member || summary.last_index > 0 || summary.term > 0)) {
        err = QH_EEXIST;
    }
    if (err == QH_OK) {
        err = run_step(dir, &identity, raft_bootstrap, configuration);
    }
    if (err != QH_OK) {
        return err;
    }
    /* Only now: a node that dies in between has a log and is no member yet, which its next
     * start puts right; the other way round it would take itself for one that lost its disk. */
    identity.member = true;
    return identity_store(dir, &identity);
}

QH_RESULT replica_bootstrap(const char *dir, const struct replica_member *members, unsigned count)
{
    struct raft_configuration configuration;
    enum qh_err err;
    int lock_fd;

    err = build_configuration(members, count, &configuration);
    if (err != QH_OK) {
        return err;
    }
    err = datadir_lock(dir, &lock_fd);
    if (err == QH_OK) {
        err = bootstrap_locked(dir, members, count, &configuration);
        (void)close(lock_fd);
    }
    raft_configuration_close(&configuration);
    return err;
}

static QH_RESULT back_up(const char *dir, const struct identity *identity)
{
    char name[64];
    enum qh_err err;

    (void)snprintf(name, sizeof(name), "raft.before-recover-%" PRIu64, identity->generation);
    err = backup_make(dir, "raft", name);
    if (err != QH_OK) {
        log_error("recover stopped: the backup failed dir=%s/%s error=%s; nothing was changed", dir,
                  name, err_name(err));
    }
    return err;
}

static QH_RESULT recover_locked(const char *dir, const struct replica_member *members,
                                unsigned count, const struct raft_configuration *configuration,
                                uint64_t *ret_generation)
{
    struct identity identity;
    enum qh_err err;

    err = identity_load(dir, &identity);
    if (err != QH_OK) {
        return err;
    }
    if (!is_among(&identity, members, count)) {
        return QH_EINVAL;
    }
    err = datadir_check(dir, true);
    if (err == QH_OK) {
        err = back_up(dir, &identity);
    }
    if (err == QH_OK) {
        err = run_step(dir, &identity, raft_recover, configuration);
    }
    if (err != QH_OK) {
        return err;
    }
    /* A node that dies in between still has the old generation, and is recovered once more. */
    identity.generation++;
    identity.member = true;
    err = identity_store(dir, &identity);
    if (err == QH_OK) {
        *ret_generation = identity.generation;
    }
    return err;
}

QH_RESULT replica_recover(const char *dir, const struct replica_member *members, unsigned count,
                          uint64_t *ret_generation)
{
    struct raft_configuration configuration;
    enum qh_err err;
    int lock_fd;

    err = build_configuration(members, count, &configuration);
    if (err != QH_OK) {
        return err;
    }
    err = datadir_lock(dir, &lock_fd);
    if (err == QH_OK) {
        err = recover_locked(dir, members, count, &configuration, ret_generation);
        (void)close(lock_fd);
    }
    raft_configuration_close(&configuration);
    return err;
}
