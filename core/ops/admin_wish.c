#include "core/ops/admin_wish.h"

#include <stdio.h>

#include "core/work/audit_chain.h"
#include "core/work/script_table.h"

static int put(struct work *work, const struct admin_request *request,
               const struct admin_wish *wish)
{
    char json[64];
    snprintf(json, sizeof(json), "{\"wish\":\"%s\"}", wish->word);
    struct audit_entry entry = {.who = request->who,
                                .action = wish->action,
                                .subject = wish->word,
                                .detail = request->reason != NULL ? request->reason : ""};
    int rc = work_nested_begin(work);
    if (rc != 0) {
        return rc;
    }
    rc = script_table_put(work, bytes_str(wish->table), bytes_str(wish->row), bytes_str(json));
    rc = rc != 0 ? rc : audit_append(work, &entry);
    if (rc != 0) {
        work_nested_abort(work);
        return rc;
    }
    return work_nested_commit(work);
}

int admin_put_wish(struct admin_context *c, const struct admin_wish *wish)
{
    size_t taken = 0;
    if (!c->view->is_live) {
        return admin_fail(c, ADMIN_UNREACHABLE, "that needs the running host");
    }
    for (size_t i = 0; i < c->view->count; i++) {
        struct bytes seen;
        c->client = &c->view->clients[i];
        bool is_wanted = admin_wants_client(c, c->client) &&
                         script_table_get(c->client->work, bytes_str(wish->table),
                                          bytes_str(wish->seen), &seen) == 0;
        if (is_wanted && !c->request->is_dry_run && put(c->client->work, c->request, wish) != 0) {
            return admin_fail(c, ADMIN_WRONG, "%s: the store takes nothing now", c->client->name);
        }
        taken += is_wanted ? 1 : 0;
    }
    if (taken == 0) {
        return admin_fail(c, ADMIN_NOT_FOUND, "%s", wish->none);
    }
    buf_addf(c->out, c->request->wants_json ? "{\"wish\":\"%s\"}\n" : "%s: within a minute\n",
             wish->word);
    return ADMIN_OK;
}
