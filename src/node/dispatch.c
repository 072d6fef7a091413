/* Who may ask for what, and the way to its handler. */
#include "node/dispatch.h"

#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "node/control.h"
#include "node/handlers.h"
#include "node/node.h"
#include "node/shape.h"

enum { FROM_CLIENT = 1 << 0, FROM_JOINER = 1 << 1, FROM_CONTROL = 1 << 2 };

#define ROLE(role) (1u << HSM_ROLE_##role)

enum rule_partition {
    PARTITION_IGNORED,
    PARTITION_MAY,  /* if one is named, the client must be admitted to it */
    PARTITION_MUST, /* one is named, and the client is admitted to it */
};

struct rule {
    void (*handle)(struct request *request);
    unsigned from;
    enum rule_partition partition;
    unsigned roles; /* a ticket of one of these is needed; 0: none */
    bool looks;     /* a ticket is looked at, though none is needed */
    bool admin;     /* only a client that is enrolled as administrator */
    bool waits;     /* until min_revision is here; reads also for a linearizable one */
    bool change;
    bool locked; /* works without the cluster key, and on a node that is stopping or stale */
};

/* Which role may make or change an object depends on the object: object_scene.c. */
static const struct rule rules[] = {
    [QUADHSM__REQUEST__OP_PING] = {handle_ping, FROM_CLIENT | FROM_CONTROL, .locked = true},
    [QUADHSM__REQUEST__OP_ENDPOINTS] = {.handle = handle_endpoints, .from = FROM_CLIENT},
    [QUADHSM__REQUEST__OP_SLOTS] = {handle_slots, FROM_CLIENT, .waits = true},
    [QUADHSM__REQUEST__OP_LOGIN] = {handle_login, FROM_CLIENT, PARTITION_MAY, .waits = true},
    [QUADHSM__REQUEST__OP_RANDOM] = {.handle = handle_random, .from = FROM_CLIENT},

    [QUADHSM__REQUEST__OP_FIND] = {handle_find, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                   .waits = true},
    [QUADHSM__REQUEST__OP_CREATE] = {handle_create, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                     .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_GENERATE] = {handle_generate, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                       .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_DESTROY] = {handle_destroy, FROM_CLIENT, PARTITION_MUST,
                                      ROLE(CO) | ROLE(PO), .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_SET_ATTRIBUTES] = {handle_set_attributes, FROM_CLIENT, PARTITION_MUST,
                                             .looks = true, .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_COPY] = {handle_copy, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                   .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_USE] = {handle_use, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                  .waits = true},

    [QUADHSM__REQUEST__OP_WRAP] = {handle_wrap, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                   .waits = true},
    [QUADHSM__REQUEST__OP_UNWRAP] = {handle_unwrap, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                     .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_DERIVE] = {handle_derive, FROM_CLIENT, PARTITION_MUST, .looks = true,
                                     .waits = true, .change = true},

    [QUADHSM__REQUEST__OP_ROLE_INIT] = {handle_role_init, FROM_CLIENT, PARTITION_MUST,
                                        ROLE(SO) | ROLE(PO), .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_ROLE_PASSWD] = {handle_role_passwd, FROM_CLIENT, PARTITION_MAY,
                                          .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_ROLE_UNLOCK] = {handle_role_unlock, FROM_CLIENT, PARTITION_MUST,
                                          ROLE(SO) | ROLE(PO), .waits = true, .change = true},

    [QUADHSM__REQUEST__OP_PARTITION_INIT] = {handle_partition_init, FROM_CLIENT, PARTITION_MUST,
                                             .waits = true, .change = true},

    [QUADHSM__REQUEST__OP_PARTITION_CREATE] = {handle_partition_create, FROM_CLIENT,
                                               PARTITION_IGNORED, ROLE(SO), .admin = true,
                                               .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_PARTITION_DELETE] = {handle_partition_delete, FROM_CLIENT,
                                               PARTITION_IGNORED, ROLE(SO), .admin = true,
                                               .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_PARTITION_POLICY] = {handle_partition_policy, FROM_CLIENT,
                                               PARTITION_IGNORED, ROLE(SO), .admin = true,
                                               .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_PARTITION_LIST] = {handle_partition_list, FROM_CLIENT, .admin = true,
                                             .waits = true},
    [QUADHSM__REQUEST__OP_CLIENT_ENROLL] = {handle_client_enroll, FROM_CLIENT, PARTITION_IGNORED,
                                            ROLE(SO), .admin = true, .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_CLIENT_REVOKE] = {handle_client_revoke, FROM_CLIENT, PARTITION_IGNORED,
                                            ROLE(SO), .admin = true, .waits = true, .change = true},
    [QUADHSM__REQUEST__OP_CLIENT_LIST] = {handle_client_list, FROM_CLIENT, .admin = true,
                                          .waits = true},
    [QUADHSM__REQUEST__OP_CLUSTER_STATUS] = {.handle = handle_cluster_status,
                                             .from = FROM_CLIENT | FROM_CONTROL},
    [QUADHSM__REQUEST__OP_TOKEN_CREATE] = {handle_token_create, FROM_CLIENT, PARTITION_IGNORED,
                                           ROLE(SO), .admin = true, .waits = true, .change = true},

    [QUADHSM__REQUEST__OP_NODE_STATUS] = {handle_node_status, FROM_CONTROL, .locked = true},
    [QUADHSM__REQUEST__OP_NODE_INIT] = {handle_node_init, FROM_CONTROL, .locked = true},
    [QUADHSM__REQUEST__OP_NODE_JOIN] = {handle_node_join, FROM_CONTROL, .locked = true},
    [QUADHSM__REQUEST__OP_NODE_UNLOCK] = {handle_node_unlock, FROM_CONTROL, .locked = true},
    [QUADHSM__REQUEST__OP_JOIN] = {.handle = handle_join, .from = FROM_JOINER},
};

