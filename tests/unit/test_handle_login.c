/* Logins: a wrong PIN is counted once and before it is answered; the limits hold for retries, for
 * many tries at once, and without a majority. */
#include "base/clock.h"
#include "node/login.h"
#include "tests/unit/admin_rig.h"

#define TIMEOUT_S 120.0 /* Argon2id is slow under sanitizers */

static void setup(void)
{
    rig_setup();
    rig_init_role(HSM_ROLE_CO, "co-pin");
}

static const struct directory_logins *logins(enum hsm_role role)
{
    return &rig_partition(3)->roles[role].logins;
}

static enum qh_err open_ticket(struct ticket *ret_ticket)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];
    ProtobufCBinaryData sealed = rig.answer->login->ticket;

    memset(fingerprint, (uint8_t) ~(unsigned)USER, sizeof fingerprint);
    return ticket_open(rig.keyring, view_directory(rig.node.view),
                       (struct bytes){sealed.data, sealed.len}, fingerprint, clock_unix_ms(),
                       ret_ticket);
}

START_TEST(the_right_pin_gives_a_ticket_and_changes_nothing)
{
    uint64_t revision = store_revision(rig.store);
    struct ticket ticket;

    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_int_eq(open_ticket(&ticket), QH_OK);
    ck_assert_int_eq(ticket.role, HSM_ROLE_CO);
    ck_assert(!ticket.context);
    ck_assert_uint_eq(rig.answer->login->lifetime_ms, TICKET_LIFETIME_MS);
    ck_assert_uint_eq(store_revision(rig.store), revision);
}
END_TEST

START_TEST(a_pin_that_was_right_a_moment_ago_keeps_nobody_waiting)
{
    unsigned slow = rig.slow;
    struct ticket ticket;

    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_uint_eq(rig.slow, slow + 1);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
        ck_assert_int_eq(open_ticket(&ticket), QH_OK);
        ck_assert_uint_eq(rig.quick, i);
    }
    ck_assert_uint_eq(rig.slow, slow + 1);
}
END_TEST

START_TEST(wrong_pins_are_checked_and_counted_beside_one_that_is_known)
{
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pim"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK); /* takes it back */
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 0);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "1111"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "2222"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "3333"), QH_EPINLOCKED);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPINLOCKED);
    ck_assert_uint_eq(rig.quick, 1);
}
END_TEST

START_TEST(a_known_pin_is_wrong_once_it_was_changed)
{
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    rig_init_role(HSM_ROLE_CO, "other-pin");
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "other-pin"), QH_OK);
    ck_assert_uint_eq(rig.quick, 0);
}
END_TEST

START_TEST(the_right_pin_needs_no_majority)
{
    rig.no_majority = true;
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
}
END_TEST

START_TEST(a_wrong_pin_is_counted_before_it_is_answered)
{
    rig_begin(rig_login(HSM_ROLE_CO, "wrong"), USER, HSM_ROLE_NONE, handle_login);
    ck_assert_uint_eq(rig.answered, 1); /* that of the setup alone */
    rig_apply();
    ck_assert_uint_eq(rig.answered, 2);
    ck_assert_uint_eq(rig.answer->error, QH_EPIN);
    ck_assert_str_eq(rig.answer->detail, "2 more wrong ones and it is locked");
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 1);
    ck_assert_uint_eq(logins(HSM_ROLE_CU)->failed, 0);
}
END_TEST

START_TEST(a_wrong_pin_is_counted_though_the_client_gives_no_time_for_it)
{
    Quadhsm__Request *message = rig_login(HSM_ROLE_CO, "wrong");

    message->timeout_ms = 1; /* over before the PIN is checked */
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_EPIN);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 1);
}
END_TEST

START_TEST(the_right_pin_takes_failures_back)
{
    struct ticket ticket;

    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_int_eq(open_ticket(&ticket), QH_OK);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 0);
}
END_TEST

