/* Who may ask for what: every operation, from every side, with every role. */
#include "node/dispatch.h"
#include "node/request.h"
#include "tests/unit/node_rig.h"

static int last_error;
static unsigned answers;

static void keep_error(struct request *request)
{
    last_error = (int)request->response->error;
    answers++;
    request_free(request);
}

/* Operations without anything to fill in, by their field's number. */
static const struct {
    Quadhsm__Request__OpCase op;
    const ProtobufCMessageDescriptor *type;
} operations[] = {
    {QUADHSM__REQUEST__OP_PING, &quadhsm__ping__descriptor},
    {QUADHSM__REQUEST__OP_ENDPOINTS, &quadhsm__endpoints__descriptor},
    {QUADHSM__REQUEST__OP_LOGIN, &quadhsm__login__descriptor},
    {QUADHSM__REQUEST__OP_RANDOM, &quadhsm__random__descriptor},
    {QUADHSM__REQUEST__OP_FIND, &quadhsm__find__descriptor},
    {QUADHSM__REQUEST__OP_CREATE, &quadhsm__create_object__descriptor},
    {QUADHSM__REQUEST__OP_GENERATE, &quadhsm__generate__descriptor},
    {QUADHSM__REQUEST__OP_DESTROY, &quadhsm__destroy__descriptor},
    {QUADHSM__REQUEST__OP_SET_ATTRIBUTES, &quadhsm__set_attributes__descriptor},
    {QUADHSM__REQUEST__OP_COPY, &quadhsm__copy_object__descriptor},
    {QUADHSM__REQUEST__OP_USE, &quadhsm__use__descriptor},
    {QUADHSM__REQUEST__OP_WRAP, &quadhsm__wrap__descriptor},
    {QUADHSM__REQUEST__OP_UNWRAP, &quadhsm__unwrap__descriptor},
    {QUADHSM__REQUEST__OP_DERIVE, &quadhsm__derive__descriptor},
    {QUADHSM__REQUEST__OP_ROLE_INIT, &quadhsm__role_init__descriptor},
    {QUADHSM__REQUEST__OP_ROLE_PASSWD, &quadhsm__role_passwd__descriptor},
    {QUADHSM__REQUEST__OP_ROLE_UNLOCK, &quadhsm__role_unlock__descriptor},
    {QUADHSM__REQUEST__OP_PARTITION_INIT, &quadhsm__partition_init__descriptor},
    {QUADHSM__REQUEST__OP_PARTITION_POLICY, &quadhsm__partition_policy__descriptor},
    {QUADHSM__REQUEST__OP_PARTITION_CREATE, &quadhsm__partition_create__descriptor},
    {QUADHSM__REQUEST__OP_PARTITION_DELETE, &quadhsm__partition_delete__descriptor},
    {QUADHSM__REQUEST__OP_PARTITION_LIST, &quadhsm__partition_list__descriptor},
    {QUADHSM__REQUEST__OP_CLIENT_ENROLL, &quadhsm__client_enroll__descriptor},
    {QUADHSM__REQUEST__OP_CLIENT_REVOKE, &quadhsm__client_revoke__descriptor},
    {QUADHSM__REQUEST__OP_CLIENT_LIST, &quadhsm__client_list__descriptor},
    {QUADHSM__REQUEST__OP_CLUSTER_STATUS, &quadhsm__cluster_status__descriptor},
    {QUADHSM__REQUEST__OP_TOKEN_CREATE, &quadhsm__token_create__descriptor},
    {QUADHSM__REQUEST__OP_NODE_STATUS, &quadhsm__node_status__descriptor},
    {QUADHSM__REQUEST__OP_NODE_INIT, &quadhsm__node_init__descriptor},
    {QUADHSM__REQUEST__OP_NODE_JOIN, &quadhsm__node_join__descriptor},
    {QUADHSM__REQUEST__OP_NODE_UNLOCK, &quadhsm__node_unlock__descriptor},
    {QUADHSM__REQUEST__OP_JOIN, &quadhsm__join__descriptor},
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

/* Enough in it to be well-formed. */
static void fill(Quadhsm__Request *message)
{
    static const uint8_t zeroes[32];

    switch ((int)message->op_case) {
    case QUADHSM__REQUEST__OP_LOGIN:
        message->login->role = QUADHSM__ROLE__ROLE_CO;
        break;
    case QUADHSM__REQUEST__OP_RANDOM:
        message->random->size = 1;
        break;
    case QUADHSM__REQUEST__OP_DESTROY:
        message->destroy->id = wire_bytes((struct bytes){zeroes, OBJECT_ID_SIZE});
        break;
    case QUADHSM__REQUEST__OP_GENERATE:
        message->generate->mechanism = wire_zalloc(sizeof(Quadhsm__Mechanism));
        quadhsm__mechanism__init(message->generate->mechanism);
        break;
    case QUADHSM__REQUEST__OP_ROLE_INIT:
        message->role_init->role = QUADHSM__ROLE__ROLE_CO;
        break;
    case QUADHSM__REQUEST__OP_ROLE_PASSWD:
        message->role_passwd->role = QUADHSM__ROLE__ROLE_CO;
        break;
    case QUADHSM__REQUEST__OP_ROLE_UNLOCK:
        message->role_unlock->role = QUADHSM__ROLE__ROLE_CO;
        break;
    case QUADHSM__REQUEST__OP_JOIN:
        message->join->token_id = wire_bytes((struct bytes){zeroes, 16});
        message->join->proof = wire_bytes((struct bytes){zeroes, 32});
        break;
    default:
        break;
    }
}

static Quadhsm__ObjectRef *new_ref(void)
{
    static const uint8_t id[OBJECT_ID_SIZE] = {1};
    Quadhsm__ObjectRef *ref = wire_zalloc(sizeof *ref);

    quadhsm__object_ref__init(ref);
    ref->id = wire_bytes((struct bytes){id, sizeof id});
    return ref;
}

static Quadhsm__Mechanism *new_mechanism(void)
{
    Quadhsm__Mechanism *mechanism = wire_zalloc(sizeof *mechanism);

    quadhsm__mechanism__init(mechanism);
    return mechanism;
}

static Quadhsm__Request *new_message(unsigned index)
{
    Quadhsm__Request *message = wire_zalloc(sizeof *message);
    ProtobufCMessage *operation = wire_zalloc(operations[index].type->sizeof_message);

    quadhsm__request__init(message);
    protobuf_c_message_init(operations[index].type, operation);
    message->id = 1;
    message->op_case = operations[index].op;
    message->ping = (Quadhsm__Ping *)operation; /* one of a union of pointers */
    fill(message);
    if (message->op_case == QUADHSM__REQUEST__OP_SET_ATTRIBUTES) {
        message->set_attributes->ref = new_ref();
    } else if (message->op_case == QUADHSM__REQUEST__OP_COPY) {
        message->copy->ref = new_ref();
    } else if (message->op_case == QUADHSM__REQUEST__OP_USE) {
        message->use->ref = new_ref();
        message->use->mechanism = new_mechanism();
    } else if (message->op_case == QUADHSM__REQUEST__OP_WRAP) {
        message->wrap->wrapping = new_ref();
        message->wrap->key = new_ref();
        message->wrap->mechanism = new_mechanism();
    } else if (message->op_case == QUADHSM__REQUEST__OP_UNWRAP) {
        message->unwrap->unwrapping = new_ref();
        message->unwrap->mechanism = new_mechanism();
    } else if (message->op_case == QUADHSM__REQUEST__OP_DERIVE) {
        message->derive->base_key = new_ref();
        message->derive->mechanism = new_mechanism();
    }
    return message;
}

struct side {
    enum request_origin origin;
    enum hsm_role role; /* of the ticket; HSM_ROLE_NONE: none */
    bool partition;     /* is named */
};

static int ask(unsigned index, struct side side)
{
    struct dispatch_cache cache = {0};
    uint8_t partition[PARTITION_ID_SIZE], ticket[TICKET_SIZE_MAX];
    Quadhsm__Request *message = new_message(index);
    struct request *request;
    unsigned before = answers;

    if (side.partition) {
        memset(partition, 7, sizeof partition);
        message->partition = wire_bytes((struct bytes){partition, sizeof partition});
    }
    if (side.role != HSM_ROLE_NONE) {
        ProtobufCBinaryData sealed = rig_ticket(side.role, false, ticket);

        message->ticket = wire_bytes((struct bytes){sealed.data, sealed.len});
    }
    request = request_new(&rig.node, side.origin, message);
    ck_assert_ptr_nonnull(request);
    request->deliver = keep_error;
    request->cache = side.origin == REQUEST_FROM_CONTROL ? NULL : &cache;
    if (side.origin == REQUEST_FROM_CLIENT) {
        rig_fingerprint("app", request->fingerprint);
    }
    dispatch_begin(request);
    ck_assert_uint_eq(answers, before + 1);
    return last_error;
}

static unsigned index_of(Quadhsm__Request__OpCase op)
{
    unsigned index = 0;

    while (operations[index].op != op) {
        index++;
        ck_assert_uint_lt(index, OPERATIONS);
    }
    return index;
}

static bool is_one_of(unsigned index, const Quadhsm__Request__OpCase *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (operations[index].op == list[i]) {
            return true;
        }
    }
    return false;
}

