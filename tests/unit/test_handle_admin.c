/* Partitions, clients and tokens: names are given once, limits hold, what is gone is gone. */
#include "base/clock.h"
#include "crypto/pki.h"
#include "hsm/join_token.h"
#include "node/change.h"
#include "tests/unit/admin_rig.h"

/* ---- requests ---- */

static Quadhsm__Request *partition_message(const char *name)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_CREATE;
    message->partition_create = wire_zalloc(sizeof *message->partition_create);
    quadhsm__partition_create__init(message->partition_create);
    message->partition_create->name = wire_string(name);
    return message;
}

static enum qh_err create_partition(const char *name)
{
    return rig_ask(partition_message(name), ADMIN, HSM_ROLE_SO, handle_partition_create);
}

static enum qh_err set_policy(const char *name, Quadhsm__Export export)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_POLICY;
    message->partition_policy = wire_zalloc(sizeof *message->partition_policy);
    quadhsm__partition_policy__init(message->partition_policy);
    message->partition_policy->name = wire_string(name);
    message->partition_policy->export = export;
    return rig_ask(message, ADMIN, HSM_ROLE_SO, handle_partition_policy);
}

static enum qh_err delete_partition(const char *name, bool force)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_DELETE;
    message->partition_delete = wire_zalloc(sizeof *message->partition_delete);
    quadhsm__partition_delete__init(message->partition_delete);
    message->partition_delete->name = wire_string(name);
    message->partition_delete->force = force;
    return rig_ask(message, ADMIN, HSM_ROLE_SO, handle_partition_delete);
}

static enum qh_err list_partitions(const char *name)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_LIST;
    message->partition_list = wire_zalloc(sizeof *message->partition_list);
    quadhsm__partition_list__init(message->partition_list);
    message->partition_list->name = wire_string(name);
    return rig_ask(message, ADMIN, HSM_ROLE_NONE, handle_partition_list);
}

static enum qh_err enroll_client(const char *name, const char *partition, bool admin)
{
    Quadhsm__Request *message = rig_message(0);
    Quadhsm__ClientEnroll *enroll = wire_zalloc(sizeof *enroll);
    struct secret *key;
    struct pki_der csr;

    quadhsm__client_enroll__init(enroll);
    message->op_case = QUADHSM__REQUEST__OP_CLIENT_ENROLL;
    message->client_enroll = enroll;
    ck_assert_int_eq(pki_request_new("x", &key, &csr), QH_OK);
    enroll->name = wire_string(name);
    enroll->csr = wire_bytes((struct bytes){csr.base, csr.size});
    enroll->admin = admin;
    if (partition != NULL) {
        enroll->partitions = wire_zalloc(sizeof(char *));
        enroll->partitions[0] = wire_string(partition);
        enroll->n_partitions = 1;
    }
    secret_free(key);
    free(csr.base);
    return rig_ask(message, ADMIN, HSM_ROLE_SO, handle_client_enroll);
}

static enum qh_err revoke_client(const char *name)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_CLIENT_REVOKE;
    message->client_revoke = wire_zalloc(sizeof *message->client_revoke);
    quadhsm__client_revoke__init(message->client_revoke);
    message->client_revoke->name = wire_string(name);
    return rig_ask(message, ADMIN, HSM_ROLE_SO, handle_client_revoke);
}

static Quadhsm__Request *token_message(bool witness, uint32_t lifetime_s)
{
    Quadhsm__Request *message = rig_message(0);

    message->op_case = QUADHSM__REQUEST__OP_TOKEN_CREATE;
    message->token_create = wire_zalloc(sizeof *message->token_create);
    quadhsm__token_create__init(message->token_create);
    message->token_create->witness = witness;
    message->token_create->lifetime_s = lifetime_s;
    return message;
}

static enum qh_err make_token(bool witness, uint32_t lifetime_s)
{
    return rig_ask(token_message(witness, lifetime_s), ADMIN, HSM_ROLE_SO, handle_token_create);
}

