/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/io/clock.h"
#include "common/wire/address.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"

/*  All peers of a broker that restarts connect at the same moment.  */
#define S_BACKLOG 4096
/*  The kernel finds a dead connection even if no message is sent: after 15 s it probes three
    times, 5 s apart. Sent bytes without an acknowledgement end the connection after
    S_UNACKNOWLEDGED_MS.  */
#define S_KEEPALIVE_IDLE_S 15
#define S_KEEPALIVE_INTERVAL_S 5
#define S_KEEPALIVE_COUNT 3
#define S_UNACKNOWLEDGED_MS 20000
/*  One day, so that libzmq never reconnects. Not -1: with it, libzmq 4.3.4 drops unread messages
    when the connection ends, and reports nothing when a name does not resolve.  */
#define S_NEVER_MS 86400000
/*  The largest frame that a broker can be configured to pass on.  */
#define S_LARGEST_FRAME (INT64_C (1073741824) + RP_WIRE_HEAD_MAX)
/*  A host name has at most 253 bytes; tcp://, brackets and a port fit as well.  */
#define S_ENDPOINT_MAX 270

/*  Descriptors for a context's threads (4), a socket (1), its monitor (2), its connection and the
    look-up of a name, with a reserve.  */
#define S_DESCRIPTORS 14

typedef struct {
    int name;
    int64_t value;
} s_option_t;

static int s_set (void *socket, const s_option_t *option)
{
    if (option->name == ZMQ_MAXMSGSIZE) // the only option that is not an int
        return zmq_setsockopt (socket, option->name, &option->value, sizeof option->value);
    int value = (int) option->value;
    return zmq_setsockopt (socket, option->name, &value, sizeof value);
}

/*  Returns NULL if an option could not be set; the socket is then closed.  */
static void *s_set_all (void *socket, const s_option_t *options, size_t count)
{
    for (size_t index = 0; socket && index < count; index++)
        if (s_set (socket, &options[index]) != 0) {
            int reason = errno;
            rp_socket_close (socket, NULL);
            errno = reason;
            return NULL;
        }
    return socket;
}

/*  False, with EMFILE or ENFILE, if too few descriptors are left. libzmq ends the process when it
    runs out of them while it makes threads and sockets, so this checks before. Costs two system
    calls per descriptor, some 10 µs per socket. Another thread may take descriptors meanwhile; the
    reserve allows for a few.  */
static bool s_has_room (void)
{
    int taken[S_DESCRIPTORS];
    int count = 0;
    while (count < S_DESCRIPTORS && (taken[count] = eventfd (0, EFD_CLOEXEC)) >= 0)
        count++;
    int reason = errno;
    bool room = count == S_DESCRIPTORS;
    while (count > 0)
        close (taken[--count]);
    errno = reason;
    return room;
}

static void *s_new (void *context, int type, const s_option_t *options, size_t count)
{
    if (!s_has_room ())
        return NULL;
    return s_set_all (zmq_socket (context, type), options, count);
}

/*  Makes a socket for connections to other machines, with options that detect a lost peer.  */
static void *s_new_remote (void *context, int type, const s_option_t *options, size_t count)
{
    static const s_option_t common[] = {
      {ZMQ_TCP_KEEPALIVE, 1},
      {ZMQ_TCP_KEEPALIVE_IDLE, S_KEEPALIVE_IDLE_S},
      {ZMQ_TCP_KEEPALIVE_INTVL, S_KEEPALIVE_INTERVAL_S},
      {ZMQ_TCP_KEEPALIVE_CNT, S_KEEPALIVE_COUNT},
      {ZMQ_TCP_MAXRT, S_UNACKNOWLEDGED_MS},
    };
    void *socket = s_new (context, type, options, count);
    return s_set_all (socket, common, sizeof common / sizeof *common);
}

/*  zmq.h names this option in its draft part only; libzmq (4.3.4) takes it without drafts too.
    Without it, a handshake goes on though nobody answers ZAP (libzmq#2711).  */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/*  Sets what a socket needs to refuse unknown keys, and reads back that it does.  */
static bool s_secure (void *socket, const rp_socket_security_t *security)
{
    const int yes = 1;
    const int limit_ms = RP_SOCKET_HANDSHAKE_MS; // no peer older than ZMTP 3.0 gets in
    int enforced = 0;
    size_t size = sizeof enforced;
    if (zmq_setsockopt (socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0
        && zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, security->secret_key, 32) == 0
        && zmq_setsockopt (socket, ZMQ_ZAP_DOMAIN, security->domain, strlen (security->domain)) == 0
        && zmq_setsockopt (socket, ZMQ_HANDSHAKE_IVL, &limit_ms, sizeof limit_ms) == 0
        && zmq_setsockopt (socket, ZMQ_ZAP_ENFORCE_DOMAIN, &yes, sizeof yes) == 0
        && zmq_getsockopt (socket, ZMQ_ZAP_ENFORCE_DOMAIN, &enforced, &size) == 0 && enforced == 1)
        return true;
    errno = ENOTSUP;
    return false;
}