START_TEST(the_role_is_locked_for_a_client_and_then_for_all)
{
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPINLOCKED);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPINLOCKED);
    ck_assert_int_eq(rig_log_in(ADMIN, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_int_eq(rig_log_in(ADMIN, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(ADMIN, HSM_ROLE_CO, "wrong"), QH_EPINLOCKED);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 5);
    ck_assert_int_eq(rig_log_in(ADMIN, HSM_ROLE_CO, "co-pin"), QH_EPINLOCKED);
}
END_TEST

/* The same bytes again, as a client does that heard nothing. */
static Quadhsm__Request *with_id(Quadhsm__Request *message, const uint8_t id[ONCE_ID_SIZE])
{
    memcpy(message->request_id.data, id, ONCE_ID_SIZE);
    return message;
}

START_TEST(a_retry_is_the_same_try)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};

    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(rig_ask(with_id(rig_login(HSM_ROLE_CO, "wrong"), id), USER, HSM_ROLE_NONE,
                                 handle_login),
                         QH_EPIN);
    }
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 1);
}
END_TEST

START_TEST(another_pin_under_the_same_request_id_is_another_try)
{
    static const uint8_t id[ONCE_ID_SIZE] = {42};

    ck_assert_int_eq(
        rig_ask(with_id(rig_login(HSM_ROLE_CO, "1111"), id), USER, HSM_ROLE_NONE, handle_login),
        QH_EPIN);
    ck_assert_int_eq(
        rig_ask(with_id(rig_login(HSM_ROLE_CO, "2222"), id), USER, HSM_ROLE_NONE, handle_login),
        QH_EPIN);
    ck_assert_int_eq(
        rig_ask(with_id(rig_login(HSM_ROLE_CO, "3333"), id), USER, HSM_ROLE_NONE, handle_login),
        QH_EPINLOCKED);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 3);
}
END_TEST

START_TEST(many_tries_at_once_are_no_more_than_there_are)
{
    for (unsigned i = 0; i < 3; i++) {
        rig_begin(rig_login(HSM_ROLE_CO, "wrong"), USER, HSM_ROLE_NONE, handle_login);
    }
    ck_assert_uint_eq(rig.answered, 1);
    rig_begin(rig_login(HSM_ROLE_CO, "co-pin"), USER, HSM_ROLE_NONE, handle_login);
    ck_assert_uint_eq(rig.answered, 2); /* at once: not even looked at */
    ck_assert_uint_eq(rig.answer->error, QH_EBUSY);
    rig_apply();
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 3);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPINLOCKED);
}
END_TEST

START_TEST(without_a_majority_there_are_no_more_tries_either)
{
    rig.no_majority = true;
    atomic_store(&rig.node.has_leader, false);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_ENOQUORUM);
    }
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_ENOQUORUM);
    ck_assert_int_eq(rig_log_in(ADMIN, HSM_ROLE_CO, "co-pin"), QH_OK); /* another client may */
}
END_TEST

static void one_more_failure(void)
{
    struct logins_rule rule = {HSM_ROLE_CO, 3, 5};
    uint8_t partition[PARTITION_ID_SIZE], client[CLIENT_ID_SIZE];
    struct directory_logins failed = {.failed = 0};
    Qhrec__Logins__ByClient by_client, *list[] = {&by_client};
    struct record_key key;
    Qhrec__Logins message;

    memset(partition, 3, sizeof partition);
    memset(client, USER, sizeof client);
    logins_count(&failed, &rule, client, NOW_MS);
    logins_count(&failed, &rule, client, NOW_MS);
    qhrec__logins__init(&message);
    qhrec__logins__by_client__init(&by_client);
    by_client.client = (ProtobufCBinaryData){sizeof client, client};
    by_client.failed = 2;
    message.failed = 2;
    message.n_clients = 1;
    message.clients = list;
    key = record_key_logins(partition, HSM_ROLE_CO);
    rig_put(&key, &message.base);
}

START_TEST(a_failure_counted_elsewhere_at_the_same_time_is_added_to)
{
    rig.before_proposal = one_more_failure;
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPINLOCKED);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 3);
}
END_TEST

