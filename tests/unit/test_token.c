/* Partitions, logins, objects and the use of keys, as far as the library has a part in them. */
#include "client/token.h"

#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "tests/unit/client_rig.h"
#include "wire/frame.h"

static const uint8_t partition[QUADHSM_PARTITION_ID_SIZE] = "one partition..";
static struct quadhsm_token *token;
static const struct quadhsm_object key = {.id = "an object's id.."};
static const struct quadhsm_mechanism ecdsa = {.type = CKM_ECDSA};

static void set_up_token(void)
{
    set_up();
    open_ready(1);
    ck_assert_int_eq(quadhsm_token_open(handle, partition, &token), QUADHSM_OK);
}

static void tear_down_token(void)
{
    quadhsm_token_close(token);
    tear_down();
}

/* ---- a node that knows one PIN, one partition and a few objects ---- */

static uint32_t give_ticket(Quadhsm__Response *response, uint8_t mark, uint64_t lifetime_ms)
{
    Quadhsm__LoginDone *done = wire_zalloc(sizeof *done);
    uint8_t ticket[32];

    memset(ticket, mark, sizeof ticket);
    quadhsm__login_done__init(done);
    done->ticket = wire_bytes((struct bytes){.base = ticket, .size = sizeof ticket});
    done->lifetime_ms = lifetime_ms;
    response->result_case = QUADHSM__RESPONSE__RESULT_LOGIN;
    response->login = done;
    return 0;
}

static void add_attribute(Quadhsm__Object *object, uint64_t type, const char *value)
{
    Quadhsm__Attribute *attribute = wire_zalloc(sizeof *attribute);

    quadhsm__attribute__init(attribute);
    attribute->type = type;
    attribute->value =
        wire_bytes((struct bytes){.base = (const uint8_t *)value, .size = strlen(value)});
    object->attributes[object->n_attributes++] = attribute;
}

#define CREATED 1000u /* and an object's number: its place */

static Quadhsm__Object *make_object(unsigned number, bool session)
{
    Quadhsm__Object *object = wire_zalloc(sizeof *object);
    Quadhsm__ObjectRef *ref = wire_zalloc(sizeof *ref);
    uint8_t id[16];

    memset(id, (int)number, sizeof id);
    quadhsm__object__init(object);
    quadhsm__object_ref__init(ref);
    if (session) {
        ref->session = wire_bytes((struct bytes){.base = id, .size = sizeof id});
    } else {
        ref->id = wire_bytes((struct bytes){.base = id, .size = sizeof id});
    }
    object->ref = ref;
    object->revision = number;
    object->created = CREATED + number;
    object->attributes = wire_zalloc(3 * sizeof *object->attributes);
    add_attribute(object, CKA_LABEL, "label");
    add_attribute(object, CKA_CLASS, "class");
    add_attribute(object, CKA_VALUE, "");
    return object;
}

static uint32_t give_objects(Quadhsm__Response *response, unsigned first, unsigned count, bool more,
                             bool session)
{
    Quadhsm__ObjectList *list = wire_zalloc(sizeof *list);

    quadhsm__object_list__init(list);
    list->objects = wire_zalloc((count + 1) * sizeof *list->objects);
    for (unsigned i = 0; i < count; i++) {
        list->objects[list->n_objects++] = make_object(first + i, session);
    }
    list->more = more;
    response->result_case = QUADHSM__RESPONSE__RESULT_OBJECTS;
    response->objects = list;
    return 0;
}

static uint32_t log_in(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Login *login = request->login;

    if (request->request_id.len != 16 || request->partition.len != 16) {
        return QH_EINVAL;
    }
    if (login->pin.len != 4 || memcmp(login->pin.data, "1234", 4) != 0) {
        return QH_EPIN;
    }
    return give_ticket(response, (uint8_t)(asked + 1), 0);
}

/* Pages of two, seven objects in all. */
static uint32_t find(const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Find *find = request->find;
    unsigned first = find->after.len > 0 ? find->after.data[0] + 1u : 1u;
    unsigned count = first + 1 <= 7 ? 2 : 1;

    ck_assert_uint_eq(find->after_created, first > 1 ? CREATED + first - 1 : 0);
    if (find->n_template_ > 0 && find->template_[0]->type == CKA_UNIQUE_ID) {
        bool known =
            find->template_[0]->value.len == 32 && find->template_[0]->value.data[0] == '0';

        return give_objects(response, 5, known ? 1 : 0, false, false);
    }
    if (find->limit < count) {
        count = find->limit;
    }
    return give_objects(response, first, count, first + count <= 7, false);
}