/*  Closes the socket if it cannot be made secure, and returns NULL then.  */
static void *s_secured (void *socket, const rp_socket_security_t *security)
{
    if (!socket || !security || s_secure (socket, security))
        return socket;
    rp_socket_close (socket, NULL);
    errno = ENOTSUP;
    return NULL;
}

void *rp_socket_router (
  void *context, int64_t max_frame, int backlog, const rp_socket_security_t *security)
{
    const s_option_t options[] = {
      {ZMQ_ROUTER_MANDATORY, 1},   // a send to a peer that is gone or full fails, not vanishes
      {ZMQ_ROUTER_HANDOVER, 0},    // no peer takes over another peer's replies
      {ZMQ_MAXMSGSIZE, max_frame}, // the default is no limit
      {ZMQ_SNDHWM, backlog},       // bounds the backlog of a peer that does not read
      {ZMQ_RCVHWM, 0},             // a full receive queue can abort the process (libzmq#3937)
      {ZMQ_LINGER, 0}, // the default blocks exit; the broker sets its own before it ends
      {ZMQ_BACKLOG, S_BACKLOG},
      {ZMQ_HANDSHAKE_IVL, 0}, // it would abort peers before ZMTP 3.0; see transport/handshakes.h
    };
    // libzmq draws the first routing id from rand(), which it seeds with the time: a peer that
    // predicts an id can claim it, and the ROUTER aborts.
    srand ((unsigned) rp_clock_entropy ());
    return s_secured (
      s_new_remote (context, ZMQ_ROUTER, options, sizeof options / sizeof *options), security);
}

void *rp_socket_backend (
  void *context, int64_t max_frame, int backlog, const rp_socket_security_t *security)
{
    const s_option_t options[] = {
      {ZMQ_MAXMSGSIZE, max_frame}, {ZMQ_SNDHWM, backlog},
      {ZMQ_RCVHWM, 0}, // a full receive queue can abort the process (libzmq#4767)
      {ZMQ_LINGER, 0}, {ZMQ_BACKLOG, S_BACKLOG}, {ZMQ_HANDSHAKE_IVL, 0}, // as above
    };
    return s_secured (
      s_new_remote (context, ZMQ_DEALER, options, sizeof options / sizeof *options), security);
}

void *rp_socket_dealer (void *context)
{
    static const s_option_t options[] = {
      {ZMQ_RECONNECT_IVL, S_NEVER_MS}, // the link decides when and where, and takes a new socket
      {ZMQ_IMMEDIATE, 0}, // the pipe exists from the start, and stays until all messages are read
      {ZMQ_MAXMSGSIZE, S_LARGEST_FRAME},
      {ZMQ_SNDHWM, 0}, // the window and the limit of open requests bound the queue
      {ZMQ_RCVHWM, 0}, // a full receive queue can abort the process (libzmq#4767)
      {ZMQ_LINGER, 0}, // the default blocks exit; rp_channel_close sets the time
      {ZMQ_HANDSHAKE_IVL, RP_SOCKET_HANDSHAKE_MS},
    };
    return s_new_remote (context, ZMQ_DEALER, options, sizeof options / sizeof *options);
}

int rp_socket_use_curve (void *socket, const rp_curve_t *keys)
{
    static const size_t size = RP_KEY_SIZE;
    if (zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, keys->server_key, size) != 0
        || zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, size) != 0)
        return -1;
    return zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, size);
}

void *rp_socket_monitor (void *context, void *socket, int events, uint64_t number)
{
    static const s_option_t options[] = {
      {ZMQ_RCVHWM, 0}, // a full monitor would stop libzmq's I/O thread
      {ZMQ_LINGER, 0},
    };
    char name[64];
    snprintf (name, sizeof name, "inproc://riposte-monitor-%" PRIu64, number);
    if (zmq_socket_monitor (socket, name, events) != 0)
        return NULL;
    void *monitor = s_new (context, ZMQ_PAIR, options, sizeof options / sizeof *options);
    if (monitor && zmq_connect (monitor, name) == 0)
        return monitor;
    int reason = errno;
    zmq_socket_monitor (socket, NULL, 0);
    rp_socket_close (NULL, monitor);
    errno = reason;
    return NULL;
}

