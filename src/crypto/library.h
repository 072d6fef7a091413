/* OpenSSL's library context of our own.
 *
 * The module and the client library live in other people's programs. Those may have told OpenSSL to
 * prefer a provider that hands keys and hashes to a PKCS#11 module, which may be this
 * one: in their context our own verification of a signature would call us again, without an end.
 * Their configuration, too, is theirs: what was loaded, which algorithms are allowed. The client's
 * connections have a context of their own (client/tlsclient.c), since it stands without this
 * folder. An ENGINE that is made the default for all keys is not kept out: OpenSSL asks those
 * whatever the context. */
#ifndef QH_CRYPTO_LIBRARY_H
#define QH_CRYPTO_LIBRARY_H

#include <openssl/types.h>

/* The one of this process, with OpenSSL's default provider and no configuration file; never freed,
 * since threads may use it until the process ends. Any thread. NULL only if there was no memory for
 * it: OpenSSL then takes the program's. */
OSSL_LIB_CTX *library_context(void);

#endif
