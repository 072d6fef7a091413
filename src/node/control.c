/* The control thread's plumbing: its queue, its tick, the start and the stop. */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "hsm/record.h"
#include "node/boot.h"
#include "node/control_private.h"
#include "node/service.h"
#include "node/workers.h"

static void set_readiness(struct control *control)
{
    Quadhsm__Readiness readiness = QUADHSM__READINESS__READINESS_READY;

    if (control->state == CONTROL_STOPPING) {
        readiness = QUADHSM__READINESS__READINESS_DRAINING;
    } else if (control->replica == NULL) {
        readiness = QUADHSM__READINESS__READINESS_UNINITIALIZED;
    } else if (control->keyring == NULL && !control->node->config->witness) {
        readiness = QUADHSM__READINESS__READINESS_LOCKED;
    } else if (store_revision(replica_store(control->replica)) == 0) {
        readiness = QUADHSM__READINESS__READINESS_STARTING; /* nothing has been applied yet */
    }
    atomic_store(&control->node->readiness, (int)readiness);
}

static void note_leader(struct control *control, uint64_t now_ms)
{
    struct replica_status status;

    if (control->replica == NULL) {
        return;
    }
    replica_status(control->replica, &status);
    atomic_store(&control->node->has_leader, status.leader != 0);
    atomic_store(&control->node->generation, status.generation);
    if (status.leader != 0) {
        atomic_store(&control->node->leader_seen_ms, now_ms);
    }
}

/* The first records of the cluster are on the disk: from here on it is a node. */
static void note_founded(struct control *control)
{
    struct record_key key = record_key_settings();
    struct store_record record;

    if (control->founding &&
        store_get(replica_store(control->replica), record_key_bytes(&key), &record)) {
        control->founding = false;
        if (boot_commit(control->node->config) != QH_OK) {
            log_error("cannot remove %s/boot: remove it by hand, or the node will not start again",
                      control->node->config->data);
        }
    }
}

static void on_applied(void *data, struct bytes transaction, const struct store_answer *answer)
{
    struct control *control = data;

    if (control->replica != NULL && answer->status == STORE_APPLIED) {
        view_applied(control->node->view, replica_store(control->replica), transaction,
                     answer->revision);
        control_wait_check(control, clock_monotonic_ms());
        note_founded(control);
        set_readiness(control);
        control_members_changed(control);
    }
}

static void load_view(struct control *control)
{
    enum qh_err err =
        view_load(control->node->view, control->keyring, replica_store(control->replica));

    if (err != QH_OK) {
        log_error("cannot open the records: %s; the limit of locked memory may be too low "
                  "(ulimit -l)",
                  err_message(err));
        exit(REPLICA_EXIT_FATAL);
    }
    control_members_changed(control);
}

static void on_restored(void *data)
{
    struct control *control = data;

    if (control->replica != NULL) {
        load_view(control);
    }
}

static void on_changed(void *data)
{
    struct control *control = data;

    note_leader(control, clock_monotonic_ms());
}

static void on_tick(uv_timer_t *timer)
{
    struct control *control = timer->data;
    uint64_t now_ms = clock_monotonic_ms();

    note_leader(control, now_ms);
    set_readiness(control);
    if (control->replica != NULL && control->state == CONTROL_STARTED) {
        control_members_tick(control);
        control_join_tick(control, now_ms);
        change_tick(control, now_ms);
        sweep_tick(&control->sweep, control->replica, now_ms);
    }
    control_wait_tick(control, now_ms);
}

static void on_posted(uv_async_t *async)
{
    struct control *control = async->data;
    struct request *posted;

    (void)pthread_mutex_lock(&control->mutex);
    posted = control->posted;
    control->posted = NULL;
    control->posted_tail = &control->posted;
    control->posted_count = 0;
    (void)pthread_mutex_unlock(&control->mutex);
    while (posted != NULL) {
        struct request *request = posted;

        posted = request->next;
        request->next = NULL;
        if (control->state == CONTROL_STOPPING && !request->answered) {
            request_answer(request, QH_ECANCELED, "the node is stopping: ask another one");
        } else {
            request->run(request);
        }
    }
}

bool control_post(struct control *control, struct request *request)
{
    bool room;

    (void)pthread_mutex_lock(&control->mutex);
    room = control->posted_count < CONTROL_POSTED_MAX;
    if (room) {
        request->next = NULL;
        *control->posted_tail = request;
        control->posted_tail = &request->next;
        control->posted_count++;
    }
    (void)pthread_mutex_unlock(&control->mutex);
    if (room) {
        (void)uv_async_send(&control->async);
    }
    return room;
}

struct replica *control_replica(struct control *control)
{
    return control->replica;
}

