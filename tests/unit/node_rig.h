/* What the tests of the client port share: a node with a real store, view, workers and services,
 * certificates, and clients that speak TLS to it. What it is not: a cluster. There is no control
 * thread; handlers that need one do here what a test wants of them. */
#ifndef QH_TESTS_UNIT_NODE_RIG_H
#define QH_TESTS_UNIT_NODE_RIG_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "hsm/object.h"
#include "node/handlers.h"
#include "node/node.h"
#include "node/service.h"
#include "node/workers.h"
#include "tests/unit/hsm_fixture.h"
#include "wire/frame.h"

#define RIG_PARKED_MAX 1024u

struct rig {
    char dir[256];
    struct node_config config;
    struct node node;
    struct keyring *keyring;
    struct store *store;
    uint8_t transactions; /* so far: each has an id of its own */
};

/* One for the process: handlers look here. */
extern struct rig rig;

/* Before anything else: store, view (unlocked), authority, and certificates of the node and of
 * "app" (client:app), which is enrolled for all partitions. The partition whose id is 7 all over
 * exists. */
void rig_begin(void);
void rig_end(void);
void rig_start_workers(unsigned threads);
/* Threads and the connections limit are in rig.config. */
void rig_start_services(void);

/* Certificates: DIR/FILE.crt and .key, and their fingerprint. */
void rig_make_client(const char *file, const char *common_name);
void rig_fingerprint(const char *file, uint8_t ret_fingerprint[FINGERPRINT_SIZE]);
/* The view sees it at once. @partition zero: all. */
void rig_enroll(const char *file, uint8_t id, bool admin, uint8_t partition);
void rig_revoke(uint8_t id);
void rig_lock(void); /* the view has no keyring */
void rig_unlock(void);
uint64_t rig_put_plain(const struct record_key *key, struct bytes value); /* returns the revision */

void rig_raise_epoch(void); /* as a change of co's PIN does */
void rig_set_pins(void);    /* po and cu get one too: tickets for them hold */

/* Keep one worker busy from now until rig_release_worker(). */
void rig_block_worker(void);
void rig_release_worker(void);

/* A ticket of "app" for @role in the partition 7. */
ProtobufCBinaryData rig_ticket(enum hsm_role role, bool context, uint8_t *room);
ProtobufCBinaryData rig_ticket_expired(enum hsm_role role, bool context, uint8_t *room);

/* Make a key and keep its halves as objects of the partition 7, whose ids are @id and @id + 1 all
 * over; a secret key is one object. @extra: attributes more, of the private or secret key. */
void rig_generate(CK_MECHANISM_TYPE mechanism, struct attributes template, struct attributes extra,
                  uint8_t id);
void rig_generate_ec(const uint8_t *curve, size_t curve_size, uint8_t id);
void rig_generate_rsa(unsigned bits, uint8_t id);
void rig_generate_aes(unsigned bytes, uint8_t id);
/* The same as a session object: sealed for the client. Owns: free(ret_sealed->base). */
void rig_session_aes(unsigned bytes, struct bytes *ret_sealed);
void rig_destroy(uint8_t id);
extern const uint8_t rig_p256[10], rig_p384[7];

/* A request without an operation and a connection. */
struct request *rig_request(void (*deliver)(struct request *request));

/* Requests that handle_slots() holds until they are released, and those that control_wait() was
 * called with. */
unsigned rig_parked(void);
void rig_release(void);
extern _Atomic unsigned rig_waits;
extern _Atomic bool rig_park_waits;
/* Bytes that handle_endpoints() answers with. */
extern _Atomic size_t rig_answer_size;
/* Wait until it is true, at most some seconds; false if it is not then. */
bool rig_until(bool (*condition)(void *data), void *data);
bool rig_until_parked(unsigned count); /* since the beginning, released ones too */

/* What of the log was seen. */
bool rig_logged(const char *text);

/* ---- A client. */

struct rig_client {
    int fd;
    SSL_CTX *tls;
    SSL *ssl;
};

/* A TCP connection. */
int rig_dial(void);
/* @file: certificate of the client, NULL for none. @alpn: NULL for none. @ca: file in DIR with the
 * authority that is believed. False if the handshake failed on this side. */
bool rig_connect_as(struct rig_client *client, const char *file, const char *alpn, const char *ca);
void rig_connect(struct rig_client *client, const char *file); /* must succeed */
void rig_hang_up(struct rig_client *client);
bool rig_write(struct rig_client *client, const void *base, size_t size);
/* False at the end of the connection. */
bool rig_read(struct rig_client *client, void *base, size_t size);
bool rig_send(struct rig_client *client, const Quadhsm__Request *request);
/* NULL at the end of the connection. Owns: quadhsm__response__free_unpacked(). */
Quadhsm__Response *rig_receive(struct rig_client *client);
/* Send, receive, and return the error; -1 at the end of the connection. */
int rig_call(struct rig_client *client, const Quadhsm__Request *request);
int rig_ping(struct rig_client *client); /* the error, or -1 */
/* A new client's Ping gets through. */
bool rig_alive(void);

/* A request to fill. */
#define RIG_REQUEST(name)            \
    Quadhsm__Request name;           \
    quadhsm__request__init(&(name)); \
    (name).id = 1

#endif
