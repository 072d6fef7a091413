/* The client port over real TLS: who gets in, what strangers can do to it, and its limits. */
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/certs.h"
#include "tests/unit/node_rig.h"

static void begin(void)
{
    rig_begin();
    rig_start_workers(1);
    rig_start_services();
}

static void end(void)
{
    rig_end();
}

/* ---- Requests. */

static int call_random(struct rig_client *client, uint32_t size)
{
    Quadhsm__Random random;
    RIG_REQUEST(request);

    quadhsm__random__init(&random);
    random.size = size;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    return rig_call(client, &request);
}

static void make_slots(Quadhsm__Request *request, Quadhsm__Slots *slots, uint64_t id)
{
    quadhsm__request__init(request);
    quadhsm__slots__init(slots);
    request->id = id;
    request->op_case = QUADHSM__REQUEST__OP_SLOTS;
    request->slots = slots;
}

static void make_endpoints(Quadhsm__Request *request, Quadhsm__Endpoints *endpoints, uint64_t id)
{
    quadhsm__request__init(request);
    quadhsm__endpoints__init(endpoints);
    request->id = id;
    request->op_case = QUADHSM__REQUEST__OP_ENDPOINTS;
    request->endpoints = endpoints;
}

START_TEST(an_enrolled_client_pings_and_draws_random_bytes)
{
    struct rig_client client;

    rig_connect(&client, "app");
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    ck_assert_int_eq(call_random(&client, 1), QH_OK);
    ck_assert_int_eq(call_random(&client, RANDOM_SIZE_MAX), QH_OK);
    ck_assert_int_eq(call_random(&client, RANDOM_SIZE_MAX + 1), QH_ELIMIT);
    ck_assert_int_eq(call_random(&client, 0), QH_ELIMIT);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_ping_tells_of_the_node)
{
    struct rig_client client;
    Quadhsm__Response *response;
    Quadhsm__Ping ping;
    RIG_REQUEST(request);

    quadhsm__ping__init(&ping);
    request.id = UINT64_MAX;
    request.op_case = QUADHSM__REQUEST__OP_PING;
    request.ping = &ping;
    rig_connect(&client, "app");
    ck_assert(rig_send(&client, &request));
    response = rig_receive(&client);
    ck_assert_ptr_nonnull(response);
    ck_assert_uint_eq(response->id, UINT64_MAX);
    ck_assert_uint_eq(response->revision, store_revision(rig.store));
    ck_assert_int_eq(response->result_case, QUADHSM__RESPONSE__RESULT_PONG);
    ck_assert_str_eq(response->pong->node, "alpha");
    ck_assert_str_eq(response->pong->region, "east");
    ck_assert_uint_eq(response->pong->workers, 1);
    ck_assert_int_eq((int)response->pong->readiness, QUADHSM__READINESS__READINESS_READY);
    quadhsm__response__free_unpacked(response, NULL);
    rig_hang_up(&client);
}
END_TEST

/* ---- Who gets in. */

/* TLS 1.3 tells a client of its refusal after its own handshake is done: at the first read. */
static int ping_of(const char *file, const char *alpn, const char *ca)
{
    struct rig_client client;
    int error = rig_connect_as(&client, file, alpn, ca) ? rig_ping(&client) : -1;

    rig_hang_up(&client);
    return error;
}

START_TEST(a_client_without_a_certificate_is_refused)
{
    ck_assert_int_eq(ping_of(NULL, WIRE_ALPN_CLIENT, "ca"), -1);
    ck_assert(rig_alive());
    ck_assert(rig_logged("peer did not return a certificate"));
}
END_TEST

