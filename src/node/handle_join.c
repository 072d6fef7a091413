/* The member's side of a join: proves that it is one, checks the token, certifies the new node,
 * writes its record and hands over the cluster key, sealed to the joiner's one-time key. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "crypto/pki.h"
#include "hsm/join_token.h"
#include "hsm/record.h"
#include "node/admin.h"
#include "node/change.h"
#include "node/control_private.h"
#include "node/handlers.h"
#include "raft-glue/identity.h"
#include "wire/frame.h"

/* Is what the joiner says of itself usable? */
static QH_RESULT check_join(const Quadhsm__Join *join, const char **ret_detail)
{
    bool proper = join->token_id.len == 16 && join->proof.len == JOIN_TOKEN_PROOF_SIZE &&
                  join->raft_id != 0 && identity_name_valid(join->node) &&
                  identity_name_valid(join->region) &&
                  strlen(join->region) <= REGION_NAME_LENGTH_MAX &&
                  strlen(join->peer_host) <= CONFIG_HOST_LENGTH_MAX && join->peer_host[0] != '\0' &&
                  join->peer_port >= 1 && join->peer_port <= 65535;

    if (proper && !join->witness) {
        proper = strlen(join->client_host) <= CONFIG_HOST_LENGTH_MAX &&
                 join->client_host[0] != '\0' && join->client_port >= 1 &&
                 join->client_port <= 65535 && join->key_box_pk.len == crypto_box_PUBLICKEYBYTES;
    }
    if (!proper) {
        *ret_detail = "the join request lacks something: use a node of the same version";
        return QH_EINVAL;
    }
    return QH_OK;
}

static bool used_by(const Qhrec__JoinToken *token, const struct request *request)
{
    return token->used_by.len == sizeof request->fingerprint &&
           memcmp(token->used_by.data, request->fingerprint, sizeof request->fingerprint) == 0;
}

/* The token's record, if the request proves to know its secret. A token that was used is good for
 * the same question again, of a joiner that did not hear the answer, and for nothing else.
 * Owns: wire_message_free(*ret_message). */
static QH_RESULT check_token(struct request *request, const struct store *store,
                             ProtobufCMessage **ret_message, struct store_record *ret_record,
                             uint8_t ret_proof[32])
{
    struct control *control = request->node->control;
    const Quadhsm__Join *join = request->message->join;
    struct record_key key = record_key_token(join->token_id.data);
    uint8_t expected[JOIN_TOKEN_PROOF_SIZE];
    ProtobufCMessage *message;
    Qhrec__JoinToken *token;
    struct secret *secret = NULL;
    enum qh_err err = record_load(control->keyring, store, &key, &qhrec__join_token__descriptor,
                                  &message, ret_record);

    if (err != QH_OK) {
        return err == QH_ENOTFOUND ? QH_EPERM : err;
    }
    token = (Qhrec__JoinToken *)message;
    err = token->secret.len == JOIN_TOKEN_SECRET_SIZE
              ? secret_from(token->secret.data, token->secret.len, &secret)
              : QH_ECORRUPT;
    if (err == QH_OK) {
        join_token_proof(secret, request->exporter, "joiner", expected);
        join_token_proof(secret, request->exporter, "member", ret_proof);
        if (sodium_memcmp(expected, join->proof.data, sizeof expected) != 0 ||
            token->witness != join->witness || token->expires_unix_ms < clock_unix_ms() ||
            (token->used_by.len > 0 && !used_by(token, request))) {
            err = QH_EPERM;
        }
    }
    secret_free(secret);
    if (err == QH_OK) {
        *ret_message = message;
    } else {
        wire_message_free(message);
    }
    return err;
}

static QH_RESULT check_names(struct request *request, const Quadhsm__Join *join,
                             const char **ret_detail)
{
    const struct directory *directory;
    enum qh_err err = QH_OK;

    view_enter();
    directory = view_directory(request->node->view);
    if (directory->node_count >= NODES_MAX) {
        *ret_detail = "the cluster has as many nodes as it can have";
        err = QH_ELIMIT;
    }
    for (unsigned i = 0; i < directory->node_count; i++) {
        if (strcmp(directory->nodes[i].name, join->node) == 0 ||
            directory->nodes[i].raft_id == join->raft_id) {
            *ret_detail = "the cluster has a node of this name already: choose another one";
            err = QH_EEXIST;
        }
    }
    view_leave();
    return err;
}