QH_RESULT control_unlock(struct control *control, struct secret *cmk)
{
    struct keyring *keyring;
    enum qh_err err = keyring_new(cmk, control->cluster, &keyring);

    if (err != QH_OK) {
        return err;
    }
    control->cmk = cmk;
    control->keyring = keyring;
    if (control->replica != NULL) {
        load_view(control);
    }
    set_readiness(control);
    return QH_OK;
}

static QH_RESULT start_services(struct control *control, const struct boot_paths *paths)
{
    struct service_tls tls = {
        .ca_file = paths->ca_cert, .cert_file = paths->node_cert, .key_file = paths->node_key};

    if (control->node->config->witness) {
        return QH_OK;
    }
    return services_start(control->node, &tls, &control->node->services);
}

static void copy_node(struct replica_node *node, const struct node_config *config)
{
    memset(node, 0, sizeof *node);
    (void)snprintf(node->name, sizeof node->name, "%s", config->node);
    (void)snprintf(node->host, sizeof node->host, "%s", config->peer_listen.host);
    node->port = config->peer_listen.port;
    node->role = config->witness ? REPLICA_WITNESS : REPLICA_DATA;
}

QH_RESULT control_open(struct control *control)
{
    const struct node_config *config = control->node->config;
    struct replica_callbacks callbacks = {
        .data = control, .changed = on_changed, .applied = on_applied, .restored = on_restored};
    struct replica_config replica = {.dir = config->data,
                                     .preset = config->cross_region ? REPLICA_CROSS_REGION
                                                                    : REPLICA_REGION,
                                     .source = config->peer_source};
    struct boot_paths paths;
    enum qh_err err = boot_paths(config->data, &paths);

    if (err != QH_OK) {
        return err;
    }
    copy_node(&replica.self, config);
    err = control_members_load(control, &replica);
    if (err == QH_OK) {
        replica.tls = (struct transport_tls){
            .ca_file = paths.ca_cert, .cert_file = paths.node_cert, .key_file = paths.node_key};
        err = replica_start(control->loop, &replica, callbacks, &control->replica);
    }
    if (err == QH_OK) {
        control->state = CONTROL_STARTED;
        /* Time without a leader counts from here: the first election is still to come. */
        atomic_store(&control->node->leader_seen_ms, clock_monotonic_ms());
        load_view(control);
        set_readiness(control);
        err = start_services(control, &paths);
    }
    boot_paths_close(&paths);
    return err;
}

/* What the directory holds decides whether this is a node yet. */
static QH_RESULT open_directory(struct control *control)
{
    struct secret *cmk = NULL;
    enum qh_err err = boot_inspect(control->node->config, control->cluster);

    if (err == QH_ENOTFOUND) {
        log_info("waiting for init or join: node=%s control=%s", control->node->config->node,
                 control->node->config->control);
        return QH_OK;
    }
    if (err == QH_OK && !control->node->config->witness) {
        err = boot_load_cmk(control->node->config, control->cluster, &cmk);
    }
    if (err == QH_OK && cmk != NULL) {
        err = control_unlock(control, cmk);
        if (err != QH_OK) {
            secret_free(cmk);
        }
    }
    return err == QH_OK ? control_open(control) : err;
}

QH_RESULT control_start(struct node *node, uv_loop_t *loop)
{
    struct control *control = calloc(1, sizeof *control);
    enum qh_err err;

    if (control == NULL) {
        return QH_ENOMEM;
    }
    node->control = control;
    control->node = node;
    control->loop = loop;
    control->posted_tail = &control->posted;
    (void)pthread_mutex_init(&control->mutex, NULL);
    if (uv_async_init(loop, &control->async, on_posted) != 0) {
        return QH_ESYSTEM;
    }
    (void)uv_timer_init(loop, &control->tick);
    control->async.data = control;
    control->tick.data = control;
    view_thread_begin();
    err = open_directory(control);
    if (err == QH_OK) {
        set_readiness(control);
        err = control_socket_open(control);
    }
    if (err == QH_OK) {
        (void)uv_timer_start(&control->tick, on_tick, CONTROL_TICK_MS, CONTROL_TICK_MS);
    }
    return err;
}

static void finish_stop(void *data)
{
    struct control *control = data;

    if (control->node->services != NULL) {
        services_stop(control->node->services);
    }
    control->stopped(control->stopped_data);
}

void control_stop(struct control *control, void (*stopped)(void *data), void *data)
{
    if (control->state == CONTROL_STOPPING) {
        return;
    }
    control->state = CONTROL_STOPPING;
    control->stopped = stopped;
    control->stopped_data = data;
    set_readiness(control); /* clients are told to go elsewhere, and do at their next ping */
    control_socket_close(control);
    control_wait_cancel(control);
    change_tick(control, clock_monotonic_ms());
    if (control->replica == NULL) {
        finish_stop(control);
    } else {
        replica_stop(control->replica, finish_stop, control);
    }
}
