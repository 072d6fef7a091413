/* Cases of qh-faults: files of a stopped node that were cut, changed or taken away. The node
 * refuses to start and names the file and what to do, or it starts and becomes equal to the
 * others; it never holds a wrong state. */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/torture/faults.h"
#include "tests/torture/process.h"

#define VALUE_SIZE 2000u
#define CLOSED_MIN 3u /* closed segments */
#define COMPACTED_WRITES_MAX 60000u
#define WRITES_TURN 2000u

/* What is damaged: a file of raft/ by the beginning of its name, first or last in order. */
enum which { FIRST, MIDDLE, LAST };

struct damage {
    const char *prefix; /* of the name in raft/; "0": a closed segment */
    const char *suffix; /* "" for any */
    enum which which;
    enum {
        CUT_HALF,
        CUT_EIGHT,
        CUT_EMPTY,
        FLIP_EARLY,
        FLIP_TERM,
        FLIP_MIDDLE,
        FLIP_END,
        REMOVE
    } how;
};

static bool fits(const char *name, const struct damage *damage)
{
    size_t length = strlen(name);
    size_t suffix_length = strlen(damage->suffix);
    bool is_meta = length > 5 && strcmp(name + length - 5, ".meta") == 0;

    return strncmp(name, damage->prefix, strlen(damage->prefix)) == 0 && length >= suffix_length &&
           strcmp(name + length - suffix_length, damage->suffix) == 0 &&
           (!is_meta || strcmp(damage->suffix, ".meta") == 0);
}

static int compare_versions(const struct dirent **left, const struct dirent **right)
{
    return strverscmp((*left)->d_name, (*right)->d_name);
}

/* The name of the file that @damage means, or NULL. free() it. */
static char *find_file(const char *dir, const struct damage *damage)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, NULL, compare_versions);
    char *found = NULL;
    int fitting = 0;
    int wanted;

    for (int i = 0; i < count; i++) {
        fitting += fits(entries[i]->d_name, damage);
    }
    wanted = damage->which == FIRST ? 0 : damage->which == LAST ? fitting - 1 : fitting / 2;
    for (int i = 0; i < count; i++) {
        if (fits(entries[i]->d_name, damage) && wanted-- == 0) {
            found = process_format("%s", entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return found;
}

static bool flip_bit(const char *path, off_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char byte;
    bool done = fd >= 0 && pread(fd, &byte, 1, offset) == 1;

    if (done) {
        byte ^= 0x10;
        done = pwrite(fd, &byte, 1, offset) == 1;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

static bool do_damage(const char *path, const struct damage *damage)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return false;
    }
    switch (damage->how) {
    case CUT_HALF:
        return truncate(path, info.st_size / 2) == 0;
    case CUT_EIGHT:
        return truncate(path, 8) == 0;
    case CUT_EMPTY:
        return truncate(path, 0) == 0;
    case FLIP_EARLY:
        return flip_bit(path, info.st_size > 100 ? 100 : 12);
    case FLIP_TERM: /* of a metadata file */
        return flip_bit(path, 16);
    case FLIP_MIDDLE:
        return flip_bit(path, info.st_size / 2);
    case FLIP_END:
        return flip_bit(path, info.st_size - 1);
    case REMOVE:
        return unlink(path) == 0;
    }
    return false;
}

/* Three equal nodes, all dead; n1 has snapshots, closed segments and open ones. Made once, for
 * it takes seconds; each case gets a copy. */
static struct {
    char *dir; /* NULL: not made yet */
    char cluster_id[CLUSTER_ID_LENGTH + 1];
    uint64_t ids[3];
    struct writer_ack *acks;
    size_t ack_count;
} original;

static unsigned count_files(const char *dir, const struct damage *damage)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, NULL, NULL);
    unsigned fitting = 0;

    for (int i = 0; i < count; i++) {
        fitting += fits(entries[i]->d_name, damage);
        free(entries[i]);
    }
    free(entries);
    return fitting;
}

/* There are snapshots, and the log begins after the first entry: it does not do without them. Of
 * its closed segments the one in the middle has others on both sides. */