START_TEST(what_is_missing_or_not_allowed_is_told)
{
    Quadhsm__Request *message = rig_login(HSM_ROLE_CO, "co-pin");

    message->request_id.len = 0;
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_EINVAL);
    message = rig_login(HSM_ROLE_CO, "co-pin");
    message->partition.len = 0;
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_EINVAL);
    message = rig_login(HSM_ROLE_CO, "co-pin");
    memset(message->partition.data, 5, PARTITION_ID_SIZE); /* not the client's */
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_ENOTFOUND);
    message = rig_login(HSM_ROLE_CO, "co-pin");
    memset(message->partition.data, 5, PARTITION_ID_SIZE);
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_NONE, handle_login), QH_ENOPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_SO, "whatever"), QH_EPERM);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, ""), QH_EPIN);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 0);
    ck_assert_str_ne(rig.answer->detail, "");
}
END_TEST

START_TEST(with_the_ticket_of_the_login_it_is_for_one_operation)
{
    Quadhsm__Request *message;
    struct ticket ticket;

    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    message = rig_login(HSM_ROLE_CO, "co-pin");
    message->ticket =
        wire_bytes((struct bytes){rig.answer->login->ticket.data, rig.answer->login->ticket.len});
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_OK);
    ck_assert_int_eq(open_ticket(&ticket), QH_OK);
    ck_assert(ticket.context);
    ck_assert_uint_eq(rig.answer->login->lifetime_ms, LOGIN_CONTEXT_MS);
    /* Such a ticket is no login to build on. */
    message = rig_login(HSM_ROLE_CO, "co-pin");
    message->ticket =
        wire_bytes((struct bytes){rig.answer->login->ticket.data, rig.answer->login->ticket.len});
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_ETICKET);
}
END_TEST

/* ---- renewal ---- */

static ProtobufCBinaryData seal_ticket(uint8_t client, enum hsm_role role, uint8_t partition,
                                       bool context, uint64_t expires_unix_ms)
{
    struct ticket ticket = {.role = role, .context = context, .expires_unix_ms = expires_unix_ms};
    uint8_t sealed[TICKET_SIZE_MAX];
    size_t size = 0;

    memset(ticket.partition, partition, sizeof ticket.partition);
    memset(ticket.fingerprint, (uint8_t)~client, sizeof ticket.fingerprint);
    ticket.epoch = role == HSM_ROLE_SO ? view_directory(rig.node.view)->so.epoch
                                       : rig_partition(partition)->roles[role].epoch;
    ck_assert_int_eq(ticket_seal(rig.keyring, &ticket, sealed, &size), QH_OK);
    return wire_bytes((struct bytes){sealed, size});
}

static enum qh_err renew(enum hsm_role role, ProtobufCBinaryData ticket)
{
    Quadhsm__Request *message = rig_login(role, "");

    message->request_id.len = 0; /* nothing is counted */
    message->ticket = ticket;
    return rig_ask(message, role == HSM_ROLE_SO ? ADMIN : USER, HSM_ROLE_NONE, handle_login);
}

START_TEST(a_ticket_without_a_pin_is_renewed_at_once_and_changes_nothing)
{
    uint64_t now_ms = clock_unix_ms(), revision = store_revision(rig.store);
    struct ticket ticket;

    rig.no_majority = true;
    ck_assert_int_eq(renew(HSM_ROLE_CO, seal_ticket(USER, HSM_ROLE_CO, 3, false, now_ms + 60000)),
                     QH_OK);
    ck_assert_uint_eq(rig.answer->login->lifetime_ms, TICKET_LIFETIME_MS);
    ck_assert_int_eq(open_ticket(&ticket), QH_OK);
    ck_assert_int_eq(ticket.role, HSM_ROLE_CO);
    ck_assert(!ticket.context);
    ck_assert_uint_eq(ticket.partition[0], 3);
    ck_assert_uint_eq(ticket.epoch, rig_partition(3)->roles[HSM_ROLE_CO].epoch);
    ck_assert_uint_ge(ticket.expires_unix_ms, now_ms + TICKET_LIFETIME_MS);
    ck_assert_uint_eq(store_revision(rig.store), revision);
}
END_TEST

START_TEST(the_security_officer_s_ticket_is_renewed_as_such)
{
    uint64_t later_ms = clock_unix_ms() + 60000;

    ck_assert_int_eq(renew(HSM_ROLE_SO, seal_ticket(ADMIN, HSM_ROLE_SO, 0, false, later_ms)),
                     QH_OK);
    ck_assert_uint_eq(rig.answer->login->lifetime_ms, TICKET_LIFETIME_MS);
}
END_TEST

