/* Making this process a node of a cluster that exists: asks a member with a token, keeps what it
 * answers, starts, and waits to be a voter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/pki.h"
#include "node/boot.h"
#include "node/control_private.h"
#include "node/handlers.h"
#include "node/join_client.h"
#include "wire/frame.h"

#define JOIN_VOTER_MS 60000u /* from the start of the new node until it is a voter */

struct join_state {
    struct control *control;
    struct join_token token;
    struct secret *passphrase, *cmk, *node_key;
    struct pki_der node_csr;
    struct bytes sealed_cmk;
    Quadhsm__Response *response; /* the member's */
    uint64_t raft_id;
    enum qh_err err;
    char detail[512];
};

static void free_join(void *data)
{
    struct join_state *state = data;
    struct control *control = state->control;

    /* It ended before it began: no worker had time for it. */
    if (control->booting == state) {
        boot_undo(control->node->config);
        control->booting = NULL;
    }
    join_token_close(&state->token);
    secret_free(state->passphrase);
    secret_free(state->cmk);
    secret_free(state->node_key);
    free(state->node_csr.base);
    free((void *)(uintptr_t)state->sealed_cmk.base);
    if (state->response != NULL) {
        wire_message_free(&state->response->base);
    }
    free(state);
}

/* ---- on a worker ---- */

static void describe(const struct node_config *config, const struct join_state *state,
                     Quadhsm__Join *join)
{
    quadhsm__join__init(join);
    join->token_id.data = (uint8_t *)(uintptr_t)state->token.id;
    join->token_id.len = sizeof state->token.id;
    join->node = wire_borrow(config->node);
    join->region = wire_borrow(config->region);
    join->witness = config->witness;
    join->raft_id = state->raft_id;
    join->peer_host = wire_borrow(config->peer_advertise.host);
    join->peer_port = config->peer_advertise.port;
    join->client_host = wire_borrow(config->client_advertise.host);
    join->client_port = config->client_advertise.port;
    join->csr.data = state->node_csr.base;
    join->csr.len = state->node_csr.size;
}

static QH_RESULT open_box(struct join_state *state, const uint8_t *public_key,
                          const struct secret *secret_key)
{
    const ProtobufCBinaryData *sealed = &state->response->join->sealed_cmk;
    enum qh_err err;

    if (sealed->len != crypto_box_SEALBYTES + KEYRING_CMK_SIZE) {
        return QH_EMALFORMED;
    }
    err = secret_new(KEYRING_CMK_SIZE, &state->cmk);
    if (err != QH_OK) {
        return err;
    }
    if (crypto_box_seal_open(secret_bytes(state->cmk), sealed->data, sealed->len, public_key,
                             secret_view(secret_key)) != 0) {
        return QH_ECORRUPT;
    }
    return QH_OK;
}

static QH_RESULT ask_member(struct request *request, struct join_state *state)
{
    const struct node_config *config = request->node->config;
    uint8_t public_key[crypto_box_PUBLICKEYBYTES];
    struct secret *secret_key = NULL;
    Quadhsm__Join join;
    enum qh_err err = secret_new(crypto_box_SECRETKEYBYTES, &secret_key);

    if (err != QH_OK) {
        return err;
    }
    (void)crypto_box_keypair(public_key, secret_bytes(secret_key));
    err = pki_request_new(config->node, &state->node_key, &state->node_csr);
    if (err == QH_OK) {
        describe(config, state, &join);
        if (!config->witness) {
            join.key_box_pk = (ProtobufCBinaryData){.data = public_key, .len = sizeof public_key};
        }
        err = join_client_run(&state->token, &join, config->peer_source, state->detail,
                              sizeof state->detail, &state->response);
    }
    if (err == QH_OK && !config->witness) {
        err = open_box(state, public_key, secret_key);
    }
    secret_free(secret_key);
    return err;
}

static void start_joined(struct request *request);

static void prepare_join(struct request *request)
{
    struct join_state *state = request->state;
    const char *detail = NULL;

    state->err = ask_member(request, state);
    if (state->err == QH_OK && state->cmk != NULL) {
        state->err = boot_seal_cmk(request->node->config, state->token.cluster, state->cmk,
                                   state->passphrase, &state->sealed_cmk, &detail);
        if (detail != NULL) {
            (void)snprintf(state->detail, sizeof state->detail, "%s", detail);
        }
    }
    request_run_on(request, REQUEST_CONTROL, start_joined);
}

/* ---- back on the control thread ---- */

static QH_RESULT save_nodes(const struct node_config *config, const struct join_state *state)
{
    const Quadhsm__JoinDone *done = state->response->join;
    struct directory_node nodes[NODES_MAX];
    unsigned count = 0;

    memset(nodes, 0, sizeof nodes);
    for (size_t i = 0; i < done->n_nodes && count < NODES_MAX - 1; i++) {
        struct directory_node *node = &nodes[count++];

        node->raft_id = done->nodes[i]->raft_id;
        node->witness = done->nodes[i]->witness;
        node->peer_port = (uint16_t)done->nodes[i]->peer_port;
        (void)snprintf(node->name, sizeof node->name, "%s", done->nodes[i]->node);
        (void)snprintf(node->region, sizeof node->region, "%s", done->nodes[i]->region);
        (void)snprintf(node->peer_host, sizeof node->peer_host, "%s", done->nodes[i]->peer_host);
    }
    boot_describe_self(config, state->raft_id, &nodes[count]);
    return control_members_save(config->data, nodes, count + 1);
}

