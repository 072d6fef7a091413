/* Use of keys through the client port: what it gives, who may, and where it runs. */
#include <poll.h>

#include "tests/unit/node_rig.h"

#define KEY 20 /* private or secret; the public half is the next */
#define OTHER 30

static void begin(void)
{
    rig_begin();
    rig_start_workers(1);
    rig_start_services();
}

struct use {
    Quadhsm__Request request;
    Quadhsm__Use use;
    Quadhsm__ObjectRef ref;
    Quadhsm__Mechanism mechanism;
    uint8_t partition[PARTITION_ID_SIZE], id[OBJECT_ID_SIZE];
    uint8_t ticket[TICKET_SIZE_MAX], context[TICKET_SIZE_MAX];
    uint8_t data[64];
    uint8_t output[4096]; /* of the last call */
    size_t output_size;
};

/* A signature of 32 bytes with @id, as co. */
static void use_init(struct use *use, CK_MECHANISM_TYPE mechanism, uint8_t id)
{
    memset(use, 0, sizeof *use);
    quadhsm__request__init(&use->request);
    quadhsm__use__init(&use->use);
    quadhsm__object_ref__init(&use->ref);
    quadhsm__mechanism__init(&use->mechanism);
    use->request.id = 1;
    use->request.partition = hsm_id(use->partition, sizeof use->partition, 7);
    use->request.ticket = rig_ticket(HSM_ROLE_CO, false, use->ticket);
    use->request.op_case = QUADHSM__REQUEST__OP_USE;
    use->request.use = &use->use;
    use->use.kind = QUADHSM__USE_KIND__USE_SIGN;
    use->use.ref = &use->ref;
    use->use.mechanism = &use->mechanism;
    use->use.data = (ProtobufCBinaryData){32, use->data};
    use->ref.id = hsm_id(use->id, sizeof use->id, id);
    use->mechanism.type = mechanism;
}

static int use_answer(struct use *use, struct rig_client *client)
{
    Quadhsm__Response *response = rig_receive(client);
    int error;

    ck_assert_ptr_nonnull(response);
    error = (int)response->error;
    if (response->result_case == QUADHSM__RESPONSE__RESULT_OUTPUT) {
        use->output_size = response->output->data.len;
        ck_assert_uint_le(use->output_size, sizeof use->output);
        memcpy(use->output, response->output->data.data, use->output_size);
    } else {
        use->output_size = 0;
    }
    quadhsm__response__free_unpacked(response, NULL);
    return error;
}

static int use_call(struct use *use, struct rig_client *client)
{
    ck_assert(rig_send(client, &use->request));
    return use_answer(use, client);
}

static void sign_and_verify(CK_MECHANISM_TYPE mechanism, size_t signature_size)
{
    struct rig_client client;
    struct use sign, verify;

    use_init(&sign, mechanism, KEY);
    use_init(&verify, mechanism, KEY + 1);
    verify.use.kind = QUADHSM__USE_KIND__USE_VERIFY;
    rig_connect(&client, "app");
    for (unsigned i = 0; i < 5; i++) {
        sign.data[0] = verify.data[0] = (uint8_t)i;
        ck_assert_int_eq(use_call(&sign, &client), QH_OK);
        ck_assert_uint_eq(sign.output_size, signature_size);
        verify.use.signature = (ProtobufCBinaryData){sign.output_size, sign.output};
        ck_assert_int_eq(use_call(&verify, &client), QH_OK);
        ck_assert_uint_eq(verify.output_size, 0);
        verify.data[0] ^= 1;
        ck_assert_int_eq(use_call(&verify, &client), QH_ESIGNATURE);
    }
    rig_hang_up(&client);
}

START_TEST(a_p256_key_signs_and_its_public_half_verifies)
{
    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    sign_and_verify(CKM_ECDSA, 64);
}
END_TEST

START_TEST(a_p384_key_signs_and_its_public_half_verifies)
{
    rig_generate_ec(rig_p384, sizeof rig_p384, KEY);
    sign_and_verify(CKM_ECDSA_SHA384, 96);
}
END_TEST

START_TEST(an_rsa_key_signs_and_its_public_half_verifies)
{
    rig_generate_rsa(2048, KEY);
    sign_and_verify(CKM_SHA256_RSA_PKCS, 256);
}
END_TEST