static uint32_t answer(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    Quadhsm__Output *output;

    switch ((int)request->op_case) {
    case QUADHSM__REQUEST__OP_LOGIN:
        return log_in(asked, request, response);
    case QUADHSM__REQUEST__OP_FIND:
        return find(request, response);
    case QUADHSM__REQUEST__OP_CREATE:
        return give_objects(response, 1, 1, false, true);
    case QUADHSM__REQUEST__OP_GENERATE:
        return give_objects(response, 1, request->generate->n_private_template > 0 ? 2 : 1, false,
                            false);
    case QUADHSM__REQUEST__OP_ROLE_PASSWD:
        return 0;
    case QUADHSM__REQUEST__OP_USE:
        output = wire_zalloc(sizeof *output);
        quadhsm__output__init(output);
        output->data = wire_bytes((struct bytes){.base = (const uint8_t *)"signature", .size = 9});
        response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
        response->output = output;
        return 0;
    default:
        return QH_EUNSUPPORTED;
    }
}

/* ---- logins ---- */

START_TEST(a_login_gives_a_ticket_that_is_sent_from_then_on)
{
    char signature[16];
    size_t size;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CU, "1234", 4), QUADHSM_EEXIST);
    ck_assert_int_eq(
        quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).ticket_size, 32);
    quadhsm_logout(token);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
    ck_assert_int_eq(
        quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).ticket_size, 0);
}
END_TEST

START_TEST(a_wrong_pin_is_told_and_tried_once)
{
    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "4321", 4), QUADHSM_EPIN);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
    ck_assert_uint_eq(peer_asked(peers[0]), 1);
}
END_TEST

START_TEST(what_is_no_login_is_not_sent)
{
    char pin[PIN_SIZE_MAX + 1] = {0};

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_ROLE_NONE, "1234", 4), QUADHSM_EINVAL);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, pin, sizeof pin), QUADHSM_EPINRANGE);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, pin, 0), QUADHSM_EPIN);
    ck_assert_int_eq(quadhsm_login_context(token, "1234", 4), QUADHSM_ENOLOGIN);
    ck_assert_uint_eq(peer_asked(peers[0]), 0);
}
END_TEST

static uint32_t ticket_ended(unsigned asked, const Quadhsm__Request *request,
                             Quadhsm__Response *response)
{
    if (request->op_case == QUADHSM__REQUEST__OP_LOGIN) {
        return log_in(asked, request, response);
    }
    return QH_ETICKET;
}

START_TEST(a_ticket_that_has_ended_is_a_logout)
{
    char signature[16];
    size_t size;

    peer_set_answer(peers[0], ticket_ended);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    ck_assert_int_eq(
        quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_ETICKET);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
}
END_TEST

START_TEST(a_context_login_is_for_one_use)
{
    struct quadhsm_token *other;
    char signature[16];
    size_t size;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_token_open(handle, partition, &other), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_login_context(token, "", 0), QUADHSM_EPIN);
    ck_assert_int_eq(quadhsm_login_context(token, "1234", 4), QUADHSM_OK);
    /* Not for another token. */
    ck_assert_int_eq(
        quadhsm_sign(other, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).context_size, 0);
    ck_assert_int_eq(
        quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).context_size, 32);
    ck_assert_mem_ne(peer_last(peers[0]).context, peer_last(peers[0]).ticket, 32);
    ck_assert_int_eq(
        quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size),
        QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).context_size, 0);
    quadhsm_token_close(other);
}
END_TEST

