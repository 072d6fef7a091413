/* OpenSSL's library context of our own. */
#include "crypto/library.h"

#include <openssl/crypto.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *context;

static void make(void)
{
    context = OSSL_LIB_CTX_new();
}

OSSL_LIB_CTX *library_context(void)
{
    (void)pthread_once(&once, make);
    return context;
}