START_TEST(renewal_gives_nothing_that_was_not_had)
{
    uint64_t now_ms = clock_unix_ms(), later_ms = now_ms + 60000;
    Quadhsm__Request *message;

    rig_init_role(HSM_ROLE_CU, "cu-pin");
    /* Another role, another partition. */
    ck_assert_int_eq(renew(HSM_ROLE_CU, seal_ticket(USER, HSM_ROLE_CO, 3, false, later_ms)),
                     QH_EINVAL);
    ck_assert_ptr_null(rig.answer->login);
    message = rig_login(HSM_ROLE_CU, "");
    message->ticket = seal_ticket(USER, HSM_ROLE_CO, 3, false, later_ms);
    ck_assert_int_eq(rig_ask(message, USER, HSM_ROLE_NONE, handle_login), QH_EPIN);
    message = rig_login(HSM_ROLE_SO, "");
    message->ticket = seal_ticket(ADMIN, HSM_ROLE_CO, 3, false, later_ms);
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_NONE, handle_login), QH_EPIN);
    message = rig_login(HSM_ROLE_CO, "");
    memset(message->partition.data, 5, PARTITION_ID_SIZE);
    message->ticket = seal_ticket(ADMIN, HSM_ROLE_CO, 3, false, later_ms);
    ck_assert_int_eq(rig_ask(message, ADMIN, HSM_ROLE_NONE, handle_login), QH_ENOPIN);
    ck_assert_ptr_null(rig.answer->login);
    /* One of an operation, one that has expired, another client's. */
    ck_assert_int_eq(renew(HSM_ROLE_CO, seal_ticket(USER, HSM_ROLE_CO, 3, true, later_ms)),
                     QH_ETICKET);
    ck_assert_int_eq(renew(HSM_ROLE_CO, seal_ticket(USER, HSM_ROLE_CO, 3, false, now_ms)),
                     QH_ETICKET);
    ck_assert_int_eq(renew(HSM_ROLE_CO, seal_ticket(ADMIN, HSM_ROLE_CO, 3, false, later_ms)),
                     QH_ETICKET);
    ck_assert_ptr_null(rig.answer->login);
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 0);
}
END_TEST

START_TEST(a_ticket_of_an_old_pin_is_not_renewed)
{
    ProtobufCBinaryData old = seal_ticket(USER, HSM_ROLE_CO, 3, false, clock_unix_ms() + 60000);

    rig_init_role(HSM_ROLE_CO, "other");
    ck_assert_int_eq(renew(HSM_ROLE_CO, old), QH_ETICKET);
}
END_TEST

START_TEST(slots_show_what_the_client_may_use_and_its_tries)
{
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "wrong"), QH_EPIN);
    ck_assert_int_eq(rig_ask(rig_message(0), USER, HSM_ROLE_NONE, handle_slots), QH_OK);
    ck_assert_uint_eq(rig.answer->slots->n_slots, 1);
    ck_assert_str_eq(rig.answer->slots->slots[0]->name, "first");
    ck_assert(rig.answer->slots->slots[0]->co_ready);
    ck_assert_uint_eq(rig.answer->slots->slots[0]->co_tries, 3);
    ck_assert_uint_eq(rig.answer->slots->slots[0]->co_tries_left, 2);
    ck_assert_uint_eq(rig.answer->slots->slots[0]->po_tries_left, 3);
    ck_assert(!rig.answer->slots->slots[0]->po_ready);
    ck_assert_int_eq(rig_ask(rig_message(0), ADMIN, HSM_ROLE_NONE, handle_slots), QH_OK);
    ck_assert_uint_eq(rig.answer->slots->n_slots, 2);
    ck_assert(!rig.answer->slots->slots[1]->co_ready);
}
END_TEST

/* ---- roles ---- */