static void put_object(uint8_t fill)
{
    uint8_t id[PARTITION_ID_SIZE];
    Qhrec__Logins any;
    struct record_key key;

    memset(id, fill, sizeof id);
    key = record_key_object(id, id);
    qhrec__logins__init(&any);
    rig_put(&key, &any.base);
}

static uint64_t count(const char *prefix)
{
    return store_count_prefix(rig.store, hsm_text(prefix));
}

/* ---- partitions ---- */

START_TEST(a_new_partition_is_there_with_its_key_and_serial)
{
    const struct directory_partition *partition;
    char serial[17];

    ck_assert_int_eq(create_partition("apps"), QH_OK);
    ck_assert_uint_eq(rig.answer->partitions->n_partitions, 1);
    partition = directory_partition_by_name(view_directory(rig.node.view), "apps");
    ck_assert_ptr_nonnull(partition);
    ck_assert_mem_eq(rig.answer->partitions->partitions[0]->partition.data, partition->id,
                     PARTITION_ID_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(serial + 2 * i, 3, "%02x", partition->id[i]);
    }
    ck_assert_str_eq(partition->serial, serial);
    ck_assert_uint_eq(partition->tries, 10);
    ck_assert_uint_eq(partition->tries_total, 100);
    ck_assert_str_eq(partition->roles[HSM_ROLE_PO].verifier, "");
}
END_TEST

START_TEST(names_of_partitions_have_rules)
{
    char name[PARTITION_NAME_LENGTH_MAX + 2];

    memset(name, 'n', sizeof name);
    name[PARTITION_NAME_LENGTH_MAX + 1] = '\0';
    ck_assert_int_eq(create_partition(name), QH_EINVAL);
    name[PARTITION_NAME_LENGTH_MAX] = '\0';
    ck_assert_int_eq(create_partition(name), QH_OK);
    ck_assert_int_eq(create_partition(""), QH_EINVAL);
    ck_assert_int_eq(create_partition(" a"), QH_EINVAL);
    ck_assert_int_eq(create_partition("a "), QH_EINVAL);
    ck_assert_int_eq(create_partition("a\n"), QH_EINVAL);
    ck_assert_int_eq(create_partition("\xc3"), QH_EINVAL); /* half a character */
    ck_assert_int_eq(create_partition("Schl\xc3\xbcssel"), QH_OK);
    ck_assert_int_eq(create_partition("a b"), QH_OK);
    ck_assert_int_eq(create_partition("a b"), QH_EEXIST);
    ck_assert_str_ne(rig.answer->detail, "");
}
END_TEST

static void create_the_same(void)
{
    /* From another node: its own change, which is applied first. */
    Qhrec__Settings settings;
    Qhrec__RoleAuth so;
    struct record_key key = record_key_settings();

    hsm_put_partition(rig.store, rig.keyring, 9, "apps", 1);
    qhrec__settings__init(&settings);
    qhrec__role_auth__init(&so);
    settings.cluster_name = (char[]){"test"};
    settings.partitions_max = 10;
    settings.so = &so;
    rig_put(&key, &settings.base);
    ck_assert_int_eq(view_load(rig.node.view, rig.keyring, rig.store), QH_OK);
}

START_TEST(two_that_give_the_same_name_at_once_do_not_both_succeed)
{
    rig.before_proposal = create_the_same;
    ck_assert_int_eq(create_partition("apps"), QH_EEXIST);
}
END_TEST