static bool is_compacted(const struct scene *scene)
{
    struct damage first_snapshot = {.prefix = "snapshot-", .suffix = ".meta", .which = FIRST};
    struct damage first_segment = {.prefix = "0", .suffix = "", .which = FIRST};
    char *raft_dir = process_format("%s/raft", scene->cluster.nodes[0].dir);
    char *snapshot = find_file(raft_dir, &first_snapshot);
    char *segment = find_file(raft_dir, &first_segment);
    bool compacted = snapshot != NULL && segment != NULL && strtoull(segment, NULL, 10) > 1 &&
                     count_files(raft_dir, &first_segment) >= CLOSED_MIN;

    free(raft_dir);
    free(snapshot);
    free(segment);
    return compacted;
}

/* Has the first node noted how far its closed segments go? The number is at byte 16 of the note. */
static bool is_noted(struct cluster *cluster, const void *data)
{
    struct damage last = {.prefix = "0", .suffix = "", .which = LAST};
    char *raft_dir = process_format("%s/raft", cluster->nodes[0].dir);
    char *note = process_format("%s/closed", raft_dir);
    char *segment = find_file(raft_dir, &last);
    int fd = open(note, O_RDONLY | O_CLOEXEC);
    uint64_t noted = 0;
    bool is = false;

    (void)data;
    if (fd >= 0) {
        is = pread(fd, &noted, sizeof noted, 16) == (ssize_t)sizeof noted && segment != NULL &&
             le64toh(noted) == strtoull(strchr(segment, '-') + 1, NULL, 10);
        (void)close(fd);
    }
    free(raft_dir);
    free(note);
    free(segment);
    return is;
}

static bool make_original(struct scene *scene)
{
    unsigned done = 0;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return false;
    }
    /* Few at a time make many log entries, which is what snapshots come after. */
    scene->writer.options.outstanding = 2;
    while (!is_compacted(scene)) {
        if (!scene_expect(scene, done < COMPACTED_WRITES_MAX, "log not compacted after %u writes",
                          done) ||
            !scene_expect(scene, writer_wait_acks(&scene->writer, WRITES_TURN, FAULTS_WAIT_MS),
                          "the cluster acknowledges no writes")) {
            return false;
        }
        done += WRITES_TURN;
    }
    if (!scene_goes_on(scene) || !scene_settle(scene) ||
        !scene_expect(scene, cluster_wait(&scene->cluster, is_noted, NULL, FAULTS_WAIT_MS),
                      "no note of the closed segments")) {
        return false;
    }
    cluster_kill_all(&scene->cluster);
    return true;
}

static void keep_original(const struct scene *scene)
{
    original.dir = process_format("%s.original", scene->dir);
    scene_copy(scene->dir, original.dir);
    memcpy(original.cluster_id, scene->cluster.id, sizeof original.cluster_id);
    for (unsigned i = 0; i < 3; i++) {
        original.ids[i] = scene->cluster.nodes[i].id;
    }
    original.ack_count = scene->writer.ack_count;
    original.acks = calloc(original.ack_count, sizeof *original.acks);
    if (original.acks == NULL) {
        abort();
    }
    memcpy(original.acks, scene->writer.acks, original.ack_count * sizeof *original.acks);
}

void faults_damage_close(void)
{
    if (original.dir != NULL) {
        process_remove_tree(original.dir);
    }
    free(original.dir);
    free(original.acks);
    memset(&original, 0, sizeof original);
}

static void copy_original(struct scene *scene)
{
    static const char *const names[] = {"n1", "n2", "n3"};

    for (unsigned i = 0; i < 3; i++) {
        char *from = process_format("%s/%s", original.dir, names[i]);

        scene_copy(from, scene->cluster.nodes[i].dir);
        scene->cluster.nodes[i].id = original.ids[i];
        free(from);
    }
    memcpy(scene->cluster.id, original.cluster_id, sizeof original.cluster_id);
    writer_adopt(&scene->writer, original.acks, original.ack_count);
}

static bool prepare(struct scene *scene)
{
    if (original.dir == NULL) {
        if (!make_original(scene)) {
            return false;
        }
        keep_original(scene);
        return true;
    }
    scene_lay_out(scene, 3, VALUE_SIZE);
    copy_original(scene);
    return true;
}

/* The node ended by itself: it has to say which file, and what to do. */
static void expect_clear_refusal(struct scene *scene, const struct cluster_node *node, long from,
                                 const char *name)
{
    (void)scene_expect(scene, WIFEXITED(node->wait_status) && WEXITSTATUS(node->wait_status) == 1,
                       "%s does not start, but not in the orderly way: wait status %d", node->name,
                       node->wait_status);
    (void)scene_expect(scene, cluster_log_has(node, from, name),
                       "the log does not name the file %s", name);
    (void)scene_expect(
        scene, cluster_log_has(node, from, "backup") || cluster_log_has(node, from, "new id"),
        "the log does not say what to do about %s", name);
}

