/* Which URLs are taken and which addresses may be talked to: the rules a hostile address tries to get around.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "profile/net_address.h"
#include "profile/net_client.h"

static void test_urls_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
        const char *path, *again;
        bool https, literal;
    } rows[] = {
        {"http://127.0.0.1:8080", "127.0.0.1", 8080, "", "http://127.0.0.1:8080", false, true},
        {"http://127.0.0.1:8080/", "127.0.0.1", 8080, "", "http://127.0.0.1:8080", false, true},
        {"https://API.Example.com/v1/", "api.example.com", 443, "/v1", "https://api.example.com:443/v1", true,
         false},
        {"http://[::1]:1/v1", "::1", 1, "/v1", "http://[::1]:1/v1", false, true},
        {"http://[FE80::1]", "fe80::1", 80, "", "http://[fe80::1]:80", false, true},
        {"http://xn--bcher-kva.example", "xn--bcher-kva.example", 80, "", "http://xn--bcher-kva.example:80",
         false, false},
        {"http://my_gpu-box.lan:65535/a/b.c~d", "my_gpu-box.lan", 65535, "/a/b.c~d",
         "http://my_gpu-box.lan:65535/a/b.c~d", false, false},
        {"http://1e100.net", "1e100.net", 80, "", "http://1e100.net:80", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct net_url url;
        struct error error = {0};
        char again[640];
        if (net_url_parse(rows[i].text, &url, &error))
            fail_msg("%s: %s", rows[i].text, error.message);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_string_equal(url.path, rows[i].path);
        assert_int_equal(url.https, rows[i].https);
        assert_int_equal(url.literal, rows[i].literal);
        net_url_text(&url, again, sizeof again);
        assert_string_equal(again, rows[i].again);
    }
}

static void test_urls_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "http://"},
        {"127.0.0.1:8080", "http://"},
        {"ftp://example.com", "http://"},
        {"file:///etc/passwd", "http://"},
        {"HTTP://example.com", "http://"},
        {"http:/example.com", "http://"},
        {"http://", "name of a machine"},
        {"http:///v1", "name of a machine"},
        {"http://user@example.com", "user name"},
        {"http://user:secret@example.com", "user name"},
        {"http://example.com:80@127.0.0.1/", "user name"},
        {"http://127.0.0.1\\@example.com/", "path"},
        {"http://example.com/?q=1", "query"},
        {"http://example.com?q=1", "query"},
        {"http://example.com/#x", "fragment"},
        {"http://example.com/a%2fb", "percent"},
        {"http://example.com/../x", "dot"},
        {"http://example.com//x", "empty part"},
        {"http://example.com/a b", "path"},
        {"http://exa mple.com", "letters"},
        {"http://exam%70le.com", "letters"},
        {"http://example.com:0", "port"},
        {"http://example.com:65536", "port"},
        {"http://example.com:", "port"},
        {"http://example.com:8o", "port"},
        {"http://example.com:+80", "port"},
        {"http://example.com:999999", "port"},
        {"http://[::1", "not closed"},
        {"http://[::1]x", "port"},
        {"http://[127.0.0.1]", "IPv6"},
        {"http://[fe80::1%25eth0]", "IPv6"},
        {"http://[]", "IPv6"},
        {"http://example..com", "empty part"},
        {"http://.example.com", "empty part"},
        {"http://example.com.", "dot"},
        /* the many ways to write 127.0.0.1 and 169.254.169.254 */
        {"http://2130706433", "four decimal"},
        {"http://0x7f000001", "four decimal"},
        {"http://0X7F000001", "four decimal"},
        {"http://017700000001", "four decimal"},
        {"http://0177.0.0.1", "four decimal"},
        {"http://0x7f.0.0.1", "four decimal"},
        {"http://127.1", "four decimal"},
        {"http://127.0.1", "four decimal"},
        {"http://127.0.0.0x1", "four decimal"},
        {"http://127.0.0.01", "four decimal"},
        {"http://2852039166", "four decimal"},
        {"http://0xa9.0xfe.0xa9.0xfe", "four decimal"},
        {"http://256.1.1.1", "four decimal"},
        {"http://1.2.3.4.5", "four decimal"},
        {"http://foo.0x", "four decimal"},
        {"http://\xE2\x91\xA0\xE2\x91\xA1\xE2\x91\xA6.0.0.1", "ASCII"}, /* circled digits */
        {"http://b\xC3\xBC"
         "cher.example",
         "ASCII"},
        {"http://example\xE3\x80\x82"
         "com",
         "ASCII"}, /* ideographic full stop */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct net_url url;
        struct error error = {0};
        if (net_url_parse(rows[i].text, &url, &error) != ERROR_INVALID)
            fail_msg("%s was taken", rows[i].text);
        if (!strstr(error.message, rows[i].why))
            fail_msg("%s: '%s' does not speak of '%s'", rows[i].text, error.message, rows[i].why);
    }
    char endless[2000] = "http://";
    memset(endless + 7, 'a', sizeof endless - 8);
    endless[sizeof endless - 1] = '\0';
    struct net_url url;
    assert_int_equal(net_url_parse(endless, &url, NULL), ERROR_INVALID);
    endless[7 + 64] = '\0';
    assert_int_equal(net_url_parse(endless, &url, NULL), ERROR_INVALID); /* a label of 64 */
    endless[7 + 63] = '\0';
    assert_int_equal(net_url_parse(endless, &url, NULL), 0);
}