static const struct rule *rule_of(const struct request *request)
{
    size_t index = (size_t)request->message->op_case;

    return index < sizeof rules / sizeof rules[0] && rules[index].handle != NULL ? &rules[index]
                                                                                 : NULL;
}

static unsigned origin_bit(enum request_origin origin)
{
    switch (origin) {
    case REQUEST_FROM_CLIENT:
        return FROM_CLIENT;
    case REQUEST_FROM_JOINER:
        return FROM_JOINER;
    case REQUEST_FROM_CONTROL:
        return FROM_CONTROL;
    }
    return 0;
}

/* ---- Who asks. All of it inside view_enter(). */

struct verdict {
    enum qh_err err;
    const char *detail; /* what the user can do, or NULL */
};

static struct verdict allowed(void)
{
    return (struct verdict){QH_OK, NULL};
}

static struct verdict refused(enum qh_err err, const char *detail)
{
    return (struct verdict){err, detail};
}

/* Can this node serve anything but a Ping? */
static struct verdict check_node(const struct node *node)
{
    switch (atomic_load_explicit(&node->readiness, memory_order_relaxed)) {
    case QUADHSM__READINESS__READINESS_DRAINING:
        return refused(QH_ECANCELED, "the node is stopping: ask another one");
    case QUADHSM__READINESS__READINESS_STALE:
        return refused(QH_ESTALE, "the node has not heard from the others for too long");
    case QUADHSM__READINESS__READINESS_STARTING:
        return refused(QH_EBUSY, "the node is still reading its log: ask another one");
    case QUADHSM__READINESS__READINESS_UNINITIALIZED:
        return refused(QH_EUNINITIALIZED, NULL);
    default:
        break;
    }
    if (view_keyring(node->view) == NULL) {
        return refused(QH_ELOCKED, "ask another node, or run quadhsm node unlock on this one");
    }
    return allowed();
}

static struct verdict check_client(struct request *request,
                                   const struct directory_client **ret_client)
{
    const struct directory *directory = view_directory(request->node->view);
    const struct directory_client *client = directory_client(directory, request->fingerprint);

    request->cache->enrolled = client != NULL;
    if (client == NULL) {
        return refused(QH_ENOTENROLLED, "an administrator can enroll it: quadhsm client enroll");
    }
    memcpy(request->client, client->id, sizeof request->client);
    memcpy(request->client_name, client->name, sizeof request->client_name);
    request->admin = client->admin;
    *ret_client = client;
    return allowed();
}

/* Opened before, against this very directory, and still in time? */
static bool cache_holds(const struct dispatch_cache *cache, const struct directory *directory,
                        struct bytes sealed, uint64_t now_unix_ms)
{
    return cache->sealed_size == sealed.size && cache->directory == directory &&
           cache->revision == directory->revision &&
           sodium_memcmp(cache->sealed, sealed.base, sealed.size) == 0 &&
           now_unix_ms < cache->ticket.expires_unix_ms;
}

static QH_RESULT open_ticket(struct request *request)
{
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    struct dispatch_cache *cache = request->cache;
    struct bytes sealed = {request->message->ticket.data, request->message->ticket.len};
    uint64_t now_unix_ms = clock_unix_ms();
    enum qh_err err;

    if (!cache_holds(cache, directory, sealed, now_unix_ms)) {
        cache->sealed_size = 0;
        err = ticket_open(view_keyring(view), directory, sealed, request->fingerprint, now_unix_ms,
                          &cache->ticket);
        if (err != QH_OK) {
            return err;
        }
        memcpy(cache->sealed, sealed.base, sealed.size);
        cache->sealed_size = sealed.size;
        cache->directory = directory;
        cache->revision = directory->revision;
    }
    request->ticket = cache->ticket;
    return QH_OK;
}

static struct verdict check_ticket(struct request *request, const struct rule *rule)
{
    ProtobufCBinaryData partition = request->message->partition;
    const struct ticket *ticket = &request->ticket;