START_TEST(the_control_socket_gets_its_own_operations_alone)
{
    static const Quadhsm__Request__OpCase mine[] = {
        QUADHSM__REQUEST__OP_PING,        QUADHSM__REQUEST__OP_CLUSTER_STATUS,
        QUADHSM__REQUEST__OP_NODE_STATUS, QUADHSM__REQUEST__OP_NODE_INIT,
        QUADHSM__REQUEST__OP_NODE_JOIN,   QUADHSM__REQUEST__OP_NODE_UNLOCK};

    for (unsigned i = 0; i < OPERATIONS; i++) {
        int error = ask(i, (struct side){.origin = REQUEST_FROM_CONTROL});

        ck_assert_int_eq(error, is_one_of(i, mine, 6) ? QH_OK : QH_EPERM);
    }
}
END_TEST

START_TEST(a_joiner_joins_and_nothing_else)
{
    for (unsigned i = 0; i < OPERATIONS; i++) {
        int error = ask(i, (struct side){.origin = REQUEST_FROM_JOINER});

        ck_assert_int_eq(error, operations[i].op == QUADHSM__REQUEST__OP_JOIN ? QH_OK : QH_EPERM);
    }
    rig_lock();
    ck_assert_int_eq(
        ask(index_of(QUADHSM__REQUEST__OP_JOIN), (struct side){.origin = REQUEST_FROM_JOINER}),
        QH_ELOCKED);
}
END_TEST

