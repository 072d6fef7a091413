/* Lets fork() happen only while no thread of the process is inside OpenSSL on behalf of this
 * library, so that a child never inherits a lock of OpenSSL that nobody will release, or half a
 * connection. Every step there is short, since sockets do not block.
 *
 * Order of locks: a handle's before the gate; inside the gate nothing else is locked. */
#ifndef QH_CLIENT_GATE_H
#define QH_CLIENT_GATE_H

/* Called by fork() in the thread that forks: take the library's locks, release them in the
 * parent, make them new in the child. */
struct gate_hooks {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
};

/* Once in a process, before anything else. @hooks stays the caller's, for ever. */
void gate_setup(const struct gate_hooks *hooks);

void gate_enter(void);
void gate_leave(void);

#endif