START_TEST(a_certificate_of_another_authority_is_refused)
{
    certs_make_node_foreign(rig.dir, "client:app2");
    ck_assert_int_eq(ping_of("client:app2", WIRE_ALPN_CLIENT, "ca"), -1);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(an_expired_certificate_is_refused_though_it_is_enrolled)
{
    certs_make_node_expired(rig.dir, "client:old");
    rig_enroll("client:old", 2, false, 0);
    ck_assert_int_eq(ping_of("client:old", WIRE_ALPN_CLIENT, "ca"), -1);
    ck_assert(rig_alive());
    ck_assert(rig_logged("expired"));
}
END_TEST

START_TEST(a_node_is_no_client)
{
    rig_enroll("alpha", 2, true, 0);
    ck_assert_int_eq(ping_of("alpha", WIRE_ALPN_CLIENT, "ca"), -1);
    ck_assert(rig_alive());
    ck_assert(rig_logged("not a client's"));
}
END_TEST

START_TEST(a_client_does_not_trust_a_node_of_another_authority)
{
    char other[300], path[300], moved[300];

    (void)snprintf(other, sizeof other, "%s/other", rig.dir);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    certs_make_ca(other);
    certs_path(path, sizeof path, other, "ca", "crt");
    certs_path(moved, sizeof moved, rig.dir, "other-ca", "crt");
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(ping_of("app", WIRE_ALPN_CLIENT, "other-ca"), -1);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(a_client_that_is_not_enrolled_is_told_so)
{
    struct rig_client client;

    rig_make_client("stranger", "client:stranger");
    rig_connect(&client, "stranger");
    ck_assert_int_eq(rig_ping(&client), QH_ENOTENROLLED);
    ck_assert_int_eq(call_random(&client, 8), QH_ENOTENROLLED);
    rig_enroll("stranger", 3, false, 0);
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_client_is_refused_at_its_first_request_after_its_revocation)
{
    struct rig_client client;

    rig_connect(&client, "app");
    ck_assert_int_eq(call_random(&client, 8), QH_OK);
    rig_revoke(1);
    ck_assert_int_eq(call_random(&client, 8), QH_ENOTENROLLED);
    ck_assert_int_eq(rig_ping(&client), QH_ENOTENROLLED);
    rig_hang_up(&client);
}
END_TEST

START_TEST(other_protocols_are_refused)
{
    ck_assert_int_eq(ping_of("app", "h2", "ca"), -1);
    ck_assert_int_eq(ping_of("app", "quadhsm-client/2", "ca"), -1);
    ck_assert_int_eq(ping_of("app", NULL, "ca"), -1);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(older_versions_of_tls_are_refused)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    int fd = rig_dial();
    SSL *ssl;

    ck_assert_int_eq(SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION), 1);
    ssl = SSL_new(tls);
    ck_assert_int_eq(SSL_set_fd(ssl, fd), 1);
    ck_assert_int_ne(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(tls);
    (void)close(fd);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(a_locked_node_answers_pings_alone)
{
    struct rig_client client;

    rig_lock();
    rig_connect(&client, "app");
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    ck_assert_int_eq(call_random(&client, 8), QH_ELOCKED);
    rig_unlock();
    ck_assert_int_eq(call_random(&client, 8), QH_OK);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_stopping_node_answers_pings_alone)
{
    struct rig_client client;

    atomic_store(&rig.node.readiness, QUADHSM__READINESS__READINESS_DRAINING);
    rig_connect(&client, "app");
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    ck_assert_int_eq(call_random(&client, 8), QH_ECANCELED);
    rig_hang_up(&client);
}
END_TEST

/* ---- Joining. */

static int call_join(struct rig_client *client)
{
    uint8_t zeroes[32] = {0};
    Quadhsm__Join join;
    RIG_REQUEST(request);

    quadhsm__join__init(&join);
    join.token_id = (ProtobufCBinaryData){16, zeroes};
    join.proof = (ProtobufCBinaryData){32, zeroes};
    request.op_case = QUADHSM__REQUEST__OP_JOIN;
    request.join = &join;
    return rig_call(client, &request);
}

START_TEST(a_joiner_without_a_certificate_may_join_and_nothing_else)
{
    struct rig_client client;

    ck_assert(rig_connect_as(&client, NULL, WIRE_ALPN_JOIN, "ca"));
    ck_assert_int_eq(rig_ping(&client), QH_EPERM);
    ck_assert_int_eq(call_random(&client, 8), QH_EPERM);
    ck_assert_int_eq(call_join(&client), QH_OK);
    rig_hang_up(&client);
    rig_connect(&client, "app");
    ck_assert_int_eq(call_join(&client), QH_EPERM);
    rig_hang_up(&client);
}
END_TEST

START_TEST(joiners_are_counted_and_do_not_take_the_clients_place)
{
    struct rig_client clients[SERVICE_JOIN_CONNECTIONS_MAX], more;

    for (unsigned i = 0; i < SERVICE_JOIN_CONNECTIONS_MAX; i++) {
        ck_assert(rig_connect_as(&clients[i], NULL, WIRE_ALPN_JOIN, "ca"));
        ck_assert_int_eq(call_join(&clients[i]), QH_OK);
    }
    ck_assert(!rig_connect_as(&more, NULL, WIRE_ALPN_JOIN, "ca"));
    rig_hang_up(&more);
    ck_assert(rig_alive());
    rig_hang_up(&clients[0]);
    for (unsigned tries = 0;; tries++) { /* until the node has seen it */
        bool joined = rig_connect_as(&more, NULL, WIRE_ALPN_JOIN, "ca");

        rig_hang_up(&more);
        if (joined) {
            break;
        }
        ck_assert_uint_lt(tries, 1000);
    }
    for (unsigned i = 1; i < SERVICE_JOIN_CONNECTIONS_MAX; i++) {
        rig_hang_up(&clients[i]);
    }
}
END_TEST

/* ---- Frames. */

static void put_u32(uint8_t *base, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        base[i] = (uint8_t)(value >> (8 * i));
    }
}

/* The error of the last answer, then the end. */
static int last_words(struct rig_client *client)
{
    Quadhsm__Response *response = rig_receive(client);
    int error;

    ck_assert_ptr_nonnull(response);
    ck_assert_uint_eq(response->id, 0);
    error = (int)response->error;
    quadhsm__response__free_unpacked(response, NULL);
    ck_assert_ptr_null(rig_receive(client));
    return error;
}

static int answer_to(const char *file, const void *bytes, size_t size)
{
    struct rig_client client;
    int error;

    rig_connect(&client, file);
    ck_assert(rig_write(&client, bytes, size));
    error = last_words(&client);
    rig_hang_up(&client);
    return error;
}

START_TEST(an_empty_or_oversized_frame_is_told_and_ends_the_connection)
{
    uint8_t header[4];

    put_u32(header, 0);
    ck_assert_int_eq(answer_to("app", header, sizeof header), QH_ELIMIT);
    put_u32(header, WIRE_FRAME_SIZE_MAX + 1);
    ck_assert_int_eq(answer_to("app", header, sizeof header), QH_ELIMIT);
    put_u32(header, UINT32_MAX);
    ck_assert_int_eq(answer_to("app", header, sizeof header), QH_ELIMIT);
    ck_assert(rig_alive());
    ck_assert(rig_logged("a frame is empty or too large"));
    ck_assert(rig_logged("address=\"127.0.0.1:"));
}
END_TEST

START_TEST(who_is_not_enrolled_may_send_small_frames_alone)
{
    struct rig_client client;
    uint8_t *frame = calloc(1, 65536 + 4);

    rig_make_client("stranger", "client:stranger");
    put_u32(frame, 65537);
    ck_assert_int_eq(answer_to("stranger", frame, 4), QH_ELIMIT);
    put_u32(frame, 65536);
    ck_assert_int_eq(answer_to("stranger", frame, 65536 + 4), QH_EMALFORMED);
    ck_assert(rig_connect_as(&client, NULL, WIRE_ALPN_JOIN, "ca"));
    put_u32(frame, 65537);
    ck_assert(rig_write(&client, frame, 4));
    ck_assert_int_eq(last_words(&client), QH_ELIMIT);
    rig_hang_up(&client);
    free(frame);
    ck_assert(rig_alive());
}
END_TEST

/* The largest frame, as an enrolled client's first: a Ping with a field that nobody knows. */
START_TEST(the_largest_frame_is_taken)
{
    size_t field = WIRE_FRAME_SIZE_MAX - 2 - 3 - 2 - 4;
    uint8_t *frame = calloc(1, WIRE_FRAME_SIZE_MAX + 4);
    struct rig_client client;
    Quadhsm__Response *response;
    uint8_t *next = frame + 4;

    put_u32(frame, WIRE_FRAME_SIZE_MAX);
    *next++ = 0x08; /* id: 5 */
    *next++ = 5;
    *next++ = 0x82; /* ping: empty */
    *next++ = 0x01;
    *next++ = 0;
    *next++ = 0xfa; /* field 127: bytes */
    *next++ = 0x07;
    for (unsigned i = 0; i < 4; i++) { /* its size */
        next[i] = (uint8_t)((field >> (7 * i) & 0x7f) | (i < 3 ? 0x80u : 0));
    }
    rig_connect(&client, "app");
    ck_assert(rig_write(&client, frame, WIRE_FRAME_SIZE_MAX + 4));
    response = rig_receive(&client);
    ck_assert_ptr_nonnull(response);
    ck_assert_uint_eq(response->id, 5);
    ck_assert_int_eq((int)response->error, QH_OK);
    quadhsm__response__free_unpacked(response, NULL);
    rig_hang_up(&client);
    free(frame);
}
END_TEST

START_TEST(random_bytes_end_their_connection_alone)
{
    uint8_t noise[512];
    struct rig_client bystander;

    rig_connect(&bystander, "app");
    for (unsigned i = 0; i < 20; i++) {
        randombytes_buf(noise, sizeof noise);
        put_u32(noise, 500);
        noise[4] = 0x07; /* a wire type that does not exist */
        ck_assert_int_eq(answer_to("app", noise, 504), QH_EMALFORMED);
    }
    ck_assert_int_eq(rig_ping(&bystander), QH_OK);
    rig_hang_up(&bystander);
}
END_TEST

START_TEST(bytes_that_are_no_tls_are_refused)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: node\r\n\r\n";
    int fd = rig_dial();
    char answer[512];

    ck_assert_int_eq(send(fd, text, sizeof text - 1, 0), sizeof text - 1);
    while (recv(fd, answer, sizeof answer, 0) > 0) {
    }
    (void)close(fd);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(a_truncated_frame_is_forgotten_with_its_connection)
{
    struct rig_client client;
    uint8_t part[100] = {0};

    put_u32(part, 5000);
    rig_connect(&client, "app");
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    ck_assert(rig_write(&client, part, sizeof part));
    rig_hang_up(&client);
    ck_assert(rig_alive());
}
END_TEST

START_TEST(a_frame_may_come_byte_by_byte_and_many_in_one_record)
{
    uint8_t *frame = NULL, *twice;
    struct rig_client client;
    Quadhsm__Ping ping;
    size_t size = 0;
    RIG_REQUEST(request);

    quadhsm__ping__init(&ping);
    request.op_case = QUADHSM__REQUEST__OP_PING;
    request.ping = &ping;
    ck_assert_int_eq(wire_pack(&request.base, &frame, &size), QH_OK);
    rig_connect(&client, "app");
    for (size_t i = 0; i < size; i++) {
        ck_assert(rig_write(&client, frame + i, 1));
    }
    twice = malloc(2 * size);
    memcpy(twice, frame, size);
    memcpy(twice + size, frame, size);
    ck_assert(rig_write(&client, twice, 2 * size));
    for (unsigned i = 0; i < 3; i++) {
        Quadhsm__Response *response = rig_receive(&client);

        ck_assert_ptr_nonnull(response);
        ck_assert_int_eq((int)response->error, QH_OK);
        quadhsm__response__free_unpacked(response, NULL);
    }
    free(twice);
    wire_free(frame, size);
    rig_hang_up(&client);
}
END_TEST

/* ---- Limits. */

START_TEST(a_connection_is_not_read_beyond_its_requests_under_way)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Slots slots;
    unsigned answers = 0;

    rig_connect(&client, "app");
    for (unsigned i = 0; i < SERVICE_IN_FLIGHT_MAX + 50; i++) {
        make_slots(&request, &slots, i + 1);
        ck_assert(rig_send(&client, &request));
    }
    ck_assert(rig_until_parked(SERVICE_IN_FLIGHT_MAX));
    ck_assert(rig_alive()); /* time for one more to be read, were it allowed */
    ck_assert_uint_eq(rig_parked(), SERVICE_IN_FLIGHT_MAX);
    rig_release();
    ck_assert(rig_until_parked(SERVICE_IN_FLIGHT_MAX + 50));
    rig_release();
    while (answers < SERVICE_IN_FLIGHT_MAX + 50) {
        Quadhsm__Response *response = rig_receive(&client);

        ck_assert_ptr_nonnull(response);
        quadhsm__response__free_unpacked(response, NULL);
        answers++;
    }
    ck_assert_int_eq(rig_ping(&client), QH_OK);
    rig_hang_up(&client);
}
END_TEST

START_TEST(requests_of_a_lost_connection_run_to_their_end)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Slots slots;

    rig_connect(&client, "app");
    for (unsigned i = 0; i < 10; i++) {
        make_slots(&request, &slots, i + 1);
        ck_assert(rig_send(&client, &request));
    }
    ck_assert(rig_until_parked(10));
    rig_hang_up(&client);
    ck_assert(rig_alive());
    rig_release();
    ck_assert(rig_alive());
}
END_TEST