/*  Takes one frame of an event, and copies at most size bytes. False if there is none.  */
static bool s_take_frame (void *monitor, void *data, size_t size, bool *more)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    bool taken;
    do
        taken = zmq_msg_recv (&frame, monitor, ZMQ_DONTWAIT) >= 0;
    while (!taken && errno == EINTR);
    if (taken) {
        size_t length = zmq_msg_size (&frame);
        memcpy (data, zmq_msg_data (&frame), length < size ? length : size);
        *more = zmq_msg_more (&frame);
    }
    zmq_msg_close (&frame);
    return taken;
}

int rp_socket_next_event (void *monitor, uint32_t *value)
{
    uint8_t bytes[6] = {0}; // event and value, in the machine's byte order
    bool more = false;
    if (!s_take_frame (monitor, bytes, sizeof bytes, &more))
        return 0;
    uint8_t address;
    while (more && s_take_frame (monitor, &address, 0, &more)) {
    }
    uint16_t event;
    memcpy (&event, bytes, sizeof event);
    memcpy (value, bytes + sizeof event, sizeof *value);
    return event;
}

void rp_socket_close (void *socket, void *monitor)
{
    if (socket && monitor)
        zmq_socket_monitor (socket, NULL, 0);
    if (socket)
        zmq_close (socket);
    if (monitor)
        zmq_close (monitor);
}

int rp_socket_prepare (void *socket, const char *endpoint)
{
    // Only for an IPv6 address: otherwise libzmq would try the first IPv6 address of a name such as
    // localhost and no other, and show IPv4 peers as ::ffff:127.0.0.1.
    s_option_t option = {ZMQ_IPV6, strncmp (endpoint, "tcp://[", 7) == 0};
    return s_set (socket, &option);
}

int rp_socket_connect (void *socket, const char *endpoint)
{
    s_option_t buffer = {ZMQ_SNDBUF, RP_SOCKET_LOCAL_SEND_BUFFER};
    if (rp_socket_endpoint_is_loopback (endpoint) && s_set (socket, &buffer) != 0)
        return -1;
    return rp_socket_prepare (socket, endpoint) == 0 ? zmq_connect (socket, endpoint) : -1;
}

bool rp_socket_traffic (int descriptor, rp_traffic_t *traffic)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    *traffic = (rp_traffic_t){0};
    if (getsockopt (descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
        traffic->counted =
          size >= offsetof (struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans;
        if (traffic->counted) {
            traffic->sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
            traffic->received = info.tcpi_bytes_received;
        }
        return traffic->counted; // an older kernel does not count the bytes
    }
    int unread = 0;
    if (ioctl (descriptor, SIOCOUTQ, &unread) != 0)
        return false;
    traffic->unread = unread > 0;
    return true;
}

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} s_name_t;

/*  True if both ends of a TCP connection have the same address.  */
static bool s_is_to_itself (int descriptor)
{
    s_name_t own = {0};
    s_name_t peer = {0};
    socklen_t own_size = sizeof own;
    socklen_t peer_size = sizeof peer;
    if (getsockname (descriptor, &own.any, &own_size) != 0
        || getpeername (descriptor, &peer.any, &peer_size) != 0
        || own.any.sa_family != peer.any.sa_family)
        return false;
    if (own.any.sa_family == AF_INET)
        return own.v4.sin_addr.s_addr == peer.v4.sin_addr.s_addr;
    return own.any.sa_family == AF_INET6
           && memcmp (&own.v6.sin6_addr, &peer.v6.sin6_addr, sizeof own.v6.sin6_addr) == 0;
}

