/* The cases of qh-faults: one fault each, on a small cluster of real processes. */
#ifndef QH_TESTS_TORTURE_FAULTS_H
#define QH_TESTS_TORTURE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/torture/cluster.h"
#include "tests/torture/writer.h"

#define FAULTS_WAIT_MS 30000u /* for anything that has to happen */
#define FAULTS_WRITES 200u    /* enough to say that the cluster goes on */

/* What one case works with. */
struct scene {
    char *dir;
    struct cluster cluster;
    struct writer writer;
    char why[768]; /* of the failure, or the skip; "" as long as all is well */
    bool skipped;
};

typedef void (*faults_case)(struct scene *scene);
struct faults_entry {
    const char *name;
    faults_case run;
};

/* Each list ends with a NULL name. */
extern const struct faults_entry faults_disk_cases[];
extern const struct faults_entry faults_damage_cases[];
extern const struct faults_entry faults_peer_cases[];
extern const struct faults_entry faults_member_cases[];
/* Remove what the cases of damage share. */
void faults_damage_close(void);

/* Returns @condition; if it is false and nothing was wrong before, notes why the case failed. */
bool scene_expect(struct scene *scene, bool condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The case cannot be run here. */
void scene_skip(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lay out @count nodes without directories. Writes have @value_size bytes. */
void scene_lay_out(struct scene *scene, unsigned count, unsigned value_size);
/* Make their directories too, without any of them running; @members of them are bootstrapped. */
bool scene_make(struct scene *scene, unsigned count, unsigned members, unsigned value_size);
/* Start all nodes, wait for a leader among them and begin to write. */
bool scene_start(struct scene *scene);
/* scene_make() of as many members, and scene_start(). */
bool scene_begin(struct scene *scene, unsigned members, unsigned value_size);
/* Are writes acknowledged? */
bool scene_goes_on(struct scene *scene);
/* Every write gets its outcome and all running nodes become equal. */
bool scene_settle(struct scene *scene);
/* scene_settle(), then kill all and compare the directories of those that ran with each other and
 * with what was acknowledged. */
bool scene_finish(struct scene *scene);

/* Start @node, which must end by itself with status 1 and say @text, and @text_too if that is not
 * NULL. */
bool scene_refuses(struct scene *scene, struct cluster_node *node, const char *text,
                   const char *text_too);

/* "add ID NAME" and the like, to the leader, until it answers QH_OK. */
bool scene_change(struct scene *scene, const char *request, const char *label);
bool scene_add(struct scene *scene, const struct cluster_node *node);
bool scene_remove(struct scene *scene, uint64_t id);
bool scene_transfer(struct scene *scene, const struct cluster_node *node);

/* Copy a directory as it is, replacing @to. */
void scene_copy(const char *from, const char *to);
/* Remove @node's directory and make it anew: another id. */
bool scene_recreate(struct scene *scene, struct cluster_node *node);

#endif
