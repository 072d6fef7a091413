/* Keys under keys and C_InitToken, as far as the library has a part in them: what is sent, and what
 * comes back. */
#include <string.h>

#include "base/cryptoki.h"
#include "client/token.h"
#include "tests/unit/client_rig.h"
#include "wire/frame.h"

static const uint8_t partition[QUADHSM_PARTITION_ID_SIZE] = "one partition..";
static struct quadhsm_token *token;
static const struct quadhsm_object wrapping = {.id = "the wrapping key", .revision = 3};
static const struct quadhsm_object key = {.id = "an object's id..", .revision = 7};

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

/* ---- a node that finds in each request what the tests put there ---- */

static bool is_text(ProtobufCBinaryData data, const char *text)
{
    return data.len == strlen(text) && memcmp(data.data, text, data.len) == 0;
}

static bool is_object(const Quadhsm__ObjectRef *ref, const struct quadhsm_object *object)
{
    return ref != NULL && ref->id.len == QUADHSM_OBJECT_ID_SIZE &&
           memcmp(ref->id.data, object->id, ref->id.len) == 0;
}

static uint32_t give_object(Quadhsm__Response *response)
{
    Quadhsm__ObjectList *list = wire_zalloc(sizeof *list);
    Quadhsm__Object *object = wire_zalloc(sizeof *object);
    Quadhsm__ObjectRef *ref = wire_zalloc(sizeof *ref);

    quadhsm__object_list__init(list);
    quadhsm__object__init(object);
    quadhsm__object_ref__init(ref);
    ref->session = wire_bytes((struct bytes){.base = (const uint8_t *)"sealed", .size = 6});
    object->ref = ref;
    list->objects = wire_zalloc(sizeof *list->objects);
    list->objects[list->n_objects++] = object;
    response->result_case = QUADHSM__RESPONSE__RESULT_OBJECTS;
    response->objects = list;
    return 0;
}

static uint32_t wrap(const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Wrap *message = request->wrap;
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    quadhsm__output__init(output);
    output->data = wire_bytes((struct bytes){.base = (const uint8_t *)"wrapped", .size = 7});
    response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    response->output = output;
    return is_object(message->wrapping, &wrapping) && is_object(message->key, &key) &&
                   message->mechanism->type == CKM_RSA_AES_KEY_WRAP &&
                   message->mechanism->key_bits == 256 && request->min_revision == 7
               ? 0
               : QH_EINVAL;
}

static uint32_t unwrap(const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Unwrap *message = request->unwrap;

    if (!is_object(message->unwrapping, &wrapping) || !is_text(message->wrapped, "wrapped") ||
        message->n_template_ != 1 || message->template_[0]->type != CKA_LABEL ||
        request->request_id.len != 16) {
        return QH_EINVAL;
    }
    return give_object(response);
}

static uint32_t derive(const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__Derive *message = request->derive;
    const Quadhsm__Mechanism *how = message->mechanism;

    if (!is_object(message->base_key, &key) || !is_object(how->salt_key, &wrapping) ||
        !how->extract || how->expand || !is_text(how->info, "info") ||
        !is_text(how->public_data, "point") || !is_text(how->shared_data, "shared") ||
        how->kdf != CKD_SHA256_KDF || request->request_id.len != 16) {
        return QH_EINVAL;
    }
    return give_object(response);
}

static uint32_t log_in(Quadhsm__Response *response)
{
    static const uint8_t ticket[32];
    Quadhsm__LoginDone *done = wire_zalloc(sizeof *done);

    quadhsm__login_done__init(done);
    done->ticket = wire_bytes((struct bytes){.base = ticket, .size = sizeof ticket});
    response->result_case = QUADHSM__RESPONSE__RESULT_LOGIN;
    response->login = done;
    return 0;
}

static uint32_t answer(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    const Quadhsm__PartitionInit *init = request->partition_init;

    (void)asked;
    switch ((int)request->op_case) {
    case QUADHSM__REQUEST__OP_WRAP:
        return wrap(request, response);
    case QUADHSM__REQUEST__OP_UNWRAP:
        return unwrap(request, response);
    case QUADHSM__REQUEST__OP_DERIVE:
        return derive(request, response);
    case QUADHSM__REQUEST__OP_LOGIN:
        return log_in(response);
    case QUADHSM__REQUEST__OP_PARTITION_INIT:
        if (request->request_id.len != 16 || request->partition.len != 16) {
            return QH_EINVAL;
        }
        if (!is_text(init->pin, "1234")) {
            return QH_EPIN;
        }
        return strcmp(init->label, "taken") == 0 ? QH_EEXIST : 0;
    default:
        return QH_EUNSUPPORTED;
    }
}