START_TEST(connections_beyond_the_limit_are_closed)
{
    struct rig_client clients[4];

    for (unsigned i = 0; i < 4; i++) {
        rig_connect(&clients[i], "app");
        ck_assert_int_eq(rig_ping(&clients[i]), QH_OK);
    }
    {
        struct rig_client more;

        ck_assert(!rig_connect_as(&more, "app", WIRE_ALPN_CLIENT, "ca"));
        rig_hang_up(&more);
    }
    ck_assert(rig_logged("there are 4 connections already"));
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(rig_ping(&clients[i]), QH_OK);
    }
    rig_hang_up(&clients[0]);
    for (unsigned tries = 0;; tries++) { /* until the node has seen it */
        struct rig_client more;
        bool connected = rig_connect_as(&more, "app", WIRE_ALPN_CLIENT, "ca");

        rig_hang_up(&more);
        if (connected) {
            break;
        }
        ck_assert_uint_lt(tries, 1000);
    }
    for (unsigned i = 1; i < 4; i++) {
        rig_hang_up(&clients[i]);
    }
}
END_TEST

START_TEST(a_slow_handshake_is_given_up)
{
    static const uint8_t beginning[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01};
    int fd = rig_dial();
    char answer[16];

    ck_assert_int_eq(send(fd, beginning, sizeof beginning, 0), sizeof beginning);
    ck_assert_int_eq(recv(fd, answer, sizeof answer, 0), 0); /* not the time-out of 10 s: -1 */
    (void)close(fd);
    ck_assert(rig_logged("the handshake took too long"));
    ck_assert(rig_alive());
}
END_TEST

