/* C_InitToken: the PIN, what goes and what stays, claims, and what is left when it is cut short. */
#include "hsm/object.h"
#include "node/keycache.h"
#include "node/wipe.h"
#include "tests/unit/admin_rig.h"

static const uint8_t first[PARTITION_ID_SIZE] = {[0 ... 15] = 3};

static Quadhsm__Request *init_message(const char *pin, const char *label)
{
    Quadhsm__Request *message = rig_message(3);

    message->op_case = QUADHSM__REQUEST__OP_PARTITION_INIT;
    message->partition_init = wire_zalloc(sizeof *message->partition_init);
    quadhsm__partition_init__init(message->partition_init);
    message->partition_init->pin = wire_bytes((struct bytes){(const uint8_t *)pin, strlen(pin)});
    message->partition_init->label = wire_string(label);
    return message;
}

static enum qh_err init_as(uint8_t client, const char *pin, const char *label)
{
    return rig_ask(init_message(pin, label), client, HSM_ROLE_NONE, handle_partition_init);
}

static enum qh_err init(const char *pin, const char *label)
{
    return init_as(USER, pin, label);
}

/* The same request again, as the library repeats it. */
static enum qh_err init_again(uint8_t number, const char *pin)
{
    Quadhsm__Request *message = init_message(pin, "");

    memset(message->request_id.data, number, message->request_id.len);
    return rig_ask(message, USER, HSM_ROLE_NONE, handle_partition_init);
}

static void put_object(unsigned number, bool destroyable)
{
    uint8_t yes = 1, flag = destroyable, class[8] = {CKO_DATA}, id[OBJECT_ID_SIZE] = {0};
    struct attribute list[] = {
        {CKA_CLASS, {class, 8}}, {CKA_TOKEN, {&yes, 1}}, {CKA_DESTROYABLE, {&flag, 1}}};
    struct record_key key;
    struct object *object;
    struct bytes value;

    memcpy(id, &number, sizeof number);
    key = record_key_object(first, id);
    ck_assert_int_eq(object_create((struct attributes){list, 3}, &object), QH_OK);
    ck_assert_int_eq(object_seal(rig_partition(3)->key, hsm_cluster, first, id, 0, object, &value),
                     QH_OK);
    hsm_put_value(rig.store, &key, value);
    hsm_free(value);
    object_free(object);
}

static void put_objects(unsigned count, unsigned lasting)
{
    for (unsigned i = 0; i < count + lasting; i++) {
        put_object(i, i >= lasting);
    }
    ck_assert_int_eq(view_load(rig.node.view, rig.keyring, rig.store), QH_OK);
}

static uint64_t objects(void)
{
    struct record_key prefix = record_prefix_objects(first);

    return store_count_prefix(rig.store, record_key_bytes(&prefix));
}

static size_t marker_size(void)
{
    struct record_key key = record_key_partition(first);
    ProtobufCMessage *message;
    size_t size;

    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__partition__descriptor, &message, NULL),
        QH_OK);
    size = ((Qhrec__Partition *)message)->init.len;
    wire_message_free(message);
    return size;
}

static void begin(void)
{
    rig_setup();
    rig_init_role(HSM_ROLE_PO, "po's pin");
    rig_init_role(HSM_ROLE_CO, "co's pin");
    rig_init_role(HSM_ROLE_CU, "cu's pin");
}

START_TEST(everything_goes_but_what_cannot_be_destroyed)
{
    uint64_t epochs[HSM_ROLES];

    put_objects(150, 2);
    for (int role = HSM_ROLE_PO; role <= HSM_ROLE_CU; role++) {
        epochs[role] = rig_partition(3)->roles[role].epoch;
    }
    ck_assert_int_eq(init("po's pin", "renamed"), QH_OK);
    ck_assert_uint_eq(objects(), 2);
    ck_assert_uint_eq(view_object_count(rig.node.view, first), 2);
    ck_assert_str_eq(rig_partition(3)->name, "renamed");
    for (int role = HSM_ROLE_PO; role <= HSM_ROLE_CU; role++) {
        ck_assert_uint_gt(rig_partition(3)->roles[role].epoch, epochs[role]);
    }
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co's pin"), QH_ENOPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CU, "cu's pin"), QH_ENOPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_PO, "po's pin"), QH_OK);
    ck_assert_uint_eq(marker_size(), 0);
    rig_init_role(HSM_ROLE_CO, "another");
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "another"), QH_OK);
}
END_TEST