START_TEST(an_aes_key_encrypts_and_decrypts)
{
    static const uint8_t iv[12] = {1, 2, 3};
    struct rig_client client;
    struct use use;

    rig_generate_aes(32, KEY);
    use_init(&use, CKM_AES_GCM, KEY);
    use.mechanism.iv = (ProtobufCBinaryData){sizeof iv, (uint8_t *)(uintptr_t)iv};
    use.mechanism.tag_bits = 128;
    use.use.kind = QUADHSM__USE_KIND__USE_ENCRYPT;
    memcpy(use.data, "plain", 5);
    use.use.data.len = 5;
    rig_connect(&client, "app");
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    ck_assert_uint_eq(use.output_size, 21);
    use.use.kind = QUADHSM__USE_KIND__USE_DECRYPT;
    use.use.data = (ProtobufCBinaryData){21, use.output};
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    ck_assert_uint_eq(use.output_size, 5);
    ck_assert_mem_eq(use.output, "plain", 5);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_session_key_travels_with_its_client)
{
    static const uint8_t iv[16] = {1};
    struct rig_client client;
    struct bytes sealed;
    struct use use;
    uint8_t *forged;

    rig_session_aes(16, &sealed);
    use_init(&use, CKM_AES_CBC_PAD, 0);
    use.ref.id.len = 0;
    use.ref.session = (ProtobufCBinaryData){sealed.size, (uint8_t *)(uintptr_t)sealed.base};
    use.mechanism.iv = (ProtobufCBinaryData){sizeof iv, (uint8_t *)(uintptr_t)iv};
    use.use.kind = QUADHSM__USE_KIND__USE_ENCRYPT;
    rig_connect(&client, "app");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(use_call(&use, &client), QH_OK);
        ck_assert_uint_eq(use.output_size, 48);
    }
    forged = malloc(sealed.size);
    memcpy(forged, sealed.base, sealed.size);
    forged[sealed.size - 1] ^= 1;
    use.ref.session.data = forged;
    ck_assert_int_ne(use_call(&use, &client), QH_OK);
    ck_assert(rig_alive());
    free(forged);
    hsm_free(sealed);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_private_key_needs_the_login_of_a_user_of_its_partition)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    use_init(&use, CKM_ECDSA, KEY);
    rig_connect(&client, "app");
    use.request.ticket.len = 0;
    ck_assert_int_eq(use_call(&use, &client), QH_ENOLOGIN);
    use.request.ticket = rig_ticket(HSM_ROLE_SO, false, use.ticket); /* not an administrator's */
    ck_assert_int_eq(use_call(&use, &client), QH_ETICKET);
    rig_enroll("app", 1, true, 0);
    ck_assert_int_eq(use_call(&use, &client), QH_ENOLOGIN);
    use.request.ticket = rig_ticket(HSM_ROLE_CO, true, use.ticket); /* for one operation alone */
    ck_assert_int_eq(use_call(&use, &client), QH_ETICKET);
    use.request.ticket = rig_ticket(HSM_ROLE_CO, false, use.ticket);
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    use.ticket[use.request.ticket.len - 1] ^= 1;
    ck_assert_int_eq(use_call(&use, &client), QH_ETICKET);
    use.ticket[use.request.ticket.len - 1] ^= 1;
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_ticket_ends_when_the_pin_changes_though_the_connection_remembers_it)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    use_init(&use, CKM_ECDSA, KEY);
    rig_connect(&client, "app");
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    rig_raise_epoch();
    ck_assert_int_eq(use_call(&use, &client), QH_ETICKET);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_ticket_of_another_client_is_refused)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    use_init(&use, CKM_ECDSA, KEY);
    rig_make_client("thief", "client:thief");
    rig_enroll("thief", 5, true, 0);
    rig_connect(&client, "thief");
    ck_assert_int_eq(use_call(&use, &client), QH_ETICKET);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_client_of_another_partition_learns_nothing)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    use_init(&use, CKM_ECDSA, KEY + 1);
    rig_make_client("guest", "client:guest");
    rig_enroll("guest", 5, false, 9);
    rig_connect(&client, "guest");
    ck_assert_int_eq(use_call(&use, &client), QH_ENOTFOUND);
    use.request.partition.len = 0;
    ck_assert_int_eq(use_call(&use, &client), QH_EINVAL);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_destroyed_key_is_gone_though_threads_have_it_open)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    use_init(&use, CKM_ECDSA, KEY);
    rig_connect(&client, "app");
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    rig_destroy(KEY);
    ck_assert_int_eq(use_call(&use, &client), QH_ENOTFOUND);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_key_does_what_its_attributes_and_mechanism_allow)
{
    struct rig_client client;
    struct use use;

    rig_generate_ec(rig_p256, sizeof rig_p256, KEY);
    rig_generate_aes(16, OTHER);
    rig_connect(&client, "app");
    use_init(&use, CKM_ECDSA, KEY + 1); /* the public half does not sign */
    ck_assert_int_ne(use_call(&use, &client), QH_OK);
    use_init(&use, CKM_ECDSA, OTHER);
    ck_assert_int_ne(use_call(&use, &client), QH_OK);
    use_init(&use, CKM_AES_GCM, OTHER); /* encrypts, does not sign */
    ck_assert_int_ne(use_call(&use, &client), QH_OK);
    use_init(&use, 0x99999, KEY);
    ck_assert_int_eq(use_call(&use, &client), QH_EMECHANISM);
    use_init(&use, CKM_ECDSA, KEY);
    use.use.kind = 77;
    ck_assert_int_eq(use_call(&use, &client), QH_EINVAL);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_key_that_always_authenticates_needs_a_ticket_for_the_operation)
{
    static const uint8_t yes[1] = {1};
    struct attribute public[] = {{CKA_EC_PARAMS, {rig_p256, sizeof rig_p256}},
                                 {CKA_TOKEN, {yes, 1}}};
    struct attribute private[] = {
        {CKA_TOKEN, {yes, 1}}, {CKA_SIGN, {yes, 1}}, {CKA_ALWAYS_AUTHENTICATE, {yes, 1}}};
    struct rig_client client;
    struct use use;

    rig_generate(CKM_EC_KEY_PAIR_GEN, (struct attributes){public, 2},
                 (struct attributes){private, 3}, KEY);
    use_init(&use, CKM_ECDSA, KEY);
    rig_connect(&client, "app");
    ck_assert_int_eq(use_call(&use, &client), QH_ENOLOGIN);
    use.use.context_ticket = rig_ticket(HSM_ROLE_CO, false, use.context);
    ck_assert_int_eq(use_call(&use, &client), QH_ENOLOGIN);
    /* The login has not ended: it is the PIN that has to be shown again. */
    use.use.context_ticket = rig_ticket_expired(HSM_ROLE_CO, true, use.context);
    ck_assert_int_eq(use_call(&use, &client), QH_ENOLOGIN);
    use.use.context_ticket = rig_ticket(HSM_ROLE_CO, true, use.context);
    ck_assert_int_eq(use_call(&use, &client), QH_OK);
    rig_hang_up(&client);
}
END_TEST