START_TEST(who_changes_the_own_pin_stays_logged_in)
{
    struct client_ticket before, after;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    client_token_ticket(token, &before);
    ck_assert_int_eq(quadhsm_set_pin(token, QUADHSM_CO, "1111", 4, "1234", 4), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
    client_token_ticket(token, &after);
    ck_assert_mem_ne(before.ticket, after.ticket, 32);
    /* Another role's PIN is none of this login's business. */
    ck_assert_int_eq(quadhsm_set_pin(token, QUADHSM_CU, "1111", 4, "2222", 4), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
}
END_TEST

/* ---- renewal ---- */

#define SHORT_MS 300u /* a lifetime; a third of it has soon passed */
#define LONG_MS 86400000u

/* The PIN gives a short ticket of ones; that one, sent back, a long one of twos. */
static uint32_t renews(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Login *login = request->login;

    if (request->op_case != QUADHSM__REQUEST__OP_LOGIN) {
        return answer(asked, request, response);
    }
    if (login->pin.len > 0) {
        return give_ticket(response, 1, SHORT_MS);
    }
    if (login->role != QUADHSM__ROLE__ROLE_CO || request->partition.len != sizeof partition ||
        memcmp(request->partition.data, partition, sizeof partition) != 0 ||
        request->ticket.len != 32 || request->ticket.data[0] != 1) {
        return QH_EINVAL;
    }
    return give_ticket(response, 2, LONG_MS);
}

static uint32_t refuses_to_renew(unsigned asked, const Quadhsm__Request *request,
                                 Quadhsm__Response *response)
{
    if (request->op_case == QUADHSM__REQUEST__OP_LOGIN && request->login->pin.len == 0) {
        return QH_ETICKET;
    }
    return renews(asked, request, response);
}

static uint32_t gives_long_tickets(unsigned asked, const Quadhsm__Request *request,
                                   Quadhsm__Response *response)
{
    if (request->op_case == QUADHSM__REQUEST__OP_LOGIN && request->login->pin.len == 0) {
        return QH_EINVAL;
    }
    (void)asked;
    return give_ticket(response, 1, LONG_MS);
}

static uint8_t ticket_mark(void)
{
    struct client_ticket ticket;

    client_token_ticket(token, &ticket);
    ck_assert_uint_eq(ticket.ticket_size, 32);
    ck_assert_mem_eq(ticket.partition, partition, sizeof partition);
    return ticket.ticket[31];
}

static int sign_once(void)
{
    char signature[16];
    size_t size;

    return quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, sizeof signature, &size);
}

/* Two pings and what may follow them are over when the third comes. */
static void let_pings_pass(void)
{
    unsigned pings = peer_pings(peers[0]);

    WAIT_UNTIL(peer_pings(peers[0]) >= pings + 3);
}

START_TEST(a_login_is_renewed_though_nobody_calls)
{
    peer_set_answer(peers[0], renews);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    WAIT_UNTIL(ticket_mark() == 2);
    ck_assert_uint_eq(peer_asked(peers[0]), 2);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
    ck_assert_int_eq(sign_once(), QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).ticket[0], 2);
    /* The new one is good for long. */
    let_pings_pass();
    ck_assert_uint_eq(peer_asked(peers[0]), 3);
}
END_TEST

START_TEST(without_a_thread_calls_renew_the_login)
{
    prober_close(handle);
    quadhsm_forbid_threads(handle);
    peer_set_answer(peers[0], renews);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    WAIT_UNTIL(sign_once() == QUADHSM_OK && ticket_mark() == 2);
    ck_assert_int_eq(sign_once(), QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).ticket[0], 2);
}
END_TEST

START_TEST(a_failed_renewal_fails_no_call_and_is_not_repeated_at_once)
{
    peer_set_answer(peers[0], refuses_to_renew);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    WAIT_UNTIL(peer_asked(peers[0]) == 2);
    let_pings_pass();
    ck_assert_uint_eq(peer_asked(peers[0]), 2);
    /* The module learns of the end of a login from a call's answer, and from nothing else. */
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
    ck_assert_int_eq(sign_once(), QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).ticket[0], 1);
}
END_TEST

START_TEST(a_login_is_not_renewed_before_its_time_nor_after_its_end)
{
    struct token_renewal renewal;
    uint64_t due_ms;

    prober_close(handle); /* this test does its work */
    quadhsm_forbid_threads(handle);
    peer_set_answer(peers[0], gives_long_tickets);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    ck_assert(!token_renewal_begin(handle, &renewal));
    quadhsm_logout(token);
    peer_set_answer(peers[0], renews);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    quadhsm_logout(token);
    due_ms = clock_monotonic_ms() + SHORT_MS;
    WAIT_UNTIL(clock_monotonic_ms() > due_ms);
    ck_assert(!token_renewal_begin(handle, &renewal));
}
END_TEST