static enum net_class class_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return net_classify((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return net_classify((struct sockaddr *)&v6);
}

static void test_classes(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        enum net_class kind;
    } rows[] = {
        {"8.8.8.8", NET_PUBLIC},
        {"1.1.1.1", NET_PUBLIC},
        {"11.0.0.1", NET_PUBLIC},
        {"126.255.255.255", NET_PUBLIC},
        {"128.0.0.1", NET_PUBLIC},
        {"172.15.255.255", NET_PUBLIC},
        {"172.32.0.0", NET_PUBLIC},
        {"100.63.255.255", NET_PUBLIC},
        {"100.128.0.0", NET_PUBLIC},
        {"169.253.255.255", NET_PUBLIC},
        {"223.255.255.255", NET_PUBLIC},
        {"127.0.0.1", NET_LOOPBACK},
        {"127.255.255.254", NET_LOOPBACK},
        {"10.0.0.1", NET_PRIVATE},
        {"10.255.255.255", NET_PRIVATE},
        {"172.16.0.1", NET_PRIVATE},
        {"172.31.255.255", NET_PRIVATE},
        {"192.168.1.1", NET_PRIVATE},
        {"100.64.0.1", NET_PRIVATE},
        {"100.127.255.255", NET_PRIVATE},
        {"198.18.0.1", NET_PRIVATE},
        {"198.19.255.255", NET_PRIVATE},
        {"169.254.0.1", NET_LINK_LOCAL},
        {"169.254.169.253", NET_LINK_LOCAL},
        {"169.254.169.254", NET_METADATA},
        {"169.254.170.2", NET_METADATA},
        {"168.63.129.16", NET_METADATA},
        {"100.100.100.200", NET_METADATA},
        {"192.0.0.192", NET_METADATA},
        {"0.0.0.0", NET_UNSPECIFIED},
        {"0.1.2.3", NET_UNSPECIFIED},
        {"192.0.0.1", NET_RESERVED},
        {"192.0.2.1", NET_RESERVED},
        {"198.51.100.7", NET_RESERVED},
        {"203.0.113.9", NET_RESERVED},
        {"240.0.0.1", NET_RESERVED},
        {"255.255.255.255", NET_RESERVED},
        {"224.0.0.1", NET_MULTICAST},
        {"239.255.255.255", NET_MULTICAST},
        {"::", NET_UNSPECIFIED},
        {"::1", NET_LOOPBACK},
        {"::2", NET_RESERVED},
        {"::127.0.0.1", NET_RESERVED}, /* IPv4-compatible: nobody uses it any more */
        {"::ffff:127.0.0.1", NET_LOOPBACK},
        {"::ffff:10.1.2.3", NET_PRIVATE},
        {"::ffff:169.254.169.254", NET_METADATA},
        {"::ffff:8.8.8.8", NET_PUBLIC},
        {"::ffff:0:127.0.0.1", NET_LOOPBACK},
        {"64:ff9b::127.0.0.1", NET_LOOPBACK},
        {"64:ff9b::a9fe:a9fe", NET_METADATA},
        {"64:ff9b::808:808", NET_PUBLIC},
        {"64:ff9b:1::1", NET_PRIVATE},
        {"64:ff9b:2::1", NET_RESERVED},
        {"2002:7f00:1::1", NET_LOOPBACK},
        {"2002:c0a8:101::", NET_PRIVATE},
        {"2002:a9fe:a9fe::", NET_METADATA},
        {"2002:808:808::1", NET_PUBLIC},
        {"2001:0:4136:e378:8000:63bf:3fff:fdd2", NET_RESERVED}, /* Teredo */
        {"2001:db8::1", NET_RESERVED},
        {"3fff:1000::1", NET_PUBLIC},
        {"3fff:fff::1", NET_RESERVED},
        {"2001:4860:4860::8888", NET_PUBLIC},
        {"2606:4700::1111", NET_PUBLIC},
        {"fd00:ec2::254", NET_METADATA},
        {"fd20:ce::254", NET_METADATA},
        {"fd00::1", NET_PRIVATE},
        {"fc00::1", NET_PRIVATE},
        {"fe80::1", NET_LINK_LOCAL},
        {"febf::1", NET_LINK_LOCAL},
        {"fec0::1", NET_PRIVATE},
        {"ff02::1", NET_MULTICAST},
        {"100::1", NET_RESERVED},
        {"4000::1", NET_RESERVED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (class_of(rows[i].address) != rows[i].kind)
            fail_msg("%s is %s", rows[i].address, net_class_name(class_of(rows[i].address)));
    struct sockaddr unknown = {.sa_family = AF_UNIX};
    assert_int_equal(net_classify(&unknown), NET_RESERVED);
}

static void test_policy(void **state)
{
    (void)state;
    static const bool plain[] = {true, false, false, false, false, false, false, false};
    static const bool local[] = {true, true, true, false, false, false, false, false};
    for (int kind = NET_PUBLIC; kind <= NET_RESERVED; kind++) {
        assert_int_equal(net_allowed((enum net_class)kind, false), plain[kind]);
        assert_int_equal(net_allowed((enum net_class)kind, true), local[kind]);
    }
}

static int resolve(const char *text, bool allow_local, struct net_addresses *out, struct error *error)
{
    struct net_url url;
    assert_int_equal(net_url_parse(text, &url, error), 0);
    return net_resolve(&url, allow_local, out, error);
}

static void test_resolve(void **state)
{
    (void)state;
    struct net_addresses addresses;
    struct error error = {0};
    assert_int_equal(resolve("http://127.0.0.1:81", true, &addresses, &error), 0);
    assert_int_equal(addresses.count, 1);
    char text[NET_MAX_ADDRESS_TEXT];
    net_address_text((struct sockaddr *)&addresses.items[0], text);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(((struct sockaddr_in *)(void *)&addresses.items[0])->sin_port, htons(81));

    assert_int_equal(resolve("http://127.0.0.1:81", false, &addresses, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "a loopback address"));
    assert_non_null(strstr(error.message, "permission"));
    assert_int_equal(resolve("http://169.254.169.254", true, &addresses, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "metadata"));
    assert_int_equal(resolve("http://[fd00:ec2::254]", true, &addresses, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "metadata"));
    assert_int_equal(resolve("http://[::ffff:169.254.169.254]", true, &addresses, &error), ERROR_INVALID);
    assert_int_equal(resolve("http://0.0.0.0:8000", true, &addresses, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "127.0.0.1"));
    assert_int_equal(resolve("http://192.168.1.1", false, &addresses, &error), ERROR_INVALID);
    assert_int_equal(resolve("http://192.168.1.1", true, &addresses, &error), 0);

    /* a name is judged by what it leads to, not by how it is called */
    int status = resolve("http://localhost", false, &addresses, &error);
    assert_true(status == ERROR_INVALID || status == ERROR_NOT_FOUND);
    assert_int_equal(resolve("http://no-such-name.invalid", true, &addresses, &error), ERROR_NOT_FOUND);
}

static void test_equal(void **state)
{
    (void)state;
    struct net_addresses a, b;
    assert_int_equal(resolve("http://[::1]:5", true, &a, NULL), 0);
    assert_int_equal(resolve("http://[::1]:6", true, &b, NULL), 0);
    struct sockaddr *x = (struct sockaddr *)&a.items[0], *y = (struct sockaddr *)&b.items[0];
    assert_true(net_address_equal(x, x));
    assert_false(net_address_equal(x, y)); /* another port */
    assert_int_equal(resolve("http://127.0.0.1:5", true, &b, NULL), 0);
    assert_false(net_address_equal(x, y)); /* another family */
}

static void test_keys(void **state)
{
    (void)state;
    struct net_client *client;
    struct error error = {0};
    static const char *const bad[] = {"", "two words", "line\r\nX-Injected: 1", "t\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(net_client_open("http://127.0.0.1:1", true, bad[i], &client, &error), ERROR_INVALID);
        assert_null(client);
        assert_null(strstr(error.message, "Injected"));
    }
    assert_int_equal(net_client_open("http://127.0.0.1:1", true, "sk-123", &client, &error), 0);
    assert_true(net_client_is_this_machine(client));
    net_client_close(client);
    net_client_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_taken), cmocka_unit_test(test_urls_refused),
        cmocka_unit_test(test_classes),    cmocka_unit_test(test_policy),
        cmocka_unit_test(test_resolve),    cmocka_unit_test(test_equal),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
