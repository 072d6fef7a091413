/* Quadhsm's client library: keys of an HSM cluster, used through whichever node is nearest and
 * healthy.
 *
 * A handle (struct quadhsm) knows the cluster's nodes, measures them, keeps connections, and
 * repeats a call on another node when one does not answer. A token (struct quadhsm_token) is one
 * partition opened through a handle; a login belongs to the token, is a ticket and no PIN, and is
 * good on every node.
 *
 * Every function that can fail returns an enum quadhsm_error, 0 for success; out-parameters are
 * untouched on failure. quadhsm_error_detail() says more.
 *
 * Threads: everything may be called from any thread at any time, but close and free functions
 *   only when nobody uses the thing any more. Calls wait for the network, at most until the
 *   handle's timeout. The library installs no signal handler and writes nothing to stderr.
 * Fork: a child may go on using handles and tokens; it makes connections of its own. */
#ifndef QUADHSM_H
#define QUADHSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QUADHSM_API __attribute__((visibility("default")))
#else
#define QUADHSM_API
#endif

/* Numbers are stable, and the same as on the wire. */
enum quadhsm_error {
    QUADHSM_OK = 0,
    QUADHSM_ENOMEM = 1,
    QUADHSM_EINVAL = 2,
    QUADHSM_ELIMIT = 3,
    QUADHSM_ESYSTEM = 4,
    QUADHSM_ENOTFOUND = 10,
    QUADHSM_EEXIST = 11,
    QUADHSM_EUNKNOWN = 13, /* sent, and no answer seen from any node: it may have happened */
    QUADHSM_ETIMEOUT = 14,
    QUADHSM_EBUSY = 15,
    QUADHSM_ECONN = 17, /* no node can be reached */
    QUADHSM_ETLS = 18,
    QUADHSM_EPERM = 22,
    QUADHSM_EREFUSED = 23,
    QUADHSM_ELOCKED = 24,
    QUADHSM_ENOTENROLLED = 25,
    QUADHSM_EPIN = 26,
    QUADHSM_EPINLOCKED = 27,
    QUADHSM_EPINRANGE = 28,
    QUADHSM_ENOPIN = 29,
    QUADHSM_ETICKET = 30,
    QUADHSM_ENOLOGIN = 31,
    QUADHSM_ENOQUORUM = 32, /* keys can be used, changes cannot be made now */
    QUADHSM_ESTALE = 33,
    QUADHSM_ECONFLICT = 34,
    QUADHSM_EUNSUPPORTED = 35,
    QUADHSM_EMECHANISM = 36,
    QUADHSM_EPARAMETER = 37,
    QUADHSM_EKEYTYPE = 38,
    QUADHSM_EKEYUSE = 39,
    QUADHSM_EKEYSIZE = 40,
    QUADHSM_ECURVE = 41,
    QUADHSM_EDATA = 42,
    QUADHSM_EDATASIZE = 43,
    QUADHSM_ESIGNATURE = 44,
    QUADHSM_ESIGNATURESIZE = 45,
    QUADHSM_ECIPHERTEXT = 46,
    QUADHSM_ECIPHERTEXTSIZE = 47,
    QUADHSM_ETEMPLATE = 48,
    QUADHSM_EINCOMPLETE = 49,
    QUADHSM_EATTRIBUTE = 50,
    QUADHSM_EATTRVALUE = 51,
    QUADHSM_EREADONLY = 52,
    QUADHSM_EROOM = 53, /* the buffer is too small; *ret_size says how much is needed */
    QUADHSM_ECONFIG = 55,
    QUADHSM_EUNEXTRACTABLE = 56,
    QUADHSM_ENOTWRAPPABLE = 57, /* by its class, or CKA_WRAP_WITH_TRUSTED */
    QUADHSM_EWRAPPED = 58,
    QUADHSM_EWRAPPEDSIZE = 59,
    QUADHSM_EPOLICY = 60, /* quadhsm partition policy */
    QUADHSM_EWRAPTEMPLATE = 61
};

