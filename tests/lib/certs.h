/* Throw-away authorities and certificates for tests, made at run time: nothing that could be
 * mistaken for a real key lies in the tree. EC P-256; every file has mode 0600.
 *
 * All abort on failure, with a message. */
#ifndef QH_TESTS_LIB_CERTS_H
#define QH_TESTS_LIB_CERTS_H

#include <stddef.h>

/* DIR/ca.crt and DIR/ca.key. */
void certs_make_ca(const char *dir);

/* DIR/NAME.crt and DIR/NAME.key for a node, by the authority in DIR. */
void certs_make_node(const char *dir, const char *name);

/* The same, of a witness. */
void certs_make_witness(const char *dir, const char *name);

/* The same, but valid until an hour ago. */
void certs_make_node_expired(const char *dir, const char *name);

/* The same, by an authority that has the name of the one in DIR and another key. */
void certs_make_node_foreign(const char *dir, const char *name);

/* DIR/FILE.crt and DIR/FILE.key, with any common name; @name NULL: with none. */
void certs_make_subject(const char *dir, const char *file, const char *name);

/* "DIR/NAME.SUFFIX", for struct transport_tls. */
void certs_path(char *ret_path, size_t room, const char *dir, const char *name, const char *suffix);

#endif