void rp_socket_accepted (int descriptor)
{
    static const int size = RP_SOCKET_LOCAL_SEND_BUFFER;
    if (s_is_to_itself (descriptor)) // if this fails, the socket keeps the default, which works too
        setsockopt (descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/*  ---- The form of endpoints ------------------------------------------------------------------ */

static bool s_begins_with (const char *text, size_t size, const char *prefix)
{
    size_t length = strlen (prefix);
    return size >= length && memcmp (text, prefix, length) == 0;
}

/*  True for 127.0.0.0/8, and not for a name that begins like it ("127.example.org").  */
static bool s_is_loopback_v4 (const char *endpoint)
{
    const char *const start = "tcp://127.";
    size_t length = strlen (start);
    return strncmp (endpoint, start, length) == 0
           && endpoint[length + strspn (endpoint + length, "0123456789.")] == ':';
}

bool rp_socket_endpoint_is_loopback (const char *endpoint)
{
    static const char *const starts[] = {"tcp://localhost:", "tcp://[::1]:"};
    if (s_is_loopback_v4 (endpoint))
        return true;
    for (size_t index = 0; index < sizeof starts / sizeof *starts; index++)
        if (s_begins_with (endpoint, strlen (endpoint), starts[index]))
            return true;
    return false;
}

static const char *s_port_fault (const char *port, size_t size, bool bind)
{
    if (bind && size == 1 && (*port == '*' || *port == '0'))
        return NULL;
    unsigned number = 0;
    for (size_t index = 0; index < size && number <= 65535; index++) {
        if (port[index] < '0' || port[index] > '9')
            return "has a port that is not a number";
        number = number * 10 + (unsigned) (port[index] - '0');
    }
    return number == 0 || number > 65535 ? "has a port outside 1 to 65535" : NULL;
}

/*  True for an IPv6 address in brackets, with or without a zone. libzmq would look up any other
    text, in the thread that moves the messages of all sockets.  */
static bool s_is_ipv6 (const char *host, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *zone = memchr (host, '%', size);
    size_t length = zone ? (size_t) (zone - host) - 1 : size - 2;
    if (size < 4 || host[size - 1] != ']' || length >= sizeof text)
        return false;
    memcpy (text, host + 1, length);
    text[length] = '\0';
    return inet_pton (AF_INET6, text, &address) == 1;
}

static const char *s_host_fault (const char *host, size_t size, bool bind)
{
    if (size == 0)
        return "has no host; it looks like tcp://HOST:PORT";
    if (size == 1 && *host == '*')
        return bind ? NULL : "has * for a host, to which nobody can connect";
    bool bracketed = *host == '[';
    if (bracketed && !s_is_ipv6 (host, size))
        return "has a bracket and no IPv6 address in it; it looks like tcp://[::1]:5555";
    if (!bracketed && memchr (host, ':', size))
        return "has too many colons; an IPv6 address goes in brackets: tcp://[::1]:5555";
    const char *end = host + size - (bracketed ? 1 : 0);
    for (const char *at = host + (bracketed ? 1 : 0); at < end; at++) {
        bool plain =
          (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!plain && (*at == '\0' || !strchr (bracketed ? ":.%-_" : ".-_", *at)))
            return "has a character in its host that no host has";
    }
    return NULL;
}

static const char *s_tcp_fault (const char *address, size_t size, bool bind)
{
    const char *colon = memrchr (address, ':', size);
    if (!colon || address[size - 1] == ':' || address[size - 1] == ']')
        return "has no port; it looks like tcp://HOST:PORT";
    size_t host_size = (size_t) (colon - address);
    const char *fault = s_host_fault (address, host_size, bind);
    return fault ? fault : s_port_fault (colon + 1, size - host_size - 1, bind);
}

static const char *s_ipc_fault (const char *path, size_t size)
{
    if (size == 0)
        return "has no path; it looks like ipc:///run/riposte.sock";
    if (size >= sizeof ((struct sockaddr_un *) NULL)->sun_path)
        return "has a path of more than 107 bytes, which a socket's name cannot have";
    for (size_t index = 0; index < size; index++)
        if ((unsigned char) path[index] < 32 || path[index] == 127)
            return "has a control character in its path";
    return NULL;
}

static const char *s_srv_fault (const char *name, size_t size)
{
    if (size == 0)
        return "has no name; it looks like srv:_riposte._tcp.example.org";
    for (size_t index = 0; index < size; index++) {
        bool plain = (name[index] >= '0' && name[index] <= '9')
                     || (name[index] >= 'a' && name[index] <= 'z')
                     || (name[index] >= 'A' && name[index] <= 'Z');
        if (!plain && (name[index] == '\0' || !strchr (".-_", name[index])))
            return "has a character in its name that no SRV record has; the port is the record's";
    }
    return NULL;
}

static int s_is_valid (const char *endpoint, size_t size, bool bind, const char **reason)
{
    if (size > S_ENDPOINT_MAX)
        *reason = "is longer than any endpoint";
    else if (s_begins_with (endpoint, size, "tcp://"))
        *reason = s_tcp_fault (endpoint + 6, size - 6, bind);
    else if (s_begins_with (endpoint, size, "ipc://"))
        *reason = s_ipc_fault (endpoint + 6, size - 6);
    else if (!bind && s_begins_with (endpoint, size, RP_ADDRESS_SRV))
        *reason = s_srv_fault (endpoint + 4, size - 4);
    else
        *reason = "does not begin with tcp:// or ipc://";
    return *reason == NULL;
}

int rp_socket_endpoint_is_valid (const char *endpoint, size_t size, const char **reason)
{
    return s_is_valid (endpoint, size, true, reason);
}

int rp_socket_peer_endpoint_is_valid (const char *endpoint, size_t size, const char **reason)
{
    return s_is_valid (endpoint, size, false, reason);
}