START_TEST(a_client_never_gets_what_is_for_the_control_socket_or_joiners)
{
    static const Quadhsm__Request__OpCase others[] = {
        QUADHSM__REQUEST__OP_NODE_STATUS, QUADHSM__REQUEST__OP_NODE_INIT,
        QUADHSM__REQUEST__OP_NODE_JOIN, QUADHSM__REQUEST__OP_NODE_UNLOCK,
        QUADHSM__REQUEST__OP_JOIN};

    rig_enroll("app", 1, true, 0);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(ask(index_of(others[i]), (struct side){.role = HSM_ROLE_SO}), QH_EPERM);
    }
}
END_TEST

START_TEST(a_client_that_is_no_administrator_administers_nothing)
{
    static const Quadhsm__Request__OpCase admins[] = {
        QUADHSM__REQUEST__OP_PARTITION_CREATE, QUADHSM__REQUEST__OP_PARTITION_DELETE,
        QUADHSM__REQUEST__OP_PARTITION_LIST,   QUADHSM__REQUEST__OP_CLIENT_ENROLL,
        QUADHSM__REQUEST__OP_CLIENT_REVOKE,    QUADHSM__REQUEST__OP_CLIENT_LIST,
        QUADHSM__REQUEST__OP_TOKEN_CREATE,     QUADHSM__REQUEST__OP_PARTITION_POLICY};

    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(ask(index_of(admins[i]), (struct side){.role = HSM_ROLE_NONE}), QH_EPERM);
        ck_assert_int_eq(ask(index_of(admins[i]), (struct side){.role = HSM_ROLE_SO}), QH_EPERM);
    }
    rig_enroll("app", 1, true, 0);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(ask(index_of(admins[i]), (struct side){.role = HSM_ROLE_SO}), QH_OK);
    }
}
END_TEST