START_TEST(one_caller_renews_and_a_login_that_ended_meanwhile_stays_so)
{
    Quadhsm__Response response;
    Quadhsm__LoginDone done = QUADHSM__LOGIN_DONE__INIT;
    struct token_renewal renewal, other;
    uint8_t fresh[32] = {7};

    prober_close(handle); /* this test does its work */
    quadhsm_forbid_threads(handle);
    quadhsm__response__init(&response);
    done.ticket = (ProtobufCBinaryData){sizeof fresh, fresh};
    done.lifetime_ms = LONG_MS;
    response.result_case = QUADHSM__RESPONSE__RESULT_LOGIN;
    response.login = &done;
    peer_set_answer(peers[0], renews);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    WAIT_UNTIL(token_renewal_begin(handle, &renewal));
    ck_assert_int_eq(renewal.role, QUADHSM_CO);
    ck_assert(!token_renewal_begin(handle, &other));
    quadhsm_logout(token);
    token_renewal_end(handle, renewal.login, &response);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
    /* Nor is it the next login's. */
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    token_renewal_end(handle, renewal.login, &response);
    ck_assert_uint_eq(ticket_mark(), 1);
}
END_TEST

/* ---- objects ---- */

START_TEST(all_pages_are_found)
{
    struct quadhsm_object **list;
    size_t count;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_find(token, NULL, 0, 0, &list, &count), QUADHSM_OK);
    ck_assert_uint_eq(count, 7);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(list[i]->id[0], i + 1);
        ck_assert_uint_eq(list[i]->revision, i + 1);
    }
    quadhsm_objects_free(list, count);
    ck_assert_int_eq(quadhsm_find(token, NULL, 0, 3, &list, &count), QUADHSM_OK);
    ck_assert_uint_eq(count, 3);
    quadhsm_objects_free(list, count);
}
END_TEST

START_TEST(a_page_is_one_question)
{
    struct quadhsm_place after;
    struct quadhsm_object **list;
    unsigned asked;
    size_t count, total = 0;
    bool more = true;

    peer_set_answer(peers[0], answer);
    asked = peer_requests(peers[0]);
    for (unsigned pages = 1; more; pages++) {
        ck_assert_int_eq(
            quadhsm_find_page(token, NULL, 0, total > 0 ? &after : NULL, 2, &list, &count, &more),
            QUADHSM_OK);
        ck_assert_uint_eq(peer_requests(peers[0]), asked + pages);
        ck_assert_uint_eq(count, total < 6 ? 2 : 1);
        ck_assert_uint_eq(list[0]->id[0], total + 1);
        ck_assert_uint_eq(list[0]->created, CREATED + total + 1);
        memcpy(after.id, list[count - 1]->id, sizeof after.id);
        after.created = list[count - 1]->created;
        total += count;
        quadhsm_objects_free(list, count);
    }
    ck_assert_uint_eq(total, 7);
    peer_set_error(peers[0], QH_EPERM, "");
    peer_set_answer(peers[0], NULL);
    count = 99;
    ck_assert_int_eq(quadhsm_find_page(token, NULL, 0, NULL, 2, &list, &count, &more),
                     QUADHSM_EPERM);
    ck_assert_uint_eq(count, 99);
}
END_TEST

START_TEST(the_highest_revision_is_known_without_asking)
{
    struct quadhsm_object **list;
    unsigned asked;
    size_t count;
    bool more;

    peer_set_answer(peers[0], answer);
    peer_set_revision(peers[0], 70);
    ck_assert_int_eq(quadhsm_find_page(token, NULL, 0, NULL, 0, &list, &count, &more), QUADHSM_OK);
    quadhsm_objects_free(list, count);
    asked = peer_requests(peers[0]);
    ck_assert_uint_eq(quadhsm_revision(handle), 70);
    ck_assert_uint_eq(peer_requests(peers[0]), asked);
    peer_set_revision(peers[0], 69);
    ck_assert_int_eq(quadhsm_find_page(token, NULL, 0, NULL, 0, &list, &count, &more), QUADHSM_OK);
    quadhsm_objects_free(list, count);
    ck_assert_uint_eq(quadhsm_revision(handle), 70);
}
END_TEST

