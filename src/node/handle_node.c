/* Making this process a node of a cluster, and unlocking it: init and unlock. Joining is in
 * handle_node_join.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/password.h"
#include "crypto/pki.h"
#include "hsm/record.h"
#include "node/boot.h"
#include "node/change.h"
#include "node/control_private.h"
#include "node/handlers.h"
#include "wire/frame.h"

#define INIT_MS 60000u /* for all of an init, on however slow a disk */

/* What init makes on a worker, before anything is written. */
struct init_state {
    struct control *control;
    struct secret *password, *passphrase, *cmk, *ca_key, *node_key;
    struct pki_der ca_cert, node_csr, node_cert, admin_cert;
    struct bytes sealed_cmk;
    uint8_t cluster[16];
    uint8_t admin_id[CLIENT_ID_SIZE];
    uint8_t request_id[ONCE_ID_SIZE];
    char verifier[PASSWORD_VERIFIER_SIZE];
    uint64_t raft_id;
    enum qh_err err;
    const char *detail;
};

/* Whatever becomes of the request: another one may begin. */
static void end_booting(struct control *control, const void *state)
{
    if (control->booting == state) {
        control->booting = NULL;
    }
}

static void free_init(void *data)
{
    struct init_state *state = data;

    end_booting(state->control, state);
    secret_free(state->password);
    secret_free(state->passphrase);
    secret_free(state->cmk);
    secret_free(state->ca_key);
    secret_free(state->node_key);
    free(state->ca_cert.base);
    free(state->node_csr.base);
    free(state->node_cert.base);
    free(state->admin_cert.base);
    free((void *)(uintptr_t)state->sealed_cmk.base);
    free(state);
}

QH_RESULT control_take_secret(ProtobufCBinaryData *field, struct secret **ret_secret)
{
    enum qh_err err = QH_OK;

    if (field->len > 0) {
        err = secret_from(field->data, field->len, ret_secret);
        sodium_memzero(field->data, field->len);
    }
    return err;
}

static bool text_proper(const char *text, size_t length_max)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return length >= 1 && length <= length_max;
}

static QH_RESULT check_init(const struct control *control, const Quadhsm__NodeInit *init,
                            const char **ret_detail)
{
    if (control->replica != NULL || control->booting != NULL) {
        *ret_detail = "this node is in a cluster already, or about to be";
        return QH_EEXIST;
    }
    if (control->node->config->witness) {
        *ret_detail = "a witness holds no key and cannot begin a cluster: init an hsm node, then "
                      "join the witness";
        return QH_EINVAL;
    }
    if (!text_proper(init->cluster_name, 63)) {
        *ret_detail = "a cluster's name has 1 to 63 printable characters";
        return QH_EINVAL;
    }
    if (!pki_client_name_valid(init->admin_name)) {
        *ret_detail = "a client's name has 1 to 57 letters, digits, '-', '.' and '_'";
        return QH_EINVAL;
    }
    if (init->so_password.len < PASSWORD_SIZE_MIN || init->so_password.len > PIN_SIZE_MAX) {
        *ret_detail = "the security officer's password has 8 to 255 bytes";
        return QH_EPINRANGE;
    }
    return QH_OK;
}

/* ---- on a worker ---- */

static QH_RESULT make_certs(struct request *request, struct init_state *state)
{
    const Quadhsm__NodeInit *init = request->message->node_init;
    const char *node = request->node->config->node;
    uint64_t now_s = clock_unix_ms() / 1000;
    struct bytes ca;
    enum qh_err err = pki_authority_new(init->cluster_name, now_s, &state->ca_cert, &state->ca_key);

    if (err == QH_OK) {
        err = pki_request_new(node, &state->node_key, &state->node_csr);
    }
    if (err != QH_OK) {
        return err;
    }
    ca = (struct bytes){state->ca_cert.base, state->ca_cert.size};
    err = pki_issue_node(ca, state->ca_key,
                         (struct bytes){state->node_csr.base, state->node_csr.size}, node, now_s,
                         &state->node_cert);
    if (err == QH_OK) {
        err = pki_issue_client(ca, state->ca_key,
                               (struct bytes){init->admin_csr.data, init->admin_csr.len},
                               init->admin_name, now_s, &state->admin_cert);
        if (err != QH_OK) {
            state->detail = "the first client's certificate request is not valid";
        }
    }
    return err;
}

static QH_RESULT make_keys(struct request *request, struct init_state *state)
{
    enum qh_err err = secret_new(KEYRING_CMK_SIZE, &state->cmk);

    if (err != QH_OK) {
        return err;
    }
    randombytes_buf(secret_bytes(state->cmk), KEYRING_CMK_SIZE);
    randombytes_buf(state->cluster, sizeof state->cluster);
    randombytes_buf(state->admin_id, sizeof state->admin_id);
    randombytes_buf(state->request_id, sizeof state->request_id);
    err = password_make(state->password, state->verifier);
    if (err == QH_OK) {
        err = make_certs(request, state);
    }
    if (err == QH_OK) {
        err = boot_seal_cmk(request->node->config, state->cluster, state->cmk, state->passphrase,
                            &state->sealed_cmk, &state->detail);
    }
    return err;
}

