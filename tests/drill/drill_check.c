/* What must be true in the end: every acknowledged key is there, once, and all replicas are equal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drill/drill.h"
#include "tests/torture/process.h"

#define LEVEL_TIMEOUT_MS 30000u
#define OUTPUT_SIZE 8192u
#define PROBLEMS_SHOWN_MAX 10u

static void tell_key(const char *what, const uint8_t id[P11_ID_SIZE])
{
    (void)printf("  a key is %s: CKA_ID ", what);
    for (unsigned i = 0; i < P11_ID_SIZE; i++) {
        (void)printf("%02x", id[i]);
    }
    (void)printf("\n");
}

static void look_for_key(struct drill *drill, const uint8_t id[P11_ID_SIZE])
{
    unsigned private_count = 0, public_count = 0;
    bool asked = p11_count(&drill->p11, CKO_PRIVATE_KEY, id, &private_count) == CKR_OK &&
                 p11_count(&drill->p11, CKO_PUBLIC_KEY, id, &public_count) == CKR_OK;
    bool missing = !asked || private_count == 0 || public_count == 0;
    bool twice = !missing && (private_count > 1 || public_count > 1);

    drill->missing += missing;
    drill->twice += twice;
    if ((missing || twice) && drill->missing + drill->twice <= PROBLEMS_SHOWN_MAX) {
        tell_key(missing ? "missing" : "there more than once", id);
    }
}

/* By an application that knows nothing from before, at nodes that have read everything from disk.
 */
static void look_for_keys(struct drill *drill)
{
    drill->acknowledged = load_key_count(drill->load);
    stage_start_all(&drill->stage);
    if (!stage_wait(&drill->stage, 0, LEVEL_TIMEOUT_MS) ||
        !p11_open(&drill->p11, drill->stage.module, "demo", drill->pin)) {
        drill->missing = drill->acknowledged;
        return;
    }
    for (size_t i = 0; i < drill->acknowledged; i++) {
        look_for_key(drill, load_key_id(drill->load, i));
    }
    p11_close(&drill->p11);
}

static bool run_datadir(char *const argv[])
{
    static char output[OUTPUT_SIZE];
    int status = process_run(argv, output, sizeof output);

    if (status != 0) {
        (void)printf("  qh-datadir %s: exit status %d: %s\n", argv[1], status, output);
    }
    return status == 0;
}

static void compare_directories(struct drill *drill)
{
    char *program = process_path("torture", "qh-datadir");
    char check[] = "check", compare[] = "compare";
    char *argv[2 + STAGE_NODES + 1] = {program, compare};

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        argv[2 + i] = drill->stage.nodes[i].data;
        drill->directories_whole += run_datadir((char *[]){program, check, argv[2 + i], NULL});
    }
    if (run_datadir(argv)) {
        drill->directories_equal = STAGE_NODES;
    }
    free(program);
}

void drill_check(struct drill *drill)
{
    drill_report_step(drill,
                      "all nodes stop and start again; then every acknowledged key is looked for");
    if (!stage_wait(&drill->stage, 0, LEVEL_TIMEOUT_MS)) {
        drill->stuck = true;
    }
    drill->stopped_well = stage_stop_all(&drill->stage);
    look_for_keys(drill);
    drill_report_step(drill, "all nodes stop; their directories are compared");
    drill->stopped_well = stage_stop_all(&drill->stage) && drill->stopped_well;
    compare_directories(drill);
    load_free(drill->load);
    drill->load = NULL;
    drill->finished = true;
}

bool drill_passed(const struct drill *drill)
{
    return drill->finished && !drill->stuck && drill->signing.done > 0 &&
           drill->signing.failed == 0 && drill->signing.wrong == 0 && drill->acknowledged > 0 &&
           drill->missing == 0 && drill->twice == 0 && drill->stage.ended == 0 &&
           drill->stopped_well && drill->directories_whole == STAGE_NODES &&
           drill->directories_equal == STAGE_NODES;
}