    if (request->message->ticket.len == 0) {
        return rule->roles == 0 ? allowed() : refused(QH_ENOLOGIN, NULL);
    }
    if (open_ticket(request) != QH_OK) {
        return refused(QH_ETICKET, NULL);
    }
    /* What proves the PIN for one operation is no login. */
    if (ticket->context) {
        return refused(QH_ETICKET, NULL);
    }
    if (ticket->role != HSM_ROLE_SO &&
        (partition.len != PARTITION_ID_SIZE ||
         memcmp(partition.data, ticket->partition, PARTITION_ID_SIZE) != 0)) {
        return refused(QH_ETICKET, "the login is for another partition");
    }
    if (rule->roles != 0 && (rule->roles & (1u << ticket->role)) == 0) {
        return refused(QH_EPERM, "another role may do this: log in as that");
    }
    return allowed();
}

static struct verdict check_partition(const struct request *request, const struct rule *rule,
                                      const struct directory_client *client)
{
    const struct directory *directory = view_directory(request->node->view);
    const ProtobufCBinaryData *partition = &request->message->partition;

    if (rule->partition == PARTITION_IGNORED ||
        (rule->partition == PARTITION_MAY && partition->len == 0)) {
        return allowed();
    }
    if (partition->len == 0) {
        return refused(QH_EINVAL, "a partition must be named");
    }
    /* Not to be told apart: who is not admitted need not know what there is. */
    if (!directory_client_may(client, partition->data) ||
        directory_partition(directory, partition->data) == NULL) {
        return refused(QH_ENOTFOUND, "there is no such partition for this client");
    }
    return allowed();
}

static struct verdict authorize(struct request *request, const struct rule *rule)
{
    const struct directory_client *client = NULL;
    struct verdict verdict = check_node(request->node);

    if (verdict.err != QH_OK) {
        /* A locked node knows no client: a certificate of the authority is all it can ask for. */
        return rule->locked ? allowed() : verdict;
    }
    if (request->origin == REQUEST_FROM_JOINER) {
        return allowed(); /* its token is checked by the handler */
    }
    verdict = check_client(request, &client);
    if (verdict.err == QH_OK && rule->admin && !client->admin) {
        verdict = refused(QH_EPERM, "only for clients that are enrolled as administrators");
    }
    if (verdict.err == QH_OK) {
        verdict = check_partition(request, rule, client);
    }
    if (verdict.err == QH_OK && (rule->roles != 0 || rule->looks)) {
        verdict = check_ticket(request, rule);
    }
    return verdict;
}

/* ---- The way. */

static void run(struct request *request)
{
    const struct rule *rule = rule_of(request);
    struct verdict verdict;

    view_enter();
    verdict = authorize(request, rule);
    view_leave();
    if (verdict.err != QH_OK) {
        request_answer(request, verdict.err, verdict.detail);
        return;
    }
    rule->handle(request);
}

/* Only who is enrolled may make the control thread wait for a revision. */
static bool may_wait(struct request *request)
{
    const struct directory_client *client = NULL;
    struct verdict verdict;

    view_enter();
    verdict = check_node(request->node);
    if (verdict.err == QH_OK) {
        verdict = check_client(request, &client);
    }
    view_leave();
    if (verdict.err != QH_OK) {
        request_answer(request, verdict.err, verdict.detail);
    }
    return verdict.err == QH_OK;
}

/* A change is computed against the newest state anyhow; it only has to know what its client knows.
 */
static bool must_wait(const struct request *request, const struct rule *rule)
{
    const Quadhsm__Request *message = request->message;

    if (!rule->waits || message->level == QUADHSM__LEVEL__LEVEL_LOCAL) {
        return false;
    }
    return message->min_revision > view_revision(request->node->view) ||
           (message->level == QUADHSM__LEVEL__LEVEL_LINEARIZABLE && !rule->change);
}

void dispatch_begin(struct request *request)
{
    const Quadhsm__Request *message = request->message;
    const struct rule *rule = rule_of(request);
    const char *detail = NULL;
    enum qh_err err = shape_check(message, &detail);

    if (err != QH_OK) {
        request_answer(request, err, detail);
    } else if (rule == NULL) {
        request_answer(request, QH_EUNSUPPORTED, "this node does not know the operation");
    } else if ((rule->from & origin_bit(request->origin)) == 0) {
        request_answer(request, QH_EPERM, "this operation is not for this way of asking");
    } else if (request->origin == REQUEST_FROM_CONTROL) {
        rule->handle(request);
    } else if (!must_wait(request, rule)) {
        run(request);
    } else if (may_wait(request)) {
        control_wait(request, message->min_revision,
                     message->level == QUADHSM__LEVEL__LEVEL_LINEARIZABLE && !rule->change, run);
    }
}

bool dispatch_enrolled(const struct node *node, const uint8_t fingerprint[FINGERPRINT_SIZE])
{
    bool enrolled;

    view_enter();
    enrolled = view_keyring(node->view) != NULL &&
               directory_client(view_directory(node->view), fingerprint) != NULL;
    view_leave();
    return enrolled;
}