/* English, without a full stop; static. */
QUADHSM_API const char *quadhsm_error_message(int error);
/* What is known beyond that about this thread's last failed call, such as the file and line of a
 * wrong configuration or the nodes that were tried. Never NULL; valid until the thread's
 * next call. */
QUADHSM_API const char *quadhsm_error_detail(void);

/* ---- handle ---- */

struct quadhsm;

/* @config_file NULL: $QUADHSM_CONFIG, ~/.config/quadhsm/client.yaml, /etc/quadhsm/client.yaml.
 * Reads files; does not connect. Errors: ECONFIG, ETLS (certificates), ENOMEM, ESYSTEM. */
QUADHSM_API int quadhsm_open(const char *config_file, struct quadhsm **ret_handle);
/* All its tokens are closed already. */
QUADHSM_API void quadhsm_close(struct quadhsm *handle);

/* How fresh reads (find, attributes, partitions) must be. SESSION is the default: never older than
 * what this handle has seen already. */
enum quadhsm_level { QUADHSM_LOCAL = 0, QUADHSM_SESSION = 1, QUADHSM_LINEARIZABLE = 2 };
QUADHSM_API void quadhsm_set_level(struct quadhsm *handle, enum quadhsm_level level);
/* A call's deadline: 100 to 600,000 ms. Making an RSA pair gets time for the work on top: 60 s for
 * 2048 bits, 120 s for 3072, 240 s for 4096, 600 s for more; but only while a node that answers is
 * at it. Errors: EINVAL. */
QUADHSM_API int quadhsm_set_timeout(struct quadhsm *handle, unsigned timeout_ms);
/* Without it the library measures nodes inside calls, and needs no thread. Before the first call.
 */
QUADHSM_API void quadhsm_forbid_threads(struct quadhsm *handle);

enum quadhsm_readiness {
    QUADHSM_UNREACHABLE = -1,
    QUADHSM_UNINITIALIZED = 0,
    QUADHSM_LOCKED = 1,
    QUADHSM_READY = 2,
    QUADHSM_DRAINING = 3,
    QUADHSM_STALE = 4,
    QUADHSM_STARTING = 5
};
struct quadhsm_endpoint {
    char node[64];
    char region[32];
    char host[256];
    uint16_t port;
    enum quadhsm_readiness readiness;
    double round_trip_ms; /* smoothed; negative: not measured */
    double jitter_ms;
    uint64_t revision;
    uint64_t calls, failures; /* through this handle */
    bool preferred;           /* the next call goes here */
};
/* What the handle knows of the nodes; measures each of them first if @measure.
 * Owns: free() of *ret_list. Errors: ENOMEM. */
QUADHSM_API int quadhsm_endpoints(struct quadhsm *handle, bool measure,
                                  struct quadhsm_endpoint **ret_list, size_t *ret_count);

/* The highest revision that a node has told this handle of, with the answer to any call; no
 * network. Whatever this handle changed is in it. */
QUADHSM_API uint64_t quadhsm_revision(struct quadhsm *handle);

/* Which node answered this thread's last call, "" for none. */
QUADHSM_API const char *quadhsm_last_node(void);

/* ---- partitions and logins ---- */

#define QUADHSM_PARTITION_ID_SIZE 16
struct quadhsm_partition {
    uint8_t id[QUADHSM_PARTITION_ID_SIZE];
    char name[33];
    char serial[17];
    bool po_ready, co_ready, cu_ready; /* the role has a PIN */
    unsigned po_tries_left, po_tries, co_tries_left, co_tries, cu_tries_left, cu_tries;
    bool claimable; /* the first quadhsm_init_token() sets the PIN of po */
};
/* Those that this client may use, in an order that never changes.
 * Owns: free() of *ret_list. Errors: those of every call (below). */
QUADHSM_API int quadhsm_partitions(struct quadhsm *handle, struct quadhsm_partition **ret_list,
                                   size_t *ret_count);

struct quadhsm_token;
/* Every call that talks to the cluster may also fail with: ECONN, ETIMEOUT, EUNKNOWN (changes),
 * EBUSY, ELOCKED, ENOTENROLLED, ESTALE, ETLS, ENOMEM, ESYSTEM, EPERM; with a login ETICKET; changes
 * ENOQUORUM, ECONFLICT. */

