/* Least privilege for the daemon. */
#include "node/harden.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/secret.h"

/* OpenSSL's locked heap for the numbers of private keys; when it is full the ordinary heap serves
 * (not locked, but wiped, and never dumped either). */
#define SECURE_HEAP_SIZE (1u << 20)
#define SECURE_HEAP_BLOCK 64u

QH_RESULT harden_process(void)
{
    const struct rlimit none = {0, 0};

    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        log_error("cannot switch off core dumps and ptrace: %s", strerror(errno));
        return QH_ESYSTEM;
    }
    if (secret_setup() != QH_OK) {
        log_error("libsodium cannot start");
        return QH_ESYSTEM;
    }
    if (CRYPTO_secure_malloc_init(SECURE_HEAP_SIZE, SECURE_HEAP_BLOCK) == 0) {
        log_error("cannot get locked memory for private keys: size=%u; raise the limit of locked "
                  "memory (ulimit -l, or LimitMEMLOCK= of the service)",
                  SECURE_HEAP_SIZE);
        return QH_ESYSTEM;
    }
    return QH_OK;
}
