/* TCP_CONNECTION_INFO: bytes in the send buffer, and bytes transmitted, which stand for acknowledged ones
 * (what is in flight is then counted in both: a reader gets a little more time). Written from the system's
 * header; the tests of issue B have not been run on a Mac yet. */
#include "http/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

const short socket_lost_events = 0;

bool socket_progress(int fd, uint64_t *unacknowledged, uint64_t *acknowledged)
{
    struct tcp_connection_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONNECTION_INFO, &info, &size) != 0)
        return false;
    *unacknowledged = info.tcpi_snd_sbbytes;
    *acknowledged = info.tcpi_txbytes;
    return true;
}
