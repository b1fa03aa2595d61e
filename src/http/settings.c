/* Settings over HTTP. */
#include "service/settings.h"

#include "http/exchange.h"
#include "http/router.h"

static void reply_settings(struct http_exchange *exchange)
{
    json_t *settings = NULL;
    struct error error = {0};
    if (settings_read(http_services(exchange)->settings, &settings, &error))
        http_reply_error(exchange, &error, NULL);
    else
        http_reply_json(exchange, 200, settings);
}

static void put_settings(struct http_exchange *exchange)
{
    char param[128] = "";
    struct error error = {0};
    json_t *changes = http_json_object(exchange, 0);
    if (!changes)
        return;
    if (settings_write(http_services(exchange)->settings, changes, param, sizeof param, &error))
        http_reply_error(exchange, &error, *param ? param : NULL);
    else
        reply_settings(exchange);
    json_decref(changes);
}

static const struct http_route routes[] = {
    {"GET", "/api/settings", reply_settings, "Every setting: its value, default, bounds and meaning.", NULL,
     "Settings", 0, false},
    {"PUT", "/api/settings", put_settings,
     "Changes the settings that are given, all or none; null puts one back to its default.", "SettingsChange",
     "Settings", 0, false},
};
const struct http_route_table settings_routes = {routes, sizeof routes / sizeof *routes};
