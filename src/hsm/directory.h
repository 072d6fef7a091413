/* Everything in the store but objects and answers, opened: settings, partitions with their keys,
 * roles and failed logins, clients, nodes. Built anew when one of these records changes; never
 * changes itself, so that threads read it without a lock. Pure. */
#ifndef QH_HSM_DIRECTORY_H
#define QH_HSM_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "crypto/password.h"
#include "hsm/keyring.h"
#include "hsm/object.h"
#include "store/store.h"

enum hsm_role { HSM_ROLE_NONE, HSM_ROLE_SO, HSM_ROLE_PO, HSM_ROLE_CO, HSM_ROLE_CU, HSM_ROLES };

struct directory_logins {
    uint32_t failed; /* of all clients */
    unsigned client_count;
    struct {
        uint8_t client[CLIENT_ID_SIZE];
        uint32_t failed;
    } clients[64]; /* the most recent ones */
    uint64_t blocked_until_unix_ms;
};

struct directory_role {
    char verifier[PASSWORD_VERIFIER_SIZE]; /* empty: no PIN */
    uint64_t epoch;
    struct directory_logins logins;
};

struct directory_partition {
    uint8_t id[PARTITION_ID_SIZE];
    char name[PARTITION_NAME_LENGTH_MAX + 1];
    char serial[17];
    uint64_t mod_revision;
    uint32_t tries, tries_total;
    bool claimable; /* and not claimed yet */
    uint64_t generation;
    enum object_export export;
    struct secret *key;
    struct directory_role roles[HSM_ROLES]; /* by enum hsm_role; PO, CO, CU */
};

struct directory_client {
    uint8_t id[CLIENT_ID_SIZE];
    uint8_t fingerprint[FINGERPRINT_SIZE];
    char name[CLIENT_NAME_LENGTH_MAX + 1];
    bool admin;
    uint64_t enrolled_unix_s;
    unsigned partition_count; /* 0: all */
    uint8_t partitions[PARTITIONS_MAX][PARTITION_ID_SIZE];
};

struct directory_node {
    uint64_t raft_id;
    char name[NODE_NAME_LENGTH_MAX + 1];
    char region[REGION_NAME_LENGTH_MAX + 1];
    bool witness;
    char peer_host[256], client_host[256];
    uint16_t peer_port, client_port;
};

struct directory {
    uint64_t revision; /* of the store it was built from */
    char cluster_name[64];
    unsigned partitions_max;
    struct directory_role so;
    unsigned partition_count, client_count, node_count;
    struct directory_partition *partitions; /* sorted by id */
    struct directory_client *clients;       /* sorted by fingerprint */
    struct directory_node *nodes;           /* sorted by raft id */
    uint64_t nodes_revision; /* highest mod_revision of a node's record, plus their count << 48 */
    unsigned damaged;        /* records that did not open; each is left out */
};

/* @keyring NULL: a locked node or a witness: nodes alone, unchecked.
 * Errors: QH_ENOMEM, QH_ESYSTEM. Owns: directory_free(). */
QH_RESULT directory_build(const struct keyring *keyring, const struct store *store,
                          struct directory **ret_directory);
void directory_free(struct directory *directory); /* NULL is allowed */

/* NULL if there is none. */
const struct directory_partition *directory_partition(const struct directory *directory,
                                                      const uint8_t id[PARTITION_ID_SIZE]);
const struct directory_partition *directory_partition_by_name(const struct directory *directory,
                                                              const char *name);
const struct directory_client *directory_client(const struct directory *directory,
                                                const uint8_t fingerprint[FINGERPRINT_SIZE]);
const struct directory_node *directory_node(const struct directory *directory, uint64_t raft_id);
bool directory_client_may(const struct directory_client *client,
                          const uint8_t partition[PARTITION_ID_SIZE]);

/* Does a change of this record concern the directory? (not o/ and r/, c/t/) */
bool directory_concerns(struct bytes record_key);

#endif
