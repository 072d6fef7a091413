/* Well-formed requests: both sides of each limit. */
#include "node/shape.h"

#include <string.h>

#include "base/limits.h"
#include "crypto/pki.h"
#include "hsm/ticket.h"
#include "tests/lib/test.h"

static uint8_t bytes[USE_DATA_SIZE_MAX + 1];
static char text[SHAPE_TOKEN_LENGTH_MAX + 2];

static int check(const Quadhsm__Request *request)
{
    const char *detail = NULL;

    return (int)shape_check(request, &detail);
}

static ProtobufCBinaryData of(size_t size)
{
    return (ProtobufCBinaryData){size, bytes};
}

static char *name_of(size_t length)
{
    memset(text, 'n', length);
    text[length] = '\0';
    return text;
}

#define REQUEST(variable, kind, field, type)          \
    Quadhsm__Request variable;                        \
    Quadhsm__##type operation;                        \
    quadhsm__request__init(&(variable));              \
    (variable).id = 1;                                \
    (variable).op_case = QUADHSM__REQUEST__OP_##kind; \
    (variable).field = &operation

START_TEST(every_request_has_an_id_and_an_operation)
{
    REQUEST(request, PING, ping, Ping);
    quadhsm__ping__init(&operation);
    ck_assert_int_eq(check(&request), QH_OK);
    request.id = 0;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    request.id = 1;
    request.op_case = QUADHSM__REQUEST__OP__NOT_SET;
    ck_assert_int_eq(check(&request), QH_EUNSUPPORTED);
}
END_TEST