/* The second copy waits for what becomes of the first, but not for the end of the node. */
START_TEST(a_second_copy_is_answered_when_the_node_stops)
{
    static const uint8_t id[ONCE_ID_SIZE] = {77};
    unsigned before = rig.answered;

    for (unsigned copy = 0; copy < 2; copy++) {
        Quadhsm__Request *message = partition_message("apps");

        memcpy(message->request_id.data, id, sizeof id);
        rig_begin(message, ADMIN, HSM_ROLE_SO, handle_partition_create);
    }
    change_tick(&rig.control, clock_monotonic_ms());
    ck_assert_uint_eq(rig.answered, before);
    rig.control.state = CONTROL_STOPPING;
    change_tick(&rig.control, clock_monotonic_ms());
    ck_assert_uint_eq(rig.answered, before + 1);
    ck_assert_int_eq(rig.answer->error, QH_EUNKNOWN);
    ck_assert_ptr_nonnull(strstr(rig.answer->detail, "ask another one"));
    ck_assert_ptr_null(rig.control.parked);
    rig_apply();
    ck_assert_uint_eq(rig.answered, before + 2);
    ck_assert_int_eq(rig.answer->error, QH_OK);
}
END_TEST

static unsigned worked;

static void work(struct request *request)
{
    worked++;
    handle_partition_create(request);
}

static void foresee(struct request *request)
{
    change_foresee(request, work);
}

START_TEST(costly_work_is_not_begun_in_vain)
{
    static const uint8_t id[ONCE_ID_SIZE] = {78};

    worked = 0;
    atomic_store(&rig.node.has_leader, false);
    ck_assert_int_eq(rig_ask(partition_message("apps"), ADMIN, HSM_ROLE_SO, foresee), QH_ENOQUORUM);
    ck_assert_uint_eq(worked, 0);
    atomic_store(&rig.node.has_leader, true);
    for (unsigned copy = 0; copy < 2; copy++) {
        Quadhsm__Request *message = partition_message("apps");

        memcpy(message->request_id.data, id, sizeof id);
        ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, foresee), QH_OK);
        ck_assert_uint_eq(worked, 1);
    }
}
END_TEST

START_TEST(there_are_as_many_partitions_as_the_settings_say)
{
    char name[8];

    for (unsigned i = 2; i < 10; i++) {
        (void)snprintf(name, sizeof name, "p%u", i);
        ck_assert_int_eq(create_partition(name), QH_OK);
    }
    ck_assert_int_eq(create_partition("p10"), QH_ELIMIT);
    ck_assert_int_eq(delete_partition("p9", false), QH_OK);
    ck_assert_int_eq(create_partition("p10"), QH_OK);
}
END_TEST

START_TEST(a_partition_with_objects_goes_only_by_force)
{
    put_object(3);
    ck_assert_int_eq(delete_partition("first", false), QH_EREFUSED);
    ck_assert_ptr_nonnull(strstr(rig.answer->detail, "1 objects"));
    ck_assert_ptr_nonnull(rig_partition(3));
    ck_assert_int_eq(delete_partition("first", true), QH_OK);
    ck_assert_ptr_null(rig_partition(3));
    ck_assert_int_eq(delete_partition("second", false), QH_OK);
    ck_assert_int_eq(delete_partition("second", false), QH_ENOTFOUND);
    ck_assert_uint_eq(count("p/"), 0);
}
END_TEST

static void put_first_object(void)
{
    put_object(3);
}

START_TEST(an_object_made_at_the_same_time_is_not_lost)
{
    rig.before_proposal = put_first_object;
    ck_assert_int_eq(delete_partition("first", false), QH_EREFUSED);
    ck_assert_ptr_nonnull(rig_partition(3));
}
END_TEST

START_TEST(failed_logins_go_with_their_partition)
{
    uint8_t id[PARTITION_ID_SIZE];
    Qhrec__Logins logins;
    struct record_key key;

    memset(id, 3, sizeof id);
    key = record_key_logins(id, HSM_ROLE_CO);
    qhrec__logins__init(&logins);
    logins.failed = 1;
    rig_put(&key, &logins.base);
    ck_assert_uint_eq(count("l/"), 1);
    ck_assert_int_eq(delete_partition("first", false), QH_OK);
    ck_assert_uint_eq(count("l/"), 0);
}
END_TEST

