/* SIOCOUTQ (tcp(7)) counts what lies in the send queue, sent or not; tcpi_bytes_acked (RFC 4898
 * tcpEStatsAppHCThruOctetsAcked) counts what left it. The kernel's struct, because glibc's ends before that
 * field. */
#include "http/socket.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

const short socket_lost_events = POLLRDHUP;

bool socket_progress(int fd, uint64_t *unacknowledged, uint64_t *acknowledged)
{
    int queued = 0;
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (ioctl(fd, SIOCOUTQ, &queued) != 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    if (size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return false;
    *unacknowledged = (uint64_t)queued;
    *acknowledged = info.tcpi_bytes_acked;
    return true;
}