/* By name or by id (16 bytes); no network. Errors: EINVAL, ENOMEM. */
QUADHSM_API int quadhsm_token_open(struct quadhsm *handle, const uint8_t *partition_id,
                                   struct quadhsm_token **ret_token);
/* Asks the cluster. Errors: ENOTFOUND. */
QUADHSM_API int quadhsm_token_open_name(struct quadhsm *handle, const char *name,
                                        struct quadhsm_token **ret_token);
QUADHSM_API void quadhsm_token_close(struct quadhsm_token *token);

enum quadhsm_role {
    QUADHSM_ROLE_NONE = 0,
    QUADHSM_PO = 2, /* PKCS#11 SO */
    QUADHSM_CO = 3, /* PKCS#11 user: makes, destroys and uses keys */
    QUADHSM_CU = 4  /* uses keys */
};
/* The PIN is sent to a node once, over TLS, and forgotten. Errors: EPIN, EPINLOCKED, ENOPIN,
 * EPINRANGE, EEXIST (logged in already).
 * The login is good for 7 days and renewed after a third of them by the handle's own thread, so
 * that it does not end while the process runs. Without that thread - they are forbidden, or the
 * process was forked and has made no call yet - calls renew it, and a process that makes none for
 * days has to log in again. */
QUADHSM_API int quadhsm_login(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                              size_t pin_size);
/* For keys with CKA_ALWAYS_AUTHENTICATE: proves the PIN for this thread's next use. */
QUADHSM_API int quadhsm_login_context(struct quadhsm_token *token, const void *pin,
                                      size_t pin_size);
QUADHSM_API void quadhsm_logout(struct quadhsm_token *token);
QUADHSM_API enum quadhsm_role quadhsm_token_role(struct quadhsm_token *token);

/* As po: the first PIN of a role, or a new one for it. As anybody: with the old one. */
QUADHSM_API int quadhsm_init_pin(struct quadhsm_token *token, enum quadhsm_role role,
                                 const void *pin, size_t pin_size);
QUADHSM_API int quadhsm_set_pin(struct quadhsm_token *token, enum quadhsm_role role,
                                const void *old_pin, size_t old_size, const void *new_pin,
                                size_t new_size);

/* C_InitToken: with the PIN of po, destroy every object of the partition, take the PINs of co and
 * cu away, and rename the partition if @label (1 to 32 characters) is not NULL. A partition that
 * was made to be claimed takes the PIN. Once. Errors: EPIN, EPINLOCKED, EPINRANGE, ENOPIN, EEXIST
 * (the name is taken). */
QUADHSM_API int quadhsm_init_token(struct quadhsm_token *token, const void *pin, size_t pin_size,
                                   const char *label);

/* ---- objects ---- */

/* PKCS#11 attributes (CKA_*). In values CK_ULONG is 8 bytes little-endian and CK_BBOOL one byte,
 * on every machine. CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE and CKA_DERIVE_TEMPLATE have attributes
 * sorted by type, none of them a template: each 8 bytes of type, 4 of size, and the value; at most
 * 32, and 4,096 bytes. */
struct quadhsm_attribute {
    uint64_t type;
    const void *value;
    size_t size;
};

#define QUADHSM_OBJECT_ID_SIZE 16
/* An object as it was last read. A token object has an id; a session object has none, but
 * @session, which holds all of it, sealed. */
struct quadhsm_object {
    uint8_t id[QUADHSM_OBJECT_ID_SIZE];
    const uint8_t *session;
    size_t session_size; /* 0: a token object */
    uint64_t revision;
    const struct quadhsm_attribute *attributes; /* all that may be read, sorted by type */
    size_t attribute_count;
    uint64_t
        created; /* its place in the order of objects, with its id; 0: it was not found or read */
};
/* Owns what it points to, too. NULL is allowed. */
QUADHSM_API void quadhsm_object_free(struct quadhsm_object *object);
QUADHSM_API void quadhsm_objects_free(struct quadhsm_object **list, size_t count);
/* NULL if it has none. */
QUADHSM_API const struct quadhsm_attribute *
quadhsm_object_attribute(const struct quadhsm_object *object, uint64_t type);

