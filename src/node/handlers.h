/* What requests do: one function an operation, begun on the service thread with authorization and
 * the wait for a revision done. Each ends with request_answer(), here or after
 * request_run_on(). The table that says who may ask for what is in dispatch.c. */
#ifndef QH_NODE_HANDLERS_H
#define QH_NODE_HANDLERS_H

#include "node/request.h"

/* handle_use.c */
void handle_ping(struct request *request);
void handle_random(struct request *request);
void handle_use(struct request *request);
/* handle_underkey.c */
void handle_wrap(struct request *request);
void handle_unwrap(struct request *request);
void handle_derive(struct request *request);
/* handle_object.c */
void handle_find(struct request *request);
void handle_create(struct request *request);
void handle_generate(struct request *request);
void handle_destroy(struct request *request);
void handle_set_attributes(struct request *request);
void handle_copy(struct request *request);
/* handle_login.c */
void handle_slots(struct request *request);
void handle_login(struct request *request);
/* handle_init.c */
void handle_partition_init(struct request *request);
/* handle_role.c */
void handle_role_init(struct request *request);
void handle_role_passwd(struct request *request);
void handle_role_unlock(struct request *request);
/* handle_admin.c */
void handle_partition_create(struct request *request);
void handle_partition_policy(struct request *request);
void handle_partition_delete(struct request *request);
void handle_partition_list(struct request *request);
/* handle_client.c */
void handle_client_enroll(struct request *request);
void handle_client_revoke(struct request *request);
void handle_client_list(struct request *request);
void handle_token_create(struct request *request);
/* handle_cluster.c */
void handle_endpoints(struct request *request);
void handle_cluster_status(struct request *request);
void handle_node_status(struct request *request);
void handle_node_init(struct request *request);
void handle_node_join(struct request *request);
void handle_node_unlock(struct request *request);
void handle_join(struct request *request);

#endif