START_TEST(an_answer_above_the_frame_limit_is_an_error)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Endpoints endpoints;

    make_endpoints(&request, &endpoints, 9);
    rig_connect(&client, "app");
    atomic_store(&rig_answer_size, WIRE_FRAME_SIZE_MAX);
    ck_assert_int_eq(rig_call(&client, &request), QH_ELIMIT);
    atomic_store(&rig_answer_size, WIRE_FRAME_SIZE_MAX - 64);
    ck_assert_int_eq(rig_call(&client, &request), QH_OK);
    rig_hang_up(&client);
}
END_TEST

/* 200 answers of a megabyte, asked for before the first is read: the node must neither take the
 * memory for all of them nor forget to go on. */
START_TEST(a_client_that_reads_late_gets_all_its_answers)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Endpoints endpoints;

    rig_connect(&client, "app");
    atomic_store(&rig_answer_size, 1u << 20);
    for (unsigned i = 0; i < 200; i++) {
        make_endpoints(&request, &endpoints, i + 1);
        ck_assert(rig_send(&client, &request));
    }
    ck_assert(rig_alive());
    for (unsigned i = 0; i < 200; i++) {
        Quadhsm__Response *response = rig_receive(&client);

        ck_assert_ptr_nonnull(response);
        ck_assert_uint_eq(response->id, i + 1);
        quadhsm__response__free_unpacked(response, NULL);
    }
    rig_hang_up(&client);
}
END_TEST

