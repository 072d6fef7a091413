/* The trouble: crashes, partitions, transfers, membership changes, full disks, at random
 * moments; and the healing. */
#ifndef QH_SIM_FAULTS_H
#define QH_SIM_FAULTS_H

void faults_setup(void);

#endif
