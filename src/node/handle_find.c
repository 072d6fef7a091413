/* Find: pages of objects, made in slices so that no thread is held for long.
 *
 *   handle_find --> [slice on the service thread] --> done, or --> [slice on a worker] --> ...
 *
 * The first slice is a small one and enough for most searches. What is left goes to the workers, a
 * slice of about a millisecond at a time; in between the other connections' requests have their
 * turns. A page is as large as the client wants, FIND_PAGE_OBJECTS or FIND_PAGE_SIZE. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "node/handlers.h"
#include "node/node.h"
#include "node/object_pack.h"
#include "node/object_scene.h"

#define FIND_PAGE_OBJECTS 1000u
/* Bytes. The service thread has to encrypt and send them; an object has room, however large. */
#define FIND_PAGE_SIZE (256u * 1024u)

struct slice {
    unsigned objects, steps; /* packed, and looked at */
    bool patient;
};
static const struct slice inline_slice = {.objects = 32, .steps = 128};
static const struct slice worker_slice = {.objects = 256, .steps = 4096, .patient = true};

/* A page in the making. */
struct find {
    struct object_pack pack;
    unsigned count, limit;
    uint8_t after[OBJECT_ID_SIZE];
    uint64_t after_created;
    bool from_start; /* after is not set */
    bool more;
};

static void find_free(void *state)
{
    struct find *find = state;

    object_pack_close(&find->pack);
    free(find);
}

/* Key material is opened for those alone whose owner and partition allow it to be read. */
static QH_RESULT add_found(struct find *find, const struct object_scene *scene,
                           const struct view_object *found)
{
    const struct object *shown = found->object;
    struct object *opened = NULL;
    enum qh_err err = QH_OK;

    if (object_shows(shown, scene->partition->export)) {
        err = object_open(scene->partition->key, scene->cluster, scene->partition->id, found->id,
                          found->sealed, true, &opened);
        shown = opened;
    }
    if (err == QH_OK) {
        err = object_pack_add(&find->pack, shown, scene->partition->export, found, FIND_PAGE_SIZE);
    }
    object_free(opened);
    return err;
}

static void go_on_after(struct find *find, const struct view_object *object)
{
    memcpy(find->after, object->id, sizeof find->after);
    find->after_created = object->create_revision;
    find->from_start = false;
}

/* *ret_full: the page's size is reached. */
static QH_RESULT add_page(struct find *find, const struct object_scene *scene,
                          const struct view_page *page, bool *ret_full)
{
    for (unsigned i = 0; i < page->count; i++) {
        enum qh_err err = add_found(find, scene, page->list[i]);

        if (err == QH_ELIMIT && find->count > 0) {
            *ret_full = true;
            return QH_OK;
        }
        if (err != QH_OK) {
            return err;
        }
        find->count++;
        go_on_after(find, page->list[i]);
    }
    return QH_OK;
}

/* Inside view_enter(). *ret_done: the page is complete. */
static QH_RESULT find_slice(const struct request *request, struct find *find,
                            const struct slice *slice, bool *ret_done)
{
    const Quadhsm__Find *message = request->message->find;
    unsigned left = find->limit - find->count;
    struct attribute room[ATTRIBUTES_MAX];
    struct view_page page = {.list = NULL};
    struct view_query query = {.with_private = object_scene_sees_private(request),
                               .after = find->from_start ? NULL : find->after,
                               .after_created = find->after_created,
                               .limit = left < slice->objects ? left : slice->objects,
                               .steps = slice->steps,
                               .patient = slice->patient};
    struct object_scene scene;
    bool full = false;
    enum qh_err err = object_scene_open(request, &scene);

    if (err == QH_OK) {
        err =
            object_answer_template(message->template_, message->n_template_, room, &query.template);
    }
    if (err != QH_OK) {
        return err;
    }
    query.partition = scene.partition->id;
    err = view_find(request->node->view, &query, &page);
    if (err != QH_OK) {
        return err;
    }
    err = add_page(find, &scene, &page, &full);
    if (err == QH_OK && !full && page.unfinished && page.reached != NULL) {
        go_on_after(find, page.reached);
    }
    free(page.list);
    find->more = full || page.more || page.unfinished;
    *ret_done = full || find->count == find->limit || !find->more;
    return err;
}

static void find_on(struct request *request, const struct slice *slice);

static void find_on_worker(struct request *request)
{
    find_on(request, &worker_slice);
}

static void find_on(struct request *request, const struct slice *slice)
{
    struct find *find = request->state;
    bool done = false;
    enum qh_err err;

    view_enter();
    err = find_slice(request, find, slice, &done);
    view_leave();
    if (err == QH_OK && !done) {
        request_run_on(request, REQUEST_WORKER, find_on_worker);
        return;
    }
    if (err == QH_OK) {
        err = object_pack_end(&find->pack, find->more, request->response);
    }
    object_scene_answer(request, err);
}

static QH_RESULT find_begin(struct request *request)
{
    const Quadhsm__Find *message = request->message->find;
    struct find *find;

    if (message->limit > FIND_PAGE_OBJECTS ||
        (message->after.len != 0 && message->after.len != OBJECT_ID_SIZE)) {
        return QH_EINVAL;
    }
    find = calloc(1, sizeof *find);
    if (find == NULL) {
        return QH_ENOMEM;
    }
    find->limit = message->limit > 0 ? message->limit : FIND_PAGE_OBJECTS;
    find->from_start = message->after.len == 0;
    if (!find->from_start) {
        memcpy(find->after, message->after.data, sizeof find->after);
        find->after_created = message->after_created;
    }
    QH_ASSERT(request->state == NULL);
    request->state = find;
    request->state_free = find_free;
    return QH_OK;
}

void handle_find(struct request *request)
{
    enum qh_err err = find_begin(request);

    if (err != QH_OK) {
        object_scene_answer(request, err);
    } else {
        find_on(request, &inline_slice);
    }
}