static Quadhsm__Request *passwd(enum hsm_role role, const char *old, const char *new)
{
    Quadhsm__Request *message = rig_message(3);
    Quadhsm__RolePasswd *passwd = wire_zalloc(sizeof *passwd);

    quadhsm__role_passwd__init(passwd);
    passwd->role = (Quadhsm__Role)role;
    passwd->old_pin = wire_bytes((struct bytes){(const uint8_t *)old, strlen(old)});
    passwd->new_pin = wire_bytes((struct bytes){(const uint8_t *)new, strlen(new)});
    message->op_case = QUADHSM__REQUEST__OP_ROLE_PASSWD;
    message->role_passwd = passwd;
    return message;
}

START_TEST(a_changed_pin_ends_all_tickets)
{
    Quadhsm__Response *before;
    struct ticket ticket;

    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    before = rig.answer;
    rig.answer = NULL;
    ck_assert_int_eq(
        rig_ask(passwd(HSM_ROLE_CO, "co-pin", "new-pin"), USER, HSM_ROLE_NONE, handle_role_passwd),
        QH_OK);
    wire_message_free(&rig.answer->base);
    rig.answer = before;
    ck_assert_int_eq(open_ticket(&ticket), QH_ETICKET);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPIN);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "new-pin"), QH_OK);
}
END_TEST

START_TEST(a_wrong_old_pin_is_counted_as_at_login)
{
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(rig_ask(passwd(HSM_ROLE_CO, "wrong", "new-pin"), USER, HSM_ROLE_NONE,
                                 handle_role_passwd),
                         QH_EPIN);
    }
    ck_assert_int_eq(
        rig_ask(passwd(HSM_ROLE_CO, "wrong", "new-pin"), USER, HSM_ROLE_NONE, handle_role_passwd),
        QH_EPINLOCKED);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_EPINLOCKED);
}
END_TEST

START_TEST(a_retried_change_of_the_pin_is_answered_as_the_first)
{
    static const uint8_t id[ONCE_ID_SIZE] = {77};

    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(rig_ask(with_id(passwd(HSM_ROLE_CO, "co-pin", "new-pin"), id), USER,
                                 HSM_ROLE_NONE, handle_role_passwd),
                         QH_OK);
    }
    ck_assert_uint_eq(logins(HSM_ROLE_CO)->failed, 0);
}
END_TEST

START_TEST(pins_have_a_range)
{
    char long_pin[PIN_SIZE_MAX + 2];

    memset(long_pin, 'x', sizeof long_pin);
    long_pin[PIN_SIZE_MAX + 1] = '\0';
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, "123"), ADMIN, HSM_ROLE_PO, handle_role_init),
        QH_EPINRANGE);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, long_pin), ADMIN, HSM_ROLE_PO, handle_role_init),
        QH_EPINRANGE);
    long_pin[PIN_SIZE_MAX] = '\0';
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, long_pin), ADMIN, HSM_ROLE_PO, handle_role_init), QH_OK);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, "1234"), ADMIN, HSM_ROLE_PO, handle_role_init), QH_OK);
    ck_assert_int_eq(rig_ask(passwd(HSM_ROLE_SO, "whatever", "1234567"), ADMIN, HSM_ROLE_NONE,
                             handle_role_passwd),
                     QH_EPINRANGE);
}
END_TEST

START_TEST(who_stands_above_a_role_sets_its_pin)
{
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_PO, "1234"), USER, HSM_ROLE_PO, handle_role_init), QH_EPERM);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, "1234"), ADMIN, HSM_ROLE_SO, handle_role_init),
        QH_EPERM);
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_SO, "12345678"), ADMIN, HSM_ROLE_SO, handle_role_init),
        QH_EPERM);
    ck_assert_str_ne(rig.answer->detail, "");
}
END_TEST

START_TEST(a_new_pin_unlocks_and_an_epoch_is_never_used_twice)
{
    uint64_t epoch = rig_partition(3)->roles[HSM_ROLE_CO].epoch;

    for (unsigned i = 0; i < 3; i++) {
        (void)rig_log_in(USER, HSM_ROLE_CO, "wrong");
    }
    ck_assert_int_eq(
        rig_ask(rig_role_init(HSM_ROLE_CO, "other"), ADMIN, HSM_ROLE_PO, handle_role_init), QH_OK);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "other"), QH_OK);
    ck_assert_uint_eq(rig_partition(3)->roles[HSM_ROLE_CO].epoch, epoch + 1);
}
END_TEST