/* All objects that have these attributes (none: every object), in the order they were made.
 * @limit 0: all. Errors: EATTRVALUE. Owns: quadhsm_objects_free(). */
QUADHSM_API int quadhsm_find(struct quadhsm_token *token,
                             const struct quadhsm_attribute *attributes, size_t count, size_t limit,
                             struct quadhsm_object ***ret_list, size_t *ret_count);
/* Where an object stands, whether it is still there or not: a copy of its fields. */
struct quadhsm_place {
    uint8_t id[QUADHSM_OBJECT_ID_SIZE];
    uint64_t created; /* 0: not known; then an object that was destroyed long ago is no place */
};
/* One page of them, with one question to a node: at most @limit (0: as many as a node gives at
 * once), after the place @after (NULL: from the first one), where there need be no object any
 * more. *ret_more: ask again, after the last one of this page. Errors: EATTRVALUE. Owns:
 * quadhsm_objects_free(). */
QUADHSM_API int quadhsm_find_page(struct quadhsm_token *token,
                                  const struct quadhsm_attribute *attributes, size_t count,
                                  const struct quadhsm_place *after, size_t limit,
                                  struct quadhsm_object ***ret_list, size_t *ret_count,
                                  bool *ret_more);
/* Read again by id. Errors: ENOTFOUND. */
QUADHSM_API int quadhsm_read(struct quadhsm_token *token, const uint8_t id[QUADHSM_OBJECT_ID_SIZE],
                             struct quadhsm_object **ret_object);

/* A change happens once, however often the library had to send it. CKA_TOKEN false makes a session
 * object. Errors: ETEMPLATE, EINCOMPLETE, EATTRIBUTE, EATTRVALUE, EREADONLY, EKEYSIZE, ECURVE,
 * ELIMIT, ENOLOGIN; generate also EMECHANISM, EPARAMETER. */
QUADHSM_API int quadhsm_create(struct quadhsm_token *token,
                               const struct quadhsm_attribute *attributes, size_t count,
                               struct quadhsm_object **ret_object);
struct quadhsm_mechanism {
    uint64_t type;      /* CKM_* */
    uint64_t hash, mgf; /* PSS, OAEP */
    uint32_t salt_size; /* PSS, bytes */
    uint32_t tag_bits;  /* GCM */
    const void *iv;
    size_t iv_size;
    const void *aad; /* GCM */
    size_t aad_size;
    const void *label; /* OAEP */
    size_t label_size;
    uint32_t counter_bits;   /* CTR: 1 to 128; 0: 128 */
    uint32_t key_bits;       /* RSA_AES_KEY_WRAP: of the AES key, 128, 192 or 256 */
    uint64_t kdf;            /* ECDH: CKD_NULL or CKD_SHA*_KDF */
    const void *public_data; /* ECDH: the other side's point, raw or in an OCTET STRING */
    size_t public_data_size;
    const void *shared_data; /* ECDH with a KDF */
    size_t shared_data_size;
    bool extract, expand; /* HKDF, with @hash */
    const void *hkdf_salt;
    size_t hkdf_salt_size;
    const struct quadhsm_object *hkdf_salt_key; /* instead, or NULL */
    const void *info;                           /* HKDF */
    size_t info_size;
};
QUADHSM_API int quadhsm_generate(struct quadhsm_token *token,
                                 const struct quadhsm_mechanism *mechanism,
                                 const struct quadhsm_attribute *attributes, size_t count,
                                 struct quadhsm_object **ret_object);
QUADHSM_API int
quadhsm_generate_pair(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                      const struct quadhsm_attribute *public_attributes, size_t public_count,
                      const struct quadhsm_attribute *private_attributes, size_t private_count,
                      struct quadhsm_object **ret_public, struct quadhsm_object **ret_private);
