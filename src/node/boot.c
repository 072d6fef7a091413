/* A node's directory: made by init or join, opened at the start. */
#include "node/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/log.h"
#include "crypto/pki.h"
#include "hsm/cmk.h"
#include "hsm/keyring.h"
#include "raft-glue/diskio.h"
#include "raft-glue/identity.h"
#include "raft-glue/replica.h"

#define MARKER_FILE "boot"
#define CMK_FILE_NAME "cmk"
#define TLS_DIR "tls"
#define CMK_FILE_SIZE_MAX 4096u   /* bytes */
#define UNLOCK_FILE_SIZE_MAX 512u /* bytes */
#define UNLOCK_KEY_SIZE 32u       /* bytes, in the file as 64 hex digits and a newline */

QH_RESULT boot_paths(const char *dir, struct boot_paths *ret_paths)
{
    struct boot_paths paths = {0};

    if (asprintf(&paths.ca_cert, "%s/" TLS_DIR "/ca.crt", dir) < 0 ||
        asprintf(&paths.node_cert, "%s/" TLS_DIR "/node.crt", dir) < 0 ||
        asprintf(&paths.node_key, "%s/" TLS_DIR "/node.key", dir) < 0) {
        boot_paths_close(&paths);
        return QH_ENOMEM;
    }
    *ret_paths = paths;
    return QH_OK;
}

void boot_paths_close(struct boot_paths *paths)
{
    free(paths->ca_cert);
    free(paths->node_cert);
    free(paths->node_key);
    *paths = (struct boot_paths){0};
}

/* Is there anything here that only a node has? */
static bool holds_node(const char *dir)
{
    static const char *const files[] = {"identity", CMK_FILE_NAME, "nodes", TLS_DIR, "raft"};
    bool found = false;
    int dir_fd;

    if (diskio_open_dir(dir, NULL, &dir_fd) != QH_OK) {
        return false;
    }
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
        found = found || faccessat(dir_fd, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    (void)close(dir_fd);
    return found;
}

QH_RESULT boot_inspect(const struct node_config *config, uint8_t ret_cluster[16])
{
    struct identity identity;
    char *marker;
    bool interrupted;
    enum qh_err err;

    if (asprintf(&marker, "%s/" MARKER_FILE, config->data) < 0) {
        return QH_ENOMEM;
    }
    interrupted = access(marker, F_OK) == 0;
    free(marker);
    if (interrupted) {
        log_error("node cannot start: an init or join of it was interrupted dir=%s; remove the "
                  "directory, then init or join again",
                  config->data);
        return QH_EINVAL;
    }
    err = identity_load(config->data, &identity);
    if (err == QH_OK) {
        memcpy(ret_cluster, identity.cluster, sizeof identity.cluster);
    } else if (err == QH_ENOTFOUND && holds_node(config->data)) {
        log_error("node cannot start: its identity file is missing and the rest of it is there "
                  "dir=%s; restore the file, or move the directory away and join as a new node",
                  config->data);
        err = QH_ECORRUPT;
    } else if (err != QH_ENOTFOUND) {
        log_error("node cannot start: its identity cannot be read: %s dir=%s", err_message(err),
                  config->data);
    }
    return err;
}

/* ---- the cluster key on the disk ---- */

static QH_RESULT read_path(const char *path, size_t size_max, uint8_t **ret_base, size_t *ret_size)
{
    return diskio_read(AT_FDCWD, path, size_max, ret_base, ret_size);
}

static QH_RESULT parse_unlock_key(const uint8_t *text, size_t size, struct secret **ret_key)
{
    struct secret *key = NULL;
    size_t length = size;
    size_t decoded = 0;
    enum qh_err err;

    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    err = secret_new(UNLOCK_KEY_SIZE, &key);
    if (err != QH_OK) {
        return err;
    }
    if (sodium_hex2bin(secret_bytes(key), UNLOCK_KEY_SIZE, (const char *)text, length, NULL,
                       &decoded, NULL) != 0 ||
        decoded != UNLOCK_KEY_SIZE || length != 2 * UNLOCK_KEY_SIZE) {
        secret_free(key);
        return QH_EMALFORMED;
    }
    *ret_key = key;
    return QH_OK;
}

/* Nobody but its owner may read the key file: else the seal is worth nothing. */
static QH_RESULT check_mode(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return err_from_errno(errno);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        log_error("the key file is open to others: file=%s mode=%o; make it private: chmod 0400",
                  path, (unsigned)(status.st_mode & 07777));
        return QH_EPERM;
    }
    return QH_OK;
}