START_TEST(partitions_are_listed_with_their_roles)
{
    rig_init_role(HSM_ROLE_CO, "co-pin");
    ck_assert_int_eq(list_partitions(""), QH_OK);
    ck_assert_uint_eq(rig.answer->partitions->n_partitions, 2);
    ck_assert_uint_eq(rig.answer->partitions->partitions_max, 10);
    ck_assert_int_eq(list_partitions("first"), QH_OK);
    ck_assert_uint_eq(rig.answer->partitions->n_partitions, 1);
    ck_assert_uint_eq(rig.answer->partitions->partitions[0]->n_roles, 3);
    ck_assert(!rig.answer->partitions->partitions[0]->roles[0]->ready);
    ck_assert(rig.answer->partitions->partitions[0]->roles[1]->ready);
    ck_assert(!rig.answer->partitions->partitions[0]->roles[1]->locked);
    for (unsigned i = 0; i < 3; i++) {
        (void)rig_log_in(USER, HSM_ROLE_CO, "wrong");
    }
    ck_assert_int_eq(list_partitions("first"), QH_OK);
    ck_assert(rig.answer->partitions->partitions[0]->roles[1]->locked);
    ck_assert_uint_eq(rig.answer->partitions->partitions[0]->roles[1]->failed, 3);
    ck_assert_int_eq(list_partitions("third"), QH_ENOTFOUND);
}
END_TEST

/* ---- clients ---- */

static const struct directory_client *client_of(const Quadhsm__ClientCertificate *certificate)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];

    ck_assert_int_eq(
        pki_fingerprint((struct bytes){certificate->certificate.data, certificate->certificate.len},
                        fingerprint),
        QH_OK);
    return directory_client(view_directory(rig.node.view), fingerprint);
}

START_TEST(a_policy_is_set_and_shown_and_changes_nothing_else)
{
    rig_init_role(HSM_ROLE_PO, "po's pin");
    ck_assert_int_eq(list_partitions("first"), QH_OK);
    ck_assert_int_eq(rig.answer->partitions->partitions[0]->export,
                     QUADHSM__EXPORT__EXPORT_WRAPPED);
    ck_assert_int_eq(set_policy("first", QUADHSM__EXPORT__EXPORT_NEVER), QH_OK);
    ck_assert_int_eq(rig.answer->partitions->partitions[0]->export, QUADHSM__EXPORT__EXPORT_NEVER);
    ck_assert_int_eq(rig_partition(3)->export, OBJECT_EXPORT_NEVER);
    ck_assert_int_eq(rig_partition(5)->export, OBJECT_EXPORT_WRAPPED);
    ck_assert_int_eq(list_partitions("first"), QH_OK);
    ck_assert_int_eq(rig.answer->partitions->partitions[0]->export, QUADHSM__EXPORT__EXPORT_NEVER);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_PO, "po's pin"), QH_OK);
    ck_assert_int_eq(set_policy("nobody's", QUADHSM__EXPORT__EXPORT_CLEAR), QH_ENOTFOUND);
}
END_TEST

START_TEST(a_new_partition_may_have_a_policy_and_wait_to_be_claimed)
{
    Quadhsm__Request *message = rig_message(0);
    const struct directory_partition *made;

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_CREATE;
    message->partition_create = wire_zalloc(sizeof *message->partition_create);
    quadhsm__partition_create__init(message->partition_create);
    message->partition_create->name = wire_string("apps");
    message->partition_create->claimable = true;
    message->partition_create->export = QUADHSM__EXPORT__EXPORT_CLEAR;
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, handle_partition_create), QH_OK);
    ck_assert(rig.answer->partitions->partitions[0]->claimable);
    made = directory_partition_by_name(view_directory(rig.node.view), "apps");
    ck_assert(made->claimable);
    ck_assert_int_eq(made->export, OBJECT_EXPORT_CLEAR);
    ck_assert_int_eq(create_partition("others"), QH_OK);
    made = directory_partition_by_name(view_directory(rig.node.view), "others");
    ck_assert(!made->claimable);
    ck_assert_int_eq(made->export, OBJECT_EXPORT_WRAPPED);
}
END_TEST