QUADHSM_API int quadhsm_set_attributes(struct quadhsm_token *token,
                                       const struct quadhsm_object *object,
                                       const struct quadhsm_attribute *attributes, size_t count,
                                       struct quadhsm_object **ret_object);
QUADHSM_API int quadhsm_copy(struct quadhsm_token *token, const struct quadhsm_object *object,
                             const struct quadhsm_attribute *attributes, size_t count,
                             struct quadhsm_object **ret_object);
QUADHSM_API int quadhsm_destroy(struct quadhsm_token *token,
                                const uint8_t id[QUADHSM_OBJECT_ID_SIZE]);

/* ---- use ---- */

/* One complete operation on a key; up to 1 MiB of data. *ret_size is what was written, or with
 * EROOM what is needed. Errors: EROOM, EMECHANISM, EPARAMETER, EKEYTYPE, EKEYUSE, ENOTFOUND,
 * ENOLOGIN, sign: EDATA, EDATASIZE; verify: ESIGNATURE, ESIGNATURESIZE; decrypt: ECIPHERTEXT,
 * ECIPHERTEXTSIZE. */
QUADHSM_API int quadhsm_sign(struct quadhsm_token *token, const struct quadhsm_object *key,
                             const struct quadhsm_mechanism *mechanism, const void *data,
                             size_t data_size, void *signature, size_t room, size_t *ret_size);
QUADHSM_API int quadhsm_verify(struct quadhsm_token *token, const struct quadhsm_object *key,
                               const struct quadhsm_mechanism *mechanism, const void *data,
                               size_t data_size, const void *signature, size_t signature_size);
QUADHSM_API int quadhsm_encrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                                const struct quadhsm_mechanism *mechanism, const void *data,
                                size_t data_size, void *out, size_t room, size_t *ret_size);
QUADHSM_API int quadhsm_decrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                                const struct quadhsm_mechanism *mechanism, const void *data,
                                size_t data_size, void *out, size_t room, size_t *ret_size);

/* ---- keys under keys ---- */

/* @key leaves, wrapped by @wrapping: a secret key as its bytes, a private key as PKCS#8 DER.
 * *ret_size as in quadhsm_sign(). Errors: those of use, and EUNEXTRACTABLE, ENOTWRAPPABLE,
 * EPOLICY, EWRAPTEMPLATE (CKA_WRAP_TEMPLATE of @wrapping), EKEYSIZE. (PKCS#11 v3.0, 5.18.3) */
QUADHSM_API int quadhsm_wrap(struct quadhsm_token *token, const struct quadhsm_object *wrapping,
                             const struct quadhsm_mechanism *mechanism,
                             const struct quadhsm_object *key, void *out, size_t room,
                             size_t *ret_size);
/* A wrapped key comes in, with these attributes and those of @unwrapping's CKA_UNWRAP_TEMPLATE,
 * which must not contradict each other; once. What is to be a token object must say so here.
 * Errors: those of create, and EWRAPPED, EWRAPPEDSIZE, EMECHANISM, EPARAMETER, EKEYTYPE, EKEYUSE.
 * (5.18.4) */
QUADHSM_API int quadhsm_unwrap(struct quadhsm_token *token, const struct quadhsm_object *unwrapping,
                               const struct quadhsm_mechanism *mechanism, const void *wrapped,
                               size_t wrapped_size, const struct quadhsm_attribute *attributes,
                               size_t count, struct quadhsm_object **ret_object);
/* The same with CKA_DERIVE_TEMPLATE. Errors: those of create, and EMECHANISM, EPARAMETER, EKEYTYPE,
 * EKEYUSE, EKEYSIZE. (5.18.5) */
QUADHSM_API int quadhsm_derive(struct quadhsm_token *token, const struct quadhsm_object *base,
                               const struct quadhsm_mechanism *mechanism,
                               const struct quadhsm_attribute *attributes, size_t count,
                               struct quadhsm_object **ret_object);

/* 1 to 65,536 bytes. */
QUADHSM_API int quadhsm_random(struct quadhsm *handle, void *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