static void found(struct request *request);

static void prepare_init(struct request *request)
{
    struct init_state *state = request->state;

    state->err = make_keys(request, state);
    request_run_on(request, REQUEST_CONTROL, found);
}

/* ---- back on the control thread ---- */

static QH_RESULT write_directory(struct control *control, struct init_state *state)
{
    const struct node_config *config = control->node->config;
    const struct boot_files files = {
        .ca_cert = {state->ca_cert.base, state->ca_cert.size},
        .node_cert = {state->node_cert.base, state->node_cert.size},
        .sealed_cmk = state->sealed_cmk,
        .node_key = state->node_key,
    };
    struct replica_member member = {0};
    struct directory_node self;
    enum qh_err err = boot_begin(config, state->cluster, &state->raft_id);

    if (err != QH_OK) {
        return err;
    }
    err = boot_finish(config, &files);
    if (err == QH_OK) {
        boot_describe_self(config, state->raft_id, &self);
        err = control_members_save(config->data, &self, 1);
    }
    if (err == QH_OK) {
        member.id = state->raft_id;
        (void)snprintf(member.name, sizeof member.name, "%s", config->node);
        err = replica_bootstrap(config->data, &member, 1);
    }
    if (err != QH_OK) {
        boot_undo(config);
    }
    return err;
}

static QH_RESULT put_message(struct control *control, struct change_list *list,
                             struct record_key key, const ProtobufCMessage *message)
{
    struct bytes value = {0};
    enum qh_err err = record_seal(control->keyring, &key, (struct bytes){0}, message, &value);

    if (err == QH_OK) {
        change_compare(list, TXN_ABSENT, record_key_bytes(&key), 0);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    return err;
}

static ProtobufCBinaryData borrowed(const uint8_t *base, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)base, .len = size};
}

static QH_RESULT put_settings(struct request *request, struct change_list *list)
{
    struct init_state *state = request->state;
    Qhrec__RoleAuth so;
    Qhrec__Settings settings;
    Qhrec__Authority authority;
    enum qh_err err;

    qhrec__authority__init(&authority);
    qhrec__settings__init(&settings);
    qhrec__role_auth__init(&so);
    so.role = HSM_ROLE_SO;
    so.verifier = state->verifier;
    so.epoch = 1;
    settings.cluster_name = request->message->node_init->cluster_name;
    settings.partitions_max = PARTITIONS_DEFAULT;
    settings.so = &so;
    err = put_message(request->node->control, list, record_key_settings(), &settings.base);
    if (err == QH_OK) {
        authority.certificate = borrowed(state->ca_cert.base, state->ca_cert.size);
        authority.key = borrowed(secret_view(state->ca_key), secret_size(state->ca_key));
        err = put_message(request->node->control, list, record_key_authority(), &authority.base);
    }
    return err;
}

static QH_RESULT put_node_and_admin(struct request *request, struct change_list *list)
{
    struct init_state *state = request->state;
    const struct node_config *config = request->node->config;
    uint8_t fingerprint[FINGERPRINT_SIZE];
    Qhrec__Node node;
    Qhrec__Client admin;
    enum qh_err err = pki_fingerprint(
        (struct bytes){state->admin_cert.base, state->admin_cert.size}, fingerprint);

    qhrec__client__init(&admin);
    qhrec__node__init(&node);
    if (err != QH_OK) {
        return err;
    }
    node.raft_id = state->raft_id;
    node.name = wire_borrow(config->node);
    node.region = wire_borrow(config->region);
    node.peer_host = wire_borrow(config->peer_advertise.host);
    node.peer_port = config->peer_advertise.port;
    node.client_host = wire_borrow(config->client_advertise.host);
    node.client_port = config->client_advertise.port;
    err = put_message(request->node->control, list, record_key_node(state->raft_id), &node.base);
    if (err == QH_OK) {
        admin.id = borrowed(state->admin_id, sizeof state->admin_id);
        admin.name = request->message->node_init->admin_name;
        admin.fingerprint = borrowed(fingerprint, sizeof fingerprint);
        admin.admin = true;
        admin.enrolled_unix_s = clock_unix_ms() / 1000;
        err = put_message(request->node->control, list, record_key_client(state->admin_id),
                          &admin.base);
    }
    return err;
}

static enum qh_err build_founding(struct request *request, const struct store *store,
                                  struct change_list *list, const char **ret_detail)
{
    struct init_state *state = request->state;
    Quadhsm__ClientCertificate *answer = wire_zalloc(sizeof *answer);
    enum qh_err err;