static enum qh_err unlock(enum hsm_role role, enum hsm_role by)
{
    Quadhsm__Request *message = rig_message(3);

    message->op_case = QUADHSM__REQUEST__OP_ROLE_UNLOCK;
    message->role_unlock = wire_zalloc(sizeof *message->role_unlock);
    quadhsm__role_unlock__init(message->role_unlock);
    message->role_unlock->role = (Quadhsm__Role)role;
    return rig_ask(message, ADMIN, by, handle_role_unlock);
}

START_TEST(a_role_is_unlocked_by_who_stands_above_it)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)rig_log_in(USER, HSM_ROLE_CO, "wrong");
    }
    ck_assert_int_eq(unlock(HSM_ROLE_PO, HSM_ROLE_PO), QH_EPERM);
    ck_assert_int_eq(unlock(HSM_ROLE_SO, HSM_ROLE_SO), QH_EINVAL);
    ck_assert_int_eq(unlock(HSM_ROLE_CO, HSM_ROLE_PO), QH_OK);
    ck_assert_int_eq(rig_log_in(USER, HSM_ROLE_CO, "co-pin"), QH_OK);
    ck_assert_int_eq(unlock(HSM_ROLE_CO, HSM_ROLE_SO), QH_OK); /* nothing to do */
    ck_assert_int_eq(unlock(HSM_ROLE_PO, HSM_ROLE_SO), QH_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_login");
    TCase *tcase = tcase_create("handle_login");

    tcase_set_timeout(tcase, TIMEOUT_S);
    tcase_add_checked_fixture(tcase, setup, rig_teardown);
    tcase_add_test(tcase, the_right_pin_gives_a_ticket_and_changes_nothing);
    tcase_add_test(tcase, a_pin_that_was_right_a_moment_ago_keeps_nobody_waiting);
    tcase_add_test(tcase, wrong_pins_are_checked_and_counted_beside_one_that_is_known);
    tcase_add_test(tcase, a_known_pin_is_wrong_once_it_was_changed);
    tcase_add_test(tcase, the_right_pin_needs_no_majority);
    tcase_add_test(tcase, a_wrong_pin_is_counted_before_it_is_answered);
    tcase_add_test(tcase, a_wrong_pin_is_counted_though_the_client_gives_no_time_for_it);
    tcase_add_test(tcase, the_right_pin_takes_failures_back);
    tcase_add_test(tcase, the_role_is_locked_for_a_client_and_then_for_all);
    tcase_add_test(tcase, a_retry_is_the_same_try);
    tcase_add_test(tcase, another_pin_under_the_same_request_id_is_another_try);
    tcase_add_test(tcase, many_tries_at_once_are_no_more_than_there_are);
    tcase_add_test(tcase, without_a_majority_there_are_no_more_tries_either);
    tcase_add_test(tcase, a_failure_counted_elsewhere_at_the_same_time_is_added_to);
    tcase_add_test(tcase, what_is_missing_or_not_allowed_is_told);
    tcase_add_test(tcase, with_the_ticket_of_the_login_it_is_for_one_operation);
    tcase_add_test(tcase, a_ticket_without_a_pin_is_renewed_at_once_and_changes_nothing);
    tcase_add_test(tcase, the_security_officer_s_ticket_is_renewed_as_such);
    tcase_add_test(tcase, renewal_gives_nothing_that_was_not_had);
    tcase_add_test(tcase, a_ticket_of_an_old_pin_is_not_renewed);
    tcase_add_test(tcase, slots_show_what_the_client_may_use_and_its_tries);
    tcase_add_test(tcase, a_changed_pin_ends_all_tickets);
    tcase_add_test(tcase, a_wrong_old_pin_is_counted_as_at_login);
    tcase_add_test(tcase, a_retried_change_of_the_pin_is_answered_as_the_first);
    tcase_add_test(tcase, pins_have_a_range);
    tcase_add_test(tcase, who_stands_above_a_role_sets_its_pin);
    tcase_add_test(tcase, a_new_pin_unlocks_and_an_epoch_is_never_used_twice);
    tcase_add_test(tcase, a_role_is_unlocked_by_who_stands_above_it);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
