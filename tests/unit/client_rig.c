/* The rig of the client's tests. */
#include "tests/unit/client_rig.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/lib/certs.h"
#include "wire/frame.h"

/* Children that make threads are what some cases are about. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define TSAN
#endif
#ifdef TSAN
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

char dir[256];
struct peer *peers[PEERS];
struct quadhsm *handle;
const char *const names[PEERS] = {"alpha", "beta", "gamma"};

void set_up(void)
{
    test_make_dir(dir, sizeof dir);
    certs_make_ca(dir);
    certs_make_subject(dir, "app", "client:app");
    for (unsigned i = 0; i < PEERS; i++) {
        certs_make_node(dir, names[i]);
        peers[i] = peer_start(&(struct peer_options){.dir = dir,
                                                     .certificate = names[i],
                                                     .node = names[i],
                                                     .region = i == 0 ? "east" : "west"});
    }
}

void tear_down(void)
{
    quadhsm_close(handle);
    handle = NULL;
    for (unsigned i = 0; i < PEERS; i++) {
        peer_stop(peers[i]);
    }
    test_remove_dir(dir);
}

struct client_config *config_for(unsigned count, const char *region)
{
    struct client_config *config = peer_config(dir, "app", peers, count);

    (void)snprintf(config->region, sizeof config->region, "%s", region);
    return config;
}

void open_handle(unsigned count)
{
    ck_assert_int_eq(client_open_config(config_for(count, "east"), &handle), QH_OK);
}

enum qh_err call_random(void)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Random random = QUADHSM__RANDOM__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    random.size = 4;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    err = client_call(handle, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    return err;
}

enum qh_err call_destroy(void)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Destroy destroy = QUADHSM__DESTROY__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    request.op_case = QUADHSM__REQUEST__OP_DESTROY;
    request.destroy = &destroy;
    err = client_call(handle, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    ck_assert_uint_eq(request.request_id.len, 0);
    return err;
}

enum qh_err call_use(uint64_t min_revision)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Use use = QUADHSM__USE__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    request.op_case = QUADHSM__REQUEST__OP_USE;
    request.use = &use;
    request.min_revision = min_revision;
    err = client_call(handle, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    return err;
}

void nap(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000u, .tv_nsec = (long)(ms % 1000u) * 1000000L};

    (void)nanosleep(&time, NULL);
}

bool probed(const char *node, enum quadhsm_readiness readiness)
{
    struct quadhsm_endpoint *list;
    size_t count;
    bool is = false;

    ck_assert_int_eq(quadhsm_endpoints(handle, false, &list, &count), QUADHSM_OK);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].node, node) == 0 && list[i].readiness == readiness) {
            is = true;
        }
    }
    free(list);
    return is;
}

void wait_all_ready(void)
{
    for (unsigned i = 0; i < PEERS; i++) {
        WAIT_UNTIL(probed(names[i], QUADHSM_READY));
    }
}

void be_patient(void)
{
    handle_lock(handle);
    for (unsigned i = 0; i < HEDGE_KINDS; i++) {
        handle->hedge.kinds[i] = (struct hedge_learnt){.measured = true, .service_ms = 1e6};
    }
    handle_unlock(handle);
}

void open_ready(unsigned count)
{
    open_handle(count);
    ck_assert_int_eq(call_random(), QH_OK);
    for (unsigned i = 0; i < count; i++) {
        WAIT_UNTIL(probed(names[i], QUADHSM_READY));
    }
    be_patient();
}
