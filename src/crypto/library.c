/* OpenSSL's library context of our own. */
#include "crypto/library.h"

#include <openssl/crypto.h>

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static OSSL_LIB_CTX *context;

static void make(void)
{
    context = OSSL_LIB_CTX_new();
}

OSSL_LIB_CTX *library_context(void)
{
    (void)CRYPTO_THREAD_run_once(&once, make);
    return context;
}
