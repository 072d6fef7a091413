/* qh-faults: what a cluster of real processes does when disks, files, certificates and
 * operators fail. One line a case. */
#include "tests/torture/faults.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <sodium.h>

#include "base/clock.h"
#include "tests/torture/process.h"

#define LOG_LINES 20u

static const struct faults_entry *const lists[] = {faults_member_cases, faults_peer_cases,
                                                   faults_damage_cases, faults_disk_cases};

struct totals {
    unsigned passed, failed, skipped;
};

/* A small disk is taken away before the directories are. */
static void close_scene(struct scene *scene)
{
    if (scene->writer.cluster == NULL) {
        return;
    }
    cluster_kill_all(&scene->cluster);
    for (unsigned i = 0; i < scene->cluster.count; i++) {
        (void)umount2(scene->cluster.nodes[i].dir, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
    writer_close(&scene->writer);
    cluster_close(&scene->cluster);
}

static void run_case(const struct faults_entry *entry, struct totals *totals)
{
    static struct scene scene;
    uint64_t begin_ns = clock_monotonic_ns();
    double seconds;

    memset(&scene, 0, sizeof scene);
    scene.dir = process_format("/var/tmp/qh-faults-XXXXXX");
    if (mkdtemp(scene.dir) == NULL) {
        (void)fprintf(stderr, "qh-faults: %s: %s\n", scene.dir, strerror(errno));
        exit(EXIT_FAILURE);
    }
    entry->run(&scene);
    seconds = (double)(clock_monotonic_ns() - begin_ns) / 1e9;
    if (scene.skipped) {
        totals->skipped++;
        (void)printf("skipped %s: %s\n", entry->name, scene.why);
    } else if (scene.why[0] != '\0') {
        totals->failed++;
        (void)printf("FAILED %s: %s\n", entry->name, scene.why);
        cluster_print_logs(&scene.cluster, LOG_LINES);
    } else {
        totals->passed++;
        (void)printf("ok %s (%.1f s)\n", entry->name, seconds);
    }
    (void)fflush(stdout);
    close_scene(&scene);
    process_remove_tree(scene.dir);
    free(scene.dir);
}

static bool is_wanted(const char *name, int count, char **wanted)
{
    for (int i = 0; i < count; i++) {
        if (strstr(name, wanted[i]) != NULL) {
            return true;
        }
    }
    return count == 0;
}

/* Mounts of the cases vanish with this process, however it ends. Without the right to it the
 * cases that need one are skipped. */
static void leave_mounts(void)
{
    if (unshare(CLONE_NEWNS) == 0) {
        (void)mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    }
}

int main(int argc, char **argv)
{
    struct totals totals = {0};

    if (sodium_init() < 0) {
        return 2;
    }
    if (argc > 1 && argv[1][0] == '-') {
        (void)fprintf(stderr, "usage: qh-faults [PART-OF-A-NAME...]\n");
        return 2;
    }
    leave_mounts();
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (const struct faults_entry *entry = lists[i]; entry->name != NULL; entry++) {
            if (is_wanted(entry->name, argc - 1, argv + 1)) {
                run_case(entry, &totals);
            }
        }
    }
    faults_damage_close();
    if (totals.skipped > 0) {
        (void)printf("%u skipped\n", totals.skipped);
    }
    (void)printf("%u passed, %u failed\n", totals.passed, totals.failed);
    return totals.failed == 0 && totals.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