START_TEST(an_enrolled_client_is_known_by_its_certificate)
{
    const struct directory_client *client;

    ck_assert_int_eq(enroll_client("web", "first", false), QH_OK);
    client = client_of(rig.answer->client_certificate);
    ck_assert_ptr_nonnull(client);
    ck_assert_str_eq(client->name, "web");
    ck_assert(!client->admin);
    ck_assert_uint_eq(client->partition_count, 1);
    ck_assert(directory_client_may(client, rig_partition(3)->id));
    ck_assert(!directory_client_may(client, rig_partition(5)->id));
    ck_assert_mem_eq(rig.answer->client_certificate->client.data, client->id, CLIENT_ID_SIZE);
    ck_assert(pki_cert_valid((struct bytes){rig.answer->client_certificate->ca.data,
                                            rig.answer->client_certificate->ca.len}));
}
END_TEST

START_TEST(what_cannot_be_enrolled_is_told)
{
    Quadhsm__Request *message;

    ck_assert_int_eq(enroll_client("user", NULL, false), QH_EEXIST);
    ck_assert_int_eq(enroll_client("a b", NULL, false), QH_EINVAL);
    ck_assert_int_eq(enroll_client("web", "third", false), QH_ENOTFOUND);
    message = rig_message(0);
    message->op_case = QUADHSM__REQUEST__OP_CLIENT_ENROLL;
    message->client_enroll = wire_zalloc(sizeof *message->client_enroll);
    quadhsm__client_enroll__init(message->client_enroll);
    message->client_enroll->name = wire_string("web");
    message->client_enroll->csr = wire_bytes(hsm_text("no request"));
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, handle_client_enroll), QH_EMALFORMED);
    ck_assert_str_ne(rig.answer->detail, "");
    ck_assert_uint_eq(count("a/"), 2);
}
END_TEST

START_TEST(a_revoked_client_is_gone_but_the_last_administrator_stays)
{
    ck_assert_int_eq(revoke_client("user"), QH_OK);
    ck_assert_int_eq(revoke_client("user"), QH_ENOTFOUND);
    ck_assert_int_eq(revoke_client("admin"), QH_EREFUSED);
    ck_assert_int_eq(enroll_client("other", NULL, true), QH_OK);
    ck_assert_int_eq(revoke_client("admin"), QH_OK);
    ck_assert_uint_eq(count("a/"), 1);
}
END_TEST

START_TEST(clients_are_listed)
{
    ck_assert_int_eq(rig_ask(rig_message(0), ADMIN, HSM_ROLE_NONE, handle_client_list), QH_OK);
    ck_assert_uint_eq(rig.answer->clients->n_clients, 2);
    for (unsigned i = 0; i < 2; i++) {
        const Quadhsm__ClientInfo *info = rig.answer->clients->clients[i];

        ck_assert_int_eq(info->admin, strcmp(info->name, "admin") == 0);
        ck_assert_uint_eq(info->n_partitions, info->admin ? 0 : 1);
        ck_assert(info->admin || strcmp(info->partitions[0], "first") == 0);
    }
}
END_TEST

/* ---- tokens ---- */

static void put_node(uint64_t raft_id, bool witness, const char *host)
{
    struct record_key key = record_key_node(raft_id);
    Qhrec__Node node;

    qhrec__node__init(&node);
    node.raft_id = raft_id;
    node.name = (char[]){"n"};
    node.witness = witness;
    node.client_host = (char *)(uintptr_t)host;
    node.client_port = 7600;
    rig_put(&key, &node.base);
}

