/* Reading a URL. Browsers and libraries repair what is written oddly, each in its own way, and a check that
 * repairs differently from the connection it protects is worth nothing: here nothing is repaired. */
#include "profile/net_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_URL = 512, MAX_LABEL = 63 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int wrong(struct error *error, const char *what)
{
    return error_set(error, ERROR_INVALID, "the address %s", what);
}

static int read_scheme(const char **at, struct net_url *out, struct error *error)
{
    static const char plain[] = "http://", secure[] = "https://";
    out->https = strncmp(*at, secure, sizeof secure - 1) == 0;
    if (!out->https && strncmp(*at, plain, sizeof plain - 1) != 0)
        return wrong(error, "must begin with http:// or https://");
    *at += out->https ? sizeof secure - 1 : sizeof plain - 1;
    return 0;
}

/* The last label of a name that is meant as an IPv4 address, however written, begins with a digit and is a
 * number, decimal, octal or hexadecimal ("ends in a number", WHATWG URL). */
static bool looks_like_ipv4(const char *host)
{
    const char *label = strrchr(host, '.');
    label = label ? label + 1 : host;
    if (!is_digit(label[0]))
        return false;
    bool hex = label[0] == '0' && (label[1] == 'x' || label[1] == 'X');
    for (const char *c = hex ? label + 2 : label; *c; c++)
        if (hex ? !is_hex(*c) : !is_digit(*c))
            return false;
    return true;
}

static int check_name(const char *host, struct error *error)
{
    size_t label = 0;
    for (const char *c = host; *c; c++) {
        if ((unsigned char)*c >= 0x80)
            return wrong(error, "has a name that is not ASCII: write it as its registry does (xn--...)");
        if (*c == '.' && label == 0)
            return wrong(error, "has an empty part in its name");
        if (*c != '.' && !is_alnum(*c) && *c != '-' && *c != '_')
            return wrong(error, "may have only letters, digits, '-', '_' and '.' in its name");
        label = *c == '.' ? 0 : label + 1;
        if (label > MAX_LABEL)
            return wrong(error, "has a part of more than 63 characters in its name");
    }
    return label ? 0 : wrong(error, "has no name of a machine, or one that ends with a dot");
}

static int read_host(const char *begin, const char *end, bool bracketed, struct net_url *out,
                     struct error *error)
{
    size_t length = (size_t)(end - begin);
    if (length > NET_MAX_HOST)
        return wrong(error, "has a name of more than 253 characters");
    for (size_t i = 0; i < length; i++)
        out->host[i] = begin[i] >= 'A' && begin[i] <= 'Z' ? (char)(begin[i] + ('a' - 'A')) : begin[i];
    out->host[length] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (bracketed) { /* inet_pton takes no zone ("%eth0"), which names a link-local address anyway */
        out->literal = true;
        return inet_pton(AF_INET6, out->host, &v6) == 1 ? 0
                                                        : wrong(error, "has no IPv6 address in its brackets");
    }
    int status = check_name(out->host, error);
    if (status)
        return status;
    out->literal = looks_like_ipv4(out->host);
    if (out->literal && inet_pton(AF_INET, out->host, &v4) != 1)
        return wrong(error, "must write an IPv4 address as four decimal numbers, as in 192.168.1.20");
    return 0;
}

/* ":8080", or nothing. */
static int read_port(const char *begin, const char *end, struct net_url *out, struct error *error)
{
    out->port = out->https ? 443 : 80;
    if (begin == end)
        return 0;
    uint32_t port = 0;
    bool good = *begin == ':' && end - begin >= 2 && end - begin <= 6;
    for (const char *c = begin + 1; good && c < end; c++) {
        good = is_digit(*c);
        port = 10 * port + (uint32_t)(*c - '0');
    }
    if (!good || port == 0 || port > 65535)
        return wrong(error, "must have a port from 1 to 65535");
    out->port = (uint16_t)port;
    return 0;
}

static int read_path(const char *text, struct net_url *out, struct error *error)
{
    size_t length = strlen(text);
    while (length && text[length - 1] == '/')
        length--;
    if (length > NET_MAX_PATH)
        return wrong(error, "has a path of more than 255 characters");
    for (size_t i = 0; i < length; i++)
        if (!is_alnum(text[i]) && !strchr("/-._~", text[i]))
            return wrong(error, "may have only letters, digits and / - . _ ~ in its path: no query (?), no "
                                "fragment (#), no percent signs");
    memcpy(out->path, text, length);
    out->path[length] = '\0';
    if (strstr(out->path, "//") || strstr(out->path, "/."))
        return wrong(error, "has an empty part, or one that begins with a dot, in its path");
    return 0;
}

int net_url_parse(const char *text, struct net_url *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    if (strlen(text) > MAX_URL)
        return wrong(error, "has more than 512 characters");
    int status = read_scheme(&text, out, error);
    if (status)
        return status;
    size_t authority = strcspn(text, "/?#\\");
    const char *end = text + authority;
    if (memchr(text, '@', authority))
        return wrong(error, "must not have a user name or password in it");
    bool bracketed = *text == '[';
    const char *host = bracketed ? text + 1 : text;
    const char *host_end = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
    if (bracketed && !host_end)
        return wrong(error, "has a bracket that is not closed");
    if (!host_end)
        host_end = end;
    status = read_host(host, host_end, bracketed, out, error);
    if (!status)
        status = read_port(bracketed ? host_end + 1 : host_end, end, out, error);
    return status ? status : read_path(end, out, error);
}

void net_url_text(const struct net_url *url, char *out, size_t capacity)
{
    bool v6 = url->literal && strchr(url->host, ':');
    snprintf(out, capacity, "http%s://%s%s%s:%u%s", url->https ? "s" : "", v6 ? "[" : "", url->host,
             v6 ? "]" : "", (unsigned)url->port, url->path);
}
