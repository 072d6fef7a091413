/* The trouble: crashes, partitions, transfers, membership changes, full disks, at random
 * moments; and the healing. */
#ifndef QH_SIM_FAULTS_H
#define QH_SIM_FAULTS_H

struct node;

void faults_setup(void);

/* @node has just become leader. */
void faults_new_leader(struct node *node);

#endif