START_TEST(a_token_names_the_cluster_and_its_nodes)
{
    struct record_key key;
    struct join_token token;
    ProtobufCMessage *message;

    put_node(1, false, "10.0.0.1");
    put_node(2, true, "10.0.0.2");
    put_node(3, false, "10.0.0.3");
    ck_assert_int_eq(make_token(true, 0), QH_OK);
    ck_assert_int_eq(join_token_parse(rig.answer->token->text, &token), QH_OK);
    ck_assert(token.witness);
    ck_assert_mem_eq(token.cluster, hsm_cluster, 16);
    ck_assert_uint_eq(token.address_count, 2);
    ck_assert_str_eq(token.addresses[1].host, "10.0.0.3");
    key = record_key_token(token.id);
    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__join_token__descriptor, &message, NULL),
        QH_OK);
    ck_assert_mem_eq(((Qhrec__JoinToken *)message)->secret.data, secret_view(token.secret),
                     JOIN_TOKEN_SECRET_SIZE);
    ck_assert_uint_gt(((Qhrec__JoinToken *)message)->expires_unix_ms, clock_unix_ms() + 3500000);
    ck_assert_uint_le(((Qhrec__JoinToken *)message)->expires_unix_ms, clock_unix_ms() + 3600000);
    wire_message_free(message);
    join_token_close(&token);
}
END_TEST

START_TEST(a_token_lives_for_at_most_a_day)
{
    put_node(1, false, "10.0.0.1");
    ck_assert_int_eq(make_token(false, 86401), QH_EINVAL);
    ck_assert_int_eq(make_token(false, 86400), QH_OK);
}
END_TEST

START_TEST(a_cluster_without_an_address_makes_no_token)
{
    ck_assert_int_eq(make_token(false, 0), QH_EINVAL);
    ck_assert_str_ne(rig.answer->detail, "");
    ck_assert_uint_eq(count("c/t/"), 0);
}
END_TEST

static void put_tokens(unsigned number, uint64_t expires_unix_ms)
{
    for (unsigned i = 0; i < number; i++) {
        uint8_t id[16] = {(uint8_t)i, 1};
        struct record_key key = record_key_token(id);
        Qhrec__JoinToken token;

        qhrec__join_token__init(&token);
        token.expires_unix_ms = expires_unix_ms;
        rig_put(&key, &token.base);
    }
}

START_TEST(sixty_four_tokens_may_wait)
{
    put_node(1, false, "10.0.0.1");
    put_tokens(63, UINT64_MAX);
    ck_assert_int_eq(make_token(false, 0), QH_OK);
    ck_assert_int_eq(make_token(false, 0), QH_ELIMIT);
}
END_TEST

START_TEST(expired_tokens_make_room)
{
    put_node(1, false, "10.0.0.1");
    put_tokens(64, 0);
    ck_assert_int_eq(make_token(false, 0), QH_OK);
    ck_assert_uint_eq(count("c/t/"), 64 - 24 + 1); /* some at a time */
}
END_TEST

/* ---- answers that are kept for who asks again ---- */

/* The token that @client is told who asks under @id. */
static void ask_for_token(uint8_t client, const uint8_t id[ONCE_ID_SIZE], char ret_text[1024])
{
    Quadhsm__Request *message = token_message(false, 0);

    memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    ck_assert_int_eq(rig_ask(message, client, HSM_ROLE_SO, handle_token_create), QH_OK);
    ck_assert_int_eq(rig.answer->result_case, QUADHSM__RESPONSE__RESULT_TOKEN);
    (void)snprintf(ret_text, 1024, "%s", rig.answer->token->text);
}

START_TEST(an_answer_is_kept_for_the_client_that_asked_alone)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};
    char first[1024], again[1024], other[1024];

    put_node(1, false, "10.0.0.1");
    ask_for_token(ADMIN, id, first);
    ask_for_token(ADMIN, id, again);
    ck_assert_str_eq(first, again);
    ask_for_token(7, id, other);
    ck_assert_str_ne(first, other);
    ck_assert_uint_eq(count("c/t/"), 2);
}
END_TEST

