/* The sending half of a connection (conn.h): for conn.c alone. */
#ifndef QH_GLUE_CONN_SEND_H
#define QH_GLUE_CONN_SEND_H

#include "raft-glue/conn.h"

/* Encrypt a frame of the greeting; conn_send_flush() writes it. Errors: QH_ETLS. */
QH_RESULT conn_send_now(struct conn *conn, struct bytes body);

/* Encrypt and write what waits, as far as the socket takes it; in DRAINING, end the
 * stream when all is written. May end in conn_failed(). */
void conn_send_flush(struct conn *conn);

/* Try to write what is encrypted already; errors do not matter any more. */
void conn_send_last(struct conn *conn);

/* All queued frames fail. */
void conn_send_fail(struct conn *conn, enum qh_err status);

/* Defined in conn.c: close at once because sending failed. */
void conn_failed(struct conn *conn, enum qh_err status, const char *detail);

#endif