/* Start the nodes, the first of which is damaged, and see that it refuses or becomes equal to the
 * others. @must_refuse: it may not start at all. @told: what the log has to name. */
static void run_damaged(struct scene *scene, const char *told, bool must_refuse)
{
    struct cluster_node *node = &scene->cluster.nodes[0];
    long from = cluster_log_size(node);
    bool ended;

    cluster_start_all(&scene->cluster);
    ended = !cluster_wait(&scene->cluster, cluster_is_equal, NULL, FAULTS_WAIT_MS) ||
            node->run == CLUSTER_DOWN;
    if (ended && scene_expect(scene, node->ended_itself, "%s runs but is not equal to the others",
                              node->name)) {
        expect_clear_refusal(scene, node, from, told);
    }
    (void)scene_expect(scene, ended || !must_refuse, "%s starts with the damaged %s", node->name,
                       told);
    scene->writer.on = true;
    if (scene->why[0] == '\0' && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

static void run_damage(struct scene *scene, struct damage damage, bool must_refuse)
{
    const char *told;
    char *raft_dir;
    char *name;
    char *path;

    if (!prepare(scene)) {
        return;
    }
    raft_dir = process_format("%s/raft", scene->cluster.nodes[0].dir);
    name = find_file(raft_dir, &damage);
    if (!scene_expect(scene, name != NULL, "there is no file %s*%s", damage.prefix,
                      damage.suffix)) {
        free(raft_dir);
        return;
    }
    path = process_format("%s/%s", raft_dir, name);
    /* Of a file that is gone another one tells, and of two that contradict either may. */
    told = damage.how == REMOVE ? raft_dir : damage.how == FLIP_TERM ? damage.prefix : name;
    if (scene_expect(scene, do_damage(path, &damage), "%s cannot be damaged", path)) {
        run_damaged(scene, told, must_refuse);
    }
    free(raft_dir);
    free(name);
    free(path);
}

/* No snapshot is left, and the log does not reach back to the first entry. */
static void case_snapshots_gone(struct scene *scene)
{
    struct damage any = {.prefix = "snapshot-", .suffix = "", .which = FIRST};
    char *raft_dir;
    char *name;

    if (!prepare(scene)) {
        return;
    }
    raft_dir = process_format("%s/raft", scene->cluster.nodes[0].dir);
    while ((name = find_file(raft_dir, &any)) != NULL) {
        char *path = process_format("%s/%s", raft_dir, name);

        if (unlink(path) != 0) {
            abort();
        }
        free(path);
        free(name);
    }
    run_damaged(scene, raft_dir, true);
    free(raft_dir);
}

#define DAMAGE_CASE(function, prefix, suffix, which, how, must_refuse)               \
    static void function(struct scene *scene)                                        \
    {                                                                                \
        run_damage(scene, (struct damage){prefix, suffix, which, how}, must_refuse); \
    }

DAMAGE_CASE(case_closed_cut, "0", "", MIDDLE, CUT_HALF, true)
DAMAGE_CASE(case_closed_flip, "0", "", MIDDLE, FLIP_MIDDLE, true)
DAMAGE_CASE(case_closed_last_cut, "0", "", LAST, CUT_HALF, true)
DAMAGE_CASE(case_closed_last_flip, "0", "", LAST, FLIP_END, true)
DAMAGE_CASE(case_closed_gone, "0", "", MIDDLE, REMOVE, true)
/* Open segments with entries stand behind it, and have no indexes in their names. */
DAMAGE_CASE(case_closed_last_gone, "0", "", LAST, REMOVE, true)
DAMAGE_CASE(case_note_flip, "closed", "", LAST, FLIP_MIDDLE, true)
DAMAGE_CASE(case_note_gone, "closed", "", LAST, REMOVE, false)
DAMAGE_CASE(case_open_eight, "open-", "", FIRST, CUT_EIGHT, false)
DAMAGE_CASE(case_open_empty, "open-", "", LAST, CUT_EMPTY, false)
DAMAGE_CASE(case_open_cut, "open-", "", FIRST, CUT_HALF, false)
DAMAGE_CASE(case_open_flip, "open-", "", FIRST, FLIP_EARLY, false)
DAMAGE_CASE(case_snapshot_cut, "snapshot-", "", LAST, CUT_HALF, true)
DAMAGE_CASE(case_snapshot_flip, "snapshot-", "", LAST, FLIP_MIDDLE, true)
/* A crash leaves this too: the start goes back to what was there before that snapshot. */
DAMAGE_CASE(case_snapshot_gone, "snapshot-", "", LAST, REMOVE, false)
DAMAGE_CASE(case_snapshot_meta, "snapshot-", ".meta", LAST, FLIP_MIDDLE, true)
DAMAGE_CASE(case_metadata_flip, "metadata", "", LAST, FLIP_EARLY, false)
DAMAGE_CASE(case_metadata_term, "metadata", "", LAST, FLIP_TERM, false)
DAMAGE_CASE(case_metadata_cut, "metadata", "", LAST, CUT_EIGHT, false)

/* Everything in raft/ is gone, or raft/ itself. */
static void run_emptied(struct scene *scene, bool keep_folder)
{
    struct cluster_node *node;
    char *raft_dir;

    if (!scene_begin(scene, 3, VALUE_SIZE) || !scene_settle(scene)) {
        return;
    }
    node = &scene->cluster.nodes[0];
    cluster_kill(node);
    raft_dir = process_format("%s/raft", node->dir);
    process_remove_tree(raft_dir);
    if (keep_folder && mkdir(raft_dir, 0700) != 0) {
        abort();
    }
    scene->writer.on = true;
    if (scene_refuses(scene, node, node->dir, "new id") && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
    free(raft_dir);
}

static void case_emptied(struct scene *scene)
{
    run_emptied(scene, true);
}

static void case_folder_gone(struct scene *scene)
{
    run_emptied(scene, false);
}

static void run_identity(struct scene *scene, struct damage damage)
{
    struct cluster_node *node;
    char *path;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    node = &scene->cluster.nodes[0];
    cluster_kill(node);
    path = process_format("%s/identity", node->dir);
    (void)scene_expect(scene, do_damage(path, &damage), "%s cannot be damaged", path);
    free(path);
    if (scene_refuses(scene, node, node->dir, NULL) && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

static void case_identity_flip(struct scene *scene)
{
    run_identity(scene, (struct damage){.how = FLIP_MIDDLE});
}

static void case_identity_cut(struct scene *scene)
{
    run_identity(scene, (struct damage){.how = CUT_EIGHT});
}

static void case_identity_gone(struct scene *scene)
{
    run_identity(scene, (struct damage){.how = REMOVE});
}

const struct faults_entry faults_damage_cases[] = {
    {"a_closed_segment_cut_in_half", case_closed_cut},
    {"a_closed_segment_with_a_flipped_bit", case_closed_flip},
    {"the_last_closed_segment_cut_in_half", case_closed_last_cut},
    {"the_last_closed_segment_with_its_last_bit_flipped", case_closed_last_flip},
    {"a_closed_segment_taken_away", case_closed_gone},
    {"the_last_closed_segment_taken_away", case_closed_last_gone},
    {"the_note_of_the_closed_segments_with_a_flipped_bit", case_note_flip},
    {"the_note_of_the_closed_segments_taken_away", case_note_gone},
    {"an_open_segment_cut_to_eight_bytes", case_open_eight},
    {"an_open_segment_cut_to_nothing", case_open_empty},
    {"an_open_segment_cut_in_half", case_open_cut},
    {"an_open_segment_with_a_flipped_bit", case_open_flip},
    {"a_snapshot_cut_in_half", case_snapshot_cut},
    {"a_snapshot_with_a_flipped_bit", case_snapshot_flip},
    {"a_snapshot_taken_away", case_snapshot_gone},
    {"all_snapshots_taken_away", case_snapshots_gone},
    {"a_snapshot's_meta_file_with_a_flipped_bit", case_snapshot_meta},
    {"the_metadata_with_a_flipped_bit", case_metadata_flip},
    {"the_metadata_with_a_flipped_bit_in_its_term", case_metadata_term},
    {"the_metadata_cut_to_eight_bytes", case_metadata_cut},
    {"an_emptied_raft_directory", case_emptied},
    {"a_raft_directory_taken_away", case_folder_gone},
    {"an_identity_with_a_flipped_bit", case_identity_flip},
    {"an_identity_cut_to_eight_bytes", case_identity_cut},
    {"an_identity_taken_away", case_identity_gone},
    {NULL, NULL},
};