/* ---- Waiting, and the end. */

START_TEST(a_request_waits_for_the_revision_that_its_client_has_seen)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Slots slots;

    make_slots(&request, &slots, 4);
    request.level = QUADHSM__LEVEL__LEVEL_SESSION;
    request.min_revision = store_revision(rig.store);
    rig_connect(&client, "app");
    ck_assert(rig_send(&client, &request));
    ck_assert(rig_until_parked(1));
    ck_assert_uint_eq(atomic_load(&rig_waits), 0);
    request.min_revision++;
    ck_assert(rig_send(&client, &request));
    ck_assert(rig_until_parked(2));
    ck_assert_uint_eq(atomic_load(&rig_waits), 1);
    request.min_revision = 0;
    request.level = QUADHSM__LEVEL__LEVEL_LINEARIZABLE;
    ck_assert(rig_send(&client, &request));
    ck_assert(rig_until_parked(3));
    ck_assert_uint_eq(atomic_load(&rig_waits), 2);
    rig_hang_up(&client);
}
END_TEST

START_TEST(who_is_revoked_while_waiting_is_refused)
{
    struct rig_client client;
    Quadhsm__Request request;
    Quadhsm__Slots slots;
    Quadhsm__Response *response;

    atomic_store(&rig_park_waits, true);
    make_slots(&request, &slots, 4);
    request.level = QUADHSM__LEVEL__LEVEL_LINEARIZABLE;
    rig_connect(&client, "app");
    ck_assert(rig_send(&client, &request));
    ck_assert(rig_until_parked(1));
    rig_revoke(1);
    rig_release();
    response = rig_receive(&client);
    ck_assert_ptr_nonnull(response);
    ck_assert_int_eq((int)response->error, QH_ENOTENROLLED);
    quadhsm__response__free_unpacked(response, NULL);
    rig_hang_up(&client);
}
END_TEST