START_TEST(a_request_whose_first_id_was_used_up_still_happens_once)
{
    static const uint8_t id[ONCE_ID_SIZE] = {43};
    char first[1024], again[1024];

    put_node(1, false, "10.0.0.1");
    rig.fence_next = true;
    ask_for_token(ADMIN, id, first);
    ask_for_token(ADMIN, id, again);
    ck_assert_str_eq(first, again);
    ck_assert_uint_eq(count("c/t/"), 1);
}
END_TEST

START_TEST(an_answer_is_kept_for_the_same_operation_and_partition)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};
    Quadhsm__Request *message;
    char text[1024];

    put_node(1, false, "10.0.0.1");
    ask_for_token(ADMIN, id, text);
    message = rig_role_init(HSM_ROLE_PO, "1234");
    memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, handle_role_init), QH_OK);
    ck_assert_int_eq(rig.answer->result_case, QUADHSM__RESPONSE__RESULT__NOT_SET);
    ck_assert_uint_eq(rig_partition(3)->roles[HSM_ROLE_PO].epoch, 1);
    message = rig_role_init(HSM_ROLE_PO, "1234");
    memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    memset(message->partition.data, 5, PARTITION_ID_SIZE);
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_SO, handle_role_init), QH_OK);
    ck_assert_uint_eq(rig_partition(5)->roles[HSM_ROLE_PO].epoch, 1);
}
END_TEST

START_TEST(the_records_do_not_show_request_ids)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};
    struct store_record record;
    uint8_t key[ONCE_KEY_SIZE];
    char text[1024];

    put_node(1, false, "10.0.0.1");
    ask_for_token(ADMIN, id, text);
    txn_once_key(id, key);
    ck_assert_uint_eq(count("r/"), 1);
    ck_assert(!store_get(rig.store, (struct bytes){key, sizeof key}, &record));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_admin");
    TCase *tcase = tcase_create("handle_admin");

    tcase_set_timeout(tcase, 60.0);
    tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
    tcase_add_test(tcase, a_new_partition_is_there_with_its_key_and_serial);
    tcase_add_test(tcase, names_of_partitions_have_rules);
    tcase_add_test(tcase, two_that_give_the_same_name_at_once_do_not_both_succeed);
    tcase_add_test(tcase, a_second_copy_is_answered_when_the_node_stops);
    tcase_add_test(tcase, costly_work_is_not_begun_in_vain);
    tcase_add_test(tcase, there_are_as_many_partitions_as_the_settings_say);
    tcase_add_test(tcase, a_partition_with_objects_goes_only_by_force);
    tcase_add_test(tcase, an_object_made_at_the_same_time_is_not_lost);
    tcase_add_test(tcase, failed_logins_go_with_their_partition);
    tcase_add_test(tcase, partitions_are_listed_with_their_roles);
    tcase_add_test(tcase, a_policy_is_set_and_shown_and_changes_nothing_else);
    tcase_add_test(tcase, a_new_partition_may_have_a_policy_and_wait_to_be_claimed);
    tcase_add_test(tcase, an_enrolled_client_is_known_by_its_certificate);
    tcase_add_test(tcase, what_cannot_be_enrolled_is_told);
    tcase_add_test(tcase, a_revoked_client_is_gone_but_the_last_administrator_stays);
    tcase_add_test(tcase, clients_are_listed);
    tcase_add_test(tcase, a_token_names_the_cluster_and_its_nodes);
    tcase_add_test(tcase, a_token_lives_for_at_most_a_day);
    tcase_add_test(tcase, a_cluster_without_an_address_makes_no_token);
    tcase_add_test(tcase, sixty_four_tokens_may_wait);
    tcase_add_test(tcase, expired_tokens_make_room);
    tcase_add_test(tcase, an_answer_is_kept_for_the_client_that_asked_alone);
    tcase_add_test(tcase, a_request_whose_first_id_was_used_up_still_happens_once);
    tcase_add_test(tcase, an_answer_is_kept_for_the_same_operation_and_partition);
    tcase_add_test(tcase, the_records_do_not_show_request_ids);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