/* Sealed by the partition's key, which stays as it is. */
static struct bytes make_session_key(void)
{
    static const uint8_t no = 0, value[16] = {1};
    uint8_t class[8] = {CKO_SECRET_KEY}, type[8] = {CKK_AES};
    struct attribute list[] = {{CKA_CLASS, {class, 8}},
                               {CKA_KEY_TYPE, {type, 8}},
                               {CKA_TOKEN, {&no, 1}},
                               {CKA_VALUE, {value, sizeof value}}};
    const struct directory_partition *partition = rig_partition(3);
    struct object *object;
    struct bytes sealed;

    ck_assert_int_eq(object_create((struct attributes){list, 4}, &object), QH_OK);
    ck_assert_int_eq(object_seal(partition->key, hsm_cluster, first, NULL, partition->generation,
                                 object, &sealed),
                     QH_OK);
    object_free(object);
    return sealed;
}

static enum qh_err use_session_key(struct bytes sealed)
{
    const struct object *object;
    struct key *key;
    enum qh_err err;

    view_enter();
    err = keycache_get_session(keycache_mine(), rig.keyring, rig_partition(3), sealed, 1, &key,
                               &object);
    view_leave();
    return err;
}

START_TEST(session_objects_of_before_are_none_any_more)
{
    struct bytes before = make_session_key(), after;

    ck_assert_int_eq(use_session_key(before), QH_OK);
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_int_eq(use_session_key(before), QH_ENOTFOUND);
    after = make_session_key();
    ck_assert_int_eq(use_session_key(after), QH_OK);
    hsm_free(before);
    hsm_free(after);
    keycache_close();
}
END_TEST

START_TEST(an_empty_partition_needs_one_transaction)
{
    uint64_t revision = store_revision(rig.store);

    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_uint_eq(store_revision(rig.store), revision + 1);
    ck_assert_str_eq(rig_partition(3)->name, "first");
    ck_assert_int_eq(init("po's pin", "first"), QH_OK);
}
END_TEST

START_TEST(a_wrong_pin_is_counted_and_destroys_nothing)
{
    put_objects(1, 0);
    ck_assert_int_eq(init("wrong", ""), QH_EPIN);
    ck_assert_int_eq(init("", ""), QH_EPIN);
    ck_assert_uint_eq(rig_partition(3)->roles[HSM_ROLE_PO].logins.failed, 1);
    ck_assert_int_eq(init("wrong", ""), QH_EPIN);
    ck_assert_int_eq(init("wrong", ""), QH_EPINLOCKED);
    ck_assert_int_eq(init("po's pin", ""), QH_EPINLOCKED);
    ck_assert_uint_eq(objects(), 1);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co's pin"), QH_OK);
    ck_assert_int_eq(init_as(ADMIN, "po's pin", ""), QH_OK);
    ck_assert_uint_eq(objects(), 0);
}
END_TEST

START_TEST(a_right_pin_takes_failures_back_and_unlocks_nobody_else)
{
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(init("wrong", ""), QH_EPIN);
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_uint_eq(rig_partition(3)->roles[HSM_ROLE_PO].logins.failed, 0);
    ck_assert_uint_eq(rig_partition(3)->roles[HSM_ROLE_CO].logins.failed, 0);
}
END_TEST

START_TEST(a_name_that_cannot_be_given_destroys_nothing)
{
    put_objects(1, 0);
    ck_assert_int_eq(init("po's pin", "second"), QH_EEXIST);
    ck_assert_int_eq(init("po's pin", " blank"), QH_EINVAL);
    ck_assert_int_eq(init("po's pin", "123456789012345678901234567890123"), QH_EINVAL);
    ck_assert_uint_eq(objects(), 1);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co's pin"), QH_OK);
    ck_assert_int_eq(init("po's pin", "12345678901234567890123456789012"), QH_OK);
}
END_TEST

/* The first transaction happens, and one with objects; then the majority is gone. */
static void lose_majority(void)
{
    rig.no_majority = true;
}

static void lose_it_later(void)
{
    rig.before_proposal = lose_majority;
}