START_TEST(attributes_are_sorted_and_found)
{
    const struct quadhsm_attribute *attribute;
    struct quadhsm_object *object;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_create(token, NULL, 0, &object), QUADHSM_OK);
    ck_assert_uint_eq(object->session_size, 16);
    ck_assert_uint_eq(object->attribute_count, 3);
    ck_assert_uint_eq(object->attributes[0].type, CKA_CLASS);
    ck_assert_uint_eq(object->attributes[1].type, CKA_LABEL);
    ck_assert_uint_eq(object->attributes[2].type, CKA_VALUE);
    attribute = quadhsm_object_attribute(object, CKA_LABEL);
    ck_assert_uint_eq(attribute->size, 5);
    ck_assert_mem_eq(attribute->value, "label", 5);
    ck_assert_uint_eq(quadhsm_object_attribute(object, CKA_VALUE)->size, 0);
    ck_assert_ptr_null(quadhsm_object_attribute(object, CKA_ID));
    quadhsm_object_free(object);
    quadhsm_object_free(NULL);
}
END_TEST

START_TEST(a_pair_is_two_objects)
{
    struct quadhsm_attribute label = {.type = CKA_LABEL, .value = "pair", .size = 4};
    struct quadhsm_mechanism how = {.type = CKM_EC_KEY_PAIR_GEN};
    struct quadhsm_object *public_key, *private_key;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(
        quadhsm_generate_pair(token, &how, &label, 1, &label, 1, &public_key, &private_key),
        QUADHSM_OK);
    ck_assert_uint_eq(public_key->id[0], 1);
    ck_assert_uint_eq(private_key->id[0], 2);
    quadhsm_object_free(public_key);
    quadhsm_object_free(private_key);
    /* One where two are needed. */
    ck_assert_int_eq(
        quadhsm_generate_pair(token, &how, &label, 1, NULL, 0, &public_key, &private_key),
        QUADHSM_EUNSUPPORTED);
}
END_TEST

START_TEST(a_key_is_used_by_nodes_that_know_it_and_the_login)
{
    struct quadhsm_mechanism how = {.type = CKM_AES_KEY_GEN};
    struct quadhsm_object *made, old = {.revision = 5};
    char signature[16];
    size_t size;

    peer_set_answer(peers[0], answer);
    peer_set_revision(peers[0], 40);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    peer_set_revision(peers[0], 50);
    ck_assert_int_eq(quadhsm_generate(token, &how, NULL, 0, &made), QUADHSM_OK);
    ck_assert_uint_eq(made->revision, 50);
    peer_set_revision(peers[0], 60);
    ck_assert_int_eq(quadhsm_random(handle, signature, 1), QUADHSM_EUNSUPPORTED);
    ck_assert_int_eq(quadhsm_sign(token, made, &ecdsa, "hash", 4, signature, 16, &size),
                     QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 50);
    ck_assert_int_eq(quadhsm_sign(token, &old, &ecdsa, "hash", 4, signature, 16, &size),
                     QUADHSM_OK);
    ck_assert_uint_eq(peer_last(peers[0]).min_revision, 40);
    quadhsm_object_free(made);
}
END_TEST

START_TEST(an_object_is_read_by_its_id)
{
    uint8_t id[QUADHSM_OBJECT_ID_SIZE] = {5};
    struct quadhsm_object *object;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_read(token, id, &object), QUADHSM_OK);
    quadhsm_object_free(object);
    id[0] = 0xff;
    ck_assert_int_eq(quadhsm_read(token, id, &object), QUADHSM_ENOTFOUND);
}
END_TEST

START_TEST(templates_have_limits)
{
    static struct quadhsm_attribute many[ATTRIBUTES_MAX + 1];
    static char value[ATTRIBUTE_SIZE_MAX + 1];
    struct quadhsm_attribute large = {.type = CKA_VALUE, .value = value};
    struct quadhsm_object *object;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_create(token, many, ATTRIBUTES_MAX + 1, &object), QUADHSM_ELIMIT);
    ck_assert_int_eq(quadhsm_create(token, many, ATTRIBUTES_MAX, &object), QUADHSM_OK);
    quadhsm_object_free(object);
    large.size = ATTRIBUTE_SIZE_MAX + 1;
    ck_assert_int_eq(quadhsm_create(token, &large, 1, &object), QUADHSM_EATTRVALUE);
    large.size = ATTRIBUTE_SIZE_MAX;
    ck_assert_int_eq(quadhsm_create(token, &large, 1, &object), QUADHSM_OK);
    quadhsm_object_free(object);
}
END_TEST