static QH_RESULT issue(struct control *control, const struct store *store,
                       const Quadhsm__Join *join, Quadhsm__JoinDone *done)
{
    struct record_key key = record_key_authority();
    ProtobufCMessage *message;
    Qhrec__Authority *authority;
    struct pki_der cert = {0};
    struct secret *ca_key = NULL;
    enum qh_err err =
        record_load(control->keyring, store, &key, &qhrec__authority__descriptor, &message, NULL);

    if (err != QH_OK) {
        return err;
    }
    authority = (Qhrec__Authority *)message;
    err = secret_from(authority->key.data, authority->key.len, &ca_key);
    if (err == QH_OK) {
        struct bytes ca = {authority->certificate.data, authority->certificate.len};
        struct bytes csr = {join->csr.data, join->csr.len};
        uint64_t now_s = clock_unix_ms() / 1000;

        err = join->witness ? pki_issue_witness(ca, ca_key, csr, join->node, now_s, &cert)
                            : pki_issue_node(ca, ca_key, csr, join->node, now_s, &cert);
    }
    if (err == QH_OK) {
        done->certificate = wire_bytes((struct bytes){cert.base, cert.size});
        done->ca =
            wire_bytes((struct bytes){authority->certificate.data, authority->certificate.len});
    }
    free(cert.base);
    secret_free(ca_key);
    wire_message_free(message);
    return err;
}

static QH_RESULT seal_key(struct control *control, const Quadhsm__Join *join,
                          Quadhsm__JoinDone *done)
{
    uint8_t sealed[crypto_box_SEALBYTES + KEYRING_CMK_SIZE];

    if (join->witness) {
        return QH_OK; /* a witness never gets the key */
    }
    if (crypto_box_seal(sealed, secret_view(control->cmk), secret_size(control->cmk),
                        join->key_box_pk.data) != 0) {
        return QH_EINVAL;
    }
    done->sealed_cmk = wire_bytes((struct bytes){sealed, sizeof sealed});
    return QH_OK;
}

static QH_RESULT fill_nodes(struct request *request, Quadhsm__JoinDone *done)
{
    const Quadhsm__Join *join = request->message->join;
    const struct directory *directory;
    enum qh_err err = QH_OK;

    view_enter();
    directory = view_directory(request->node->view);
    done->cluster_name = wire_string(directory->cluster_name);
    done->nodes = wire_zalloc((directory->node_count + 1) * sizeof(Quadhsm__JoinNode *));
    if (done->nodes == NULL) {
        err = QH_ENOMEM;
    }
    for (unsigned i = 0; err == QH_OK && i < directory->node_count; i++) {
        const struct directory_node *node = &directory->nodes[i];
        Quadhsm__JoinNode *copy;

        if (node->raft_id == join->raft_id) {
            continue; /* it asks again */
        }
        copy = wire_zalloc(sizeof *copy);
        if (copy == NULL) {
            err = QH_ENOMEM;
            break;
        }
        quadhsm__join_node__init(copy);
        copy->node = wire_string(node->name);
        copy->region = wire_string(node->region);
        copy->witness = node->witness;
        copy->raft_id = node->raft_id;
        copy->peer_host = wire_string(node->peer_host);
        copy->peer_port = node->peer_port;
        done->nodes[done->n_nodes++] = copy;
    }
    view_leave();
    return err;
}

static QH_RESULT put_node(struct control *control, const Quadhsm__Join *join,
                          struct change_list *list)
{
    struct record_key key = record_key_node(join->raft_id);
    Qhrec__Node node;
    struct bytes value = {0};
    enum qh_err err;

    qhrec__node__init(&node);
    node.raft_id = join->raft_id;
    node.name = join->node;
    node.region = join->region;
    node.witness = join->witness;
    node.peer_host = join->peer_host;
    node.peer_port = join->peer_port;
    node.client_host = join->client_host;
    node.client_port = join->client_port;
    err = record_seal(control->keyring, &key, (struct bytes){0}, &node.base, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_ABSENT, record_key_bytes(&key), 0);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    return err;
}