START_TEST(what_was_cut_short_can_be_finished_and_is_not_used_before)
{
    put_objects(150, 0);
    rig.before_proposal = lose_it_later;
    ck_assert_int_eq(init("po's pin", ""), QH_ENOQUORUM);
    rig.no_majority = false;
    ck_assert_uint_eq(objects(), 150);
    ck_assert_uint_eq(marker_size(), 16);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co's pin"), QH_ENOPIN);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, "new pin"), ADMIN, HSM_ROLE_PO, handle_role_init),
        QH_EREFUSED);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_PO, "po's new"), ADMIN, HSM_ROLE_SO, handle_role_init),
        QH_OK);
    ck_assert_int_eq(init("po's new", ""), QH_OK);
    ck_assert_uint_eq(objects(), 0);
    ck_assert_uint_eq(marker_size(), 0);
    rig_init_role(HSM_ROLE_CO, "new pin");
}
END_TEST

static void lose_it_even_later(void)
{
    rig.before_proposal = lose_it_later;
}

/* All objects are gone, but nobody has said so in the record. */
START_TEST(what_was_cut_short_at_its_very_end_can_be_finished_by_another_request)
{
    put_objects(1, 0);
    rig.before_proposal = lose_it_even_later;
    ck_assert_int_eq(init("po's pin", ""), QH_ENOQUORUM);
    rig.no_majority = false;
    ck_assert_uint_eq(objects(), 0);
    ck_assert_uint_eq(marker_size(), 16);
    ck_assert_int_eq(init_again(0x56, "po's pin"), QH_OK);
    ck_assert_uint_eq(marker_size(), 0);
    rig_init_role(HSM_ROLE_CO, "new pin");
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "new pin"), QH_OK);
}
END_TEST

START_TEST(a_repeated_request_goes_on_and_then_leaves_what_is_new_alone)
{
    put_objects(150, 0);
    rig.before_proposal = lose_it_later;
    ck_assert_int_eq(init_again(0x55, "po's pin"), QH_ENOQUORUM);
    rig.no_majority = false;
    ck_assert_uint_eq(objects(), 150);
    ck_assert_int_eq(init_again(0x55, "po's pin"), QH_OK);
    ck_assert_uint_eq(objects(), 0);
    put_objects(3, 0);
    ck_assert_int_eq(init_again(0x55, "po's pin"), QH_OK);
    ck_assert_uint_eq(objects(), 3);
    ck_assert_int_eq(init_again(0x56, "po's pin"), QH_OK);
    ck_assert_uint_eq(objects(), 0);
}
END_TEST

static void put_one(void)
{
    put_objects(1, 0);
}

START_TEST(an_object_that_is_made_at_the_same_time_goes_too)
{
    rig.before_proposal = put_one;
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_uint_eq(objects(), 0);
    ck_assert_uint_eq(marker_size(), 0);
}
END_TEST

/* Somebody changes the partition's record in the middle: its policy, say. */
static void touch_record(void)
{
    struct record_key key = record_key_partition(first);
    ProtobufCMessage *message;

    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__partition__descriptor, &message, NULL),
        QH_OK);
    ((Qhrec__Partition *)message)->export = OBJECT_EXPORT_CLEAR;
    rig_put(&key, message);
    wire_message_free(message);
}

static void touch_later(void)
{
    rig.before_proposal = touch_record;
}

START_TEST(a_record_that_changes_in_the_middle_stops_nothing)
{
    put_objects(100, 1);
    rig.before_proposal = touch_later;
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_uint_eq(objects(), 1);
    ck_assert_uint_eq(marker_size(), 0);
    ck_assert_int_eq(rig_partition(3)->export, OBJECT_EXPORT_CLEAR);
}
END_TEST

START_TEST(more_than_can_be_under_way_at_once_goes_too)
{
    put_objects(WIPE_DELETES_MAX * (WIPE_IN_FLIGHT_MAX + 1) + 1, WIPE_VISITS_MAX + 1);
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
    ck_assert_uint_eq(objects(), WIPE_VISITS_MAX + 1);
}
END_TEST

/* ---- claims ---- */

static void make_claimable(void)
{
    struct record_key key = record_key_partition(first);
    ProtobufCMessage *message;

    rig_setup();
    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__partition__descriptor, &message, NULL),
        QH_OK);
    ((Qhrec__Partition *)message)->claimable = true;
    rig_put(&key, message);
    wire_message_free(message);
}

START_TEST(the_first_pin_claims_and_the_next_must_be_the_same)
{
    ck_assert(rig_partition(3)->claimable);
    ck_assert_int_eq(init("po's pin", "mine"), QH_OK);
    ck_assert(!rig_partition(3)->claimable);
    ck_assert_str_eq(rig_partition(3)->name, "mine");
    ck_assert_int_eq(init_as(ADMIN, "another", ""), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_PO, "po's pin"), QH_OK);
    ck_assert_int_eq(init("po's pin", ""), QH_OK);
}
END_TEST