static QH_RESULT keep_answer(const struct node_config *config, const struct join_state *state)
{
    const Quadhsm__JoinDone *done = state->response->join;
    const struct boot_files files = {
        .ca_cert = {done->ca.data, done->ca.len},
        .node_cert = {done->certificate.data, done->certificate.len},
        .sealed_cmk = state->sealed_cmk,
        .node_key = state->node_key,
    };
    enum qh_err err = boot_finish(config, &files);

    if (err == QH_OK) {
        err = save_nodes(config, state);
    }
    return err == QH_OK ? boot_commit(config) : err;
}

static void start_joined(struct request *request)
{
    struct control *control = request->node->control;
    struct join_state *state = request->state;
    enum qh_err err = state->err;

    if (err == QH_OK) {
        request_progress(request, "writing the node's directory");
        err = keep_answer(control->node->config, state);
    }
    control->booting = NULL;
    if (err != QH_OK) {
        boot_undo(control->node->config);
        request_answer(request, err, state->detail[0] != '\0' ? state->detail : NULL);
        return;
    }
    memcpy(control->cluster, state->token.cluster, sizeof control->cluster);
    if (state->cmk != NULL) {
        err = control_unlock(control, state->cmk);
        if (err == QH_OK) {
            state->cmk = NULL;
        }
    }
    if (err == QH_OK) {
        err = control_open(control);
    }
    if (err != QH_OK) {
        log_error("the joined node cannot start: %s", err_message(err));
        request_answer(request, err,
                       "see the node's log; what hinders it mended, start the daemon "
                       "again: it goes on by itself");
        return;
    }
    request_progress(request, "copying the records, and becoming a voter");
    request->deadline_ms = clock_monotonic_ms() + JOIN_VOTER_MS;
    control->joining = request;
}

static void answer_joined(struct control *control, enum qh_err err, const char *detail)
{
    struct request *request = control->joining;
    Quadhsm__NodeState *state = wire_zalloc(sizeof *state);

    control->joining = NULL;
    if (err == QH_OK && state == NULL) {
        err = QH_ENOMEM;
    }
    if (state != NULL) {
        quadhsm__node_state__init(state);
        request->response->result_case = QUADHSM__RESPONSE__RESULT_NODE;
        request->response->node = state;
        control_fill_node_state(control, state);
    }
    request_answer(request, err, detail);
}

void control_join_tick(struct control *control, uint64_t now_ms)
{
    struct replica_status status;

    if (control->joining == NULL) {
        return;
    }
    replica_status(control->replica, &status);
    for (unsigned i = 0; i < status.peer_count; i++) {
        if (status.peers[i].id == status.id && status.peers[i].voter && status.revision > 0) {
            answer_joined(control, QH_OK, NULL);
            return;
        }
    }
    if (now_ms >= control->joining->deadline_ms) {
        answer_joined(control, QH_ETIMEOUT,
                      "the node has joined but is no voter yet; it goes on by itself: watch "
                      "quadhsm node status, and see whether its peer address can be reached");
    }
}

static QH_RESULT check_join(const struct control *control, const struct join_token *token,
                            const char **ret_detail)
{
    if (control->replica != NULL || control->booting != NULL) {
        *ret_detail = "this node is in a cluster already, or about to be";
        return QH_EEXIST;
    }
    if (token->witness != control->node->config->witness) {
        *ret_detail = token->witness ? "the token is for a witness, and this node's role is hsm"
                                     : "the token is for an hsm node, and this node's role is "
                                       "witness: get one with quadhsm cluster token --witness";
        return QH_EINVAL;
    }
    return QH_OK;
}

static QH_RESULT begin_join(struct request *request, struct join_state *state,
                            const char **ret_detail)
{
    struct control *control = request->node->control;
    Quadhsm__NodeJoin *message = request->message->node_join;
    enum qh_err err = join_token_parse(message->token, &state->token);

    if (err != QH_OK) {
        *ret_detail = "this is no join token, or one that was cut or mistyped";
        return err;
    }
    err = check_join(control, &state->token, ret_detail);
    if (err == QH_OK) {
        err = control_take_secret(&message->passphrase, &state->passphrase);
    }
    if (err == QH_OK) {
        err = boot_begin(control->node->config, state->token.cluster, &state->raft_id);
        if (err != QH_OK) {
            *ret_detail = "the data directory cannot be written, or holds a node already";
        }
    }
    return err;
}

void handle_node_join(struct request *request)
{
    struct join_state *state = calloc(1, sizeof *state);
    const char *detail = NULL;
    enum qh_err err;

    if (state == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    state->control = request->node->control;
    request->state = state;
    request->state_free = free_join;
    err = begin_join(request, state, &detail);
    if (err != QH_OK) {
        request_answer(request, err, detail);
        return;
    }
    state->control->booting = state;
    request_progress(request, "asking a member of the cluster");
    request_run_on(request, REQUEST_SLOW, prepare_join);
}