/* From now on it is this joiner's. */
static QH_RESULT use_token(struct request *request, Qhrec__JoinToken *token,
                           const struct store_record *record, struct change_list *list)
{
    struct record_key key = record_key_token(request->message->join->token_id.data);
    struct bytes value;
    enum qh_err err;

    token->used_by = wire_bytes((struct bytes){request->fingerprint, sizeof request->fingerprint});
    if (token->used_by.data == NULL) {
        return QH_ENOMEM;
    }
    err = record_seal(request->node->control->keyring, &key, record->value, &token->base, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_AT_REVISION, record_key_bytes(&key), record->mod_revision);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    return err;
}

static QH_RESULT fill_answer(struct request *request, const struct store *store,
                             const uint8_t proof[JOIN_TOKEN_PROOF_SIZE])
{
    struct control *control = request->node->control;
    const Quadhsm__Join *join = request->message->join;
    Quadhsm__JoinDone *done = wire_zalloc(sizeof *done);
    enum qh_err err;

    if (done == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__join_done__init(done);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_JOIN;
    request->response->join = done;
    done->proof = wire_bytes((struct bytes){proof, JOIN_TOKEN_PROOF_SIZE});
    err = issue(control, store, join, done);
    if (err == QH_OK) {
        err = seal_key(control, join, done);
    }
    return err == QH_OK ? fill_nodes(request, done) : err;
}

static QH_RESULT change_records(struct request *request, const struct store *store,
                                Qhrec__JoinToken *token, const struct store_record *record,
                                struct change_list *list)
{
    struct control *control = request->node->control;
    enum qh_err err = use_token(request, token, record, list);

    if (err == QH_OK) {
        err = put_node(control, request->message->join, list);
    }
    /* Of two that join at once with one name, or as the last there may be, one is computed anew. */
    return err == QH_OK ? admin_touch_names(control->keyring, store, list) : err;
}

static enum qh_err build_join(struct request *request, const struct store *store,
                              struct change_list *list, const char **ret_detail)
{
    const Quadhsm__Join *join = request->message->join;
    ProtobufCMessage *token = NULL;
    struct store_record record;
    uint8_t proof[JOIN_TOKEN_PROOF_SIZE];
    bool again = false;
    enum qh_err err = check_join(join, ret_detail);

    if (err == QH_OK) {
        err = check_token(request, store, &token, &record, proof);
        if (err == QH_EPERM) {
            *ret_detail = "the token is unknown, used up, expired or of the other kind: get a new "
                          "one with quadhsm cluster token";
        }
    }
    if (err == QH_OK) {
        again = ((Qhrec__JoinToken *)token)->used_by.len > 0;
        err = again ? QH_OK : check_names(request, join, ret_detail);
    }
    if (err == QH_OK) {
        err = fill_answer(request, store, proof);
    }
    if (err == QH_OK && !again) {
        err = change_records(request, store, (Qhrec__JoinToken *)token, &record, list);
    }
    wire_message_free(token);
    return err;
}

/* What is asked, without the proof, which is another one on each connection. */
static QH_RESULT hash_question(Quadhsm__Join *join, uint8_t ret_hash[FINGERPRINT_SIZE])
{
    ProtobufCBinaryData proof = join->proof;
    uint8_t *frame;
    size_t size;
    enum qh_err err;

    join->proof = (ProtobufCBinaryData){0};
    err = wire_pack(&join->base, &frame, &size);
    join->proof = proof;
    if (err == QH_OK) {
        (void)crypto_hash_sha256(ret_hash, frame + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE);
        wire_free(frame, size);
    }
    return err;
}

/* A joiner has no certificate yet: the answer is for whoever asks the same. */
void handle_join(struct request *request)
{
    enum qh_err err = hash_question(request->message->join, request->fingerprint);

    if (err == QH_OK) {
        change_run(request, build_join);
    } else {
        request_answer(request, err, NULL);
    }
}
