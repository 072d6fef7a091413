/* A member's side of a join: who proves to know a token becomes a node, and nobody else is told
 * anything. */
#include <openssl/x509.h>
#include <sodium.h>

#include "crypto/pki.h"
#include "hsm/join_token.h"
#include "tests/unit/admin_rig.h"

#define RAFT_ID 77u

static struct secret *token_secret;
static uint8_t token_id[16], cmk_box[crypto_box_PUBLICKEYBYTES];
static struct pki_der csr;

static void put_token(bool witness)
{
    struct record_key key;
    Qhrec__JoinToken token;

    memset(token_id, 0x70, sizeof token_id);
    memset(secret_bytes(token_secret), 0x71, JOIN_TOKEN_SECRET_SIZE);
    qhrec__join_token__init(&token);
    token.secret = (ProtobufCBinaryData){JOIN_TOKEN_SECRET_SIZE, secret_bytes(token_secret)};
    token.witness = witness;
    token.expires_unix_ms = UINT64_MAX;
    key = record_key_token(token_id);
    rig_put(&key, &token.base);
}

static void make_csr(void)
{
    struct secret *key;

    free(csr.base);
    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    secret_free(key);
}

static void setup(void)
{
    uint8_t box_key[crypto_box_SECRETKEYBYTES];

    rig_setup();
    ck_assert_int_eq(secret_new(KEYRING_CMK_SIZE, &rig.control.cmk), QH_OK);
    ck_assert_int_eq(secret_new(JOIN_TOKEN_SECRET_SIZE, &token_secret), QH_OK);
    put_token(false);
    make_csr();
    (void)crypto_box_keypair(cmk_box, box_key);
    rig.origin = REQUEST_FROM_JOINER;
}

static void teardown(void)
{
    secret_free(rig.control.cmk);
    secret_free(token_secret);
    free(csr.base);
    csr.base = NULL;
    rig_teardown();
}

/* By who knows @secret. */
static Quadhsm__Request *join_message(const struct secret *secret, const char *name)
{
    static const uint8_t exporter[32]; /* of requests in this rig */
    Quadhsm__Request *message = rig_message(0);
    Quadhsm__Join *join = wire_zalloc(sizeof *join);
    uint8_t proof[JOIN_TOKEN_PROOF_SIZE];

    join_token_proof(secret, exporter, "joiner", proof);
    quadhsm__join__init(join);
    join->token_id = wire_bytes((struct bytes){token_id, sizeof token_id});
    join->proof = wire_bytes((struct bytes){proof, sizeof proof});
    join->node = wire_string(name);
    join->region = wire_string("eu");
    join->raft_id = RAFT_ID;
    join->peer_host = wire_string("10.0.0.7");
    join->peer_port = 7601;
    join->client_host = wire_string("10.0.0.7");
    join->client_port = 7600;
    join->csr = wire_bytes((struct bytes){csr.base, csr.size});
    join->key_box_pk = wire_bytes((struct bytes){cmk_box, sizeof cmk_box});
    message->op_case = QUADHSM__REQUEST__OP_JOIN;
    message->join = join;
    return message;
}

static enum qh_err ask(Quadhsm__Request *message, const uint8_t *id)
{
    if (id != NULL) {
        memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    }
    return rig_ask(message, 0, HSM_ROLE_NONE, handle_join);
}

START_TEST(who_knows_the_token_becomes_a_node_once)
{
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), NULL), QH_OK);
    ck_assert_int_eq(rig.answer->result_case, QUADHSM__RESPONSE__RESULT_JOIN);
    ck_assert_uint_eq(rig.answer->join->sealed_cmk.len, crypto_box_SEALBYTES + KEYRING_CMK_SIZE);
    ck_assert_ptr_nonnull(directory_node(view_directory(rig.node.view), RAFT_ID));
    ck_assert_int_eq(ask(join_message(token_secret, "eu-2"), NULL), QH_EPERM);
}
END_TEST

START_TEST(a_witness_gets_no_key_and_a_certificate_that_clients_refuse)
{
    Quadhsm__Request *message = join_message(token_secret, "w-1");
    char unit[16] = "";
    const unsigned char *next;
    X509 *certificate;

    put_token(true);
    message->join->witness = true;
    ck_assert_int_eq(ask(message, NULL), QH_OK);
    ck_assert_uint_eq(rig.answer->join->sealed_cmk.len, 0);
    next = rig.answer->join->certificate.data;
    certificate = d2i_X509(NULL, &next, (long)rig.answer->join->certificate.len);
    ck_assert_ptr_nonnull(certificate);
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_organizationalUnitName,
                                    unit, sizeof unit);
    ck_assert_str_eq(unit, PKI_WITNESS_UNIT);
    X509_free(certificate);
}
END_TEST