/* Answers may come in any order; each is for its own request. */
START_TEST(pipelined_signatures_are_all_answered)
{
    struct rig_client client;
    struct use use;
    bool seen[100] = {false};

    rig_generate_rsa(2048, KEY);
    rig_generate_ec(rig_p256, sizeof rig_p256, OTHER);
    rig_connect(&client, "app");
    for (unsigned i = 0; i < 100; i++) {
        use_init(&use, i % 2 == 0 ? CKM_SHA256_RSA_PKCS : CKM_ECDSA, i % 2 == 0 ? KEY : OTHER);
        use.request.id = i + 1;
        ck_assert(rig_send(&client, &use.request));
    }
    for (unsigned i = 0; i < 100; i++) {
        Quadhsm__Response *response = rig_receive(&client);

        ck_assert_ptr_nonnull(response);
        ck_assert_int_eq((int)response->error, QH_OK);
        ck_assert(response->id >= 1 && response->id <= 100 && !seen[response->id - 1]);
        seen[response->id - 1] = true;
        ck_assert_uint_eq(response->output->data.len, response->id % 2 == 1 ? 256 : 64);
        quadhsm__response__free_unpacked(response, NULL);
    }
    rig_hang_up(&client);
}
END_TEST

static unsigned receive_id(struct rig_client *client)
{
    Quadhsm__Response *response = rig_receive(client);
    unsigned id;

    ck_assert_ptr_nonnull(response);
    ck_assert_int_eq((int)response->error, QH_OK);
    id = (unsigned)response->id;
    quadhsm__response__free_unpacked(response, NULL);
    return id;
}