START_TEST(a_claim_has_a_pin_in_range)
{
    ck_assert_int_eq(init("", ""), QH_EPINRANGE);
    ck_assert_int_eq(init("123", ""), QH_EPINRANGE);
    ck_assert(rig_partition(3)->claimable);
    ck_assert_int_eq(init("1234", ""), QH_OK);
}
END_TEST

START_TEST(a_repeated_claim_is_the_same_claim)
{
    ck_assert_int_eq(init_again(0x55, "po's pin"), QH_OK);
    ck_assert_int_eq(init_again(0x55, "po's pin"), QH_OK);
    ck_assert_int_eq(init_again(0x55, "another"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_PO, "po's pin"), QH_OK);
}
END_TEST

static void set_first(void)
{
    struct record_key key = record_key_partition(first);
    Qhrec__RoleAuth auth;
    Qhrec__RoleAuth *roles[] = {&auth};
    ProtobufCMessage *message;
    Qhrec__Partition changed;

    ck_assert_int_eq(
        record_load(rig.keyring, rig.store, &key, &qhrec__partition__descriptor, &message, NULL),
        QH_OK);
    changed = *(Qhrec__Partition *)message;
    qhrec__role_auth__init(&auth);
    auth.role = HSM_ROLE_PO;
    auth.verifier = (char[]){"somebody else's"};
    changed.n_roles = 1;
    changed.roles = roles;
    rig_put(&key, &changed.base);
    wire_message_free(message);
}

START_TEST(of_two_claims_at_once_one_is_refused)
{
    rig.before_proposal = set_first;
    ck_assert_int_eq(init("po's pin", ""), QH_ECONFLICT);
    ck_assert(!rig_partition(3)->claimable);
}
END_TEST

START_TEST(a_pin_from_the_security_officer_ends_the_offer)
{
    rig_init_role(HSM_ROLE_PO, "set by so");
    ck_assert(!rig_partition(3)->claimable);
    ck_assert_int_eq(init("another", ""), QH_EPIN);
    ck_assert_int_eq(init("set by so", ""), QH_OK);
}
END_TEST

START_TEST(without_an_offer_and_a_pin_there_is_nothing_to_claim)
{
    ck_assert_int_eq(init("po's pin", ""), QH_ENOPIN);
    ck_assert_ptr_nonnull(strstr(rig.answer->detail, "role init"));
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *group = tcase_create(name);

    tcase_add_checked_fixture(group, setup, rig_teardown);
    tcase_set_timeout(group, 120);
    suite_add_tcase(suite, group);
    return group;
}

int main(void)
{
    Suite *suite = suite_create("handle_init");
    TCase *group = add_case(suite, "init", begin);

    tcase_add_test(group, everything_goes_but_what_cannot_be_destroyed);
    tcase_add_test(group, session_objects_of_before_are_none_any_more);
    tcase_add_test(group, an_empty_partition_needs_one_transaction);
    tcase_add_test(group, a_wrong_pin_is_counted_and_destroys_nothing);
    tcase_add_test(group, a_right_pin_takes_failures_back_and_unlocks_nobody_else);
    tcase_add_test(group, a_name_that_cannot_be_given_destroys_nothing);
    tcase_add_test(group, what_was_cut_short_can_be_finished_and_is_not_used_before);
    tcase_add_test(group, what_was_cut_short_at_its_very_end_can_be_finished_by_another_request);
    tcase_add_test(group, a_repeated_request_goes_on_and_then_leaves_what_is_new_alone);
    tcase_add_test(group, an_object_that_is_made_at_the_same_time_goes_too);
    tcase_add_test(group, a_record_that_changes_in_the_middle_stops_nothing);
    tcase_add_test(group, more_than_can_be_under_way_at_once_goes_too);
    group = add_case(suite, "claims", make_claimable);
    tcase_add_test(group, the_first_pin_claims_and_the_next_must_be_the_same);
    tcase_add_test(group, a_claim_has_a_pin_in_range);
    tcase_add_test(group, a_repeated_claim_is_the_same_claim);
    tcase_add_test(group, of_two_claims_at_once_one_is_refused);
    tcase_add_test(group, a_pin_from_the_security_officer_ends_the_offer);
    group = add_case(suite, "none", rig_setup);
    tcase_add_test(group, without_an_offer_and_a_pin_there_is_nothing_to_claim);
    return test_main(suite);
}
