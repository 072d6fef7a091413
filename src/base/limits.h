/* The named limits that more than one folder has to know. Each is checked
 * before memory is spent, and tested on both sides. */
#ifndef QH_BASE_LIMITS_H
#define QH_BASE_LIMITS_H

/* The record store (src/store). */
#define STORE_KEY_SIZE_MAX 256u          /* bytes; a key has at least one */
#define STORE_VALUE_SIZE_MAX 65536u      /* bytes; a value may be empty */
#define STORE_COMPARES_MAX 64u           /* a transaction */
#define STORE_WRITES_MAX 64u             /* a transaction */
#define STORE_TXN_SIZE_MAX 196608u       /* encoded, in bytes */
#define STORE_EXPIRES_AFTER_MAX 1000000u /* revisions */

/* Requests that happen once (raft-glue/propose). An answer record lives for
 * ONCE_EXPIRES_AFTER revisions; a proposal is refused by every replica once the
 * revision is ONCE_VALID_FOR past the one it was computed at. As long as the
 * first is at least twice the second, no stray copy of a proposal can be applied
 * after the record that would stop it has expired. */
#define ONCE_ID_SIZE 16u /* bytes */
#define ONCE_EXPIRES_AFTER 65536u
#define ONCE_VALID_FOR 32768u

/* The replicated log (raft-glue). */
#define ENTRY_SIZE_MAX 262144u             /* a log entry, in bytes; a multiple of 8 */
#define PROPOSE_PENDING_MAX 8192u          /* proposals a node waits for */
#define PROPOSE_QUEUE_SIZE_MAX (64u << 20) /* bytes waiting for an entry at the leader */
#define PROPOSE_ENTRIES_MAX 64u            /* entries appended and not yet applied */

/* Names and peers. */
#define NODE_NAME_LENGTH_MAX 63u /* characters: letters, digits, '-' and '.' */
#define NODES_MAX 16u            /* servers in a cluster, of every role */

/* What an HSM holds (src/hsm) and the client protocol carries (src/wire). */
#define PARTITION_ID_SIZE 16u
#define PARTITION_NAME_LENGTH_MAX 32u /* bytes: utf8_is_text(), no blank at either end */
#define PARTITIONS_DEFAULT 10u        /* a cluster's limit, unless it is set otherwise */
#define PARTITIONS_MAX 64u
#define OBJECT_ID_SIZE 16u
#define OBJECTS_MAX 1000000u      /* a partition */
#define ATTRIBUTES_MAX 64u        /* an object or template */
#define ATTRIBUTE_SIZE_MAX 32768u /* bytes; a certificate with its chain has room */
#define NESTED_ATTRIBUTES_MAX 32u /* in one CKA_WRAP_TEMPLATE or the like; no templates */
#define NESTED_SIZE_MAX 4096u     /* bytes of one, encoded */
#define CLIENT_ID_SIZE 16u
#define CLIENT_NAME_LENGTH_MAX 57u /* characters; "client:" and it are a common name of 64 */
#define CLIENTS_MAX 1000u
#define REGION_NAME_LENGTH_MAX 31u /* characters, as in node names */
#define PIN_SIZE_MIN 4u            /* bytes; SO passwords and passphrases: 8 */
#define PIN_SIZE_MAX 255u
#define PASSWORD_SIZE_MIN 8u
#define FINGERPRINT_SIZE 32u         /* SHA-256 of a certificate */
#define USE_DATA_SIZE_MAX 1048576u   /* bytes in one Use */
#define WRAPPED_SIZE_MAX 16384u      /* bytes of a wrapped key */
#define RANDOM_SIZE_MAX 65536u       /* bytes in one Random */
#define WIRE_FRAME_SIZE_MAX 2097152u /* bytes, either way, the length not counted */

#endif
