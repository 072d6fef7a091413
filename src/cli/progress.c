/* A line on stderr while the command waits. See progress.h. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define FRAME_MS 120u
#define QUICK_MS 500u

struct progress {
    FILE *file;
    bool terminal;
    uint64_t began_ms, shows_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool ended, shown;
    char text[PROGRESS_TEXT_ROOM];
};

static void draw(struct progress *progress, unsigned frame)
{
    static const char marks[] = {'|', '/', '-', '\\'};
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms < progress->shows_ms) {
        return;
    }
    (void)fprintf(progress->file, "\r\033[K%c %s (%llu s)", marks[frame % sizeof(marks)],
                  progress->text, (unsigned long long)(now_ms - progress->began_ms) / 1000);
    (void)fflush(progress->file);
    progress->shown = true;
}

static void *run(void *data)
{
    struct progress *progress = data;
    struct timespec until;

    (void)pthread_mutex_lock(&progress->lock);
    for (unsigned frame = 0; !progress->ended; frame++) {
        draw(progress, frame);
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)FRAME_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&progress->changed, &progress->lock, &until);
    }
    (void)pthread_mutex_unlock(&progress->lock);
    return NULL;
}

static void keep_text(struct progress *progress, const char *text)
{
    output_safe(text, strlen(text), progress->text, sizeof(progress->text));
}

struct progress *progress_begin(const struct output *output, bool quick, const char *text)
{
    bool terminal = isatty(fileno(output->err)) == 1;
    struct progress *progress;

    if (output->json || (quick && !terminal)) {
        return NULL;
    }
    progress = calloc(1, sizeof(*progress));
    if (progress == NULL) {
        return NULL;
    }
    progress->file = output->err;
    progress->terminal = terminal;
    progress->began_ms = clock_monotonic_ms();
    progress->shows_ms = progress->began_ms + (quick ? QUICK_MS : 0);
    (void)pthread_mutex_init(&progress->lock, NULL);
    (void)pthread_cond_init(&progress->changed, NULL);
    keep_text(progress, text);
    if (!terminal) {
        (void)fprintf(progress->file, "%s\n", progress->text);
    } else if (pthread_create(&progress->thread, NULL, run, progress) != 0) {
        progress->terminal = false;
    }
    return progress;
}

void progress_set(struct progress *progress, const char *text)
{
    if (progress == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&progress->lock);
    keep_text(progress, text);
    if (!progress->terminal) {
        (void)fprintf(progress->file, "%s\n", progress->text);
    }
    (void)pthread_mutex_unlock(&progress->lock);
}

void progress_end(struct progress *progress)
{
    if (progress == NULL) {
        return;
    }
    if (progress->terminal) {
        (void)pthread_mutex_lock(&progress->lock);
        progress->ended = true;
        (void)pthread_cond_signal(&progress->changed);
        (void)pthread_mutex_unlock(&progress->lock);
        (void)pthread_join(progress->thread, NULL);
        if (progress->shown) {
            (void)fputs("\r\033[K", progress->file);
            (void)fflush(progress->file);
        }
    }
    (void)pthread_cond_destroy(&progress->changed);
    (void)pthread_mutex_destroy(&progress->lock);
    free(progress);
}