static QH_RESULT read_unlock_file(const char *path, struct secret **ret_key)
{
    uint8_t *text = NULL;
    size_t size = 0;
    enum qh_err err = check_mode(path);

    if (err == QH_OK) {
        err = read_path(path, UNLOCK_FILE_SIZE_MAX, &text, &size);
    }
    if (err == QH_OK) {
        err = parse_unlock_key(text, size, ret_key);
        sodium_memzero(text, size);
        free(text);
        if (err == QH_EMALFORMED) {
            log_error("the key file must hold 64 hex digits: file=%s", path);
        }
    }
    return err;
}

/* O_EXCL: an existing key file is somebody's, and is used, never overwritten. */
static QH_RESULT make_unlock_file(const char *path)
{
    char text[2 * UNLOCK_KEY_SIZE + 2];
    uint8_t key[UNLOCK_KEY_SIZE];
    enum qh_err err = QH_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

    if (fd < 0) {
        return err_from_errno(errno);
    }
    randombytes_buf(key, sizeof key);
    (void)sodium_bin2hex(text, 2 * UNLOCK_KEY_SIZE + 1, key, sizeof key);
    text[2 * UNLOCK_KEY_SIZE] = '\n';
    if (write(fd, text, 2 * UNLOCK_KEY_SIZE + 1) != (ssize_t)(2 * UNLOCK_KEY_SIZE + 1) ||
        fsync(fd) != 0) {
        err = QH_EIO;
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    (void)close(fd);
    if (err != QH_OK) {
        (void)unlink(path); /* half a key is nobody's, and would be in the way for ever */
    }
    return err;
}

static QH_RESULT read_sealed(const struct node_config *config, uint8_t **ret_base, size_t *ret_size)
{
    char *path;
    enum qh_err err;

    if (asprintf(&path, "%s/" CMK_FILE_NAME, config->data) < 0) {
        return QH_ENOMEM;
    }
    err = read_path(path, CMK_FILE_SIZE_MAX, ret_base, ret_size);
    if (err != QH_OK) {
        log_error("cannot read the sealed cluster key: %s file=%s; restore it, or remove the "
                  "directory and join again as a new node",
                  err_message(err), path);
    }
    free(path);
    return err;
}

static QH_RESULT open_sealed(const struct node_config *config, const uint8_t cluster[16],
                             const struct secret *unlock, struct secret **ret_cmk)
{
    uint8_t *base = NULL;
    size_t size = 0;
    enum qh_err err = read_sealed(config, &base, &size);

    if (err == QH_OK) {
        err = cmk_open(unlock, cluster, (struct bytes){base, size}, ret_cmk);
        free(base);
    }
    return err;
}

QH_RESULT boot_load_cmk(const struct node_config *config, const uint8_t cluster[16],
                        struct secret **ret_cmk)
{
    struct secret *unlock = NULL;
    enum qh_err err;

    if (config->unlock == CONFIG_UNLOCK_PASSPHRASE) {
        *ret_cmk = NULL;
        log_info("locked: waiting for the passphrase: quadhsm node unlock --control %s",
                 config->control);
        return QH_OK;
    }
    err = read_unlock_file(config->unlock_file, &unlock);
    if (err == QH_OK) {
        err = open_sealed(config, cluster, unlock, ret_cmk);
    }
    secret_free(unlock);
    if (err != QH_OK) {
        log_error("cannot unlock the node: %s key_file=%s; it needs the key file that the node "
                  "was made with",
                  err_message(err), config->unlock_file);
    }
    return err;
}

QH_RESULT boot_open_cmk(const struct node_config *config, const uint8_t cluster[16],
                        const struct secret *passphrase, struct secret **ret_cmk)
{
    return open_sealed(config, cluster, passphrase, ret_cmk);
}

static QH_RESULT seal_with_file(const struct node_config *config, const uint8_t cluster[16],
                                const struct secret *cmk, struct bytes *ret_sealed,
                                const char **ret_detail)
{
    struct secret *unlock = NULL;
    enum qh_err err = make_unlock_file(config->unlock_file);

    if (err == QH_OK || err == QH_EEXIST) {
        err = read_unlock_file(config->unlock_file, &unlock);
    }
    if (err != QH_OK) {
        *ret_detail = "the file of unlock.file cannot be made or read: see the node's log";
        log_error("the key file cannot be made or read: %s file=%s", err_message(err),
                  config->unlock_file);
        return err;
    }
    err = cmk_seal(CMK_FILE, unlock, cluster, cmk, ret_sealed);
    secret_free(unlock);
    return err;
}

QH_RESULT boot_seal_cmk(const struct node_config *config, const uint8_t cluster[16],
                        const struct secret *cmk, const struct secret *passphrase,
                        struct bytes *ret_sealed, const char **ret_detail)
{
    if (config->unlock == CONFIG_UNLOCK_FILE) {
        return seal_with_file(config, cluster, cmk, ret_sealed, ret_detail);
    }
    if (passphrase == NULL || secret_size(passphrase) < PASSWORD_SIZE_MIN ||
        secret_size(passphrase) > PIN_SIZE_MAX) {
        *ret_detail = "unlock.method is passphrase: give one of 8 to 255 bytes with "
                      "--passphrase-file";
        return QH_EPINRANGE;
    }
    return cmk_seal(CMK_PASSPHRASE, passphrase, cluster, cmk, ret_sealed);
}

/* ---- making a node ---- */

static QH_RESULT open_data(const struct node_config *config, int *ret_fd)
{
    if (mkdir(config->data, 0700) != 0 && errno != EEXIST) {
        return err_from_errno(errno);
    }
    return diskio_open_dir(config->data, NULL, ret_fd);
}

QH_RESULT boot_begin(const struct node_config *config, const uint8_t cluster[16],
                     uint64_t *ret_raft_id)
{
    static const uint8_t note[] = "an init or join is under way\n";
    int dir_fd;
    enum qh_err err = open_data(config, &dir_fd);

    if (err != QH_OK) {
        return err;
    }
    if (holds_node(config->data)) {
        (void)close(dir_fd);
        return QH_EEXIST; /* whatever is left of it is somebody's: nothing is touched */
    }
    err = diskio_replace(dir_fd, MARKER_FILE, (struct bytes){note, sizeof note - 1});
    (void)close(dir_fd);
    if (err == QH_OK) {
        err = replica_create(config->data, cluster, config->node, ret_raft_id);
    }
    if (err != QH_OK) {
        boot_undo(config);
    }
    return err;
}

static QH_RESULT write_certs(int tls_fd, const struct boot_files *files)
{
    struct pki_der ca = {0};
    struct pki_der node = {0};
    struct secret *key = NULL;
    uint8_t *chain = NULL;
    enum qh_err err = pki_cert_to_pem(files->ca_cert, &ca);

    if (err == QH_OK) {
        err = pki_cert_to_pem(files->node_cert, &node);
    }
    if (err == QH_OK) {
        err = pki_key_to_pem(files->node_key, &key);
    }
    if (err == QH_OK) {
        chain = malloc(node.size + ca.size);
        err = chain != NULL ? QH_OK : QH_ENOMEM;
    }
    if (err == QH_OK) {
        memcpy(chain, node.base, node.size);
        memcpy(chain + node.size, ca.base, ca.size);
        err = diskio_replace(tls_fd, "ca.crt", (struct bytes){ca.base, ca.size});
    }
    if (err == QH_OK) {
        err = diskio_replace(tls_fd, "node.crt", (struct bytes){chain, node.size + ca.size});
    }
    if (err == QH_OK) {
        err =
            diskio_replace(tls_fd, "node.key",
                           (struct bytes){secret_view(key), strnlen((const char *)secret_view(key),
                                                                    secret_size(key))});
    }
    free(chain);
    free(ca.base);
    free(node.base);
    secret_free(key);
    return err;
}

static QH_RESULT write_tls(int dir_fd, const char *dir, const struct boot_files *files)
{
    int tls_fd;
    enum qh_err err;

    if (mkdirat(dir_fd, TLS_DIR, 0700) != 0 && errno != EEXIST) {
        return err_from_errno(errno);
    }
    err = diskio_open_dir(dir, TLS_DIR, &tls_fd);
    if (err == QH_OK) {
        err = write_certs(tls_fd, files);
        (void)close(tls_fd);
    }
    return err;
}

QH_RESULT boot_finish(const struct node_config *config, const struct boot_files *files)
{
    int dir_fd;
    enum qh_err err = open_data(config, &dir_fd);

    if (err != QH_OK) {
        return err;
    }
    err = write_tls(dir_fd, config->data, files);
    if (err == QH_OK && files->sealed_cmk.size > 0) {
        err = diskio_replace(dir_fd, CMK_FILE_NAME, files->sealed_cmk);
    }
    (void)close(dir_fd);
    return err;
}

QH_RESULT boot_commit(const struct node_config *config)
{
    int dir_fd;
    enum qh_err err = open_data(config, &dir_fd);

    if (err != QH_OK) {
        return err;
    }
    if (unlinkat(dir_fd, MARKER_FILE, 0) != 0 && errno != ENOENT) {
        err = err_from_errno(errno);
    }
    if (err == QH_OK) {
        err = diskio_sync(dir_fd);
    }
    (void)close(dir_fd);
    return err;
}

void boot_describe_self(const struct node_config *config, uint64_t raft_id,
                        struct directory_node *ret_node)
{
    memset(ret_node, 0, sizeof *ret_node);
    ret_node->raft_id = raft_id;
    ret_node->witness = config->witness;
    ret_node->peer_port = config->peer_advertise.port;
    ret_node->client_port = config->client_advertise.port;
    (void)snprintf(ret_node->name, sizeof ret_node->name, "%s", config->node);
    (void)snprintf(ret_node->region, sizeof ret_node->region, "%s", config->region);
    (void)snprintf(ret_node->peer_host, sizeof ret_node->peer_host, "%s",
                   config->peer_advertise.host);
    (void)snprintf(ret_node->client_host, sizeof ret_node->client_host, "%s",
                   config->client_advertise.host);
}

void boot_undo(const struct node_config *config)
{
    static const char *const files[] = {
        TLS_DIR "/ca.crt", TLS_DIR "/node.crt", TLS_DIR "/node.key", CMK_FILE_NAME,
        "nodes",           "identity"};
    int dir_fd;

    if (open_data(config, &dir_fd) != QH_OK) {
        return;
    }
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)unlinkat(dir_fd, files[i], 0);
    }
    (void)unlinkat(dir_fd, TLS_DIR, AT_REMOVEDIR);
    (void)unlinkat(dir_fd, "raft", AT_REMOVEDIR); /* empty: nothing was started */
    (void)unlinkat(dir_fd, MARKER_FILE, 0);
    (void)close(dir_fd);
}