/* While the worker is busy, only what runs on the service thread is answered. */
START_TEST(slow_operations_run_on_a_worker_and_fast_ones_do_not_wait_for_it)
{
    static uint8_t large[65537];
    struct rig_client client;
    struct use use;
    unsigned ids = 0;

    rig_generate_rsa(2048, KEY);
    rig_generate_ec(rig_p384, sizeof rig_p384, OTHER);
    rig_generate_ec(rig_p256, sizeof rig_p256, OTHER + 10);
    rig_connect(&client, "app");
    rig_block_worker();
    use_init(&use, CKM_SHA256_RSA_PKCS, KEY);
    ck_assert(rig_send(&client, &use.request));
    use_init(&use, CKM_ECDSA, OTHER);
    use.request.id = 2;
    ck_assert(rig_send(&client, &use.request));
    use_init(&use, CKM_ECDSA_SHA256, OTHER + 10);
    use.request.id = 3;
    use.use.data = (ProtobufCBinaryData){sizeof large, large};
    ck_assert(rig_send(&client, &use.request));
    use.request.id = 4;
    use.use.data.len--;
    ck_assert(rig_send(&client, &use.request));
    use_init(&use, CKM_ECDSA, OTHER + 10);
    use.request.id = 5;
    ck_assert(rig_send(&client, &use.request));
    ck_assert_uint_eq(receive_id(&client), 4);
    ck_assert_uint_eq(receive_id(&client), 5);
    rig_release_worker();
    for (unsigned i = 0; i < 3; i++) {
        ids |= 1u << receive_id(&client);
    }
    ck_assert_uint_eq(ids, 1u << 1 | 1u << 2 | 1u << 3);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_request_that_waited_too_long_for_a_worker_is_not_begun)
{
    struct rig_client client;
    struct use use;

    rig_generate_rsa(2048, KEY);
    rig_connect(&client, "app");
    rig_block_worker();
    use_init(&use, CKM_SHA256_RSA_PKCS, KEY);
    use.request.timeout_ms = 1;
    ck_assert(rig_send(&client, &use.request));
    (void)poll(NULL, 0, 20); /* nothing to wait for: its time passes */
    ck_assert(rig_alive());
    rig_release_worker();
    ck_assert_int_eq(use_answer(&use, &client), QH_ETIMEOUT);
    rig_hang_up(&client);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("use");
    TCase *group = tcase_create("use");

    tcase_add_checked_fixture(group, begin, rig_end);
    tcase_set_timeout(group, 60);
    tcase_add_test(group, a_p256_key_signs_and_its_public_half_verifies);
    tcase_add_test(group, a_p384_key_signs_and_its_public_half_verifies);
    tcase_add_test(group, an_rsa_key_signs_and_its_public_half_verifies);
    tcase_add_test(group, an_aes_key_encrypts_and_decrypts);
    tcase_add_test(group, a_session_key_travels_with_its_client);
    tcase_add_test(group, a_private_key_needs_the_login_of_a_user_of_its_partition);
    tcase_add_test(group, a_ticket_ends_when_the_pin_changes_though_the_connection_remembers_it);
    tcase_add_test(group, a_ticket_of_another_client_is_refused);
    tcase_add_test(group, a_client_of_another_partition_learns_nothing);
    tcase_add_test(group, a_destroyed_key_is_gone_though_threads_have_it_open);
    tcase_add_test(group, a_key_does_what_its_attributes_and_mechanism_allow);
    tcase_add_test(group, a_key_that_always_authenticates_needs_a_ticket_for_the_operation);
    tcase_add_test(group, pipelined_signatures_are_all_answered);
    tcase_add_test(group, slow_operations_run_on_a_worker_and_fast_ones_do_not_wait_for_it);
    tcase_add_test(group, a_request_that_waited_too_long_for_a_worker_is_not_begun);
    suite_add_tcase(suite, group);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
