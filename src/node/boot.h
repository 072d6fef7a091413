/* What makes a node of an empty directory, and what it keeps there beside the replica's own:
 *
 *   DIR/boot          while init or join is under way; a start that finds it refuses
 *   DIR/tls/ca.crt  node.crt (with the authority behind it)  node.key
 *   DIR/cmk           the cluster key, sealed (hsm/cmk.h); not on a witness
 *   DIR/nodes         the nodes' addresses as last known
 *
 * Thread: any, one at a time. What is slow runs on a worker. */
#ifndef QH_NODE_BOOT_H
#define QH_NODE_BOOT_H

#include "base/err.h"
#include "base/secret.h"
#include "config/node_config.h"
#include "hsm/directory.h"

struct boot_paths {
    char *ca_cert, *node_cert, *node_key;
};
/* Errors: QH_ENOMEM. Owns: boot_paths_close(). */
QH_RESULT boot_paths(const char *dir, struct boot_paths *ret_paths);
void boot_paths_close(struct boot_paths *paths);

/* Is there a node, whole, with this configuration's name?
 * Errors: QH_ENOTFOUND (none: init or join), QH_EINVAL (an init or join was interrupted), those of
 *         identity_load(); each but the first logged with what to do. */
QH_RESULT boot_inspect(const struct node_config *config, uint8_t ret_cluster[16]);

/* The cluster key, opened with the key file; *ret_cmk NULL if the method is passphrase.
 * Errors: logged. */
QH_RESULT boot_load_cmk(const struct node_config *config, const uint8_t cluster[16],
                        struct secret **ret_cmk);
/* The same with a passphrase. Slow. Errors: QH_EPIN, and those of reading. */
QH_RESULT boot_open_cmk(const struct node_config *config, const uint8_t cluster[16],
                        const struct secret *passphrase, struct secret **ret_cmk);

/* Seal the cluster key with the configured method; makes the key file if there is none. Slow.
 * Errors: QH_EPINRANGE (a passphrase is needed), QH_EIO, ... *ret_detail says what to do. */
QH_RESULT boot_seal_cmk(const struct node_config *config, const uint8_t cluster[16],
                        const struct secret *cmk, const struct secret *passphrase,
                        struct bytes *ret_sealed, const char **ret_detail);

/* Begin a node's directory: the marker, the replica's identity. After an error there is nothing to
 * take back, and what was there before is as it was. Errors: QH_EEXIST, QH_EIO,
 * QH_EPERM, ... */
QH_RESULT boot_begin(const struct node_config *config, const uint8_t cluster[16],
                     uint64_t *ret_raft_id);
/* Write the rest but the addresses (control_members_save()). @sealed_cmk empty on a witness. @certs
 * DER. */
struct boot_files {
    struct bytes ca_cert, node_cert, sealed_cmk;
    const struct secret *node_key;
};
QH_RESULT boot_finish(const struct node_config *config, const struct boot_files *files);
/* It is a node now: remove the marker. */
QH_RESULT boot_commit(const struct node_config *config);
/* This node as its configuration has it. */
void boot_describe_self(const struct node_config *config, uint64_t raft_id,
                        struct directory_node *ret_node);
/* Take back what was done since boot_begin(), as long as no replica was started. */
void boot_undo(const struct node_config *config);

#endif