START_TEST(ids_have_their_size)
{
    REQUEST(request, PING, ping, Ping);
    quadhsm__ping__init(&operation);
    for (size_t size = 0; size < 20; size++) {
        int expected = size == 0 || size == 16 ? QH_OK : QH_EINVAL;

        request.request_id = of(size);
        ck_assert_int_eq(check(&request), expected);
        request.request_id = of(0);
        request.partition = of(size);
        ck_assert_int_eq(check(&request), expected);
        request.partition = of(0);
    }
    request.ticket = of(TICKET_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    request.ticket = of(TICKET_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_ETICKET);
    request.ticket = of(0);
    request.level = QUADHSM__LEVEL__LEVEL_LINEARIZABLE;
    ck_assert_int_eq(check(&request), QH_OK);
    request.level++;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    request.level = (Quadhsm__Level)UINT32_MAX;
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(templates_are_bounded)
{
    Quadhsm__Attribute attribute;
    Quadhsm__Attribute *list[ATTRIBUTES_MAX + 1];

    REQUEST(request, FIND, find, Find);
    quadhsm__find__init(&operation);
    quadhsm__attribute__init(&attribute);
    for (unsigned i = 0; i <= ATTRIBUTES_MAX; i++) {
        list[i] = &attribute;
    }
    operation.template_ = list;
    operation.n_template_ = ATTRIBUTES_MAX;
    attribute.value = of(ATTRIBUTE_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.n_template_++;
    ck_assert_int_eq(check(&request), QH_ELIMIT);
    operation.n_template_ = 1;
    attribute.value = of(ATTRIBUTE_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_ELIMIT);
    operation.n_template_ = 0;
    operation.limit = SHAPE_FIND_LIMIT_MAX;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.limit++;
    ck_assert_int_eq(check(&request), QH_ELIMIT);
    operation.limit = 0;
    operation.after = of(15);
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(a_use_names_one_object_and_a_mechanism)
{
    Quadhsm__Mechanism mechanism;
    Quadhsm__ObjectRef ref;

    REQUEST(request, USE, use, Use);
    quadhsm__use__init(&operation);
    quadhsm__mechanism__init(&mechanism);
    quadhsm__object_ref__init(&ref);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.ref = &ref;
    operation.mechanism = &mechanism;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    ref.id = of(OBJECT_ID_SIZE);
    ck_assert_int_eq(check(&request), QH_OK);
    ref.session = of(1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    ref.id = of(0);
    ck_assert_int_eq(check(&request), QH_OK);
    ref.session = of(STORE_VALUE_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    ref.session = of(STORE_VALUE_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_ELIMIT);
    ref.session = of(0);
    ref.id = of(OBJECT_ID_SIZE - 1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    ref.id = of(OBJECT_ID_SIZE);
    operation.mechanism = NULL;
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(the_data_of_a_use_is_bounded)
{
    Quadhsm__Mechanism mechanism;
    Quadhsm__ObjectRef ref;

    REQUEST(request, USE, use, Use);
    quadhsm__use__init(&operation);
    quadhsm__mechanism__init(&mechanism);
    quadhsm__object_ref__init(&ref);
    ref.id = of(OBJECT_ID_SIZE);
    operation.ref = &ref;
    operation.mechanism = &mechanism;
    operation.data = of(USE_DATA_SIZE_MAX);
    operation.signature = of(SHAPE_SIGNATURE_SIZE_MAX);
    operation.context_ticket = of(TICKET_SIZE_MAX);
    mechanism.iv = of(SHAPE_IV_SIZE_MAX);
    mechanism.aad = of(USE_DATA_SIZE_MAX);
    mechanism.label = of(SHAPE_LABEL_SIZE_MAX);
    mechanism.salt_size = SHAPE_SALT_SIZE_MAX;
    mechanism.tag_bits = 128;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.data.len++;
    ck_assert_int_eq(check(&request), QH_EDATASIZE);
    operation.data.len = 0;
    operation.signature.len++;
    ck_assert_int_eq(check(&request), QH_ESIGNATURESIZE);
    operation.signature.len = 0;
    operation.context_ticket.len++;
    ck_assert_int_eq(check(&request), QH_ENOLOGIN);
    operation.context_ticket.len = 0;
    mechanism.iv.len++;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.iv.len--;
    mechanism.aad.len++;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.aad.len--;
    mechanism.label.len++;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.label.len--;
    mechanism.salt_size++;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.salt_size--;
    mechanism.tag_bits++;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.tag_bits--;
    operation.kind = QUADHSM__USE_KIND__USE_DECRYPT;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.kind++;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.kind = (Quadhsm__UseKind)UINT32_MAX;
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(what_belongs_to_mechanisms_is_bounded)
{
    ProtobufCBinaryData *fields[4];
    Quadhsm__Mechanism mechanism;
    Quadhsm__ObjectRef ref, salt;

    REQUEST(request, DERIVE, derive, Derive);
    quadhsm__derive__init(&operation);
    quadhsm__mechanism__init(&mechanism);
    quadhsm__object_ref__init(&ref);
    quadhsm__object_ref__init(&salt);
    ref.id = of(OBJECT_ID_SIZE);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.base_key = &ref;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.mechanism = &mechanism;
    ck_assert_int_eq(check(&request), QH_OK);
    fields[0] = &mechanism.public_data;
    fields[1] = &mechanism.shared_data;
    fields[2] = &mechanism.salt;
    fields[3] = &mechanism.info;
    for (unsigned i = 0; i < 4; i++) {
        *fields[i] = of(SHAPE_DERIVE_SIZE_MAX);
        ck_assert_int_eq(check(&request), QH_OK);
        *fields[i] = of(SHAPE_DERIVE_SIZE_MAX + 1);
        ck_assert_int_eq(check(&request), QH_EPARAMETER);
        *fields[i] = of(0);
    }
    mechanism.counter_bits = 128;
    ck_assert_int_eq(check(&request), QH_OK);
    mechanism.counter_bits = 129;
    ck_assert_int_eq(check(&request), QH_EPARAMETER);
    mechanism.counter_bits = 0;
    mechanism.salt_key = &salt;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    salt.session = of(100);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.context_ticket = of(TICKET_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_ENOLOGIN);
    operation.context_ticket = of(TICKET_SIZE_MAX);
    operation.n_template_ = ATTRIBUTES_MAX + 1;
    ck_assert_int_eq(check(&request), QH_ELIMIT);
}
END_TEST

START_TEST(a_wrap_names_two_objects)
{
    Quadhsm__Mechanism mechanism;
    Quadhsm__ObjectRef ref;

    REQUEST(request, WRAP, wrap, Wrap);
    quadhsm__wrap__init(&operation);
    quadhsm__mechanism__init(&mechanism);
    quadhsm__object_ref__init(&ref);
    ref.id = of(OBJECT_ID_SIZE);
    operation.wrapping = &ref;
    operation.mechanism = &mechanism;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.key = &ref;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.wrapping = NULL;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.wrapping = &ref;
    operation.context_ticket = of(TICKET_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_ENOLOGIN);
    operation.context_ticket = of(0);
    operation.mechanism = NULL;
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(a_wrapped_key_is_bounded)
{
    Quadhsm__Mechanism mechanism;
    Quadhsm__ObjectRef ref;

    REQUEST(request, UNWRAP, unwrap, Unwrap);
    quadhsm__unwrap__init(&operation);
    quadhsm__mechanism__init(&mechanism);
    quadhsm__object_ref__init(&ref);
    ref.id = of(OBJECT_ID_SIZE);
    operation.mechanism = &mechanism;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.unwrapping = &ref;
    operation.wrapped = of(WRAPPED_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.wrapped = of(WRAPPED_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EWRAPPEDSIZE);
    operation.wrapped = of(0);
    operation.n_template_ = ATTRIBUTES_MAX + 1;
    ck_assert_int_eq(check(&request), QH_ELIMIT);
}
END_TEST

START_TEST(an_initialization_has_a_pin_and_a_label_in_range)
{
    REQUEST(request, PARTITION_INIT, partition_init, PartitionInit);
    quadhsm__partition_init__init(&operation);
    operation.pin = of(PIN_SIZE_MAX);
    operation.label = name_of(SHAPE_TEXT_LENGTH_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.pin = of(PIN_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EPIN);
    operation.pin = of(4);
    operation.label = name_of(SHAPE_TEXT_LENGTH_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(a_policy_is_one_that_is_known)
{
    REQUEST(request, PARTITION_POLICY, partition_policy, PartitionPolicy);
    quadhsm__partition_policy__init(&operation);
    operation.name = name_of(1);
    operation.export = QUADHSM__EXPORT__EXPORT_CLEAR;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.export ++;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.export = (Quadhsm__Export)UINT32_MAX;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.export = QUADHSM__EXPORT__EXPORT_WRAPPED;
    operation.name = name_of(SHAPE_TEXT_LENGTH_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(pins_and_roles_are_in_range)
{
    REQUEST(request, LOGIN, login, Login);
    quadhsm__login__init(&operation);
    ck_assert_int_eq(check(&request), QH_EINVAL); /* no role */
    operation.role = QUADHSM__ROLE__ROLE_CU;
    operation.pin = of(PIN_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.pin = of(PIN_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EPIN);
    operation.pin = of(0);
    operation.role++;
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(names_and_certificate_requests_are_bounded)
{
    REQUEST(request, CLIENT_ENROLL, client_enroll, ClientEnroll);
    quadhsm__client_enroll__init(&operation);
    operation.name = name_of(SHAPE_TEXT_LENGTH_MAX);
    operation.csr = of(PKI_DER_SIZE_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.csr.len++;
    ck_assert_int_eq(check(&request), QH_ELIMIT);
    operation.csr.len = 0;
    operation.name = name_of(SHAPE_TEXT_LENGTH_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(a_join_has_fields_of_their_size)
{
    REQUEST(request, JOIN, join, Join);
    quadhsm__join__init(&operation);
    operation.token_id = of(16);
    operation.proof = of(32);
    operation.key_box_pk = of(32);
    operation.peer_port = operation.client_port = UINT16_MAX;
    ck_assert_int_eq(check(&request), QH_OK);
    operation.peer_port++;
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.peer_port = 1;
    operation.proof = of(31);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.proof = of(32);
    operation.key_box_pk = of(0); /* a witness has none */
    ck_assert_int_eq(check(&request), QH_OK);
    operation.key_box_pk = of(33);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.key_box_pk = of(32);
    operation.token_id = of(0);
    ck_assert_int_eq(check(&request), QH_EINVAL);
}
END_TEST

START_TEST(a_token_may_be_longer_than_a_name)
{
    REQUEST(request, NODE_JOIN, node_join, NodeJoin);
    quadhsm__node_join__init(&operation);
    operation.token = name_of(SHAPE_TOKEN_LENGTH_MAX);
    ck_assert_int_eq(check(&request), QH_OK);
    operation.token = name_of(SHAPE_TOKEN_LENGTH_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EINVAL);
    operation.token = name_of(1);
    operation.passphrase = of(PIN_SIZE_MAX + 1);
    ck_assert_int_eq(check(&request), QH_EPINRANGE);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("shape");
    TCase *group = tcase_create("shape");

    tcase_add_test(group, every_request_has_an_id_and_an_operation);
    tcase_add_test(group, ids_have_their_size);
    tcase_add_test(group, templates_are_bounded);
    tcase_add_test(group, a_use_names_one_object_and_a_mechanism);
    tcase_add_test(group, the_data_of_a_use_is_bounded);
    tcase_add_test(group, what_belongs_to_mechanisms_is_bounded);
    tcase_add_test(group, a_wrap_names_two_objects);
    tcase_add_test(group, a_wrapped_key_is_bounded);
    tcase_add_test(group, an_initialization_has_a_pin_and_a_label_in_range);
    tcase_add_test(group, a_policy_is_one_that_is_known);
    tcase_add_test(group, pins_and_roles_are_in_range);
    tcase_add_test(group, names_and_certificate_requests_are_bounded);
    tcase_add_test(group, a_join_has_fields_of_their_size);
    tcase_add_test(group, a_token_may_be_longer_than_a_name);
    suite_add_tcase(suite, group);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