START_TEST(every_client_may_ask_how_the_cluster_is)
{
    unsigned index = index_of(QUADHSM__REQUEST__OP_CLUSTER_STATUS);

    ck_assert_int_eq(ask(index, (struct side){0}), QH_OK);
    rig_revoke(1);
    ck_assert_int_eq(ask(index, (struct side){0}), QH_ENOTENROLLED);
}
END_TEST

START_TEST(changes_of_the_cluster_need_the_security_officer)
{
    static const Quadhsm__Request__OpCase changes[] = {
        QUADHSM__REQUEST__OP_PARTITION_CREATE, QUADHSM__REQUEST__OP_PARTITION_DELETE,
        QUADHSM__REQUEST__OP_CLIENT_ENROLL,    QUADHSM__REQUEST__OP_CLIENT_REVOKE,
        QUADHSM__REQUEST__OP_TOKEN_CREATE,     QUADHSM__REQUEST__OP_PARTITION_POLICY};
    struct side po = {.role = HSM_ROLE_PO, .partition = true};

    rig_enroll("app", 1, true, 0);
    rig_set_pins();
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(ask(index_of(changes[i]), (struct side){.role = HSM_ROLE_NONE}),
                         QH_ENOLOGIN);
        ck_assert_int_eq(ask(index_of(changes[i]), po), QH_EPERM);
    }
}
END_TEST

START_TEST(roles_are_made_by_the_security_and_the_partition_officer)
{
    static const Quadhsm__Request__OpCase roles[] = {QUADHSM__REQUEST__OP_ROLE_INIT,
                                                     QUADHSM__REQUEST__OP_ROLE_UNLOCK};

    rig_enroll("app", 1, true, 0);
    rig_set_pins();
    for (unsigned i = 0; i < 2; i++) {
        unsigned index = index_of(roles[i]);

        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_NONE, .partition = true}),
                         QH_ENOLOGIN);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CO, .partition = true}),
                         QH_EPERM);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CU, .partition = true}),
                         QH_EPERM);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_PO, .partition = true}), QH_OK);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_SO, .partition = true}), QH_OK);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_SO}), QH_EINVAL);
    }
}
END_TEST

/* The partition officer what is public: handle_object.c. */
START_TEST(only_officers_of_the_partition_destroy)
{
    unsigned index = index_of(QUADHSM__REQUEST__OP_DESTROY);

    rig_set_pins();
    ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CO, .partition = true}), QH_OK);
    ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CU, .partition = true}), QH_EPERM);
    ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_PO, .partition = true}), QH_OK);
    ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_NONE, .partition = true}),
                     QH_ENOLOGIN);
}
END_TEST

START_TEST(operations_on_objects_need_a_partition_and_a_ticket_for_it)
{
    static const Quadhsm__Request__OpCase objects[] = {
        QUADHSM__REQUEST__OP_FIND,     QUADHSM__REQUEST__OP_CREATE,
        QUADHSM__REQUEST__OP_GENERATE, QUADHSM__REQUEST__OP_SET_ATTRIBUTES,
        QUADHSM__REQUEST__OP_COPY,     QUADHSM__REQUEST__OP_WRAP,
        QUADHSM__REQUEST__OP_UNWRAP,   QUADHSM__REQUEST__OP_DERIVE};

    rig_set_pins();
    for (unsigned i = 0; i < 8; i++) {
        unsigned index = index_of(objects[i]);

        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CO}), QH_EINVAL);
        ck_assert_int_eq(ask(index, (struct side){.partition = true}), QH_OK);
        ck_assert_int_eq(ask(index, (struct side){.role = HSM_ROLE_CU, .partition = true}), QH_OK);
    }
}
END_TEST