START_TEST(stopping_answers_what_is_under_way_and_says_goodbye)
{
    struct rig_client client;
    Quadhsm__Response *response;
    Quadhsm__Request request;
    Quadhsm__Slots slots;

    rig_connect(&client, "app");
    make_slots(&request, &slots, 4);
    ck_assert(rig_send(&client, &request));
    ck_assert(rig_until_parked(1));
    rig_release();
    services_stop(rig.node.services);
    rig.node.services = NULL;
    response = rig_receive(&client);
    ck_assert_ptr_nonnull(response);
    ck_assert_uint_eq(response->id, 4);
    quadhsm__response__free_unpacked(response, NULL);
    ck_assert_ptr_null(rig_receive(&client));
    ck_assert_int_eq(SSL_get_shutdown(client.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    rig_hang_up(&client);
}
END_TEST

START_TEST(a_second_node_on_the_same_port_does_not_start)
{
    char ca[300], cert[300], key[300];
    struct service_tls tls = {.ca_file = ca, .cert_file = cert, .key_file = key};
    struct services *second = NULL;

    certs_path(ca, sizeof ca, rig.dir, "ca", "crt");
    certs_path(cert, sizeof cert, rig.dir, "alpha", "crt");
    certs_path(key, sizeof key, rig.dir, "alpha", "key");
    rig.config.client_listen.port = services_port(rig.node.services);
    ck_assert_int_eq(services_start(&rig.node, &tls, &second), QH_EEXIST);
    ck_assert_ptr_null(second);
    tls.key_file = ca;
    ck_assert_int_eq(services_start(&rig.node, &tls, &second), QH_ETLS);
    ck_assert(rig_logged("cannot use the private key"));
    ck_assert(rig_alive());
}
END_TEST

static void begin_small(void)
{
    rig_begin();
    rig.config.connections_max = 4;
    rig_start_workers(1);
    rig_start_services();
}

static TCase *add_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *group = tcase_create(name);

    tcase_add_checked_fixture(group, setup, end);
    tcase_set_timeout(group, 60);
    suite_add_tcase(suite, group);
    return group;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("service");
    TCase *group = add_case(suite, "requests", begin);

    tcase_add_test(group, an_enrolled_client_pings_and_draws_random_bytes);
    tcase_add_test(group, a_ping_tells_of_the_node);
    tcase_add_test(group, a_request_waits_for_the_revision_that_its_client_has_seen);
    tcase_add_test(group, who_is_revoked_while_waiting_is_refused);
    group = add_case(suite, "entry", begin);
    tcase_add_test(group, a_client_without_a_certificate_is_refused);
    tcase_add_test(group, a_certificate_of_another_authority_is_refused);
    tcase_add_test(group, an_expired_certificate_is_refused_though_it_is_enrolled);
    tcase_add_test(group, a_node_is_no_client);
    tcase_add_test(group, a_client_does_not_trust_a_node_of_another_authority);
    tcase_add_test(group, a_client_that_is_not_enrolled_is_told_so);
    tcase_add_test(group, a_client_is_refused_at_its_first_request_after_its_revocation);
    tcase_add_test(group, other_protocols_are_refused);
    tcase_add_test(group, older_versions_of_tls_are_refused);
    tcase_add_test(group, a_locked_node_answers_pings_alone);
    tcase_add_test(group, a_stopping_node_answers_pings_alone);
    tcase_add_test(group, a_joiner_without_a_certificate_may_join_and_nothing_else);
    tcase_add_test(group, joiners_are_counted_and_do_not_take_the_clients_place);
    group = add_case(suite, "frames", begin);
    tcase_add_test(group, an_empty_or_oversized_frame_is_told_and_ends_the_connection);
    tcase_add_test(group, who_is_not_enrolled_may_send_small_frames_alone);
    tcase_add_test(group, the_largest_frame_is_taken);
    tcase_add_test(group, random_bytes_end_their_connection_alone);
    tcase_add_test(group, bytes_that_are_no_tls_are_refused);
    tcase_add_test(group, a_truncated_frame_is_forgotten_with_its_connection);
    tcase_add_test(group, a_frame_may_come_byte_by_byte_and_many_in_one_record);
    group = add_case(suite, "limits", begin);
    tcase_add_test(group, a_connection_is_not_read_beyond_its_requests_under_way);
    tcase_add_test(group, requests_of_a_lost_connection_run_to_their_end);
    tcase_add_test(group, a_slow_handshake_is_given_up);
    tcase_add_test(group, an_answer_above_the_frame_limit_is_an_error);
    tcase_add_test(group, a_client_that_reads_late_gets_all_its_answers);
    group = add_case(suite, "few", begin_small);
    tcase_add_test(group, connections_beyond_the_limit_are_closed);
    group = add_case(suite, "stop", begin);
    tcase_add_test(group, stopping_answers_what_is_under_way_and_says_goodbye);
    tcase_add_test(group, a_second_node_on_the_same_port_does_not_start);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
