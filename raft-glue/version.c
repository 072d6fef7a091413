/* Pins libraft: at compile time by the layout of what the guard reads and writes in it, at
 * start by the build id of the library that was loaded. */
#include "raft-glue/version.h"

#include <elf.h>
#include <link.h>
#include <raft.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config.h"

/* Every field that the guard and the glue beside it touch. Another layout means another
 * libraft, whose behaviour is not known (doc/raft-guard.md says how to add one). */
#if defined(__x86_64__) && defined(__LP64__)
#define FIELD_AT(type, field, offset)                        \
    _Static_assert(offsetof(struct type, field) == (offset), \
                   "struct " #type ": " #field " is not where libraft 0.15.0 has it")
_Static_assert(sizeof(struct raft) == 656, "struct raft is not that of libraft 0.15.0");
_Static_assert(sizeof(struct raft_io) == 408, "struct raft_io is not that of libraft 0.15.0");
_Static_assert(sizeof(struct raft_entry) == 40, "struct raft_entry is not that of libraft 0.15.0");
_Static_assert(sizeof(struct raft_message) == 88, "struct raft_message is not that of 0.15.0");
_Static_assert(sizeof(struct raft_progress) == 56, "struct raft_progress is not that of 0.15.0");
FIELD_AT(raft, io, 16);
FIELD_AT(raft, id, 32);
FIELD_AT(raft, current_term, 48);
FIELD_AT(raft, voted_for, 56);
FIELD_AT(raft, log, 64);
FIELD_AT(raft, configuration, 136);
FIELD_AT(raft, configuration_index, 152);
FIELD_AT(raft, configuration_uncommitted_index, 160);
FIELD_AT(raft, election_timeout, 168);
FIELD_AT(raft, commit_index, 184);
FIELD_AT(raft, last_applied, 192);
FIELD_AT(raft, last_stored, 200);
FIELD_AT(raft, state, 208);
FIELD_AT(raft, follower_state.randomized_election_timeout, 216);
FIELD_AT(raft, follower_state.current_leader.id, 224);
FIELD_AT(raft, follower_state.current_leader.address, 232);
FIELD_AT(raft, leader_state.progress, 216);
FIELD_AT(raft, leader_state.change, 224);
FIELD_AT(raft, leader_state.promotee_id, 232);
FIELD_AT(raft, election_timer_start, 280);
FIELD_AT(raft, transfer, 288);
FIELD_AT(raft, snapshot.pending, 304);
FIELD_AT(raft, snapshot.put, 360);
FIELD_AT(raft, errmsg, 384);
FIELD_AT(raft_log, entries, 0);
FIELD_AT(raft_log, size, 8);
FIELD_AT(raft_log, front, 16);
FIELD_AT(raft_log, back, 24);
FIELD_AT(raft_log, offset, 32);
FIELD_AT(raft_log, snapshot.last_index, 56);
FIELD_AT(raft_log, snapshot.last_term, 64);
FIELD_AT(raft_progress, state, 0);
FIELD_AT(raft_progress, match_index, 16);
FIELD_AT(raft_progress, recent_recv, 48);
FIELD_AT(raft_transfer, id, 8);
#endif

#define NOTE_NAME "GNU" /* with its terminating zero */

static size_t note_padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

static void hex_encode(const uint8_t *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* Look for the build id among the notes in [@notes, @notes + @size). */
static void notes_read(const uint8_t *notes, size_t size, struct version_library *library)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) header;
        size_t name_size;
        size_t total;

        memcpy(&header, notes, sizeof header);
        name_size = note_padded(header.n_namesz);
        total = sizeof header + name_size + note_padded(header.n_descsz);
        if (total > size) {
            return;
        }
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == sizeof NOTE_NAME &&
            memcmp(notes + sizeof header, NOTE_NAME, sizeof NOTE_NAME) == 0 &&
            header.n_descsz <= VERSION_ID_LENGTH_MAX / 2) {
            hex_encode(notes + sizeof header + name_size, header.n_descsz, library->build_id);
            return;
        }
        notes += total;
        size -= total;
    }
}

struct search {
    uintptr_t address; /* of a function of the library */
    struct version_library *found;
};

static bool object_holds(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_LOAD &&
            address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz) {
            return true;
        }
    }
    return false;
}

static int object_visit(struct dl_phdr_info *info, size_t size, void *data)
{
    const struct search *search = data;

    (void)size;
    if (!object_holds(info, search->address)) {
        return 0;
    }
    (void)snprintf(search->found->path, sizeof search->found->path, "%s",
                   info->dlpi_name[0] != '\0' ? info->dlpi_name : "this program itself");
    for (unsigned i = 0; i < info->dlpi_phnum && search->found->build_id[0] == '\0'; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_NOTE) {
            uintptr_t notes = info->dlpi_addr + header->p_vaddr;

            notes_read((const uint8_t *)notes, header->p_memsz, search->found);
        }
    }
    return 1;
}

enum qh_err version_find(struct version_library *ret_library)
{
    struct version_library library = {.path = "", .build_id = ""};
    struct search search = {.address = (uintptr_t)&raft_init, .found = &library};

    if (dl_iterate_phdr(object_visit, &search) == 0) {
        return QH_ENOTFOUND;
    }
    *ret_library = library;
    return QH_OK;
}

enum qh_err version_compare(const char *expected_build_id, const struct version_library *found)
{
    if (expected_build_id[0] != '\0' && strcmp(expected_build_id, found->build_id) == 0) {
        return QH_OK;
    }
    log_error("libraft is not the library that this program was built with and proved against: "
              "expected=%s found=%s file=\"%s\"; install the package libraft2 that it was built "
              "with (0.15.0), or build it again with this one and run its tests",
              expected_build_id, found->build_id[0] != '\0' ? found->build_id : "none",
              found->path);
    return QH_EVERSION;
}

enum qh_err version_check(void)
{
    struct version_library library;

    if (version_find(&library) != QH_OK) {
        log_error("libraft cannot be found among the libraries of this process: expected=%s; "
                  "install the package libraft2 (0.15.0) and start again",
                  RAFT_BUILD_ID);
        return QH_EVERSION;
    }
    return version_compare(RAFT_BUILD_ID, &library);
}