/* The PIN comes with it. */
START_TEST(a_partition_is_initialized_without_a_ticket_by_who_is_admitted)
{
    unsigned index = index_of(QUADHSM__REQUEST__OP_PARTITION_INIT);

    ck_assert_int_eq(ask(index, (struct side){.partition = true}), QH_OK);
    ck_assert_int_eq(ask(index, (struct side){.partition = false}), QH_EINVAL);
    rig_enroll("app", 1, false, 9);
    ck_assert_int_eq(ask(index, (struct side){.partition = true}), QH_ENOTFOUND);
}
END_TEST

START_TEST(a_locked_node_serves_the_control_socket_and_pings)
{
    rig_lock();
    for (unsigned i = 0; i < OPERATIONS; i++) {
        int error = ask(i, (struct side){.partition = true});

        if (operations[i].op == QUADHSM__REQUEST__OP_PING) {
            ck_assert_int_eq(error, QH_OK);
        } else {
            ck_assert(error == QH_ELOCKED || error == QH_EPERM);
        }
    }
    ck_assert_int_eq(ask(index_of(QUADHSM__REQUEST__OP_NODE_UNLOCK),
                         (struct side){.origin = REQUEST_FROM_CONTROL}),
                     QH_OK);
}
END_TEST

START_TEST(the_state_of_the_node_is_told)
{
    static const struct {
        int readiness;
        int error;
    } states[] = {
        {QUADHSM__READINESS__READINESS_UNINITIALIZED, QH_EUNINITIALIZED},
        {QUADHSM__READINESS__READINESS_LOCKED, QH_OK}, /* of the view it depends, see above */
        {QUADHSM__READINESS__READINESS_READY, QH_OK},
        {QUADHSM__READINESS__READINESS_DRAINING, QH_ECANCELED},
        {QUADHSM__READINESS__READINESS_STALE, QH_ESTALE},
        {QUADHSM__READINESS__READINESS_STARTING, QH_EBUSY},
    };

    for (unsigned i = 0; i < 6; i++) {
        atomic_store(&rig.node.readiness, states[i].readiness);
        ck_assert_int_eq(ask(index_of(QUADHSM__REQUEST__OP_ENDPOINTS), (struct side){0}),
                         states[i].error);
        ck_assert_int_eq(ask(index_of(QUADHSM__REQUEST__OP_PING), (struct side){0}), QH_OK);
    }
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *group = tcase_create(name);

    tcase_add_checked_fixture(group, rig_begin, rig_end);
    tcase_set_timeout(group, 60);
    suite_add_tcase(suite, group);
    return group;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *group = add_case(suite, "sides");

    tcase_add_test(group, the_control_socket_gets_its_own_operations_alone);
    tcase_add_test(group, a_joiner_joins_and_nothing_else);
    tcase_add_test(group, a_client_never_gets_what_is_for_the_control_socket_or_joiners);
    group = add_case(suite, "roles");
    tcase_add_test(group, a_client_that_is_no_administrator_administers_nothing);
    tcase_add_test(group, every_client_may_ask_how_the_cluster_is);
    tcase_add_test(group, changes_of_the_cluster_need_the_security_officer);
    tcase_add_test(group, roles_are_made_by_the_security_and_the_partition_officer);
    tcase_add_test(group, only_officers_of_the_partition_destroy);
    tcase_add_test(group, operations_on_objects_need_a_partition_and_a_ticket_for_it);
    tcase_add_test(group, a_partition_is_initialized_without_a_ticket_by_who_is_admitted);
    group = add_case(suite, "node");
    tcase_add_test(group, a_locked_node_serves_the_control_socket_and_pings);
    tcase_add_test(group, the_state_of_the_node_is_told);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