/* ---- */

START_TEST(a_wrapped_key_comes_back_in_room_enough)
{
    struct quadhsm_mechanism how = {.type = CKM_RSA_AES_KEY_WRAP, .key_bits = 256};
    char out[16];
    size_t size = 0;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_wrap(token, &wrapping, &how, &key, out, 6, &size), QUADHSM_EROOM);
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(quadhsm_wrap(token, &wrapping, &how, &key, out, 7, &size), QUADHSM_OK);
    ck_assert_mem_eq(out, "wrapped", 7);
    ck_assert_int_eq(quadhsm_wrap(token, &key, &how, &key, out, 7, &size), QUADHSM_EINVAL);
}
END_TEST

START_TEST(an_unwrapped_key_is_an_object)
{
    static char large[WRAPPED_SIZE_MAX + 1];
    struct quadhsm_mechanism how = {.type = CKM_AES_KEY_WRAP};
    struct quadhsm_attribute label = {CKA_LABEL, "label", 5};
    struct quadhsm_object *made;
    unsigned before;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_unwrap(token, &wrapping, &how, "wrapped", 7, &label, 1, &made),
                     QUADHSM_OK);
    ck_assert_uint_eq(made->session_size, 6);
    quadhsm_object_free(made);
    before = peer_requests(peers[0]);
    ck_assert_int_eq(quadhsm_unwrap(token, &wrapping, &how, large, sizeof large, &label, 1, &made),
                     QUADHSM_EWRAPPEDSIZE);
    ck_assert_uint_eq(peer_requests(peers[0]), before);
    ck_assert_int_eq(
        quadhsm_unwrap(token, &wrapping, &how, large, sizeof large - 1, &label, 1, &made),
        QUADHSM_EINVAL);
}
END_TEST

START_TEST(a_derived_key_is_an_object)
{
    struct quadhsm_mechanism how = {.type = CKM_HKDF_DERIVE,
                                    .extract = true,
                                    .hkdf_salt_key = &wrapping,
                                    .info = "info",
                                    .info_size = 4,
                                    .kdf = CKD_SHA256_KDF,
                                    .public_data = "point",
                                    .public_data_size = 5,
                                    .shared_data = "shared",
                                    .shared_data_size = 6};
    struct quadhsm_object *made;

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_derive(token, &key, &how, NULL, 0, &made), QUADHSM_OK);
    ck_assert_uint_eq(made->session_size, 6);
    quadhsm_object_free(made);
    how.hkdf_salt_key = NULL;
    ck_assert_int_eq(quadhsm_derive(token, &key, &how, NULL, 0, &made), QUADHSM_EINVAL);
}
END_TEST

START_TEST(an_initialization_ends_the_login)
{
    char label[] = "123456789012345678901234567890123";

    peer_set_answer(peers[0], answer);
    ck_assert_int_eq(quadhsm_login(token, QUADHSM_CO, "1234", 4), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_init_token(token, "4321", 4, NULL), QUADHSM_EPIN);
    ck_assert_int_eq(quadhsm_init_token(token, "1234", 4, "taken"), QUADHSM_EEXIST);
    ck_assert_int_eq(quadhsm_init_token(token, "1234", 4, ""), QUADHSM_EINVAL);
    ck_assert_int_eq(quadhsm_init_token(token, "1234", 4, label), QUADHSM_EINVAL);
    ck_assert_int_eq(quadhsm_init_token(token, label, PIN_SIZE_MAX + 1, NULL), QUADHSM_EPINRANGE);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_CO);
    label[32] = '\0';
    ck_assert_int_eq(quadhsm_init_token(token, "1234", 4, label), QUADHSM_OK);
    ck_assert_int_eq(quadhsm_token_role(token), QUADHSM_ROLE_NONE);
    ck_assert_int_eq(quadhsm_init_token(token, "1234", 4, NULL), QUADHSM_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("underkey");
    TCase *group = tcase_create("underkey");

    tcase_add_checked_fixture(group, set_up_token, tear_down_token);
    tcase_set_timeout(group, 60);
    tcase_add_test(group, a_wrapped_key_comes_back_in_room_enough);
    tcase_add_test(group, an_unwrapped_key_is_an_object);
    tcase_add_test(group, a_derived_key_is_an_object);
    tcase_add_test(group, an_initialization_ends_the_login);
    suite_add_tcase(suite, group);
    return test_main(suite);
}