    (void)store;
    (void)ret_detail;
    if (answer == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__client_certificate__init(answer);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_CLIENT_CERTIFICATE;
    request->response->client_certificate = answer;
    answer->certificate =
        wire_bytes((struct bytes){state->admin_cert.base, state->admin_cert.size});
    answer->ca = wire_bytes((struct bytes){state->ca_cert.base, state->ca_cert.size});
    answer->client = wire_bytes((struct bytes){state->admin_id, sizeof state->admin_id});
    err = put_settings(request, list);
    return err == QH_OK ? put_node_and_admin(request, list) : err;
}

static void found(struct request *request)
{
    struct control *control = request->node->control;
    struct init_state *state = request->state;
    enum qh_err err = state->err;

    control->booting = NULL;
    if (err == QH_OK) {
        request_progress(request, "writing the node's directory");
        err = write_directory(control, state);
        if (err != QH_OK) {
            state->detail = "the data directory cannot be written, or holds a node already";
        }
    }
    if (err != QH_OK) {
        request_answer(request, err, state->detail);
        return;
    }
    memcpy(control->cluster, state->cluster, sizeof control->cluster);
    err = control_unlock(control, state->cmk);
    if (err == QH_OK) {
        state->cmk = NULL;
        control->founding = true;
        err = control_open(control);
    }
    if (err != QH_OK) {
        log_error("the new node cannot start: %s", err_message(err));
        request_answer(request, err,
                       "see the node's log; then remove its data directory, start "
                       "the daemon again and repeat");
        return;
    }
    request_progress(request, "founding the cluster");
    request->message->request_id.data =
        wire_bytes((struct bytes){state->request_id, sizeof state->request_id}).data;
    request->message->request_id.len =
        request->message->request_id.data != NULL ? sizeof state->request_id : 0;
    change_run(request, build_founding);
}

void handle_node_init(struct request *request)
{
    struct control *control = request->node->control;
    Quadhsm__NodeInit *init = request->message->node_init;
    const char *detail = NULL;
    struct init_state *state;
    enum qh_err err = check_init(control, init, &detail);

    if (err != QH_OK) {
        request_answer(request, err, detail);
        return;
    }
    state = calloc(1, sizeof *state);
    if (state == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    state->control = control;
    request->state = state;
    request->state_free = free_init;
    err = control_take_secret(&init->so_password, &state->password);
    if (err == QH_OK) {
        err = control_take_secret(&init->passphrase, &state->passphrase);
    }
    if (err != QH_OK) {
        request_answer(request, err, "the limit of locked memory may be too low (ulimit -l)");
        return;
    }
    control->booting = state;
    request->deadline_ms = clock_monotonic_ms() + INIT_MS;
    request_progress(request, "making the cluster's keys");
    request_run_on(request, REQUEST_SLOW, prepare_init);
}

/* ---- unlock ---- */

struct unlock_state {
    struct control *control;
    struct secret *passphrase, *cmk;
    enum qh_err err;
};

static void free_unlock(void *data)
{
    struct unlock_state *state = data;

    end_booting(state->control, state);
    secret_free(state->passphrase);
    secret_free(state->cmk);
    free(state);
}

static void finish_unlock(struct request *request)
{
    struct control *control = request->node->control;
    struct unlock_state *state = request->state;
    enum qh_err err = state->err;

    control->booting = NULL;
    if (err == QH_OK) {
        err = control_unlock(control, state->cmk);
    }
    if (err == QH_OK) {
        state->cmk = NULL;
        log_info("unlocked");
    } else {
        log_warning("unlocking failed: %s", err_message(err));
    }
    request_answer(request, err,
                   err == QH_EPIN ? "it is the passphrase given at this node's init "
                                    "or join; try again"
                                  : NULL);
}

static void open_with_passphrase(struct request *request)
{
    struct unlock_state *state = request->state;

    state->err = boot_open_cmk(request->node->config, request->node->control->cluster,
                               state->passphrase, &state->cmk);
    request_run_on(request, REQUEST_CONTROL, finish_unlock);
}

void handle_node_unlock(struct request *request)
{
    struct control *control = request->node->control;
    struct unlock_state *state;
    const char *detail = NULL;
    enum qh_err err = QH_OK;

    if (control->replica == NULL) {
        err = QH_EUNINITIALIZED;
        detail = "run quadhsm node init or quadhsm node join first";
    } else if (control->keyring != NULL || control->booting != NULL) {
        err = QH_EEXIST;
        detail = "the node is unlocked already, or being unlocked";
    } else if (control->node->config->witness) {
        err = QH_EINVAL;
        detail = "a witness holds no key and has nothing to unlock";
    } else if (request->message->node_unlock->passphrase.len > PIN_SIZE_MAX ||
               request->message->node_unlock->passphrase.len == 0) {
        err = QH_EPINRANGE;
        detail = "a passphrase has 8 to 255 bytes";
    }
    if (err != QH_OK) {
        request_answer(request, err, detail);
        return;
    }
    state = calloc(1, sizeof *state);
    if (state == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    state->control = control;
    request->state = state;
    request->state_free = free_unlock;
    err = control_take_secret(&request->message->node_unlock->passphrase, &state->passphrase);
    if (err != QH_OK) {
        request_answer(request, err, "the limit of locked memory may be too low (ulimit -l)");
        return;
    }
    control->booting = state;
    request_run_on(request, REQUEST_SLOW, open_with_passphrase);
}
