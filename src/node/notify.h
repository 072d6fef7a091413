/* Tell systemd how it goes (sd_notify's protocol, without its library). Thread: any. */
#ifndef QH_NODE_NOTIFY_H
#define QH_NODE_NOTIFY_H

/* @state such as "READY=1\nSTATUS=..."; nothing happens without $NOTIFY_SOCKET. */
void notify_systemd(const char *state);

#endif
