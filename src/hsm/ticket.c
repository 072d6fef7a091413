/* Tickets, little-endian: partition, u8 role, u8 context, u8 zero x 6, u64 epoch, fingerprint,
 * u64 expiry; sealed by the ticket key for the place "ticket". */
#include "hsm/ticket.h"

#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/seal.h"

#define TICKET_ZEROES 6u
#define TICKET_PLAIN_SIZE (PARTITION_ID_SIZE + 2u + TICKET_ZEROES + 8u + FINGERPRINT_SIZE + 8u)

_Static_assert(TICKET_PLAIN_SIZE + SEAL_OVERHEAD <= TICKET_SIZE_MAX, "a ticket has room");

static struct seal_place ticket_place(const struct keyring *keyring)
{
    static const uint8_t name[] = {'t', 'i', 'c', 'k', 'e', 't'};

    return (struct seal_place){keyring_cluster(keyring), {name, sizeof name}, 0};
}

QH_RESULT ticket_seal(const struct keyring *keyring, const struct ticket *ticket,
                      uint8_t ret_sealed[TICKET_SIZE_MAX], size_t *ret_size)
{
    static const uint8_t zeroes[TICKET_ZEROES];
    struct seal_place place = ticket_place(keyring);
    uint8_t plain[TICKET_PLAIN_SIZE];
    struct bytes_writer writer;

    bytes_writer_init(&writer, plain, sizeof plain);
    bytes_write_span(&writer, ticket->partition, PARTITION_ID_SIZE);
    bytes_write_u8(&writer, (uint8_t)ticket->role);
    bytes_write_u8(&writer, ticket->context);
    bytes_write_span(&writer, zeroes, sizeof zeroes);
    bytes_write_u64(&writer, ticket->epoch);
    bytes_write_span(&writer, ticket->fingerprint, FINGERPRINT_SIZE);
    bytes_write_u64(&writer, ticket->expires_unix_ms);
    QH_ASSERT(!writer.failed);
    return seal_close(keyring_ticket_key(keyring), &place, (struct bytes){plain, writer.size},
                      ret_sealed, TICKET_SIZE_MAX, ret_size);
}

static bool ticket_parse(struct bytes plain, struct ticket *ret_ticket)
{
    struct bytes_reader reader;
    uint8_t role, context;
    bool zeroes = true;

    bytes_reader_init(&reader, plain.base, plain.size);
    memcpy(ret_ticket->partition, bytes_read_span(&reader, PARTITION_ID_SIZE).base,
           PARTITION_ID_SIZE);
    role = bytes_read_u8(&reader);
    context = bytes_read_u8(&reader);
    for (unsigned i = 0; i < TICKET_ZEROES; i++) {
        zeroes = bytes_read_u8(&reader) == 0 && zeroes;
    }
    ret_ticket->epoch = bytes_read_u64(&reader);
    memcpy(ret_ticket->fingerprint, bytes_read_span(&reader, FINGERPRINT_SIZE).base,
           FINGERPRINT_SIZE);
    ret_ticket->expires_unix_ms = bytes_read_u64(&reader);
    ret_ticket->role = (enum hsm_role)role;
    ret_ticket->context = context == 1;
    return role > HSM_ROLE_NONE && role < HSM_ROLES && context <= 1 && zeroes;
}

/* Of the role that the ticket is for; NULL if the client has no business there any more. */
static const struct directory_role *ticket_role(const struct directory *directory,
                                                const struct ticket *ticket)
{
    static const uint8_t none[PARTITION_ID_SIZE];
    const struct directory_client *client = directory_client(directory, ticket->fingerprint);
    const struct directory_partition *partition;

    if (client == NULL) {
        return NULL;
    }
    if (ticket->role == HSM_ROLE_SO) {
        bool cluster = memcmp(ticket->partition, none, sizeof none) == 0;

        return client->admin && cluster ? &directory->so : NULL;
    }
    partition = directory_partition(directory, ticket->partition);
    if (partition == NULL || !directory_client_may(client, partition->id)) {
        return NULL;
    }
    return &partition->roles[ticket->role];
}

QH_RESULT ticket_open(const struct keyring *keyring, const struct directory *directory,
                      struct bytes sealed, const uint8_t fingerprint[FINGERPRINT_SIZE],
                      uint64_t now_unix_ms, struct ticket *ret_ticket)
{
    struct seal_place place = ticket_place(keyring);
    const struct directory_role *role;
    uint8_t plain[TICKET_PLAIN_SIZE];
    struct ticket ticket;
    size_t size;

    /* On the stack: opening it is part of every request, and it holds no key. */
    if (sealed.size != sizeof plain + SEAL_OVERHEAD ||
        seal_open(keyring_ticket_key(keyring), &place, sealed, plain, sizeof plain, &size) !=
            QH_OK ||
        !ticket_parse((struct bytes){plain, sizeof plain}, &ticket) ||
        sodium_memcmp(ticket.fingerprint, fingerprint, FINGERPRINT_SIZE) != 0 ||
        now_unix_ms >= ticket.expires_unix_ms) {
        return QH_ETICKET;
    }
    role = ticket_role(directory, &ticket);
    if (role == NULL || role->verifier[0] == '\0' || role->epoch != ticket.epoch) {
        return QH_ETICKET;
    }
    *ret_ticket = ticket;
    return QH_OK;
}