START_TEST(who_does_not_know_the_token_is_told_nothing)
{
    struct secret *guess;

    ck_assert_int_eq(secret_new(JOIN_TOKEN_SECRET_SIZE, &guess), QH_OK);
    ck_assert_int_eq(ask(join_message(guess, "eu-1"), NULL), QH_EPERM);
    ck_assert_int_eq(rig.answer->result_case, QUADHSM__RESPONSE__RESULT__NOT_SET);
    secret_free(guess);
}
END_TEST

static Quadhsm__Request *other_box(Quadhsm__Request *message)
{
    message->join->key_box_pk.data[0] ^= 1;
    return message;
}

/* At another member, on another connection, so that a stored answer is of no use to it. */
START_TEST(a_joiner_that_heard_nothing_is_told_again)
{
    uint64_t revision;

    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), NULL), QH_OK);
    revision = store_revision(rig.store);
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), NULL), QH_OK);
    ck_assert_uint_eq(store_revision(rig.store), revision);
    ck_assert_uint_eq(rig.answer->join->sealed_cmk.len, crypto_box_SEALBYTES + KEYRING_CMK_SIZE);
    ck_assert_uint_eq(rig.answer->join->n_nodes, 0); /* itself is not among them */
    ck_assert_int_eq(ask(other_box(join_message(token_secret, "eu-1")), NULL), QH_EPERM);
}
END_TEST

/* At another member, as it would write it: the node's record, and that names were given. */
static void join_elsewhere(void)
{
    struct record_key key = record_key_node(RAFT_ID + 1);
    ProtobufCMessage *settings;
    Qhrec__Node node;

    qhrec__node__init(&node);
    node.raft_id = RAFT_ID + 1;
    node.name = (char[]){"eu-1"};
    rig_put(&key, &node.base);
    key = record_key_settings();
    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__settings__descriptor, &settings, NULL),
        QH_OK);
    rig_put(&key, settings);
    wire_message_free(settings);
}

START_TEST(two_that_join_with_one_name_at_once_do_not_both_succeed)
{
    rig.before_proposal = join_elsewhere;
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), NULL), QH_EEXIST);
    ck_assert_ptr_null(directory_node(view_directory(rig.node.view), RAFT_ID));
    ck_assert_int_eq(ask(join_message(token_secret, "eu-2"), NULL), QH_OK);
}
END_TEST

START_TEST(a_join_counts_as_giving_a_name)
{
    struct record_key key = record_key_settings();
    struct store_record before, after;

    ck_assert(store_get(rig.store, record_key_bytes(&key), &before));
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), NULL), QH_OK);
    ck_assert(store_get(rig.store, record_key_bytes(&key), &after));
    ck_assert_uint_gt(after.mod_revision, before.mod_revision);
}
END_TEST

/* It needs no certificate to ask: the answer that is kept for an administrator is not for it. */
START_TEST(the_request_id_of_another_request_gives_nothing)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};
    Quadhsm__Request *message = rig_role_init(HSM_ROLE_PO, "1234");
    struct secret *guess;

    memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    rig.origin = REQUEST_FROM_CLIENT;
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, handle_role_init), QH_OK);
    rig.origin = REQUEST_FROM_JOINER;
    ck_assert_int_eq(secret_new(JOIN_TOKEN_SECRET_SIZE, &guess), QH_OK);
    ck_assert_int_eq(ask(join_message(guess, "eu-1"), id), QH_EPERM);
    secret_free(guess);
}
END_TEST

START_TEST(a_retry_gets_the_first_answer_and_another_joiner_does_not)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};

    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), id), QH_OK);
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), id), QH_OK);
    ck_assert_int_eq(rig.answer->result_case, QUADHSM__RESPONSE__RESULT_JOIN);
    make_csr();
    ck_assert_int_eq(ask(join_message(token_secret, "eu-1"), id), QH_EPERM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_join");
    TCase *tcase = tcase_create("handle_join");

    tcase_set_timeout(tcase, 120.0); /* Argon2id is slow under sanitizers */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_knows_the_token_becomes_a_node_once);
    tcase_add_test(tcase, a_witness_gets_no_key_and_a_certificate_that_clients_refuse);
    tcase_add_test(tcase, who_does_not_know_the_token_is_told_nothing);
    tcase_add_test(tcase, a_joiner_that_heard_nothing_is_told_again);
    tcase_add_test(tcase, two_that_join_with_one_name_at_once_do_not_both_succeed);
    tcase_add_test(tcase, a_join_counts_as_giving_a_name);
    tcase_add_test(tcase, the_request_id_of_another_request_gives_nothing);
    tcase_add_test(tcase, a_retry_gets_the_first_answer_and_another_joiner_does_not);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