/* ---- use ---- */

START_TEST(a_buffer_that_is_too_small_is_told_what_is_needed)
{
    char signature[9];
    size_t size = 0;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_sign(token, &key, &ecdsa, "hash", 4, NULL, 0, &size), QUADHSM_EROOM);
    ck_assert_uint_eq(size, 9);
    ck_assert_int_eq(quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, 8, &size),
                     QUADHSM_EROOM);
    ck_assert_int_eq(quadhsm_sign(token, &key, &ecdsa, "hash", 4, signature, 9, &size), QUADHSM_OK);
    ck_assert_mem_eq(signature, "signature", 9);
}
END_TEST

START_TEST(data_has_a_limit)
{
    static char data[USE_DATA_SIZE_MAX + 1];
    char signature[9];
    size_t size;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_sign(token, &key, &ecdsa, data, sizeof data, signature, 9, &size),
                     QUADHSM_EDATASIZE);
    ck_assert_int_eq(quadhsm_sign(token, &key, &ecdsa, data, sizeof data - 1, signature, 9, &size),
                     QUADHSM_OK);
}
END_TEST

START_TEST(random_bytes_come_in_the_size_that_was_asked_for)
{
    char bytes[9];

    ck_assert_int_eq(quadhsm_random(handle, bytes, 0), QUADHSM_EINVAL);
    ck_assert_int_eq(quadhsm_random(handle, bytes, RANDOM_SIZE_MAX + 1), QUADHSM_EINVAL);
    /* The scripted node answers with its name. */
    ck_assert_int_eq(quadhsm_random(handle, bytes, 5), QUADHSM_OK);
    ck_assert_mem_eq(bytes, "alpha", 5);
    ck_assert_int_eq(quadhsm_random(handle, bytes, 6), QUADHSM_EUNSUPPORTED);
}
END_TEST

START_TEST(every_error_has_a_message)
{
    for (int error = QUADHSM_OK; error <= QUADHSM_ECONFIG; error++) {
        ck_assert_str_ne(quadhsm_error_message(error), "");
    }
    ck_assert_str_ne(quadhsm_error_message(12345), "");
    ck_assert_int_eq(quadhsm_open("/nonexistent/client.yaml", &handle), QUADHSM_ECONFIG);
    ck_assert_ptr_nonnull(strstr(quadhsm_error_detail(), "/nonexistent/client.yaml"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token");
    TCase *tcase = tcase_create("token");

    tcase_add_checked_fixture(tcase, set_up_token, tear_down_token);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_login_gives_a_ticket_that_is_sent_from_then_on);
    tcase_add_test(tcase, a_wrong_pin_is_told_and_tried_once);
    tcase_add_test(tcase, what_is_no_login_is_not_sent);
    tcase_add_test(tcase, a_ticket_that_has_ended_is_a_logout);
    tcase_add_test(tcase, a_context_login_is_for_one_use);
    tcase_add_test(tcase, who_changes_the_own_pin_stays_logged_in);
    tcase_add_test(tcase, a_login_is_renewed_though_nobody_calls);
    tcase_add_test(tcase, without_a_thread_calls_renew_the_login);
    tcase_add_test(tcase, a_failed_renewal_fails_no_call_and_is_not_repeated_at_once);
    tcase_add_test(tcase, a_login_is_not_renewed_before_its_time_nor_after_its_end);
    tcase_add_test(tcase, one_caller_renews_and_a_login_that_ended_meanwhile_stays_so);
    tcase_add_test(tcase, all_pages_are_found);
    tcase_add_test(tcase, a_page_is_one_question);
    tcase_add_test(tcase, the_highest_revision_is_known_without_asking);
    tcase_add_test(tcase, attributes_are_sorted_and_found);
    tcase_add_test(tcase, a_pair_is_two_objects);
    tcase_add_test(tcase, a_key_is_used_by_nodes_that_know_it_and_the_login);
    tcase_add_test(tcase, an_object_is_read_by_its_id);
    tcase_add_test(tcase, templates_have_limits);
    tcase_add_test(tcase, a_buffer_that_is_too_small_is_told_what_is_needed);
    tcase_add_test(tcase, data_has_a_limit);
    tcase_add_test(tcase, random_bytes_come_in_the_size_that_was_asked_for);
    tcase_add_test(tcase, every_error_has_a_message);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
